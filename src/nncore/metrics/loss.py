"""Losses as metrics: the mean of a loss over the rows, without penalties, computed in the core."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from .._checks import shown
from .._declarations import describe
from ..data import bind_prediction, bind_weight, shape_of
from ..errors import ArgumentError, LabelError, ShapeError
from ..losses import BinaryCrossentropy, CategoricalCrossentropy, Loss, PythonLoss, SparseCategoricalCrossentropy
from ..losses.base import Crossentropy
from ..records import StatisticSpec
from .base import Metric, mean_of
from .counts import labels_of_any_kind

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from .task import Task

#: The forms of targets that a loss as a metric takes, besides its own. Probabilities, signs and one-hot rows are values too.
_FITTING = {
    "values": ("values", "probabilities", "signs", "one_hot", "repeated", "halved"),
    "probabilities": ("probabilities", "one_hot", "values"),
    "one_hot": ("one_hot", "values"),
    "repeated": ("repeated", "values"),
}
_CROSSENTROPIES = {
    "probabilities": BinaryCrossentropy,
    "one_hot": CategoricalCrossentropy,
    "classes": SparseCategoricalCrossentropy,
}
_SPARSE = {"categorical_crossentropy": "sparse_categorical_crossentropy"}


def _mean(sums: np.ndarray) -> float:
    weight, total = sums.tolist()
    return total / weight if weight else 0.0


class LossMetric(Metric):
    """A loss as a metric. ``compile(metrics=["huber"])`` makes one.

    Its value is the mean over the rows, with their weights, whatever the reduction of the loss. It has no penalties of the weights.

    Parameters
    ----------
    loss : Loss
        One of `nncore.losses`.
    name : str, optional
        The key in ``history``. The default is the name of the loss.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.LossMetric(nn.losses.Huber(delta=1.0))([0.0, 0.0], [0.5, 3.0])
    1.3125
    """

    kind, direction = "loss", "min"

    def __init__(self, loss: Loss, name: str | None = None) -> None:
        if not isinstance(loss, Loss) or isinstance(loss, PythonLoss):
            raise ArgumentError(
                f"LossMetric: loss must be one of nn.losses, not {shown(loss)}; a function of your own is a metric as it is"
            )
        super().__init__(loss.name if name is None else name)
        self.loss = loss
        self.follows_output = False

    @classmethod
    def following(cls, loss: type[Loss], name: str | None = None) -> LossMetric:
        """Return the metric of a loss that is named without arguments. A cross-entropy reads the output as the loss of the model
        does, as logits or as probabilities."""
        metric = cls(loss(), name)
        metric.follows_output = isinstance(metric.loss, Crossentropy)
        return metric

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the sum of the loss."""
        if self.follows_output and self.loss.from_logits != task.from_logits:
            self.loss = copy.copy(self.loss)
            self.loss.from_logits = task.from_logits
        own, spec = self.loss.targets, self.loss.spec()
        if own == "one_hot" and task.targets == "classes" and self.loss.name in _SPARSE:
            spec, own = spec._replace(name=_SPARSE[self.loss.name]), "classes"
        if task.targets not in _FITTING.get(own, (own,)):
            raise ArgumentError(
                f"metric {self.name!r} takes targets of another form than the loss of this output; compute it from model.predict(x)"
            )
        if own in ("classes", "one_hot") and task.columns < 2:
            raise ArgumentError(f"metric {self.name!r} needs several outputs, but the model has {task.columns}")
        self.loss.check_columns(task.columns * (2 if own == "halved" else 1))
        if len(spec.attributes) > 8:
            raise ArgumentError(
                f"metric {self.name!r} cannot have so many numbers for the columns; compute it from model.predict(x)"
            )
        return (StatisticSpec("loss", loss=spec),)

    def form(self, task: Task) -> str:
        """Return the form that targets must have where the loss that is trained takes any numbers."""
        return "" if self.loss.targets == "values" else self.loss.targets

    def compute(self, sums: np.ndarray) -> float:
        """Return the mean. sums: the weight of the rows, and the sum of their losses."""
        return _mean(sums)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        loss = copy.copy(self.loss)
        loss.reduction = "none"
        rows = np.asarray(loss(y_true, y_pred), np.float64)
        weight = bind_weight(sample_weight, len(rows))
        if weight is None:
            return mean_of(rows, np.ones(len(rows)))
        return mean_of(rows[weight > 0], weight[weight > 0])  # a NaN in a row without weight does not count

    def __repr__(self) -> str:
        return describe(self, ("loss", "name"))


class LogLoss(Metric):
    """Mean of -log of the probability that is predicted for the true class, with the natural logarithm.

    In a model it is the cross-entropy of the output, from logits if the loss takes those. Of several labels per row it is the mean
    over the labels.

    Parameters
    ----------
    name : str, optional
        The key in ``history``.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.metrics.LogLoss()([1, 0, 1], [0.9, 0.2, 0.6]), 4)
    0.2798
    """

    name, aliases, kind, direction = "log_loss", ("logloss",), "loss", "min"

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the sum of the cross-entropy."""
        form = self.form(task) or task.targets
        if form not in _CROSSENTROPIES:
            raise ArgumentError(
                f"{self.name} needs probabilities of classes; let the model end in Sigmoid or Softmax, or use another metric"
            )
        return (StatisticSpec("loss", loss=_CROSSENTROPIES[form](from_logits=task.from_logits).spec()),)

    def form(self, task: Task) -> str:
        """Return the form that targets must have where the loss that is trained takes any numbers."""
        if task.targets != "values" or task.activation not in ("sigmoid", "softmax", "hardsigmoid"):
            return ""
        return "one_hot" if task.columns > 1 else "probabilities"

    def compute(self, sums: np.ndarray) -> float:
        """Return the mean. sums: the weight of the rows, and the sum of their losses."""
        return _mean(sums)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss of probabilities.

        Parameters
        ----------
        y_true : array_like
            [N], two labels, of which the larger one is positive, or class indices; or [N, columns] of 0 and 1.
        y_pred : array_like
            Probabilities, [N] of the positive class, or [N, columns]. They are clipped to [eps, 1 - eps], as in scikit-learn.
        sample_weight : array_like, optional
            [N].

        Raises
        ------
        ShapeError, LabelError
            The shapes or labels of the two do not fit together, or the predictions are no probabilities.
        """
        given, true = bind_prediction(y_pred), labels_of_any_kind(y_true)
        if not true.ndim or len(true) != len(given) or true.size not in (len(true), given.size):
            raise ShapeError(f"{self.name}: y_true has shape {true.shape} and y_pred {shape_of(y_pred)}")
        weight = bind_weight(sample_weight, len(given))
        weights = np.ones(len(given)) if weight is None else weight
        counts = weights > 0
        weights, given = weights[counts], given[counts]
        true = true.reshape(len(true), -1)[counts]
        if np.isnan(given).any() or (true.dtype.kind == "f" and np.isnan(true).any()):
            return float("nan")
        if given.size and not (given.min() >= 0 and given.max() <= 1):
            raise LabelError(f"{self.name}: y_pred must hold probabilities in [0, 1]; apply a sigmoid or softmax to logits first")
        eps = np.finfo(given.dtype).eps
        p = np.clip(given, eps, 1 - eps).astype(np.float64)
        return mean_of(self._of_rows(true, p), weights)

    def _of_rows(self, true: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.asarray(-np.log(self._of_truth(true, p)).mean(axis=1))

    def _of_truth(self, true: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Return the probability of what is true, [N, 1], or [N, labels]."""
        columns = p.shape[1]
        if true.shape[1] == columns > 1:
            if not np.isin(true, (0, 1)).all():
                raise LabelError(f"{self.name}: y_true of shape {true.shape} must hold 0 and 1")
            has_one_class = (true.sum(axis=1) == 1).all()
            return (p * true).sum(axis=1, keepdims=True) if has_one_class else np.where(true == 1, p, 1 - p)
        if columns > 1:
            if not np.isin(true, np.arange(columns)).all():
                raise LabelError(f"{self.name}: y_true must hold class indices in [0, {columns}), as y_pred has {columns} columns")
            return np.asarray(np.take_along_axis(p, true.astype(np.int64), axis=1))
        labels = np.unique(true)
        if len(labels) > 2:
            raise LabelError(f"{self.name}: y_true holds more than two labels, {labels[:3]} and so on, for a single probability")
        positive = true == labels[-1] if len(labels) == 2 or true.dtype.kind not in "biuf" else true > 0
        return np.where(positive, p, 1 - p)
