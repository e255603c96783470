"""The base class of losses. A loss declares a kernel of csrc/ops, its attributes and the form of its targets. It computes nothing.

``compile`` passes the record of the loss to the plan. A loss that is called by itself uses the same kernel.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from .._checks import choice, flag, real, shown
from .._core import row_losses
from .._declarations import DeclarationType, describe, visible
from ..data import bind_prediction, bind_target, bind_weight, shape_of
from ..errors import ArgumentError, ShapeError
from ..records import LossSpec

if TYPE_CHECKING:
    from ..typing import ArrayLike

#: The values of ``reduction``.
Reduction = Literal["mean", "sum_over_batch_size", "sum", "mean_with_sample_weight", "none"]

#: Maps them to the names in the core.
REDUCTIONS = {
    "mean": "mean",
    "sum_over_batch_size": "mean",
    "sum": "sum",
    "mean_with_sample_weight": "mean_with_sample_weight",
    "none": "none",
}


class Loss(metaclass=DeclarationType):
    """Base of all losses. It has the reduction and makes losses callable.

    Parameters
    ----------
    reduction : str, default "mean"
        "mean" (Keras's "sum_over_batch_size"): the sum of weight * loss, divided by the number of rows. "mean_with_sample_weight":
        the same sum, divided by the sum of the weights. "sum": the sum itself. "none": the loss of each row; only for a loss that
        is called by itself.

    Examples
    --------
    >>> import nncore as nn
    >>> loss = nn.losses.MeanSquaredError(reduction="sum")
    >>> loss([1.0, 2.0], [1.0, 4.0])
    4.0
    >>> loss.gradient([1.0, 2.0], [1.0, 4.0])
    array([0., 4.])
    """

    name: ClassVar[str]  #: in the op registry and in compile
    aliases: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()  #: arguments of the constructor that the repr and files contain
    extras: ClassVar[tuple[str, ...]] = ()  #: the same for arguments that are usually None
    targets: ClassVar[str] = "values"  #: a form that data/targets.py defines
    from_logits: bool = False

    _family: ClassVar[str] = "nncore.losses"

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.ignored: int | None = None  #: the class index of the rows that do not count
        self.reduction: str = REDUCTIONS[choice(type(self).__name__, "reduction", reduction, tuple(REDUCTIONS))]

    def spec(self, weight: float = 1.0) -> LossSpec:
        """Return the record that the core compiles. ``weight`` scales this loss relative to those of other outputs."""
        return LossSpec(self._kernel(), self.from_logits, self._attributes(), self.reduction, weight, ignored=self.ignored)

    def check_columns(self, columns: int) -> None:
        """Raise ShapeError if this loss cannot take an output with this number of columns."""

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float | Any:
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
            The reduced loss, or the loss of each row [N] if reduction is "none".

        Raises
        ------
        LabelError, ShapeError, DTypeError
            The form or shape of the targets does not fit this loss.
        """
        prediction, target, weight = self._bind(y_true, y_pred, sample_weight)
        rows, _ = self._evaluate(prediction, target, weight, 1.0)
        if self.reduction == "none":
            return rows
        divisor = self._divisor(target, weight)
        return float(rows.sum(dtype=np.float64) / divisor) if divisor else 0.0

    def gradient(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """Return d loss / d y_pred, with the shape of ``y_pred``. If reduction is "none", it is the gradient of each row's own
        loss."""
        prediction, target, weight = self._bind(y_true, y_pred, sample_weight)
        divisor = self._divisor(target, weight)
        _, grad = self._evaluate(prediction, target, weight, 1.0 / divisor if divisor else 0.0)
        return grad.reshape(shape_of(y_pred))

    def _bind(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Convert predictions, targets and weights. Ignored class indices become -1."""
        prediction = bind_prediction(y_pred)
        shape, dtype = prediction.shape[1:], prediction.dtype
        self.check_columns(shape[-1])
        target = bind_target(y_true, self.targets, shape, len(prediction), self.name, dtype, ignored=self.ignored)
        if self.ignored is not None:
            target = np.where(target == self.ignored, -1, target.astype(dtype))
        return prediction, target, bind_weight(sample_weight, len(prediction))

    def _evaluate(
        self, prediction: np.ndarray, target: np.ndarray, weight: np.ndarray | None, scale: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted losses of the rows and ``scale`` times their gradient."""
        cast = None if weight is None else weight.astype(prediction.dtype)
        target = np.require(target.reshape(len(target), -1), prediction.dtype, ["C", "A"])  # a memory map may be unaligned
        kernel = f"{self._kernel()}_logits" if self.from_logits else self._kernel()
        rows, grad, _ = row_losses(kernel, prediction, target, cast, scale, self._attributes())
        return rows, grad

    def _kernel(self) -> str:
        """Return the name of the kernel in the op registry, without the suffix _logits."""
        return self.name

    def _attributes(self) -> tuple[float, ...]:
        """Return the attributes of the kernel in the order of the op registry."""
        return tuple(float(getattr(self, a)) for a in self.attributes)

    def _divisor(self, target: np.ndarray, weight: np.ndarray | None) -> float:
        if not self.reduction.startswith("mean"):
            return 1.0
        weighted = self.reduction == "mean_with_sample_weight" and weight is not None
        each = weight if weighted and weight is not None else np.ones(len(target))
        return float(each.sum() if self.ignored is None else each[target.reshape(len(each)) >= 0].sum())

    __dir__ = visible

    def __repr__(self) -> str:
        options = ("from_logits",) if isinstance(self, Crossentropy) else ()
        return describe(self, (*options, *self.attributes, *self.given_extras(), "reduction"))

    def given_extras(self) -> tuple[str, ...]:
        """Return the names of the `extras` that are not None."""
        return tuple(name for name in self.extras if getattr(self, name) is not None)


def per_column(owner: str, name: str, value: Any, low: float, high: float = inf, **bounds: bool) -> float | tuple[float, ...]:
    """Return a number, or a tuple with one number for each column of the output."""
    if hasattr(value, "tolist") and not isinstance(value, np.generic) and getattr(value, "ndim", 0) < 2:
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return real(owner, name, value, low, high, **bounds)
    if not value:
        raise ArgumentError(f"{owner}: {name} must be a number, or one for each column of the output, not {shown(value)}")
    found = tuple(real(owner, f"each of {name}", each, low, high, **bounds) for each in value)
    return found if len(found) > 1 else found[0]


def columns_as_attributes(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """Return a count and so many numbers, which is how kernels get numbers for the columns."""
    values = value if isinstance(value, tuple) else (value,)
    return float(len(values)), *values


def check_width(owner: str, name: str, value: float | tuple[float, ...] | None, columns: int) -> None:
    """Raise ShapeError unless there is one number for all columns of an output, or one for each."""
    if isinstance(value, tuple) and len(value) != columns:
        raise ShapeError(
            f"{owner}: {name} has {len(value)} numbers, but the output has {columns} columns; one number for all, or one for each "
            "is needed"
        )


class Crossentropy(Loss):
    """Base of the cross-entropies. It has ``from_logits`` and ``label_smoothing``."""

    attributes: ClassVar[tuple[str, ...]] = ("label_smoothing",)

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0, open_high=True)
