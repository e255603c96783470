"""Losses: declarations of what csrc/ops computes, under Keras's names.

A loss says which kernel it is, with which attributes, and what form its targets have. It computes nothing itself: ``compile``
hands its record to the plan, and a loss called alone goes through the same kernel. The loss of a row is the mean over its
columns (the sum for the cross-entropies over classes, `KLDivergence` and `HalfSquaredError`); ``reduction`` says how rows add up.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from . import _core
from .data import bind_prediction, bind_target, bind_weight
from .errors import ArgumentError, ShapeError, lookup
from .names import describe, table
from .spec import LossSpec

#: What may be passed as ``reduction`` -> how the core calls it.
REDUCTIONS = {
    "mean": "mean",
    "sum_over_batch_size": "mean",
    "sum": "sum",
    "mean_with_sample_weight": "mean_with_sample_weight",
    "none": "none",
}


class Loss:
    """What all losses share: the reduction, and how to call one alone.

    Parameters
    ----------
    reduction : str, default "mean"
        "mean" (Keras's "sum_over_batch_size"): sum of weight * loss over the number of rows. "mean_with_sample_weight": over the
        sum of the weights. "sum": not divided. "none": the loss of each row; only for a loss that is called alone.
    """

    name: ClassVar[str]  #: in the registry of ops, and for compile
    aliases: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()  #: in the order of the registry of ops
    targets: ClassVar[str] = "values"  #: a form that data/targets.py knows
    from_logits: bool = False

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = lookup("reduction", reduction, REDUCTIONS)

    def spec(self, weight: float = 1.0) -> LossSpec:
        """Return the record that the core compiles; ``weight`` scales this loss among those of several outputs."""
        return LossSpec(self.name, self.from_logits, self._attributes(), self.reduction, weight)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of predictions.

        Parameters
        ----------
        y_true : array_like
            Targets, [N] or [N, columns], in the form that this loss takes.
        y_pred : array_like
            Predictions, [N] or [N, columns].
        sample_weight : array_like, optional
            [N].

        Returns
        -------
        float or numpy.ndarray
            The reduced loss; the loss of each row [N] where reduction is "none".

        Raises
        ------
        LabelError, ShapeError, DTypeError
            The targets have another form or shape than the loss takes.
        """
        rows, _, weight = self._run(y_true, y_pred, sample_weight, 1.0)
        return rows if self.reduction == "none" else float(rows.sum(dtype=np.float64) / self._divisor(len(rows), weight))

    def gradient(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> np.ndarray:
        """Return d loss / d y_pred, with the shape of ``y_pred``; of each row's own loss where reduction is "none"."""
        weight = bind_weight(sample_weight, len(y_pred))
        _, grad, _ = self._run(y_true, y_pred, sample_weight, 1.0 / self._divisor(len(y_pred), weight))
        return grad.reshape(np.shape(y_pred))

    def _run(self, y_true: Any, y_pred: Any, sample_weight: Any, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        prediction = bind_prediction(y_pred)
        target = bind_target(y_true, self.targets, prediction.shape[1:], len(prediction), self.name, prediction.dtype)
        weight = bind_weight(sample_weight, len(prediction))
        cast = None if weight is None else weight.astype(prediction.dtype)
        target = np.ascontiguousarray(target.reshape(len(target), -1), prediction.dtype)
        kernel = f"{self.name}_logits" if self.from_logits else self.name
        rows, grad, _ = _core.loss(kernel, prediction, target, cast, scale, self._attributes())
        return rows, grad, weight

    def _attributes(self) -> tuple[float, ...]:
        return tuple(float(getattr(self, a)) for a in self.attributes)

    def _divisor(self, rows: int, weight: np.ndarray | None) -> float:
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            return float(weight.sum())
        return float(rows) if self.reduction.startswith("mean") else 1.0

    def __repr__(self) -> str:
        options = ("from_logits",) if isinstance(self, _Crossentropy) else ()
        return describe(self, (*options, *self.attributes, "reduction"))


class MeanSquaredError(Loss):
    """Mean over the columns of (prediction - target)².

    Examples
    --------
    >>> MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    name, aliases = "mean_squared_error", ("mse", "MSE")


class HalfSquaredError(Loss):
    """½ Σ (prediction - target)² over the columns: the loss of the textbooks, whose gradient is prediction - target.

    Examples
    --------
    >>> HalfSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    name = "half_squared_error"


class MeanAbsoluteError(Loss):
    """Mean over the columns of |prediction - target|.

    Examples
    --------
    >>> MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]])
    1.5
    """

    name, aliases = "mean_absolute_error", ("mae", "MAE")


class MeanAbsolutePercentageError(Loss):
    """Mean over the columns of 100 |prediction - target| / max(|target|, 1e-7), in percent as in Keras.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
    25.0
    """

    name, aliases = "mean_absolute_percentage_error", ("mape", "MAPE")


class Huber(Loss):
    """Quadratic for errors up to delta, linear beyond (Huber, 1964); mean over the columns.

    Parameters
    ----------
    delta : float, default 1
        Where ½ e² turns into delta |e| - ½ delta².
    reduction : str
        See `Loss`.

    Examples
    --------
    >>> Huber(delta=1.0)([[0.0]], [[3.0]])
    2.5
    """

    name, attributes = "huber", ("delta",)

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        if not 0 < delta < float("inf"):
            raise ArgumentError(f"Huber: delta must be a finite number > 0, not {delta!r}")
        super().__init__(reduction)
        self.delta = float(delta)


class _Crossentropy(Loss):
    attributes = ("label_smoothing",)

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, reduction: str = "mean") -> None:
        if not 0 <= label_smoothing < 1:
            raise ArgumentError(f"{type(self).__name__}: label_smoothing must lie in [0, 1), not {label_smoothing!r}")
        super().__init__(reduction)
        self.from_logits = bool(from_logits)
        self.label_smoothing = float(label_smoothing)


class BinaryCrossentropy(_Crossentropy):
    """-t log p - (1 - t) log(1 - p), mean over the columns; for one sigmoid output, or several independent ones.

    Parameters
    ----------
    from_logits : bool, default False
        The predictions are logits; else probabilities. A final `Sigmoid` is always computed in the stable logits form.
    label_smoothing : float, default 0
        Targets become t (1 - s) + s / 2.
    reduction : str
        See `Loss`.

    Examples
    --------
    >>> round(BinaryCrossentropy()([1, 0], [0.9, 0.2]), 4)
    0.1643
    """

    name, aliases, targets = "binary_crossentropy", ("bce", "BCE"), "probabilities"


class CategoricalCrossentropy(_Crossentropy):
    """-Σ t log p over the classes, for one-hot targets (or a distribution in each row).

    Parameters
    ----------
    from_logits : bool, default False
        The predictions are logits; else probabilities. A final `Softmax` is always computed in the stable logits form.
    label_smoothing : float, default 0
        Targets become t (1 - s) + s / classes.
    reduction : str
        See `Loss`.

    Examples
    --------
    >>> round(CategoricalCrossentropy()([[0, 1]], [[0.2, 0.8]]), 4)
    0.2231
    """

    name, targets = "categorical_crossentropy", "one_hot"


class SparseCategoricalCrossentropy(_Crossentropy):
    """-log p[class], for targets that are class indices.

    Parameters
    ----------
    from_logits, label_smoothing, reduction
        See `CategoricalCrossentropy`.

    Examples
    --------
    >>> round(SparseCategoricalCrossentropy()([1], [[0.2, 0.8]]), 4)
    0.2231
    """

    name, targets = "sparse_categorical_crossentropy", "classes"


class Hinge(Loss):
    """max(0, 1 - t z), mean over the columns, targets -1/+1 or 0/1: with a linear output, the support vector machine.

    Examples
    --------
    >>> Hinge()([-1, 1], [0.5, 3.0])
    0.75
    """

    name, targets = "hinge", "signs"


class CategoricalHinge(Loss):
    """max(0, 1 + max of (1 - t) z - Σ t z) over the classes, targets one-hot; as in Keras, the maximum is at least 0.

    Examples
    --------
    >>> CategoricalHinge()([[0, 1]], [[0.5, 1.0]])
    0.5
    """

    name, targets = "categorical_hinge", "one_hot"


class Perceptron(Loss):
    """max(0, -t z), mean over the columns, targets -1/+1 or 0/1: Rosenblatt's perceptron on a linear output.

    Examples
    --------
    >>> Perceptron()([-1, 1], [0.5, 3.0])
    0.25
    """

    name, targets = "perceptron", "signs"


class Poisson(Loss):
    """z - t log z, mean over the columns; predictions are rates.

    Examples
    --------
    >>> round(Poisson()([2.0], [1.0]), 4)
    1.0
    """

    name = "poisson"


class KLDivergence(Loss):
    """Σ t log(t / p) over the columns, of a distribution in each row.

    Examples
    --------
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    name, aliases, targets = "kl_divergence", ("kld", "KLD", "kullback_leibler_divergence"), "one_hot"


class PythonLoss(Loss):
    """Base of losses written in Python: override `value_and_gradient`.

    ``compile(loss=...)`` also takes a function ``f(y_true, y_pred)`` that returns the two, and any object with the methods
    ``value(y_true, y_pred)`` and ``gradient(y_true, y_pred)`` that return one each.

    Parameters
    ----------
    reduction : str, default "mean"
        See `Loss`: reduction and sample weights are nncore's business.
    **arguments
        What the constructor of the subclass was given. They become attributes and the repr, and what `nn.load` makes the loss
        from again: ``nn.load(path, custom_objects={"LogCosh": LogCosh})``.

    Notes
    -----
    A subclass may set ``targets`` to the form in which it takes them: "values" (any numbers of the output's shape, the default),
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

    def __init__(self, reduction: str = "mean", **arguments: Any) -> None:
        super().__init__(reduction)
        self.__dict__.update(arguments)
        self._arguments = tuple(arguments)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in vars(cls) and not cls.__name__.startswith("_"):
            cls.name = cls.__name__

    def value_and_gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[Any, Any]:
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
            The losses [N] (where an output has several lines, [N, lines]), neither weighted nor averaged; and d loss of the row /
            d y_pred, with the shape of ``y_pred``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no value_and_gradient")

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the reduction left out."""
        return {name: getattr(self, name) for name in self._arguments}

    def spec(self, weight: float = 1.0) -> LossSpec:
        return LossSpec(self.name, False, (), self.reduction, weight, self)

    def _answer(self, rows: np.ndarray, grad: np.ndarray | None, y_true: np.ndarray, y_pred: np.ndarray) -> None:
        """Fill in losses and, where wanted, gradients: what the core calls."""
        value, gradient = self._pair(self.value_and_gradient(y_true, y_pred))
        _require(self.name, "losses", np.shape(value), rows.shape, "one per row, neither summed nor averaged")
        rows[...] = value
        if grad is not None:
            _require(self.name, "gradients", np.shape(gradient), grad.shape, "one per prediction")
            grad[...] = gradient

    def _pair(self, found: Any) -> tuple[Any, Any]:
        if not isinstance(found, tuple) or len(found) != 2:
            raise ArgumentError(f"{self.name}: a pair (losses [N], gradients like y_pred) is needed, not {type(found).__name__}")
        return found

    def _run(self, y_true: Any, y_pred: Any, sample_weight: Any, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        prediction = bind_prediction(y_pred)
        target = bind_target(y_true, self.targets, prediction.shape[1:], len(prediction), self.name, prediction.dtype)
        target = target.astype(np.int64) if self.targets == "classes" else target.astype(prediction.dtype).reshape(prediction.shape)
        rows, grad = np.empty(len(prediction), prediction.dtype), np.empty_like(prediction)
        self._answer(rows, grad, target, prediction)
        weight = bind_weight(sample_weight, len(prediction))
        cast = np.ones_like(rows) if weight is None else weight.astype(rows.dtype)
        return rows * cast, grad * (cast * prediction.dtype.type(scale))[:, None], weight

    def __repr__(self) -> str:
        return describe(self, (*self._arguments, "reduction"))


class _Given(PythonLoss):
    """A function, or an object with value and gradient, as a loss."""

    def __init__(self, given: Any, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.given = given
        self.__dict__["name"] = getattr(given, "__name__", type(given).__name__)
        self.__dict__["targets"] = getattr(given, "targets", "values")

    def config(self) -> dict[str, Any]:
        return dict(self.given.config()) if hasattr(self.given, "config") else {}

    def value_and_gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[Any, Any]:
        if hasattr(self.given, "value"):
            return self.given.value(y_true, y_pred), self.given.gradient(y_true, y_pred)
        return self._pair(self.given(y_true, y_pred))

    def __repr__(self) -> str:
        return f"{self.name}(reduction={self.reduction!r})"


def _require(name: str, what: str, found: tuple[int, ...], shape: tuple[int, ...], hint: str) -> None:
    if found != shape:
        raise ShapeError(f"{name} gave {what} of shape {found}; {shape} is needed, {hint}")


LOSSES: dict[str, type[Loss]] = table(globals(), Loss)


def get(loss: Any) -> Loss:
    """Return ``loss``, the one of that name with its defaults, or the loss that a function or an object of the user's own is.

    Raises
    ------
    UnknownNameError
        No loss has that name; near matches are in the message.

    Examples
    --------
    >>> get("mse")
    MeanSquaredError(reduction='mean')
    """
    if isinstance(loss, Loss) and hasattr(loss, "name"):
        return loss
    if isinstance(loss, str):
        made: Loss = lookup("loss", loss, LOSSES)()
        return made
    if isinstance(loss, type):
        raise ArgumentError(f"loss: {loss.__name__} is a class; pass an object, {loss.__name__}()")
    if callable(getattr(loss, "value", None)) and callable(getattr(loss, "gradient", None)):
        return _Given(loss, getattr(loss, "reduction", "mean"))
    if callable(loss):
        return _Given(loss)
    raise ArgumentError(
        f"loss must be a name, such as 'mse', an object of nn.losses, or one of your own (see nn.losses.PythonLoss), not {loss!r}"
    )
