"""Losses written in Python: functions, and objects with a value and a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._declarations import describe, reject_unknown
from ..data import as_array
from ..errors import ArgumentError, ShapeError, kind_of
from ..records import LossSpec
from .base import Loss, Reduction


class PythonLoss(Loss):
    """Base of losses written in Python. Override `value_and_gradient`.

    ``compile(loss=...)`` also accepts a function ``f(y_true, y_pred)`` that returns both values, and an object with the methods
    ``value(y_true, y_pred)`` and ``gradient(y_true, y_pred)``.

    Parameters
    ----------
    reduction : str, default "mean"
        See `Loss`. nncore applies the reduction and the sample weights.
    **arguments
        The arguments of the constructor of the subclass. They become attributes and the repr. `nn.load` uses them to make the loss
        again: ``nn.load(path, custom_objects={"LogCosh": LogCosh})``.

    Notes
    -----
    A subclass may set ``targets`` to the form of its targets: "values" (any numbers in the shape of the output, the default),
    "probabilities", "signs", "one_hot", or "classes" (whole numbers [N]).

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> class LogCosh(nn.losses.PythonLoss):
    ...     def value_and_gradient(self, y_true, y_pred):
    ...         error = y_pred - y_true
    ...         return np.log(np.cosh(error)).sum(axis=1), np.tanh(error)
    >>> round(LogCosh()([[0.0]], [[1.0]]), 4)
    0.4338
    >>> model = nn.Sequential(nn.Linear(2, 1), seed=0)
    >>> model.compile(loss=LogCosh(), optimizer="sgd")
    """

    _arguments: tuple[str, ...] = ()

    def __init__(self, reduction: Reduction = "mean", **arguments: Any) -> None:
        if arguments and type(self).__init__ is PythonLoss.__init__:
            reject_unknown(type(self), arguments)
        super().__init__(reduction)
        self.__dict__.update(arguments)
        self._arguments = tuple(arguments)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in vars(cls) and not cls.__name__.startswith("_"):
            cls.name = cls.__name__

    def value_and_gradient(self, y_true: np.ndarray, y_pred: np.ndarray, /) -> tuple[Any, Any]:
        """Return the loss of each row and its gradient.

        Parameters
        ----------
        y_true : numpy.ndarray
            Targets [N, *output shape] in the model's dtype; for ``targets = "classes"`` int64 [N].
        y_pred : numpy.ndarray
            Predictions [N, *output shape].

        Returns
        -------
        tuple of two numpy.ndarray
            The losses [N], neither weighted nor averaged, or [N, lines] if an output has several lines, such as time steps. Then
            the derivative of each row's loss with respect to y_pred, in the shape of ``y_pred``.
        """
        raise self._without_methods()

    def require_methods(self) -> None:
        """Raise ArgumentError unless the class says how the loss is computed."""
        if type(self).value_and_gradient is PythonLoss.value_and_gradient and "value_and_gradient" not in vars(self):
            raise self._without_methods()

    def _without_methods(self) -> ArgumentError:
        has_both = callable(getattr(self, "value", None))
        hint = "it returns what value and gradient do, as a pair; or leave the base class out" if has_both else "it returns a pair"
        return ArgumentError(f"loss: {type(self).__name__} has no value_and_gradient(y_true, y_pred); define it: {hint}")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return an argument of the constructor."""

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the reduction."""
        return {name: getattr(self, name) for name in self._arguments}

    def spec(self, weight: float = 1.0) -> LossSpec:
        return LossSpec(self.name, False, (), self.reduction, weight, self)

    def _answer(self, rows: np.ndarray, grad: np.ndarray | None, y_true: np.ndarray, y_pred: np.ndarray) -> None:
        """Write the losses and, if ``grad`` is given, the gradients. The core calls this."""
        value, gradient = self._pair(self.value_and_gradient(y_true, y_pred))
        losses = as_array(value, f"what {self.name} gave as losses", rows.dtype)
        _require(self.name, "losses", losses.shape, rows.shape, "one per row, neither summed nor averaged")
        rows[...] = losses
        if grad is not None:
            gradients = as_array(gradient, f"what {self.name} gave as gradients", grad.dtype)
            _require(self.name, "gradients", gradients.shape, grad.shape, "one per prediction")
            grad[...] = gradients

    def _pair(self, found: Any) -> tuple[Any, Any]:
        if not isinstance(found, tuple) or len(found) != 2:
            raise ArgumentError(
                f"{self.name}: a pair (losses [N], gradients like y_pred) is needed, as nothing is differentiated automatically; "
                f"not {kind_of(found)}"
            )
        return found

    def _bind(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        prediction, target, weight = super()._bind(y_true, y_pred, sample_weight)
        target = target.astype(np.int64) if self.targets == "classes" else target.astype(prediction.dtype).reshape(prediction.shape)
        return prediction, target, weight

    def _evaluate(
        self, prediction: np.ndarray, target: np.ndarray, weight: np.ndarray | None, scale: float
    ) -> tuple[np.ndarray, np.ndarray]:
        rows, grad = np.empty(len(prediction), prediction.dtype), np.empty_like(prediction)
        self._answer(rows, grad, target, prediction)
        cast = np.ones_like(rows) if weight is None else weight.astype(rows.dtype)
        return rows * cast, grad * (cast * prediction.dtype.type(scale))[:, None]

    def __repr__(self) -> str:
        return describe(self, (*self._arguments, "reduction"))


class _Given(PythonLoss):
    """A user's function, or object with value and gradient, as a loss."""

    def __init__(self, given: Any, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.given = given
        self.__dict__["name"] = getattr(given, "__name__", type(given).__name__)
        self.__dict__["targets"] = getattr(given, "targets", "values")

    def config(self) -> dict[str, Any]:
        return dict(self.given.config()) if hasattr(self.given, "config") else {}

    def value_and_gradient(self, y_true: np.ndarray, y_pred: np.ndarray, /) -> tuple[Any, Any]:
        if hasattr(self.given, "value"):
            return self.given.value(y_true, y_pred), self.given.gradient(y_true, y_pred)
        return self._pair(self.given(y_true, y_pred))

    def __repr__(self) -> str:
        return f"{self.name}(reduction={self.reduction!r})"


def given(loss: Any, reduction: Reduction = "mean") -> PythonLoss:
    """Return a loss made from a function, or from an object with value and gradient."""
    return _Given(loss, reduction)


def _require(name: str, what: str, found: tuple[int, ...], shape: tuple[int, ...], hint: str) -> None:
    if found != shape:
        raise ShapeError(f"{name} gave {what} of shape {found}; {shape} is needed, {hint}")
