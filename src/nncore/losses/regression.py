"""Losses for regression: csrc/ops/losses/regression.c."""

from __future__ import annotations

from .._checks import real
from .base import Loss, Reduction


class MeanSquaredError(Loss):
    """Mean over the columns of (prediction - target)².

    Examples
    --------
    >>> MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    name, aliases = "mean_squared_error", ("mse", "MSE")


class HalfSquaredError(Loss):
    """½ Σ (prediction - target)² over the columns. This is the loss of many textbooks; its gradient is prediction - target.

    Examples
    --------
    >>> HalfSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    name = "half_squared_error"


class MeanAbsoluteError(Loss):
    """Mean over the columns of |prediction - target|.

    Examples
    --------
    >>> MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]])
    1.5
    """

    name, aliases = "mean_absolute_error", ("mae", "MAE", "l1")


class MeanAbsolutePercentageError(Loss):
    """Mean over the columns of 100 |prediction - target| / max(|target|, 1e-7), in percent as in Keras.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
    25.0
    """

    name, aliases = "mean_absolute_percentage_error", ("mape", "MAPE")


class Huber(Loss):
    """Quadratic for errors up to delta, linear for larger ones (Huber, 1964); mean over the columns.

    Parameters
    ----------
    delta : float, default 1
        The error |e| above which delta |e| - ½ delta² replaces ½ e².
    reduction : str
        See `Loss`.

    Examples
    --------
    >>> Huber(delta=1.0)([[0.0]], [[3.0]])
    2.5
    """

    name, attributes = "huber", ("delta",)

    def __init__(self, delta: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.delta = real("Huber", "delta", delta, 0.0, open_low=True)


class Poisson(Loss):
    """z - t log z, mean over the columns. Predictions are rates.

    Examples
    --------
    >>> round(Poisson()([2.0], [1.0]), 4)
    1.0
    """

    name = "poisson"
