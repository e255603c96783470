"""Ratios of counts for each class or label, averaged: precision, recall, specificity, F1, F-beta, with scikit-learn's results."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from .._checks import choice, real
from ..errors import ArgumentError
from .base import mean_of
from .classification import CountMetric
from .counts import Counts, one_label

#: How classes are averaged.
Average = Literal["binary", "macro", "micro", "weighted"]
_AVERAGES = ("binary", "macro", "micro", "weighted", None)


class Ratio(CountMetric):
    """Base of the ratios of counts.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted", None}
        How the values of the classes are combined. "binary" takes that of the positive class. "macro" is the plain mean, "weighted"
        weights by the number of true rows, "micro" adds up the counts first, and None returns all values. A class that occurs
        neither in the targets nor in the predictions is left out of the mean. If each row has several labels, the average is that
        over the labels, and "binary" is "micro", as in Keras.
    name, threshold
        See `Accuracy`.
    pos_label : int or str, default 1
        The positive class for "binary": of two labels or classes one of them, and 0 or -1 for the negative side of a single output.
    """

    options: ClassVar[tuple[str, ...]] = ("average", "threshold", "pos_label")
    pos_label: Any = 1
    _takes_labels = True

    def __init__(
        self, average: Average | None = "binary", name: str | None = None, threshold: float | None = None, pos_label: Any = 1
    ) -> None:
        super().__init__(name, threshold)
        if isinstance(average, str) and average == "samples":  # type: ignore[comparison-overlap]
            raise ArgumentError(
                f"{type(self).__name__}: average='samples' needs every row by itself, and only counts are kept; choose 'macro', "
                "'micro', 'weighted' or None"
            )
        self.average = choice(type(self).__name__, "average", average, _AVERAGES)
        self.pos_label = one_label(type(self).__name__, pos_label)

    def check(self, meaning: str, classes: int) -> None:
        """Raise ArgumentError if an average is needed, or if there is no class ``pos_label``."""
        if self.average != "binary":
            return
        if classes != 2:
            raise ArgumentError(
                f"{self.name} of {classes} classes needs an average: nn.metrics.{type(self).__name__}(average='macro'), 'micro', "
                "'weighted', or None for one number per class"
            )
        possible = {"classes": (0, 1), "decision": (1, 0, -1), "labels": (1,)}[meaning]
        if self.pos_label not in possible:
            raise ArgumentError(f"{self.name}: pos_label={self.pos_label!r} is not among the labels {possible}")

    def compute(self, sums: Counts) -> Any:
        """Return the average of the ratios."""
        if not sums.are_defined:
            return np.full(len(sums.classes), np.nan) if self.average is None else float("nan")
        if self.average == "binary":
            return self._of_positive(sums)
        table = sums.classes
        over, under = self._of(table, sums.rows)
        if self.average == "micro":
            return float(_ratio(over.sum(), under.sum()))
        each = _ratio(over, under)
        if self.average is None:
            return each
        return mean_of(each, table[:, 1] if self.average == "weighted" else sums.present())

    def _of_positive(self, sums: Counts) -> float:
        if sums.labels is None:
            self.check(sums.meaning, len(sums.classes) if sums.meaning == "classes" else 2)
            table = sums.classes
            if sums.meaning == "labels":
                over, under = self._of(table, sums.rows)
                return float(_ratio(over.sum(), under.sum()))
            row = table[1] if self.pos_label == 1 else table[0]
        else:
            row = self._row_of(sums, sums.labels)
        over, under = self._of(row, sums.rows)
        return float(over / under) if under else 0.0

    def _row_of(self, sums: Counts, labels: np.ndarray) -> np.ndarray:
        """Return the counts of the positive label."""
        if len(labels) > 2:
            CountMetric.check(self, "classes", len(labels))
            self.check("classes", len(labels))
        where = [i for i, label in enumerate(labels.tolist()) if label == self.pos_label]
        if where:
            return np.asarray(sums.each[where[0]])
        if len(labels) == 2:
            found = " and ".join(repr(label) for label in labels.tolist())
            raise ArgumentError(
                f"{self.name}: pos_label={self.pos_label!r} is not among the labels {found}; pass pos_label={labels.tolist()[1]!r}"
            )
        return np.zeros(3)

    def _of(self, table: np.ndarray, rows: float) -> tuple[Any, Any]:
        """Return numerators and denominators. table: [3] or [classes, 3]."""
        right, true, predicted = table.T
        return self._terms(right, predicted - right, true - right, rows - true - predicted + right)

    def _terms(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        """Return numerator and denominator."""
        raise NotImplementedError


class Precision(Ratio):
    """TP / (TP + FP), or 0 if nothing is predicted as positive.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted", None}
        How the values of the classes are combined. "binary" takes that of the positive class. "macro" is the plain mean, "weighted"
        weights by the number of true rows, "micro" adds up the counts first, and None returns all values. A class that occurs
        neither in the targets nor in the predictions is left out of the mean. If each row has several labels, the average is that
        over the labels, and "binary" is "micro", as in Keras.
    name, threshold
        See `Accuracy`.
    pos_label : int or str, default 1
        The positive class for "binary": one of the two labels, or 0 or -1 for the negative side of a single output.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.Precision()([0, 1, 1, 0], [1, 1, 0, 0])
    0.5
    >>> nn.metrics.Precision(pos_label="ham")(
    ...     ["ham", "spam", "ham"], ["ham", "ham", "spam"]
    ... )
    0.5
    """

    name = "precision"

    def _terms(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return tp, tp + fp


class Recall(Ratio):
    """TP / (TP + FN), also called sensitivity; 0 if nothing is positive.

    Parameters
    ----------
    average, name, threshold, pos_label
        See `Precision`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.Recall(average=None)([0, 1, 2, 2], [0, 1, 2, 0])
    array([1. , 1. , 0.5])
    """

    name = "recall"

    def _terms(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return tp, tp + fn


class Specificity(Ratio):
    """TN / (TN + FP), the recall of the negative class.

    Parameters
    ----------
    average, name, threshold, pos_label
        See `Precision`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.Specificity()([0, 0, 0, 1], [0, 0, 1, 1])
    0.6666666666666666
    """

    name = "specificity"

    def _terms(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return tn, tn + fp


class F1(Ratio):
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    average, name, threshold, pos_label
        See `Precision`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.F1(average="macro")([0, 1, 2, 2], [0, 1, 2, 0])
    0.7777777777777777
    """

    name, aliases = "f1", ("f1_score", "F1Score")

    def _terms(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return 2 * tp, 2 * tp + fp + fn


class FBeta(Ratio):
    """Weighted harmonic mean of precision and recall, (1 + beta²) TP / ((1 + beta²) TP + FP + beta² FN).

    Parameters
    ----------
    beta : float, default 1
        How many times as important recall is as precision.
    average, name, threshold, pos_label
        See `Precision`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.FBeta(beta=2)([0, 1, 1, 1], [0, 1, 0, 0])
    0.38461538461538464
    """

    name, aliases = "fbeta", ("fbeta_score", "FBetaScore")
    options = ("beta", "average", "threshold", "pos_label")

    def __init__(
        self,
        beta: float = 1.0,
        average: Average | None = "binary",
        name: str | None = None,
        threshold: float | None = None,
        pos_label: Any = 1,
    ) -> None:
        super().__init__(average, name, threshold, pos_label)
        self.beta = real("FBeta", "beta", beta, 0.0, 1e100)

    def _terms(self, tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        square = self.beta**2
        return (1 + square) * tp, (1 + square) * tp + fp + square * fn


def _ratio(over: Any, under: Any) -> Any:
    """Return over / under, or 0 where under is 0. Then over is 0 too."""
    return over / np.where(under == 0, 1, under)
