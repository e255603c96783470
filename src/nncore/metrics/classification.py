"""Metrics of classes that are computed from counts: accuracy in several forms, the confusion matrix, Matthews' correlation.

Results equal scikit-learn's. Only the accuracy of several labels per row is Keras's; scikit-learn's is `Accuracy(subset=True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .._checks import flag, optional_real, warn, whole
from ..data import bind_prediction
from ..errors import ArgumentError
from ..records import StatisticSpec
from .base import Metric
from .counts import Counts, check_pairs, count

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from .task import Task


class CountMetric(Metric):
    """Base of the metrics that are computed from counts.

    Parameters
    ----------
    name : str, optional
        The key in ``history``.
    threshold : float, optional
        A single output, or a label that is predicted by itself, is positive above it.
    """

    kind, of_classes = "counts", True
    options: ClassVar[tuple[str, ...]] = ("threshold",)
    counted: ClassVar[str] = "each"  #: what is counted: see `StatisticSpec`

    def __init__(self, name: str | None = None, threshold: float | None = None) -> None:
        super().__init__(name)
        self.threshold = optional_real(type(self).__name__, "threshold", threshold)

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the counts that the metric needs."""
        self.check(task.meaning, task.classes)
        if task.meaning == "classes":
            return (StatisticSpec("classes", self.counted),)
        counted = "each" if self.counted == "pairs" else self.counted
        return tuple(StatisticSpec("decisions", counted, threshold=t) for t in task.thresholds(self.threshold))

    def check(self, meaning: str, classes: int) -> None:
        """Raise ArgumentError if the metric is not defined for this number of classes, or for labels."""

    def compute(self, sums: Counts) -> Any:
        """Return the metric computed from its counts."""
        raise NotImplementedError

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        counts = count(y_true, y_pred, sample_weight, self.counted, self.threshold, of_labels=self._takes_labels)
        if counts.meaning == "labels" and not self._takes_labels:
            self.check("labels", 2)
        return self.compute(counts)

    #: Whether 0/1 arrays of several columns are labels, as in scikit-learn, even if every row has exactly one 1.
    _takes_labels: ClassVar[bool] = False


class Accuracy(CountMetric):
    """Fraction of the rows whose class is predicted correctly.

    If each row has several labels, each of them counts by itself, as in Keras's BinaryAccuracy: the fraction of all labels that are
    predicted correctly.

    Parameters
    ----------
    name : str, optional
        The key in ``history``.
    threshold : float, optional
        A single output above it is predicted as positive, and so is each of several labels. The default is 0.5 for probabilities,
        and 0 for logits and for -1/+1 targets. A model knows which they are from its loss and last layer; with a loss of
        regression and a linear output, from its targets (0/1: 0.5). Arrays outside of [0, 1] that are passed alone are logits.
    subset : bool
        If each row has several labels, count the rows of which all labels are right, as scikit-learn's ``accuracy_score`` does.

    See Also
    --------
    F1 : for rare classes.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.Accuracy()([0, 1, 2, 1], [0, 2, 2, 1])
    0.75
    >>> labels, scores = [[1, 0, 1], [0, 1, 1]], [[0.9, 0.2, 0.8], [0.1, 0.7, 0.3]]
    >>> nn.metrics.Accuracy(subset=True)(labels, scores)
    0.5
    """

    name = "accuracy"
    aliases = (
        *("acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "accuracy_score"),
        *("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"),
    )
    options = ("threshold", "subset")
    subset = False
    counted = "right"

    def __init__(self, name: str | None = None, threshold: float | None = None, subset: bool = False) -> None:
        super().__init__(name, threshold)
        self.subset = flag("Accuracy", "subset", subset)

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the counts of right decisions."""
        found = super().statistics(task)
        return tuple(each._replace(counted="whole") for each in found) if self.subset and task.meaning == "labels" else found

    def compute(self, sums: Counts) -> float:
        """Return the part of the decisions that are right."""
        return sums.share

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        what = "whole" if self.subset else "right"
        return count(y_true, y_pred, sample_weight, what, self.threshold, of_labels=self.subset).share


class TopKAccuracy(CountMetric):
    """Fraction of the rows whose class is among the k classes with the greatest scores.

    Of equal scores, that of the later class counts as greater, as in scikit-learn's ``top_k_accuracy_score``.

    Parameters
    ----------
    k : int, default 5
        The number of classes.
    name : str, optional
        The key in ``history``.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.TopKAccuracy(k=2)([0, 2], [[0.3, 0.5, 0.2], [0.3, 0.5, 0.2]])
    0.5
    """

    name = "top_k_accuracy"
    aliases = (
        *("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy", "top_k_accuracy_score"),
        *("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"),
    )
    options = ("k",)
    counted = "top"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = whole("TopKAccuracy", "k", k)

    def check(self, meaning: str, classes: int) -> None:
        """Raise ArgumentError unless there is one score per class."""
        if meaning == "labels":
            raise ArgumentError(f"{self.name} needs scores of classes, one class for each row; use accuracy")

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the counts of rows whose class is among the first k. A single score is that of one of two classes."""
        found = super().statistics(task)
        return tuple(each._replace(k=self.k) if task.meaning == "classes" else each._replace(counted="right") for each in found)

    def compute(self, sums: Counts) -> float:
        """Return the part of the rows whose class is among the first k."""
        return sums.share if sums.meaning == "classes" or self.k == 1 or not sums.are_defined else 1.0

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        counts = count(y_true, y_pred, sample_weight, "top", None, of_labels=False, k=self.k)
        if counts.labels is not None or counts.meaning == "labels":
            self.check("labels", 2)
        classes = bind_prediction(y_pred).shape[-1] if counts.meaning == "classes" else 2
        if self.k >= classes:
            warn(f"{self.name}: k={self.k} of {classes} classes gives 1 for any predictions; pass a smaller k")
        return self.compute(counts)


class ConfusionMatrix(CountMetric):
    """Sum of the row weights by true class (first dimension) and predicted class (second dimension).

    It is NaN throughout if a class cannot be predicted because of a NaN. If each row has several labels, there is one matrix per
    label, as in scikit-learn's ``multilabel_confusion_matrix``. The matrix may have at most 2048 classes. All other metrics take
    any number of classes.

    Parameters
    ----------
    name, threshold
        See `Accuracy`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.ConfusionMatrix()([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """

    name, direction, counted, _takes_labels = "confusion_matrix", "", "pairs", True

    def check(self, meaning: str, classes: int) -> None:
        """Raise LabelError if the matrix would be too large."""
        check_pairs(classes)

    def compute(self, sums: Counts) -> np.ndarray:
        """Return the matrix. It holds whole numbers if the weights do."""
        if not sums.are_defined:
            return np.full(sums.pairs.shape, np.nan)
        whole_numbers = sums.pairs.astype(np.int64)
        return whole_numbers if np.array_equal(whole_numbers, sums.pairs) else sums.pairs.copy()


class _OfOneClass(CountMetric):
    """A metric that is not defined for several labels per row."""

    def check(self, meaning: str, classes: int) -> None:
        """Raise ArgumentError if there are several labels per row."""
        if meaning == "labels":
            raise ArgumentError(
                f"{self.name} is for rows with one class, and here each row has several labels; compute it for each column of "
                "model.predict(x), or use f1 with average='macro'"
            )


class BalancedAccuracy(_OfOneClass):
    """Mean of the recalls of the classes that occur in the targets.

    Parameters
    ----------
    adjusted : bool
        Rescale the value so that guessing scores 0 and perfect predictions 1.
    name, threshold
        See `Accuracy`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.BalancedAccuracy()([0, 0, 0, 1], [0, 0, 1, 1])
    0.8333333333333333
    """

    name, aliases = "balanced_accuracy", ("balanced_accuracy_score",)
    options = ("adjusted", "threshold")
    adjusted = False

    def __init__(self, adjusted: bool = False, name: str | None = None, threshold: float | None = None) -> None:
        super().__init__(name, threshold)
        self.adjusted = flag("BalancedAccuracy", "adjusted", adjusted)

    def compute(self, sums: Counts) -> float:
        """Return the mean of the recalls."""
        if not sums.are_defined:
            return float("nan")
        right, true, _ = sums.classes.T
        occurs = true > 0
        if not occurs.any():
            return 0.0
        mean = float((right[occurs] / true[occurs]).mean())
        chance = 1 / int(occurs.sum())
        if not self.adjusted:
            return mean
        return (mean - chance) / (1 - chance) if chance < 1 else float("nan")


class MatthewsCorrelation(_OfOneClass):
    """Matthews' correlation coefficient, for several classes the statistic R_K of Gorodkin (2004); 0 where it is not defined.

    Parameters
    ----------
    name, threshold
        See `Accuracy`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.MatthewsCorrelation()([1, 1, 1, 0], [1, 0, 1, 1])
    -0.3333333333333333
    """

    name, aliases = "matthews_correlation", ("mcc", "MCC", "matthews_corrcoef", "MatthewsCorrCoef")

    def compute(self, sums: Counts) -> float:
        """Return the coefficient."""
        if not sums.are_defined:
            return float("nan")
        total = sums.rows
        if not total:
            return 0.0
        right, true, predicted = sums.classes.T / total  # so that large weights do not overflow, nor small ones vanish
        total = 1.0
        together = float(right.sum()) * total - float(true @ predicted)
        spread = (total**2 - float(true @ true)) * (total**2 - float(predicted @ predicted))
        return together / spread**0.5 if spread > 0 else 0.0
