"""Metrics: declarations over two kinds of sums that the core accumulates while it trains or evaluates.

"confusion" counts [true class, predicted class]; "residuals" sums errors per column. A metric turns such sums into its number and
needs no pass of its own. Rows count with their weights, as in scikit-learn. Called alone, as ``nn.metrics.f1(y_true, y_pred)`` or
``nn.metrics.F1(average="macro")(y_true, y_pred)``, a metric equals scikit-learn's; ``mape`` is in percent, as Keras has it. One
output of a model has metrics of one kind; and any number of those that see the rows themselves: "roc_auc", and what is written in
Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._declarations import table
from ..errors import lookup
from .base import Metric
from .classification import F1, Accuracy, ConfusionMatrix, Precision, Recall, Specificity
from .python import PythonMetric
from .ranking import RocAuc
from .regression import MAE, MAPE, MSE, R2, RMSE
from .statistic import counted, statistic

__all__ = [
    "F1",
    "MAE",
    "MAPE",
    "METRICS",
    "MSE",
    "R2",
    "RMSE",
    "Accuracy",
    "ConfusionMatrix",
    "Metric",
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

METRICS: dict[str, type[Metric]] = table(globals(), Metric)  # PythonMetric has no name of its own


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
    return PythonMetric(metric)


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
roc_auc = _function(RocAuc)
