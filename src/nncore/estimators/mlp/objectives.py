"""The argument ``loss``: what a network computes at its end, the loss that is minimised, and the number that ``loss_`` reports.

scikit-learn sums over outputs where nncore's losses take the mean of the columns; the weight of the loss makes up for that, so that
gradients agree. The squared error that scikit-learn reports is the mean over the outputs nevertheless, and its Poisson deviance has
terms that depend on the targets alone.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ... import losses
from ...errors import ArgumentError
from ..links import is_margin
from ..targets import Form, Labels

_REDUCTION: Any = "mean_with_sample_weight"


class Objective(NamedTuple):
    """What is minimised."""

    loss: Any  #: of nncore.losses
    activation: str  #: of the outputs: "softmax", "logistic", "identity" or "exp"
    weight: float = 1.0  #: of the loss
    form: Form = "columns"  #: of the targets
    share: float = 1.0  #: the part of the loss without penalties that is reported
    is_deviance: bool = False  #: whether the reported loss has the terms of the Poisson deviance that depend on the targets alone
    threshold: float = 0.5  #: above it, a label holds

    def report(self, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the loss of outputs as ``loss_`` reports it, without penalties."""
        found = float(self.loss(y, outputs, weight)) * self.weight * self.share
        return found + self.constant(y, weight)

    def constant(self, y: np.ndarray, weight: np.ndarray | None) -> float:
        """Return what is added to the minimised loss."""
        return float(np.average(self.terms(y), weights=weight)) if self.is_deviance else 0.0

    @staticmethod
    def terms(y: np.ndarray) -> np.ndarray:
        """Return the terms of the Poisson deviance that depend on the targets alone, [N]."""
        y = np.asarray(y, np.float64)
        found: np.ndarray = (y * np.log(np.where(y > 0, y, 1.0)) - y).sum(axis=1)
        return found


class Constants:
    """What `Objective.constant` is for each epoch with weights, whose batches are averaged by rows.

    Parameters
    ----------
    goal : Objective
    y, weight : numpy.ndarray
    starts, sizes : numpy.ndarray
        The first row of each batch, and the number of its rows.
    twin : numpy.random.RandomState or None
        Draws the orders of the rows as training does.
    """

    def __init__(self, goal: Objective, y: Any, weight: Any, starts: np.ndarray, sizes: np.ndarray, twin: Any) -> None:
        self.terms, self.weight, self.starts, self.sizes, self.twin = goal.terms(y) * weight, weight, starts, sizes, twin
        self.order = np.arange(len(y))

    def of_epoch(self) -> float:
        """Return the constant of the next epoch."""
        if self.twin is not None:
            self.twin.shuffle(self.order)
        sums = (np.add.reduceat(each[self.order], self.starts) for each in (self.terms, self.weight))
        return float(np.average(np.divide(*sums), weights=self.sizes))


def of_classes(loss: Any, labels: Labels) -> Objective:
    """Return the objective of a classifier."""
    several = labels.kind == "multiclass"
    activation, width = ("softmax", 1.0) if several else ("logistic", float(labels.columns))
    if isinstance(loss, str) and loss in ("log_loss", "focal"):
        if several:
            kind = losses.SparseCategoricalCrossentropy if loss == "log_loss" else losses.SparseCategoricalFocalCrossentropy
            return Objective(kind(reduction=_REDUCTION), activation, form="index")
        binary = losses.BinaryCrossentropy if loss == "log_loss" else losses.BinaryFocalCrossentropy
        return Objective(binary(reduction=_REDUCTION), activation, width)
    given = _weighing(loss)
    if is_margin(given):
        if given.name == "categorical_hinge" and not several:  # the others take each class against the rest
            raise ArgumentError(f"loss={loss!r} does not fit {labels.kind} targets; 'log_loss' and 'focal' fit all")
        return Objective(given, "identity", 1.0 if given.name == "categorical_hinge" else float(labels.columns), threshold=0.0)
    fitting = {"classes": several, "one_hot": several, "probabilities": not several, "values": True}
    if not fitting.get(given.targets, False):
        raise ArgumentError(f"loss={loss!r} does not fit {labels.kind} targets; 'log_loss' and 'focal' fit all")
    return Objective(given, activation, width, form="index" if given.targets == "classes" else "columns")


def of_numbers(loss: Any, y: np.ndarray) -> Objective:
    """Return the objective of a regressor for targets [N, outputs]."""
    columns = y.shape[1]
    if isinstance(loss, str) and loss == "squared_error":
        return Objective(losses.HalfSquaredError(reduction=_REDUCTION), "identity", share=1 / columns)
    if isinstance(loss, str) and loss == "absolute_error":
        return Objective(losses.MeanAbsoluteError(reduction=_REDUCTION), "identity")
    given = _weighing(loss)
    if given.targets not in ("values", "repeated"):
        raise ArgumentError(f"loss={loss!r} is not for regression; 'squared_error', 'huber', 'absolute_error' and 'poisson' are")
    if given.name != "poisson":
        return Objective(given, "identity")
    if y.dtype.kind in "biuf" and (y < 0).any():
        raise ValueError(f"loss='poisson' needs y >= 0, but the smallest is {y.min()}")
    return Objective(given, "exp", float(columns), is_deviance=True)


def _weighing(loss: Any) -> Any:
    """Return a loss of nncore that divides by the sum of the weights, unless the user has chosen another reduction."""
    found = losses.get(loss)
    if found.reduction == "mean":
        found = copy.copy(found)
        found.reduction = _REDUCTION
    return found
