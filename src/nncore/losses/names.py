"""The types of what ``compile`` accepts as a loss: names, for type checkers and editors, and the users' own functions and objects.

A test compares the names with the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from .base import Loss

# fmt: off
#: Every name of a loss, one line per loss.
LossName = Literal[
    "binary_crossentropy", "bce", "BCE", "BinaryCrossentropy",
    "binary_focal_crossentropy", "BinaryFocalCrossentropy",
    "categorical_crossentropy", "CategoricalCrossentropy",
    "categorical_focal_crossentropy", "CategoricalFocalCrossentropy",
    "categorical_hinge", "CategoricalHinge",
    "cosine_similarity", "CosineSimilarity",
    "gaussian_nll", "gnll", "GaussianNLLLoss", "GaussianNLL",
    "half_squared_error", "HalfSquaredError",
    "hinge", "Hinge",
    "huber", "Huber",
    "kl_divergence", "kld", "KLD", "kullback_leibler_divergence", "KLDivergence",
    "log_cosh", "logcosh", "LogCosh",
    "mean_absolute_error", "mae", "MAE", "l1", "MeanAbsoluteError",
    "mean_absolute_percentage_error", "mape", "MAPE", "MeanAbsolutePercentageError",
    "mean_squared_error", "mse", "MSE", "MeanSquaredError",
    "mean_squared_logarithmic_error", "msle", "MSLE", "MeanSquaredLogarithmicError",
    "perceptron", "Perceptron",
    "poisson", "Poisson",
    "quantile", "pinball", "quantile_loss", "pinball_loss", "Quantile",
    "sparse_categorical_crossentropy", "SparseCategoricalCrossentropy",
    "sparse_categorical_focal_crossentropy", "SparseCategoricalFocalCrossentropy",
    "squared_hinge", "SquaredHinge",
]
# fmt: on


class LossObject(Protocol):
    """A user's loss as an object. ``value`` returns the losses of the rows [N], ``gradient`` their gradient with the shape of
    ``y_pred``.

    Examples
    --------
    >>> import nncore as nn
    >>> class Squared:
    ...     def value(self, y_true, y_pred):
    ...         return ((y_pred - y_true) ** 2).sum(axis=1)
    ...
    ...     def gradient(self, y_true, y_pred):
    ...         return 2 * (y_pred - y_true)
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    >>> model.compile(loss=Squared(), optimizer="sgd")
    >>> model.evaluate([[1.0], [2.0]], [[1.0], [4.0]], verbose=0)
    2.0
    """

    def value(self, y_true: Any, y_pred: Any, /) -> Any: ...
    def gradient(self, y_true: Any, y_pred: Any, /) -> Any: ...


#: What ``compile`` accepts: a name, an object of `nncore.losses`, or a function that returns losses and gradient.
LossLike = LossName | Loss | LossObject | Callable[[Any, Any], tuple[Any, Any]]
