"""Counts of classes and decisions, from which metrics of classification are computed, and how labels or scores are counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import shown
from .._core import count_classes, count_decisions
from ..data import as_array, bind_weight
from ..data.refusals import is_tensor
from ..errors import ArgumentError, LabelError, ShapeError
from ..records import COMMON_SUMS
from .task import Meaning


class Counts:
    """The sums that the core adds up, by name. The core's csrc/ops/kernels.h defines them.

    Parameters
    ----------
    sums : numpy.ndarray
        float64. They are read when they are needed.
    meaning : str
        What a row of the output says; see `Task.meaning`.
    labels : numpy.ndarray or None
        The labels of the classes, if they all occur in the data. By default only the classes with a weight occur.
    """

    __slots__ = ("labels", "meaning", "sums")

    def __init__(self, sums: np.ndarray, meaning: Meaning, labels: np.ndarray | None = None) -> None:
        self.sums, self.meaning, self.labels = sums, meaning, labels

    @property
    def share(self) -> float:
        """The part of the decisions that are right: 0 if there are none, NaN if one cannot be made."""
        total, right = self.sums[:2].tolist()
        return right / total if total else 0.0

    @property
    def are_defined(self) -> bool:
        """Whether every decision could be made. A score or target that is NaN, or an infinite score, prevents it."""
        return bool(self.sums[0] == self.sums[0])

    @property
    def rows(self) -> float:
        """The weight of the rows."""
        return float(self.sums[2])

    @property
    def each(self) -> np.ndarray:
        """Weights [classes or labels, 3] of the rows that are correctly predicted, true, and predicted as such."""
        return np.asarray(self.sums[COMMON_SUMS:].reshape(-1, 3))

    @property
    def classes(self) -> np.ndarray:
        """`each`, in which a single decision becomes the two classes no and yes."""
        if self.meaning != "decision":
            return self.each
        both, true, guessed = self.each[0].tolist()
        rows = self.rows
        return np.array([[rows - true - guessed + both, rows - true, rows - guessed], [both, true, guessed]])

    @property
    def pairs(self) -> np.ndarray:
        """Weights [true class, predicted class]; of labels [label, 2, 2]."""
        if self.meaning == "classes":
            side = round((len(self.sums) - COMMON_SUMS) ** 0.5)
            return np.asarray(self.sums[COMMON_SUMS:].reshape(side, side))
        both, true, guessed = self.each.T
        matrix: np.ndarray = np.stack([self.rows - true - guessed + both, guessed - both, true - both, both], axis=1).reshape(
            -1, 2, 2
        )
        return np.asarray(matrix if self.meaning == "labels" else matrix[0])

    def present(self) -> np.ndarray:
        """Return which classes occur, as true or predicted ones. Of labels all do."""
        table = self.classes
        if self.meaning == "labels" or self.labels is not None:
            return np.ones(len(table))
        return np.asarray(table[:, 1] + table[:, 2] > 0, np.float64)


# Counts of arrays ----------------------------------------------------------------------------------------------------------------


def count(
    y_true: Any, y_pred: Any, sample_weight: Any, what: str, threshold: float | None, *, of_labels: bool = True, k: int = 1
) -> Counts:
    """Count labels, probabilities or scores.

    Parameters
    ----------
    y_true, y_pred, sample_weight
        See `Metric.__call__`.
    what : str
        What is counted: "right", "each", "pairs", "top" (with ``k``), "whole".
    threshold : float or None
        The threshold of decisions. With one, every column is a label of its own.
    of_labels : bool
        Whether rows of 0 and 1 in both arrays are labels even if each row has exactly one of them.

    Raises
    ------
    ShapeError, LabelError
        The shapes or labels of the two do not fit together.
    """
    true, pred = _labels(y_true), _labels(y_pred)
    if len(true) != len(pred) or not len(true):
        raise ShapeError(
            f"y_true has shape {np.shape(y_true)} and y_pred {np.shape(y_pred)}; pass the same number of rows, at least one"
        )
    weight = bind_weight(sample_weight, len(true))
    if pred.ndim == 2:
        return _of_columns(true, pred, weight, what, threshold, of_labels, k)
    if true.ndim == 2:
        raise ShapeError(
            f"y_true has shape {true.shape} and y_pred {np.shape(y_pred)}; pass both as labels, or one score per class"
        )
    true, pred, weight, undefined = _defined(true, pred, weight)
    for name, array in (("y_true", true), ("y_pred", pred)):
        if array.dtype.kind == "c" or (array.dtype.kind == "f" and name == "y_true" and not _are_whole(array)):
            raise LabelError(
                f"{name} holds {array[array != np.floor(array)][0]:g}, but metrics of classes compare classes; "
                "for numbers use mse, mae or r2"
            )
    counts = _of_scores(true, pred, weight, what, threshold) if _are_scores(true, pred, threshold) else None
    counts = counts or _of_codes(true, pred, weight, what)
    if undefined:
        counts.sums[0] = np.nan
    return counts


def labels_of_any_kind(values: Any) -> np.ndarray:
    """Return an array of labels. Labels may be numbers, names or other objects."""
    if is_tensor(values) or (isinstance(values, list | tuple) and any(map(is_tensor, values))):
        return as_array(values, "labels", np.dtype(np.float64))  # tensors, possibly with a gradient
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(f"labels: {shown(values)} cannot be read as an array ({error})") from None
    return array if array.dtype.kind in "biufUSO" else as_array(values, "labels", np.dtype(np.float64))


def one_label(owner: str, value: Any) -> Any:
    """Return ``pos_label`` as a number, text or truth value of Python."""
    value = value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim) else value
    if not isinstance(value, int | float | str) or value != value or (isinstance(value, int) and abs(value) >= 2**63):
        raise ArgumentError(f"{owner}: pos_label must be a label, a number or text, not {shown(value)}")
    return value


def are_signs(labels: np.ndarray) -> bool | None:
    """Return whether labels are -1/+1 (True) or 0/1 (False), or None if they are neither."""
    if labels.dtype.kind not in "biuf":
        return None
    found = labels[labels == labels] if labels.dtype.kind == "f" else labels
    if ((found == 0) | (found == 1)).all():
        return False
    return True if ((found == -1) | (found == 1)).all() else None


def default_threshold(signs: bool, scores: np.ndarray) -> float:
    """Return the threshold of scores: 0 if the targets are -1/+1 or a score is no probability, so that all are logits; else 0.5."""
    finite = scores[np.isfinite(scores)]
    return 0.0 if signs or (finite.size and (finite.min() < 0 or finite.max() > 1)) else 0.5


def _labels(values: Any) -> np.ndarray:
    """Return an array of labels of any type, [N], or of scores, [N, classes]."""
    array = labels_of_any_kind(values)
    return array.reshape(-1) if array.ndim < 2 or array.size == len(array) else array.reshape(len(array), -1)


def _are_whole(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool((array == np.floor(array)).all())


def _defined(true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None) -> tuple[Any, Any, Any, bool]:
    """Leave out rows with NaN, or with an infinite score. Return also whether one of them has a weight."""
    bad = np.zeros(len(true), bool)
    if true.dtype.kind == "f":
        bad |= np.isnan(true)
    if pred.dtype.kind == "f":
        bad |= ~np.isfinite(pred)
    if not bad.any():
        return true, pred, weight, False
    undefined = bool((bad if weight is None else bad & (weight > 0)).any())
    return true[~bad], pred[~bad], None if weight is None else weight[~bad], undefined


def _are_scores(true: np.ndarray, pred: np.ndarray, threshold: float | None) -> bool:
    """Return whether predictions [N] are scores, not labels."""
    if pred.dtype.kind not in "biuf":
        return False
    if threshold is not None:
        return True
    if pred.dtype.kind != "f":
        return False
    if not _are_whole(pred):
        return True
    # Whole numbers are labels, unless a negative one is not a label of targets 0/1 or -1/+1.
    signs = are_signs(true)
    return signs is not None and bool((pred[pred != -1] < 0 if signs else pred < 0).any())


def _of_scores(true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, what: str, threshold: float | None) -> Counts:
    """Count decisions of one column of scores."""
    signs = are_signs(true)
    if signs is None:
        raise LabelError("y_pred holds probabilities, so y_true must hold 0/1 (or -1/+1)")
    if threshold is None:
        threshold = default_threshold(signs, pred)
    column, positive = pred.astype(np.float64)[:, None], (true > 0).astype(np.float64)[:, None]
    what = {"pairs": "each", "top": "right"}.get(what, what)
    return Counts(count_decisions(column, positive, weight, what, threshold, 0.5), "decision")


def _of_columns(
    true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, what: str, threshold: float | None, of_labels: bool, k: int
) -> Counts:
    """Count predictions [N, columns]: scores of classes, or labels that are predicted one by one."""
    scores = as_array(pred, "y_pred", np.dtype(np.float64)).astype(np.float64)
    classes = scores.shape[1]
    if true.ndim == 1:
        return _of_indices(true, scores, weight, what, k)
    signs = are_signs(true)
    if true.shape != pred.shape or signs is None:
        raise LabelError(
            f"y_true of shape {true.shape} must hold class indices [N], or 0 and 1 in the shape of y_pred, {pred.shape}"
        )
    positive = np.where(np.isnan(true), np.nan, true > 0) if true.dtype.kind == "f" else (true > 0).astype(np.float64)
    counted, known = positive.sum(axis=1), ~np.isnan(positive).any(axis=1)
    has_one_class = bool((counted[known] == 1).all())
    are_hard = bool(((scores == 0) | (scores == 1)).all())
    if threshold is not None or not has_one_class or (are_hard and (of_labels or not (scores.sum(axis=1) == 1).all())):
        found = default_threshold(signs, scores) if threshold is None else threshold
        what = {"pairs": "each", "top": "right"}.get(what, what)
        return Counts(count_decisions(scores, positive, weight, what, found, 0.5), "labels")
    what = "right" if what == "whole" else what
    return Counts(count_classes(scores, positive, weight, classes == 1, what, k), "classes")


def _of_indices(true: np.ndarray, scores: np.ndarray, weight: np.ndarray | None, what: str, k: int) -> Counts:
    classes = scores.shape[1]
    missing = np.isnan(true) if true.dtype.kind == "f" else np.zeros(len(true), bool)
    index = np.where(missing, 0, true) if missing.any() else true
    if not np.isin(index, np.arange(classes)).all():
        raise LabelError(f"y_true must hold class indices in [0, {classes}), as y_pred has {classes} columns")
    index = np.ascontiguousarray(index, np.float64)
    counts = Counts(count_classes(scores, index, weight, True, "right" if what == "whole" else what, k), "classes")
    if (missing if weight is None else missing & (weight > 0)).any():
        counts.sums[0] = np.nan
    return counts


def _of_codes(true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, what: str) -> Counts:
    """Count labels of any kind. Their classes are all labels that occur, in sorted order."""
    if len(true) and len({array.dtype.kind in "US" for array in (true, pred) if array.dtype.kind != "O"}) > 1:
        raise LabelError(
            f"y_true holds {true[0].item()!r} and y_pred {pred[0].item()!r}, one of them text and the other a number; pass labels "
            "of one kind"
        )
    try:
        labels, code = np.unique(np.concatenate([true, pred]), return_inverse=True)
    except TypeError as error:
        raise LabelError(f"y_true and y_pred hold labels of different kinds, which cannot be sorted ({error})") from None
    n, classes = len(true), len(labels)
    truth, guess = code[:n], code[n:]
    right = truth == guess
    weights = np.ones(n) if weight is None else weight
    common = [weights.sum(), weights @ right, weights.sum(), 0, 0]
    rest: np.ndarray = np.empty(0)
    if what == "pairs":
        check_pairs(classes)
        rest = np.bincount(truth * classes + guess, weights, classes * classes)
    elif what == "each":
        columns = [np.bincount(each, w, classes) for each, w in ((truth, weights * right), (truth, weights), (guess, weights))]
        rest = np.stack(columns, axis=1).reshape(-1)
    return Counts(np.concatenate([common, rest]), "classes", labels)


#: The largest number of classes of a confusion matrix: its numbers are then 32 MiB in size.
MOST_PAIRED_CLASSES = 2048


def check_pairs(classes: int) -> None:
    """Raise LabelError if a confusion matrix would be too large."""
    if classes > MOST_PAIRED_CLASSES:
        raise LabelError(
            f"a confusion matrix of {classes} classes would have {classes}² numbers; up to {MOST_PAIRED_CLASSES} classes are "
            "possible. Use recall(average=None) and precision(average=None), which have one number per class"
        )
