"""Metrics of classes, computed from the confusion matrix [true class, predicted class]. Results equal scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._checks import choice, optional_real, shown
from .._declarations import describe
from ..data import as_array, bind_prediction, bind_weight
from ..errors import ArgumentError, LabelError, ShapeError
from .base import Metric

if TYPE_CHECKING:
    from ..typing import ArrayLike

Average = Literal["binary", "macro", "micro", "weighted"]
_AVERAGES = ("binary", "macro", "micro", "weighted", None)


class _Confusion(Metric):
    kind = "confusion"

    def __init__(self, name: str | None = None, threshold: float | None = None) -> None:
        super().__init__(name)
        self.threshold = optional_real(type(self).__name__, "threshold", threshold)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        return self.compute(_tally(y_true, y_pred, sample_weight, self.threshold)[0])


class Accuracy(_Confusion):
    """Fraction of the rows whose class is predicted correctly.

    Parameters
    ----------
    name : str, optional
        The key in ``history``.
    threshold : float, optional
        A single output above it is predicted as positive. The default is 0.5 for probabilities, and 0 for logits and for -1/+1
        targets.

    Examples
    --------
    >>> Accuracy()([0, 1, 2, 1], [0, 2, 2, 1])
    0.75
    """

    name = "accuracy"
    aliases = ("acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")

    def compute(self, sums: np.ndarray) -> float:
        return float(sums.trace() / (sums.sum() or 1.0))


class ConfusionMatrix(_Confusion):
    """Sum of the row weights by true class (first dimension) and predicted class (second dimension).

    Parameters
    ----------
    name, threshold
        See `Accuracy`.

    Examples
    --------
    >>> ConfusionMatrix()([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """

    name, direction = "confusion_matrix", ""

    def compute(self, sums: np.ndarray) -> np.ndarray:
        whole = sums.astype(np.int64)
        return whole if np.array_equal(whole, sums) else sums.copy()


class _Ratio(_Confusion):
    """A ratio of counts for each class, averaged over the classes."""

    def __init__(self, average: Average | None = "binary", name: str | None = None, threshold: float | None = None) -> None:
        super().__init__(name, threshold)
        self.average = choice(type(self).__name__, "average", average, _AVERAGES)

    def check(self, classes: int) -> None:
        if self.average == "binary" and classes != 2:
            raise ArgumentError(
                f"{self.name} of {classes} classes needs an average: nn.metrics.{type(self).__name__}(average='macro'), 'micro', "
                "'weighted', or None for one number per class"
            )

    def compute(self, sums: np.ndarray) -> Any:
        self.check(len(sums))
        if self.average == "binary":
            (tn, fp), (fn, tp) = sums.tolist()
            above, below = self._terms(tp, fp, fn, tn)
            return above / (below or 1.0)
        right = np.diagonal(sums)
        rows, columns = sums.sum(axis=1), sums.sum(axis=0)
        over, under = self._terms(right, columns - right, rows - right, sums.sum() - rows - columns + right)
        each = _ratio(over, under)
        if self.average is None:
            return each
        if self.average == "micro":
            return float(_ratio(over.sum(), under.sum()))
        present = rows + columns > 0  # scikit-learn averages over the classes that occur in y_true or y_pred
        weight = rows if self.average == "weighted" else present
        return float(_ratio((each * weight).sum(), weight.sum()))

    @staticmethod
    def _terms(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        sums, labels = _tally(y_true, y_pred, sample_weight, self.threshold)
        if self.average == "binary" and len(sums) == 1:  # only one of the two classes occurs in the data
            sums = np.pad(sums, (1, 0) if labels[0] == 1 else (0, 1))
        return self.compute(sums)

    def __repr__(self) -> str:
        return describe(self, ("average", "name"))


class Precision(_Ratio):
    """TP / (TP + FP), or 0 if nothing is predicted as positive.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted", None}
        How the values of the classes are combined. "binary" takes that of class 1; None returns all of them.
    name, threshold
        See `Accuracy`.

    Examples
    --------
    >>> Precision()([0, 1, 1, 0], [1, 1, 0, 0])
    0.5
    """

    name = "precision"

    @staticmethod
    def _terms(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return tp, tp + fp


class Recall(_Ratio):
    """TP / (TP + FN), also called sensitivity.

    Parameters
    ----------
    average, name, threshold
        See `Precision`.

    Examples
    --------
    >>> Recall(average=None)([0, 1, 2, 2], [0, 1, 2, 0])
    array([1. , 1. , 0.5])
    """

    name = "recall"

    @staticmethod
    def _terms(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return tp, tp + fn


class Specificity(_Ratio):
    """TN / (TN + FP), the recall of the negative class.

    Parameters
    ----------
    average, name, threshold
        See `Precision`.

    Examples
    --------
    >>> Specificity()([0, 0, 0, 1], [0, 0, 1, 1])
    0.6666666666666666
    """

    name = "specificity"

    @staticmethod
    def _terms(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return tn, tn + fp


class F1(_Ratio):
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    average, name, threshold
        See `Precision`.

    Examples
    --------
    >>> F1(average="macro")([0, 1, 2, 2], [0, 1, 2, 0])
    0.7777777777777777
    """

    name, aliases = "f1", ("f1_score",)

    @staticmethod
    def _terms(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        return 2 * tp, 2 * tp + fp + fn


def _ratio(over: Any, under: Any) -> Any:
    """Return over / under, or 0 where under is 0. Then over is 0 too."""
    return over / np.where(under == 0, 1, under)


def _tally(y_true: Any, y_pred: Any, sample_weight: Any, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the confusion matrix of labels, probabilities or scores, and the labels of its rows."""
    from .._core import kernels  # imported here because only metrics that are called by themselves need it

    true, pred = _labels(y_true), _labels(y_pred)
    if len(true) != len(pred) or not len(true):
        raise ShapeError(
            f"y_true has shape {np.shape(y_true)} and y_pred {np.shape(y_pred)}; pass the same number of rows, at least one"
        )
    weight = bind_weight(sample_weight, len(true))
    if pred.ndim == 2:
        scores = bind_prediction(pred).astype(np.float64)
        classes = scores.shape[1]
        if true.ndim == 2:
            if true.shape != pred.shape or not (np.isin(true, (0, 1)).all() and (true.sum(axis=1) == 1).all()):
                raise LabelError(
                    "y_true must hold one label per row, or one-hot rows; for several labels per row, ravel both arrays"
                )
            true = true.argmax(axis=1)
        if not np.isin(true, np.arange(classes)).all():
            raise LabelError(f"y_true must hold class indices in [0, {classes}), as y_pred has {classes} columns")
        index = np.ascontiguousarray(true, np.float64)
        return kernels.count_confusion(scores, index, weight, classes, True, 0.0, 0.0), np.arange(classes)
    if pred.dtype.kind == "f" and (threshold is not None or not np.array_equal(pred, np.floor(pred))):
        if not np.isin(true, (-1, 0, 1)).all():
            raise LabelError("y_pred holds probabilities, so y_true must hold 0/1 (or -1/+1)")
        column, positive = pred.astype(np.float64)[:, None], (true > 0).astype(np.float64)
        counts = kernels.count_confusion(column, positive, weight, 2, False, 0.5 if threshold is None else threshold, 0.5)
        return counts, np.arange(2)
    labels, code = np.unique(np.concatenate([true, pred]), return_inverse=True)
    n, classes = len(true), len(labels)
    counts = np.bincount(code[:n] * classes + code[n:], weights=weight, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64), labels


def labels_of_any_kind(values: Any) -> np.ndarray:
    """Return an array of labels. Labels may be numbers, names or other objects."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(f"labels: {shown(values)} cannot be read as an array ({error})") from None
    return array if array.dtype.kind in "biufUSO" else as_array(values, "labels", np.dtype(np.float64))


def _labels(values: Any) -> np.ndarray:
    """Return an array of labels of any type, [N], or of scores, [N, classes]."""
    array = labels_of_any_kind(values)
    return array.reshape(-1) if array.ndim < 2 or array.size == len(array) else array.reshape(len(array), -1)
