"""The argument ``loss``: what a network computes at its end, the loss that is minimised, and the number that ``loss_`` reports.

scikit-learn sums over outputs where nncore's losses take the mean of the columns. The weight of the loss makes up for that, so
that gradients agree. The squared error that scikit-learn reports is the mean over the outputs nevertheless.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from ... import losses
from ...errors import ArgumentError
from ..targets import Form, Labels

_REDUCTION: Any = "mean_with_sample_weight"


class Objective(NamedTuple):
    """What is minimised."""

    loss: Any  #: of nncore.losses
    activation: str  #: of the outputs: "softmax", "logistic", "identity" or "exp"
    weight: float = 1.0  #: of the loss
    form: Form = "columns"  #: of the targets
    share: float = 1.0  #: of the loss without penalties that is reported


def of_classes(loss: Any, labels: Labels) -> Objective:
    """Return the objective of a classifier."""
    several = labels.kind == "multiclass"
    activation = "softmax" if several else "logistic"
    width = float(labels.columns)
    if loss == "log_loss" or loss == "focal":
        if several:
            kind = losses.SparseCategoricalCrossentropy if loss == "log_loss" else losses.SparseCategoricalFocalCrossentropy
            return Objective(kind(reduction=_REDUCTION), activation, form="index")
        binary = losses.BinaryCrossentropy if loss == "log_loss" else losses.BinaryFocalCrossentropy
        return Objective(binary(reduction=_REDUCTION), activation, width)
    given = _weighing(loss)
    fitting = {"classes": several, "one_hot": several, "probabilities": not several, "values": True}
    if not fitting.get(given.targets, False):
        raise ArgumentError(f"loss={loss!r} does not fit {labels.kind} targets; 'log_loss' and 'focal' fit all")
    return Objective(given, activation, form="index" if given.targets == "classes" else "columns")


def of_numbers(loss: Any, columns: int) -> Objective:
    """Return the objective of a regressor."""
    if loss == "squared_error":
        return Objective(losses.HalfSquaredError(reduction=_REDUCTION), "identity", share=1 / columns)
    if loss == "absolute_error":
        return Objective(losses.MeanAbsoluteError(reduction=_REDUCTION), "identity", float(columns))
    given = _weighing(loss)
    if given.targets not in ("values", "repeated"):
        raise ArgumentError(f"loss={loss!r} is not for regression; 'squared_error', 'huber', 'absolute_error' and 'poisson' are")
    return Objective(given, "identity")


def _weighing(loss: Any) -> Any:
    """Return a loss of nncore that divides by the sum of the weights, unless the user has chosen another reduction."""
    found = losses.get(loss)
    if found.reduction == "mean":
        found = copy.copy(found)
        found.reduction = _REDUCTION
    return found
