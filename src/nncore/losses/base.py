"""The base class of losses. A loss declares a kernel of csrc/ops, its attributes and the form of its targets. It computes nothing.

``compile`` passes the record of the loss to the plan. A loss that is called by itself uses the same kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from .._checks import choice, flag, real
from .._declarations import DeclarationType, describe
from ..data import bind_prediction, bind_target, bind_weight, shape_of
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
    """

    name: ClassVar[str]  #: in the op registry and in compile
    aliases: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()  #: in the order of the op registry
    targets: ClassVar[str] = "values"  #: a form that data/targets.py defines
    from_logits: bool = False

    _family: ClassVar[str] = "nncore.losses"

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction: str = REDUCTIONS[choice(type(self).__name__, "reduction", reduction, tuple(REDUCTIONS))]

    def spec(self, weight: float = 1.0) -> LossSpec:
        """Return the record that the core compiles. ``weight`` scales this loss relative to those of other outputs."""
        return LossSpec(self.name, self.from_logits, self._attributes(), self.reduction, weight)

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
        rows, _, weight = self._run(y_true, y_pred, sample_weight, 1.0)
        return rows if self.reduction == "none" else float(rows.sum(dtype=np.float64) / self._divisor(len(rows), weight))

    def gradient(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """Return d loss / d y_pred, with the shape of ``y_pred``. If reduction is "none", it is the gradient of each row's own
        loss."""
        prediction = bind_prediction(y_pred)
        weight = bind_weight(sample_weight, len(prediction))
        divisor = self._divisor(len(prediction), weight)
        _, grad, _ = self._run(y_true, prediction, sample_weight, 1.0 / divisor if divisor else 0.0)
        return grad.reshape(shape_of(y_pred))

    def _run(self, y_true: Any, y_pred: Any, sample_weight: Any, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        from .._core import kernels  # imported here because only losses that are called by themselves need it

        prediction = bind_prediction(y_pred)
        target = bind_target(y_true, self.targets, prediction.shape[1:], len(prediction), self.name, prediction.dtype)
        weight = bind_weight(sample_weight, len(prediction))
        cast = None if weight is None else weight.astype(prediction.dtype)
        target = np.require(target.reshape(len(target), -1), prediction.dtype, ["C", "A"])  # a memory map may be unaligned
        kernel = f"{self.name}_logits" if self.from_logits else self.name
        rows, grad, _ = kernels.loss(kernel, prediction, target, cast, scale, self._attributes())
        return rows, grad, weight

    def _attributes(self) -> tuple[float, ...]:
        return tuple(float(getattr(self, a)) for a in self.attributes)

    def _divisor(self, rows: int, weight: np.ndarray | None) -> float:
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            return float(weight.sum())
        return float(rows) if self.reduction.startswith("mean") else 1.0

    def __repr__(self) -> str:
        options = ("from_logits",) if isinstance(self, Crossentropy) else ()
        return describe(self, (*options, *self.attributes, "reduction"))


class Crossentropy(Loss):
    """Base of the cross-entropies. It has ``from_logits`` and ``label_smoothing``."""

    attributes = ("label_smoothing",)

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0, open_high=True)
