"""Metrics: declarations over sums that the core accumulates during training and evaluation.

There are counts of classes or decisions, sums of errors per column, and sums of a loss. A metric computes its value from these sums
and needs no additional pass over the data. In a model, those in ``weighted_metrics`` count the rows with their weights. An output
of a model can have metrics of any kinds, also such that see the rows themselves: "roc_auc", "average_precision", and metrics
written in Python.

A metric can be called by itself: ``nn.metrics.f1(y_true, y_pred)`` or ``nn.metrics.F1(average="macro")(y_true, y_pred)``. The
result equals scikit-learn's, except that ``mape`` is in percent, and that the accuracy of several labels per row counts each label,
both as in Keras. A NaN in predictions or targets makes the result NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, overload

from .._checks import not_foreign, shown
from .._declarations import table
from .._lazy import refusing
from ..errors import ArgumentError, lookup
from ..foreign.objects import library
from ..losses import LOSSES, Loss
from .base import Metric
from .classification import Accuracy, BalancedAccuracy, ConfusionMatrix, MatthewsCorrelation, TopKAccuracy
from .loss import LogLoss, LossMetric
from .names import MetricLike, MetricName, MetricObject
from .picture import plot_confusion
from .python import Partial as Partial
from .python import PythonMetric
from .python import Unweighted as Unweighted
from .ranking import AveragePrecision, RankingAverage, RocAuc
from .ratios import F1, Average, FBeta, Precision, Recall, Specificity
from .regression import MAE, MAPE, MSE, R2, RMSE
from .statistic import Reader as Reader
from .statistic import from_old_sums as from_old_sums
from .statistic import statistics as statistics
from .task import Task as Task

if TYPE_CHECKING:
    import numpy as np

    from ..typing import ArrayLike

__all__ = [
    "F1",
    "MAE",
    "MAPE",
    "METRICS",
    "MSE",
    "R2",
    "RMSE",
    "Accuracy",
    "Average",
    "AveragePrecision",
    "BalancedAccuracy",
    "ConfusionMatrix",
    "FBeta",
    "LogLoss",
    "LossMetric",
    "MatthewsCorrelation",
    "Metric",
    "MetricLike",
    "MetricName",
    "MetricObject",
    "Precision",
    "PythonMetric",
    "RankingAverage",
    "Recall",
    "RocAuc",
    "Specificity",
    "TopKAccuracy",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "confusion_matrix",
    "f1",
    "fbeta",
    "get",
    "log_loss",
    "mae",
    "mape",
    "matthews_correlation",
    "mse",
    "plot_confusion",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "specificity",
    "top_k_accuracy",
]

#: Maps every name that ``compile`` accepts to its metric.
METRICS: dict[str, type[Metric]] = table(globals(), Metric)  # without PythonMetric, whose objects have individual names


def get(metric: MetricLike) -> Metric:
    """Return ``metric`` itself, or the metric or loss with this name. The name stays its key in ``history``.

    Raises
    ------
    UnknownNameError
        No metric has this name. The message lists similar names.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.get("acc")
    Accuracy(name='acc')
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric in LOSSES and metric not in METRICS:
            return LossMetric.following(LOSSES[metric], metric)
        return lookup("metric", metric, METRICS)(name=metric)
    cls = getattr(metric, "metric", metric)
    if isinstance(cls, type) and issubclass(cls, Metric):
        return cls()
    if isinstance(cls, type) and issubclass(cls, Loss):
        return LossMetric.following(cls)
    if isinstance(metric, Loss):
        return LossMetric(metric)
    keeps_account = hasattr(metric, "update_state") and hasattr(metric, "result")  # as Keras's do
    if not keeps_account and library(metric) != "scikit-learn's":  # whose functions take arrays
        not_foreign("metrics", metric, "metrics")
    if not callable(metric) and not keeps_account:
        raise ArgumentError(
            f"metrics: {shown(metric)} is no metric; use a name, such as 'accuracy', an object of nn.metrics, a function of y_true "
            "and y_pred, or an object with update_state and result"
        )
    try:
        return PythonMetric(metric)
    except ArgumentError as error:  # which speaks of the constructor
        raise ArgumentError(str(error).replace("PythonMetric: given", "metrics: a metric", 1)) from None


class _Mean(Protocol):
    """A metric whose value is one number."""

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, name: str | None = None
    ) -> float: ...


class _OfClasses(Protocol):
    """A metric whose value is one number, computed from counts."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        name: str | None = None,
    ) -> float: ...


class _Accuracy(Protocol):
    """Accuracy."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        subset: bool = False,
        name: str | None = None,
    ) -> float: ...


class _TopK(Protocol):
    """Accuracy of the k classes with the greatest scores."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        k: int = 5,
        name: str | None = None,
    ) -> float: ...


class _Balanced(Protocol):
    """Balanced accuracy."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        adjusted: bool = False,
        threshold: float | None = None,
        name: str | None = None,
    ) -> float: ...


class _Matrix(Protocol):
    """The confusion matrix."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        name: str | None = None,
    ) -> np.ndarray: ...


class _Averaged(Protocol):
    """A metric computed per class. With ``average=None`` the value is an array, otherwise one number."""

    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        average: None,
        threshold: float | None = None,
        pos_label: float | str = 1,
        name: str | None = None,
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        average: Average = "binary",
        threshold: float | None = None,
        pos_label: float | str = 1,
        name: str | None = None,
    ) -> float: ...


class _FBeta(Protocol):
    """F-beta. With ``average=None`` the value is an array, otherwise one number."""

    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        beta: float = 1.0,
        average: None,
        threshold: float | None = None,
        pos_label: float | str = 1,
        name: str | None = None,
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        beta: float = 1.0,
        average: Average = "binary",
        threshold: float | None = None,
        pos_label: float | str = 1,
        name: str | None = None,
    ) -> float: ...


class _Ranked(Protocol):
    """A metric of ranking. With ``average=None`` the value has one number per column, otherwise it is one number."""

    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        average: None,
        name: str | None = None,
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        average: RankingAverage = "macro",
        name: str | None = None,
    ) -> float: ...


class _RankedLabel(Protocol):
    """A metric of ranking one of two labels."""

    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        average: None,
        pos_label: float | str = 1,
        name: str | None = None,
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        average: RankingAverage = "macro",
        pos_label: float | str = 1,
        name: str | None = None,
    ) -> float: ...


def _function(cls: type[Metric], given: str, value: object) -> Any:
    """Return the function of a metric. ``given`` and ``value`` are its example."""

    def function(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> Any:
        try:
            metric = cls(**options)
        except ArgumentError as error:  # which names the class
            raise ArgumentError(cls.name + str(error).removeprefix(cls.__name__)) from None
        return metric(y_true, y_pred, sample_weight)

    function.__name__ = function.__qualname__ = name = cls.name
    summary = (cls.__doc__ or "").split("\n\n")[0]
    function.__doc__ = f"""{summary}

    Parameters
    ----------
    y_true, y_pred, sample_weight
        See `Metric`.
    **options
        See `{cls.__name__}`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.{name}({given})
    {value}
    """
    vars(function)["metric"] = cls
    return function


accuracy: _Accuracy = _function(Accuracy, "[0, 1, 2, 2], [0, 1, 2, 1]", 0.75)
top_k_accuracy: _TopK = _function(TopKAccuracy, "[1, 2], [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]], k=2", 0.5)
balanced_accuracy: _Balanced = _function(BalancedAccuracy, "[0, 0, 1], [0, 1, 1]", 0.75)
matthews_correlation: _OfClasses = _function(MatthewsCorrelation, "[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 0, 1, 1, 1]", 0.5)
confusion_matrix: _Matrix = _function(ConfusionMatrix, "[0, 1, 1], [0, 1, 0]", "array([[1, 0],\n           [1, 1]])")
precision: _Averaged = _function(Precision, "[0, 0, 1, 1], [0, 1, 1, 0]", 0.5)
recall: _Averaged = _function(Recall, "[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]", 0.75)
specificity: _Averaged = _function(Specificity, "[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]", 0.75)
f1: _Averaged = _function(F1, "[0, 1, 1], [1, 1, 0]", 0.5)
fbeta: _FBeta = _function(FBeta, "[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0], beta=2", 0.2)
roc_auc: _Ranked = _function(RocAuc, "[0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]", 0.75)
average_precision: _RankedLabel = _function(AveragePrecision, "[1, 0, 0, 1], [0.9, 0.8, 0.7, 0.6]", 0.75)
log_loss: _Mean = _function(LogLoss, "[0, 1], [0.5, 0.5]", 0.6931471805599453)
mse: _Mean = _function(MSE, "[1, 2], [1, 4]", 2.0)
rmse: _Mean = _function(RMSE, "[1, 2, 3, 4], [3, 2, 3, 4]", 1.0)
mae: _Mean = _function(MAE, "[1, 2], [1, 4]", 1.0)
mape: _Mean = _function(MAPE, "[2, 4], [1, 4]", 25.0)
r2: _Mean = _function(R2, "[1, 2, 3], [1, 2, 2]", 0.5)


if not TYPE_CHECKING:
    __getattr__ = refusing(__name__, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
