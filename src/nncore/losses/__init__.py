"""Losses: declarations of kernels in csrc/ops/losses, under Keras's names. Each file here corresponds to one C file there.

A loss states its kernel, the attributes of the kernel and the form of its targets. The loss of a row is the mean over its columns.
The cross-entropies over classes, `KLDivergence` and `HalfSquaredError` use the sum instead. ``reduction`` states how the rows are
combined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._checks import function, not_foreign, shown
from .._declarations import table
from .._lazy import refusing
from ..errors import ArgumentError, lookup
from .base import REDUCTIONS as REDUCTIONS
from .base import Crossentropy as Crossentropy
from .base import Loss, Reduction
from .binary import BinaryCrossentropy, BinaryFocalCrossentropy, KLDivergence
from .categorical import (
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
    SparseCategoricalFocalCrossentropy,
)
from .gaussian import GaussianNLL
from .margin import CategoricalHinge, Hinge, Perceptron, SquaredHinge
from .names import LossLike, LossName, LossObject
from .python import PythonLoss, given
from .regression import (
    CosineSimilarity,
    HalfSquaredError,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quantile,
)

__all__ = [
    "LOSSES",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "GaussianNLL",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossLike",
    "LossName",
    "LossObject",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Perceptron",
    "Poisson",
    "PythonLoss",
    "Quantile",
    "Reduction",
    "SparseCategoricalCrossentropy",
    "SparseCategoricalFocalCrossentropy",
    "SquaredHinge",
    "get",
]

#: Maps every name that ``compile`` accepts to its loss.
LOSSES: dict[str, type[Loss]] = table(globals(), Loss)


def get(loss: LossLike) -> Loss:
    """Return ``loss`` itself, the loss with this name and default arguments, or a loss made from a user's function or object.

    Raises
    ------
    UnknownNameError
        No loss has this name. The message lists similar names.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.get("mse")
    MeanSquaredError(reduction='mean')
    """
    if isinstance(loss, Loss) and hasattr(loss, "name"):
        if isinstance(loss, PythonLoss):
            loss.require_methods()
        return loss
    if isinstance(loss, str):
        made: Loss = lookup("loss", loss, LOSSES)()
        return made
    not_foreign("loss", loss, "losses")
    if isinstance(loss, type):
        raise ArgumentError(f"loss: {loss.__name__} is a class; pass an object, {loss.__name__}()")
    if callable(getattr(loss, "value", None)) and callable(getattr(loss, "gradient", None)):
        return given(loss, getattr(loss, "reduction", "mean"))
    if callable(loss):
        return given(function("compile", "loss", loss, 2, "a function of y_true and y_pred"))
    raise ArgumentError(
        f"loss must be a name, such as 'mse', an object of nn.losses, or one of your own (see nn.losses.PythonLoss), "
        f"not {shown(loss)}"
    )


if not TYPE_CHECKING:
    __getattr__ = refusing(__name__, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
