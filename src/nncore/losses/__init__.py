"""Losses: declarations of what csrc/ops computes, under Keras's names; one file for each of its files.

A loss says which kernel it is, with which attributes, and what form its targets have. The loss of a row is the mean over its
columns (the sum for the cross-entropies over classes, `KLDivergence` and `HalfSquaredError`); ``reduction`` says how rows add up.
"""

from __future__ import annotations

from .._checks import function, shown
from .._declarations import table
from ..errors import ArgumentError, lookup
from .base import REDUCTIONS, Crossentropy, Loss, Reduction
from .binary import BinaryCrossentropy, KLDivergence
from .categorical import CategoricalCrossentropy, SparseCategoricalCrossentropy
from .margin import CategoricalHinge, Hinge, Perceptron
from .names import LossLike, LossName, LossObject
from .python import PythonLoss, given
from .regression import (
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    Poisson,
)

__all__ = [
    "LOSSES",
    "REDUCTIONS",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "Crossentropy",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Loss",
    "LossLike",
    "LossName",
    "LossObject",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "Perceptron",
    "Poisson",
    "PythonLoss",
    "Reduction",
    "SparseCategoricalCrossentropy",
    "get",
]

#: Every name that ``compile`` takes -> the loss.
LOSSES: dict[str, type[Loss]] = table(globals(), Loss)


def get(loss: LossLike) -> Loss:
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
        return given(loss, getattr(loss, "reduction", "mean"))
    if callable(loss):
        return given(function("compile", "loss", loss, 2, "a function of y_true and y_pred"))
    raise ArgumentError(
        f"loss must be a name, such as 'mse', an object of nn.losses, or one of your own (see nn.losses.PythonLoss), "
        f"not {shown(loss)}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)
