"""Metrics of ranking. They do not depend on a threshold, and need all rows of an epoch at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from .._checks import choice
from ..data import bind_prediction, bind_weight, shape_of
from ..errors import ArgumentError, LabelError, ShapeError
from .base import Metric, mean_of
from .counts import labels_of_any_kind, one_label
from .python import Kept

if TYPE_CHECKING:
    from ..records import StatisticSpec
    from ..typing import ArrayLike
    from .task import Meaning, Task

#: How several labels are averaged.
RankingAverage = Literal["macro", "micro", "weighted"]


class _Ranks(NamedTuple):
    """What is ranked: each column of scores against whether its rows are positive."""

    positive: np.ndarray  #: bool [N, columns]
    scores: np.ndarray  #: [N, columns]
    weights: np.ndarray  #: [N]
    defined: np.ndarray  #: bool [columns]: whether no score is NaN or infinite, and no target NaN


class _Ranking(Metric):
    """Base of the metrics of ranking."""

    kind, of_classes = "python", True
    options: ClassVar[tuple[str, ...]] = ("average",)
    _of_probabilities: ClassVar[bool] = False  #: whether scores of several classes, passed alone, are probabilities or logits

    def __init__(self, average: RankingAverage | None = "macro", name: str | None = None) -> None:
        super().__init__(name)
        self.average = choice(type(self).__name__, "average", average, ("macro", "micro", "weighted", None))

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return no sums, because all rows are needed."""
        return ()

    def watcher(self, task: Task) -> Kept:
        """Return a new accumulator for one epoch or evaluation."""
        return Kept(partial(self._of_rows, task.meaning, task.from_logits))

    def _of_rows(self, meaning: Meaning, logits: bool, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> Any:
        columns = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        scores = y_pred.reshape(-1, columns)  # each line of a sample (such as a time step) becomes a row
        true = y_true.reshape(-1, columns) if y_true.shape == y_pred.shape else y_true.reshape(-1)
        weight = None if weight is None else np.repeat(weight, len(scores) // len(y_pred))
        if logits and meaning == "classes":
            scores = _log_odds(scores)
        return self._averaged(self._ranks(true, scores, weight, meaning))

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        ranks = self._ranks(y_true, y_pred, sample_weight)
        return self._averaged(ranks)

    def _ranks(self, y_true: Any, y_pred: Any, sample_weight: Any, meaning: Meaning | None = None) -> _Ranks:
        """Return what is ranked. meaning: that of the output of a model, if it is one."""
        scores, true = bind_prediction(y_pred).astype(np.float64), labels_of_any_kind(y_true)
        if true.ndim not in (1, 2) or len(true) != len(scores):
            raise ShapeError(f"{self.name}: y_true has shape {true.shape} and y_pred {shape_of(y_pred)}")
        weight = bind_weight(sample_weight, len(scores))
        counts = np.ones(len(scores), bool) if weight is None else weight > 0
        true, scores = true[counts], scores[counts]
        weights = np.ones(len(scores)) if weight is None else weight[counts]
        if weights.size and not 1e-100 < weights.max() < 1e100:
            weights = weights / weights.max()  # products of two sums must neither overflow nor vanish
        if true.size == len(true):
            true = true.reshape(-1)
            if meaning is None and (scores.shape[1] == 2 or (self._of_probabilities and scores.shape[1] > 2)):
                finite = scores[np.isfinite(scores)]
                scores = _log_odds(scores) if finite.size and (finite.min() < 0 or finite.max() > 1) else scores
        elif true.shape != scores.shape:
            raise ShapeError(f"{self.name}: y_true has shape {true.shape} and y_pred {shape_of(y_pred)}")
        missing = np.isnan(true) if true.dtype.kind == "f" else np.zeros(true.shape, bool)
        defined = np.isfinite(scores).all(axis=0) & ~np.atleast_1d(missing.any(axis=0))
        known = ~(missing if missing.ndim == 1 else missing.any(axis=1))
        positive, used = self._positive(true[known], scores[known], meaning)
        return _Ranks(positive, scores[known][:, used], weights[known], defined[used])

    def _positive(self, true: np.ndarray, scores: np.ndarray, meaning: Meaning | None) -> tuple[np.ndarray, Any]:
        """Return which entries are positive, [N, columns], and the columns of scores to which they belong."""
        columns = scores.shape[1]
        if columns == 1:
            true = true.reshape(-1)
            return (self._positive_of_two(true) if meaning is None else self._side(true)).reshape(-1, 1), slice(None)
        if true.ndim == 2:
            positive = _yes(true, self.name)
            is_class = _are_classes(positive, scores) if meaning is None else meaning == "classes"
        elif not np.isin(true, np.arange(columns)).all():
            raise LabelError(f"{self.name}: y_true must hold class indices in [0, {columns}), as y_pred has {columns} columns")
        else:
            positive, is_class = true[:, None] == np.arange(columns), True
        used = self._column("classes" if is_class else "labels", columns)
        return positive[:, used], used

    def _column(self, meaning: Meaning, columns: int) -> slice:
        """Return which columns are ranked: of two classes that of the positive one."""
        return slice(1, 2) if columns == 2 and meaning == "classes" else slice(None)

    def _side(self, true: np.ndarray) -> np.ndarray:
        """Return which of the targets 0/1 or -1/+1 of a model with a single output are positive."""
        return self._positive_of_two(true)

    def _positive_of_two(self, true: np.ndarray) -> np.ndarray:
        """Return which of the targets of a single column of scores are positive."""
        raise NotImplementedError

    @staticmethod
    def _of_column(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
        """Return the metric of one column."""
        raise NotImplementedError

    def _averaged(self, ranks: _Ranks) -> Any:
        positive, scores, weights, defined = ranks
        if self.average == "micro" and scores.shape[1] > 1:
            weights = np.repeat(weights, scores.shape[1])
            positive, scores, defined = positive.reshape(-1, 1), scores.reshape(-1, 1), np.array([defined.all()])
        columns = zip(positive.T, scores.T, defined, strict=True)
        each = np.array([self._of_column(p, s, weights) if fine and len(s) else np.nan for p, s, fine in columns])
        if len(each) == 1:
            return float(each[0])
        if self.average is None:
            return each
        if not defined.all() or not len(weights):
            return float("nan")
        share = (weights @ positive if self.average == "weighted" else np.ones(len(each))) * ~np.isnan(each)
        return mean_of(np.nan_to_num(each), share) if share.any() else self._without_positives()

    @staticmethod
    def _without_positives() -> float:
        """Return the average if no class has a positive row, or none has a value."""
        return float("nan")


class RocAuc(_Ranking):
    """Area under the receiver operating characteristic: the probability that a positive row is ranked above a negative one.

    Ties count half. The scores of an epoch are kept and ranked at its end (Hanley and McNeil 1982), with scikit-learn's results.
    With more than two classes, each class is ranked against the rest. A NaN or an infinite score makes the area NaN.

    Parameters
    ----------
    average : {"macro", "micro", "weighted", None}
        How the areas of classes or columns are combined: "macro" is the plain mean, "weighted" weights by the number of positive
        rows, "micro" ranks all entries together, None returns one area for each. A class with no rows, or with all rows, has no
        area (NaN) and is left out of the mean.
    name : str, optional
        The key in ``history``.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.RocAuc()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    >>> model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["roc_auc"])
    """

    name, aliases, _of_probabilities = "roc_auc", ("auc", "AUC", "roc_auc_score", "AUROC"), True

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Return the area.

        Parameters
        ----------
        y_true : array_like
            [N], two labels, of which the larger one is positive, or class indices; or [N, columns] of 0 and 1.
        y_pred : array_like
            Scores, [N] or [N, columns]. Those of classes are probabilities; outside of [0, 1] they are logits.
        sample_weight : array_like, optional
            [N].

        Raises
        ------
        ShapeError, LabelError
            The shapes or labels of the two do not fit together.
        """
        return super().__call__(y_true, y_pred, sample_weight)

    def _positive_of_two(self, true: np.ndarray) -> np.ndarray:
        labels = _two_labels(true, self.name)
        return np.asarray(true == labels[-1] if len(labels) == 2 or true.dtype.kind not in "biuf" else true > 0)

    @staticmethod
    def _of_column(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
        starts, order = _ties(scores)
        for_it = np.add.reduceat(np.where(positive, weights, 0.0)[order], starts)
        against = np.add.reduceat(np.where(positive, 0.0, weights)[order], starts)
        pairs = for_it.sum() * against.sum()
        below = np.cumsum(against) - against
        return float(for_it @ (below + against / 2) / pairs) if pairs else float("nan")


class AveragePrecision(_Ranking):
    """Average precision, a sum over thresholds of precision times the gain in recall; a summary of the precision-recall curve.

    It is scikit-learn's ``average_precision_score``, without interpolation between the thresholds. With more than two classes, each
    class is ranked against the rest. A class without positive rows has the value 0. The scores of an epoch are kept and ranked at
    its end. A NaN or an infinite score makes the value NaN.

    Parameters
    ----------
    average : {"macro", "micro", "weighted", None}
        How the values of classes or columns are combined: "macro" is the plain mean, "weighted" weights by the number of positive
        rows, "micro" ranks all entries together, None returns one value for each.
    name : str, optional
        The key in ``history``.
    pos_label : int or str, default 1
        The positive one of two labels. Of scores [N, 2] its column is ranked. In a model with a single output, 0 and -1 are the
        negative side. With more classes, or several labels per row, it must be 1.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.AveragePrecision()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.8333333333333333
    """

    name, aliases = "average_precision", ("pr_auc", "average_precision_score")
    options = ("average", "pos_label")
    pos_label: Any = 1

    def __init__(self, average: RankingAverage | None = "macro", name: str | None = None, pos_label: Any = 1) -> None:
        super().__init__(average, name)
        self.pos_label = one_label("AveragePrecision", pos_label)

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return no sums. Raise ArgumentError if the output has no class ``pos_label``."""
        if task.meaning == "decision":
            self._check_label((1, 0, -1))
        else:
            self._column(task.meaning, task.columns)
        return ()

    def _column(self, meaning: Meaning, columns: int) -> slice:
        if meaning == "labels" or columns > 2:
            if self.pos_label != 1:
                of = f"{columns} classes" if meaning == "classes" else "several labels per row"
                raise ArgumentError(
                    f"{self.name}: pos_label={self.pos_label!r} is for two classes, and here are {of}; average=None gives one "
                    "value for each"
                )
            return slice(None)
        self._check_label((0, 1))
        return slice(1, 2) if self.pos_label == 1 else slice(0, 1)

    def _check_label(self, possible: tuple[int, ...]) -> None:
        if self.pos_label not in possible:
            raise ArgumentError(f"{self.name}: pos_label={self.pos_label!r} is not among the labels {possible}")

    def _side(self, true: np.ndarray) -> np.ndarray:
        _two_labels(true, self.name)
        return np.asarray((true > 0) == (self.pos_label == 1))

    def _positive_of_two(self, true: np.ndarray) -> np.ndarray:
        labels = _two_labels(true, self.name)
        if len(labels) == 2 and self.pos_label not in labels.tolist():
            raise ArgumentError(f"{self.name}: pos_label={self.pos_label!r} is not among the labels {labels.tolist()}")
        return np.array([label == self.pos_label for label in labels.tolist()], bool)[np.searchsorted(labels, true)]

    @staticmethod
    def _of_column(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
        starts, order = _ties(-scores)
        found = np.cumsum(np.add.reduceat(np.where(positive, weights, 0.0)[order], starts))
        taken = np.cumsum(np.add.reduceat(weights[order], starts))
        gain = np.diff(found, prepend=0.0)
        return float(gain @ (found / taken) / found[-1]) if found[-1] else 0.0

    @staticmethod
    def _without_positives() -> float:
        return 0.0


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) of the probabilities p of exclusive classes, [N, classes]. They have the order of the probabilities,
    also where these are rounded to 0 or 1. A column of logits alone has another order."""
    with np.errstate(invalid="ignore"):  # of infinities, which have no rank
        z = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        nothing = np.full((len(z), 1), -np.inf)
        before = np.logaddexp.accumulate(np.hstack([nothing, z[:, :-1]]), axis=1)
        after = np.logaddexp.accumulate(np.hstack([nothing, z[:, :0:-1]]), axis=1)[:, ::-1]
        digits, power = np.frexp(z - np.logaddexp(before, after))
    return np.asarray(
        np.ldexp(np.rint(np.ldexp(digits, 44)), power - 44)
    )  # equal ones stay equal, whatever the order of their sums


def _two_labels(true: np.ndarray, name: str) -> np.ndarray:
    labels = np.unique(true)
    if len(labels) > 2:
        raise LabelError(f"{name}: y_true holds more than two labels, {labels[:3]} and so on, for a single score")
    return labels


def _are_classes(positive: np.ndarray, scores: np.ndarray) -> bool:
    """Return whether rows are one-hot and scores probabilities of exclusive classes, not of several labels."""
    return bool((positive.sum(axis=1) == 1).all() and np.allclose(scores.sum(axis=1), 1.0, rtol=0, atol=1e-4))


def _yes(true: np.ndarray, name: str) -> np.ndarray:
    positive = true > 0
    if not (positive == (true == 1)).all() or not np.isin(true, (-1, 0, 1)).all():
        raise LabelError(f"{name}: y_true of shape {true.shape} must hold 0 and 1")
    return np.asarray(positive)


def _ties(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the groups of equal scores start in increasing order, and that order."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    return np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]), order
