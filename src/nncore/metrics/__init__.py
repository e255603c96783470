"""Metrics: declarations over two kinds of sums that the core accumulates during training and evaluation.

The kind "confusion" counts [true class, predicted class]. The kind "residuals" sums errors per column. A metric computes its value
from these sums and needs no additional pass over the data. Rows count with their weights, as in scikit-learn.

A metric can be called by itself: ``nn.metrics.f1(y_true, y_pred)`` or ``nn.metrics.F1(average="macro")(y_true, y_pred)``. The
result equals scikit-learn's, except that ``mape`` is in percent, as in Keras.

An output of a model can have metrics of only one of the two kinds. It can also have any number of metrics that see the rows
themselves: "roc_auc", and metrics written in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from .._declarations import table
from .._lazy import refusing
from ..errors import lookup
from .base import Metric
from .classification import F1, Accuracy, Average, ConfusionMatrix, Precision, Recall, Specificity
from .names import MetricLike, MetricName, MetricObject
from .python import PythonMetric
from .ranking import RocAuc
from .regression import MAE, MAPE, MSE, R2, RMSE
from .statistic import counted, statistic

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
    "ConfusionMatrix",
    "Metric",
    "MetricLike",
    "MetricName",
    "MetricObject",
    "Precision",
    "PythonMetric",
    "Recall",
    "RocAuc",
    "Specificity",
    "accuracy",
    "confusion_matrix",
    "counted",
    "f1",
    "get",
    "mae",
    "mape",
    "mse",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "specificity",
    "statistic",
]

METRICS: dict[str, type[Metric]] = table(globals(), Metric)  # without PythonMetric, whose objects have individual names


def get(metric: MetricLike) -> Metric:
    """Return ``metric`` itself, or the metric with this name. The name stays its key in ``history``.

    Raises
    ------
    UnknownNameError
        No metric has this name. The message lists similar names.

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
    return PythonMetric(metric)


class _Mean(Protocol):
    """A metric whose value is one number."""

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, name: str | None = None
    ) -> float: ...


class _OfClasses(Protocol):
    """A metric whose value is one number, computed from the confusion matrix."""

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
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
        name: str | None = None,
    ) -> float: ...


class _Ranked(Protocol):
    """The area under the curve. With ``average=None`` the value has one area per column, otherwise it is one number."""

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
        average: Literal["macro", "weighted"] = "macro",
        name: str | None = None,
    ) -> float: ...


def _function(cls: type[Metric]) -> Any:
    def function(y_true: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> Any:
        return cls(**options)(y_true, y_pred, sample_weight)

    function.__name__ = function.__qualname__ = cls.name
    function.__doc__ = f"{cls.__name__}(**options)(y_true, y_pred, sample_weight): see `{cls.__name__}`."
    vars(function)["metric"] = cls
    return function


accuracy: _OfClasses = _function(Accuracy)
confusion_matrix: _Matrix = _function(ConfusionMatrix)
precision: _Averaged = _function(Precision)
recall: _Averaged = _function(Recall)
specificity: _Averaged = _function(Specificity)
f1: _Averaged = _function(F1)
mse: _Mean = _function(MSE)
rmse: _Mean = _function(RMSE)
mae: _Mean = _function(MAE)
mape: _Mean = _function(MAPE)
r2: _Mean = _function(R2)
roc_auc: _Ranked = _function(RocAuc)


if not TYPE_CHECKING:
    __getattr__ = refusing(__name__, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
