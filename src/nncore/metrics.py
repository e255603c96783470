"""Metrics: declarations over two kinds of sums that the core accumulates while it trains or evaluates.

"confusion" counts [true class, predicted class]; "residuals" sums errors per column (csrc/ops/kernels.inc has the layouts). A
metric turns such sums into its number and needs no pass of its own. Rows count with their weights, as in scikit-learn. Called
alone, as ``nn.metrics.f1(y_true, y_pred)`` or ``nn.metrics.F1(average="macro")(y_true, y_pred)``, a metric equals scikit-learn's;
``mape`` is in percent, as Keras has it. One output of a model has metrics of one kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from . import _core
from .data import as_array, bind_prediction, bind_weight
from .errors import ArgumentError, LabelError, ShapeError, lookup
from .names import describe, table
from .spec import StatisticSpec

_AVERAGES = ("binary", "macro", "micro", "weighted", None)


class Metric:
    """What all metrics share.

    Parameters
    ----------
    name : str, optional
        The key in ``history``; by default the metric's own name.
    """

    name: str
    aliases: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str]  #: "confusion" or "residuals"
    direction: ClassVar[str] = "max"  #: "max", "min", or "" where neither is better
    threshold: float | None = None

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = name

    def compute(self, sums: np.ndarray) -> Any:
        """Return the metric from its sums: a float, or an array where there is one number per class."""
        raise NotImplementedError

    def check(self, classes: int) -> None:
        """Raise ArgumentError where the metric makes no sense for that many classes."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the metric of predictions.

        Parameters
        ----------
        y_true : array_like
            Labels or targets.
        y_pred : array_like
            Labels, probabilities [N] of the positive class, or scores [N, classes]; for regression, predictions.
        sample_weight : array_like, optional
            [N].
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        return describe(self, ("name",))


class _Confusion(Metric):
    kind = "confusion"

    def __init__(self, name: str | None = None, threshold: float | None = None) -> None:
        super().__init__(name)
        self.threshold = threshold

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return self.compute(_tally(y_true, y_pred, sample_weight, self.threshold)[0])


class Accuracy(_Confusion):
    """Share of the rows whose class is predicted right.

    Parameters
    ----------
    name : str, optional
        The key in ``history``.
    threshold : float, optional
        A single output above it is a yes; by default 0.5 for probabilities and 0 for logits and -1/+1 targets.

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
    """Weights of the rows by true class (down) and predicted class (across).

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
    """A ratio of counts of each class, averaged over the classes."""

    def __init__(self, average: str | None = "binary", name: str | None = None, threshold: float | None = None) -> None:
        if average not in _AVERAGES:
            raise ArgumentError(f"{type(self).__name__}: average must be one of {_AVERAGES}, not {average!r}")
        super().__init__(name, threshold)
        self.average = average

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
        present = rows + columns > 0  # scikit-learn averages over the classes that occur
        weight = rows if self.average == "weighted" else present
        return float(_ratio((each * weight).sum(), weight.sum()))

    @staticmethod
    def _terms(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        sums, labels = _tally(y_true, y_pred, sample_weight, self.threshold)
        if self.average == "binary" and len(sums) == 1:  # only one of the two classes occurs
            sums = np.pad(sums, (1, 0) if labels[0] == 1 else (0, 1))
        return self.compute(sums)

    def __repr__(self) -> str:
        return describe(self, ("average", "name"))


class Precision(_Ratio):
    """TP / (TP + FP); 0 where nothing is predicted positive.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted", None}
        How the numbers of the classes become one; "binary" is that of class 1, None gives all of them.
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
    """TP / (TP + FN), the sensitivity.

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


class _Residual(Metric):
    """The mean over the columns of a number that each column's sums give."""

    kind, direction = "residuals", "min"

    def compute(self, sums: np.ndarray) -> float:
        each = [self._of_column(*column) if column[0] else 0.0 for column in sums.tolist()]
        return sum(each) / len(each)

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        """The metric of one column, from its sums of w, w e², w |e|, w |e| / |t|, w (t - shift) and w (t - shift)²."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        prediction = bind_prediction(y_pred).astype(np.float64)
        target = bind_prediction(y_true, "y_true").astype(np.float64)
        if target.shape != prediction.shape:
            raise ShapeError(f"y_true has shape {np.shape(y_true)} and y_pred {np.shape(y_pred)}; they must be the same")
        return self.compute(_core.sum_residuals(prediction, target, bind_weight(sample_weight, len(target))))


class MSE(_Residual):
    """Mean squared error.

    Examples
    --------
    >>> MSE()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    name, aliases = "mse", ("mean_squared_error", "MeanSquaredError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return square / w


class RMSE(_Residual):
    """Root of the mean squared error; of each column, then averaged, as in scikit-learn.

    Examples
    --------
    >>> RMSE()([1.0, 2.0], [1.0, 2.0])
    0.0
    """

    name, aliases = "rmse", ("root_mean_squared_error", "RootMeanSquaredError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return math.sqrt(square / w)


class MAE(_Residual):
    """Mean absolute error.

    Examples
    --------
    >>> MAE()([1.0, 2.0], [1.0, 4.0])
    1.0
    """

    name, aliases = "mae", ("mean_absolute_error", "MeanAbsoluteError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return absolute / w


class MAPE(_Residual):
    """Mean absolute percentage error, in percent as in Keras (100 times scikit-learn's); |target| counts as at least 1e-7.

    Examples
    --------
    >>> MAPE()([1.0, 2.0], [1.0, 4.0])
    50.0
    """

    name, aliases = "mape", ("mean_absolute_percentage_error", "MeanAbsolutePercentageError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return 100 * relative / w


class R2(_Residual):
    """Coefficient of determination, 1 - Σ e² / Σ (t - mean)²; for constant targets 1 where they are met exactly, else 0.

    Examples
    --------
    >>> R2()([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """

    name, aliases, direction = "r2", ("r2_score",), "max"

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        spread = tt - t * t / w
        if spread > 0:
            return 1 - square / spread
        return 1.0 if square == 0 else 0.0


def _ratio(over: Any, under: Any) -> Any:
    """over / under, and 0 where under is 0 (so is over then)."""
    return over / np.where(under == 0, 1, under)


def _tally(y_true: Any, y_pred: Any, sample_weight: Any, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the confusion matrix of labels, probabilities or scores, and the labels of its rows."""
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
        return _core.count_confusion(scores, index, weight, classes, True, 0.0, 0.0), np.arange(classes)
    if pred.dtype.kind == "f" and (threshold is not None or not np.array_equal(pred, np.floor(pred))):
        if not np.isin(true, (-1, 0, 1)).all():
            raise LabelError("y_pred holds probabilities, so y_true must hold 0/1 (or -1/+1)")
        column, positive = pred.astype(np.float64)[:, None], (true > 0).astype(np.float64)
        counts = _core.count_confusion(column, positive, weight, 2, False, 0.5 if threshold is None else threshold, 0.5)
        return counts, np.arange(2)
    labels, code = np.unique(np.concatenate([true, pred]), return_inverse=True)
    n, classes = len(true), len(labels)
    counts = np.bincount(code[:n] * classes + code[n:], weights=weight, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64), labels


def _labels(values: Any) -> np.ndarray:
    """An array of labels of any type, [N], or of scores, [N, classes]."""
    array = np.asarray(values)
    if array.dtype.kind not in "biufUSO":
        array = as_array(values, "labels", np.dtype(np.float64))
    return array.reshape(-1) if array.ndim < 2 or array.size == len(array) else array.reshape(len(array), -1)


METRICS: dict[str, type[Metric]] = table(globals(), Metric)


def get(metric: Any) -> Metric:
    """Return ``metric``, or the one of that name (which stays its key in ``history``).

    Raises
    ------
    UnknownNameError
        No metric has that name; near matches are in the message.

    Examples
    --------
    >>> get("acc")
    Accuracy(name='acc')
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        return lookup("metric", metric, METRICS)(name=metric)
    cls = getattr(metric, "metric", metric)
    if isinstance(cls, type) and issubclass(cls, Metric):
        return cls()
    raise ArgumentError(f"a metric must be a name, such as 'accuracy', or an object of nn.metrics, not {metric!r}")


_UNIT = ("sigmoid", "softmax", "step")
_ODD = ("tanh", "softsign", "hardtanh")


def statistic(metrics: Iterable[Metric], targets: str, from_logits: bool, columns: int, activation: str) -> StatisticSpec:
    """Return what the core must accumulate for the metrics of one output.

    Parameters
    ----------
    metrics : iterable of Metric
    targets : str
        The form of the targets that the loss takes, see data/targets.py.
    from_logits : bool
        The output holds logits.
    columns : int
        Width of the output.
    activation : str
        What produces it; decides where the line between no and yes runs.

    Raises
    ------
    ArgumentError
        The metrics do not go together, or not with the loss.
    """
    metrics = list(metrics)
    kinds = {m.kind: m.name for m in metrics}
    if not kinds:
        return StatisticSpec("none")
    if len(kinds) > 1:
        raise ArgumentError(
            f"metrics {kinds['confusion']!r} (of classes) and {kinds['residuals']!r} (of numbers) cannot both be kept of one "
            "output; compute one of them from model.predict(x), for example nn.metrics.mae(y, model.predict(x))"
        )
    if "residuals" in kinds:
        if targets == "classes":
            raise ArgumentError(
                f"metric {kinds['residuals']!r} compares numbers, but the targets are class indices; use 'accuracy'"
            )
        return StatisticSpec("residuals")
    many = targets in ("classes", "one_hot") or (targets == "values" and columns > 1)
    for metric in metrics:
        metric.check(columns if many else 2)
    if many:
        return StatisticSpec("confusion", columns)
    odd = targets == "signs" or activation in _ODD
    zero = from_logits or (odd and activation not in _UNIT)
    thresholds = {m.threshold for m in metrics if m.threshold is not None} or {0.0 if zero else 0.5}
    if len(thresholds) > 1:
        raise ArgumentError(f"the metrics of one output must share one threshold, not {sorted(thresholds)}")
    # Of two columns, two classes would mean one class per row; the third one, never counted, says that each is a yes or no.
    return StatisticSpec("confusion", 3 if columns == 2 else 2, thresholds.pop(), 0.0 if odd else 0.5)


def counted(spec: StatisticSpec, columns: int, sums: np.ndarray) -> np.ndarray:
    """Return the part of the sums that metrics compute from."""
    return sums[:2, :2] if spec.kind == "confusion" and spec.classes > columns > 1 else sums


def _function(cls: type[Metric]) -> Callable[..., Any]:
    def alone(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> Any:
        return cls(**options)(y_true, y_pred, sample_weight)

    alone.__name__ = alone.__qualname__ = cls.name
    alone.__doc__ = f"{cls.__name__}(**options)(y_true, y_pred, sample_weight): see `{cls.__name__}`."
    vars(alone)["metric"] = cls
    return alone


accuracy = _function(Accuracy)
confusion_matrix = _function(ConfusionMatrix)
precision = _function(Precision)
recall = _function(Recall)
specificity = _function(Specificity)
f1 = _function(F1)
mse = _function(MSE)
rmse = _function(RMSE)
mae = _function(MAE)
mape = _function(MAPE)
r2 = _function(R2)
