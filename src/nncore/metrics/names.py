"""The types of what ``compile`` accepts as a metric: names, for type checkers and editors, and users' own functions and objects.

A test compares the names with the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from ..losses import Loss, LossName
from .base import Metric

# fmt: off
#: Every name of a metric, one line per metric.
MetricName = Literal[
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "accuracy_score",
    "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "Accuracy",
    "average_precision", "pr_auc", "average_precision_score", "AveragePrecision",
    "balanced_accuracy", "balanced_accuracy_score", "BalancedAccuracy",
    "roc_auc", "auc", "AUC", "roc_auc_score", "AUROC", "RocAuc",
    "confusion_matrix", "ConfusionMatrix",
    "f1", "f1_score", "F1Score", "F1",
    "fbeta", "fbeta_score", "FBetaScore", "FBeta",
    "log_loss", "logloss", "LogLoss",
    "matthews_correlation", "mcc", "MCC", "matthews_corrcoef", "MatthewsCorrCoef", "MatthewsCorrelation",
    "mae", "mean_absolute_error", "MeanAbsoluteError", "MAE",
    "mape", "mean_absolute_percentage_error", "MeanAbsolutePercentageError", "MAPE",
    "mse", "mean_squared_error", "MeanSquaredError", "MSE",
    "precision", "Precision",
    "r2", "r2_score", "R2Score", "R2",
    "recall", "Recall",
    "rmse", "root_mean_squared_error", "RootMeanSquaredError", "RMSE",
    "specificity", "Specificity",
    "top_k_accuracy", "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy", "top_k_accuracy_score",
    "TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "TopKAccuracy",
]
# fmt: on


class MetricObject(Protocol):
    """A user's metric that accumulates its own state, as in Keras.

    Examples
    --------
    >>> import nncore as nn
    >>> class Rows:
    ...     count = 0
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.count += len(y_true)
    ...
    ...     def result(self):
    ...         return self.count
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> model.compile(loss="mse", optimizer="sgd", metrics=[Rows()])
    >>> model.evaluate([[1.0], [2.0]], [1.0, 4.0], return_dict=True, verbose=0)["Rows"]
    2
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any, /) -> Any: ...
    def result(self) -> Any: ...


#: What ``compile`` accepts: the name of a metric or loss, an object or class of `nncore.metrics` or `nncore.losses`, a function of
#: targets and predictions, or an object.
MetricLike = MetricName | LossName | Metric | Loss | MetricObject | Callable[..., Any]
