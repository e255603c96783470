"""Metrics of ranking. They do not depend on a threshold, and need all rows of an epoch at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._checks import choice
from .._declarations import describe
from ..data import bind_prediction, bind_weight, shape_of
from ..errors import LabelError, ShapeError
from .base import Metric
from .classification import labels_of_any_kind
from .python import Watcher

if TYPE_CHECKING:
    from ..typing import ArrayLike


class RocAuc(Metric):
    """Area under the receiver operating characteristic: the probability that a positive row is ranked above a negative one.

    Ties count half. The scores of an epoch are kept and ranked at its end (Hanley and McNeil 1982), with scikit-learn's results.
    With more than two classes, each class is ranked against the rest.

    Parameters
    ----------
    average : {"macro", "weighted", None}
        How the areas of classes or columns are combined: "macro" is the plain mean, "weighted" weights by the number of positive
        rows, None returns one area for each. A class with no rows, or with all rows, has no area (NaN) and is left out of the mean.
    name : str, optional
        The key in ``history``.

    Examples
    --------
    >>> RocAuc()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    >>> model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["roc_auc"])
    """

    name, aliases, kind = "roc_auc", ("auc", "AUC"), "python"

    def __init__(self, average: Literal["macro", "weighted"] | None = "macro", name: str | None = None) -> None:
        super().__init__(name)
        self.average = choice("RocAuc", "average", average, ("macro", "weighted", None))

    def watcher(self) -> Watcher:
        """Return a new accumulator for one epoch or evaluation."""
        return Watcher(_Kept(self))

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Return the area.

        Parameters
        ----------
        y_true : array_like
            [N], two labels, of which the larger one is positive, or class indices; or [N, columns] of 0 and 1.
        y_pred : array_like
            Scores, [N] or [N, columns].
        sample_weight : array_like, optional
            [N].

        Raises
        ------
        ShapeError, LabelError
            The shapes or labels of the two do not fit together.
        """
        scores, true = bind_prediction(y_pred).astype(np.float64), labels_of_any_kind(y_true)
        if true.ndim not in (1, 2) or len(true) != len(scores):
            raise ShapeError(f"{self.name}: y_true has shape {true.shape} and y_pred {shape_of(y_pred)}")
        weight = bind_weight(sample_weight, len(scores))
        weights = np.ones(len(scores)) if weight is None else weight
        columns = scores.shape[1]
        if true.ndim == 2 and true.shape[1] == columns > 1:
            positive = _yes(true, self.name)
        elif true.size != len(true):
            raise ShapeError(f"{self.name}: y_true has shape {true.shape} and y_pred {shape_of(y_pred)}")
        elif columns == 1:
            labels = np.unique(true)
            if len(labels) > 2:
                raise LabelError(f"{self.name}: y_true holds more than two labels, {labels[:3]} and so on, for a single score")
            positive = true.reshape(-1, 1) == labels[-1] if len(labels) == 2 else true.reshape(-1, 1) > 0
        else:
            labels = true.reshape(-1)
            if not np.isin(labels, np.arange(columns)).all():
                raise LabelError(f"{self.name}: y_true must hold class indices in [0, {columns}), as y_pred has {columns} columns")
            positive = labels[:, None] == np.arange(columns)
            if columns == 2:
                scores, positive = scores[:, 1:], positive[:, 1:]
        areas = np.array([_area(p, s, weights) for p, s in zip(positive.T, scores.T, strict=True)])
        if len(areas) == 1:
            return float(areas[0])
        if self.average is None:
            return areas
        share = (weights @ positive if self.average == "weighted" else np.ones(len(areas))) * ~np.isnan(areas)
        return float(np.nansum(areas * share) / share.sum()) if share.any() else float("nan")

    def __repr__(self) -> str:
        return describe(self, ("average", "name"))


class _Kept:
    """The targets, scores and weights of the rows of an epoch."""

    def __init__(self, metric: RocAuc) -> None:
        self.metric = metric
        self.rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def update_state(self, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        columns = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        scores = y_pred.reshape(-1, columns)  # each line of a sample (such as a time step) becomes a row
        true = y_true.reshape(-1, columns) if y_true.shape == y_pred.shape else y_true.reshape(-1)
        weight = np.ones(len(y_pred)) if sample_weight is None else sample_weight
        self.rows.append((true, scores, np.repeat(weight, len(scores) // len(y_pred))))

    def result(self) -> Any:
        if not self.rows:
            return float("nan")
        return self.metric(*(np.concatenate(each) for each in zip(*self.rows, strict=True)))


def _yes(true: np.ndarray, name: str) -> np.ndarray:
    positive = true > 0
    if not (positive == (true == 1)).all() or not np.isin(true, (-1, 0, 1)).all():
        raise LabelError(f"{name}: y_true of shape {true.shape} must hold 0 and 1")
    return np.asarray(positive)


def _area(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted fraction of (positive, negative) pairs of rows in which the positive row has the higher score."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    if np.isnan(ranked[-1]):  # sorting puts NaN last
        return float("nan")
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    for_it = np.add.reduceat(np.where(positive, weights, 0.0)[order], starts)
    against = np.add.reduceat(np.where(positive, 0.0, weights)[order], starts)
    pairs = for_it.sum() * against.sum()
    below = np.cumsum(against) - against
    return float(for_it @ (below + against / 2) / pairs) if pairs else float("nan")
