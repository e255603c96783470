"""Losses for regression: csrc/ops/losses/regression.c."""

from __future__ import annotations

from typing import Any

from .._checks import real
from .base import Loss, Reduction, check_width, columns_as_attributes, per_column


class MeanSquaredError(Loss):
    """Mean over the columns of (prediction - target)².

    See Also
    --------
    Huber : for outliers.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    name, aliases = "mean_squared_error", ("mse", "MSE")


class HalfSquaredError(Loss):
    """½ Σ (prediction - target)² over the columns. This is the loss of many textbooks; its gradient is prediction - target.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.HalfSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
    2.5
    """

    name = "half_squared_error"


class MeanAbsoluteError(Loss):
    """Mean over the columns of |prediction - target|.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]])
    1.5
    """

    name, aliases = "mean_absolute_error", ("mae", "MAE", "l1")


class MeanAbsolutePercentageError(Loss):
    """Mean over the columns of 100 |prediction - target| / max(|target|, 1e-7), in percent as in Keras.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
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
    >>> import nncore as nn
    >>> nn.losses.Huber(delta=1.0)([[0.0]], [[3.0]])
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
    >>> import nncore as nn
    >>> round(nn.losses.Poisson()([2.0], [1.0]), 4)
    1.0
    """

    name = "poisson"


class MeanSquaredLogarithmicError(Loss):
    """Mean over the columns of (log(1 + prediction) - log(1 + target))²; both count as at least 1e-7, as in Keras.

    The gradient of a negative prediction is therefore 0: let the model end in a Softplus or ReLU.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
    0.4805
    """

    name, aliases = "mean_squared_logarithmic_error", ("msle", "MSLE")


class LogCosh(Loss):
    """Mean over the columns of log(cosh(prediction - target)): about ½ e² for small errors e, |e| - log 2 for large ones.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.LogCosh()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    name, aliases = "log_cosh", ("logcosh",)


class Quantile(Loss):
    """The pinball loss max(q e, (q - 1) e), e = target - prediction (Koenker & Bassett, 1978); mean over the columns.

    It is smallest if the predictions are the q-quantiles of the targets. With q = 0.5 it is half of the absolute error.

    Parameters
    ----------
    quantile : float or sequence of float, default 0.5
        q, above 0 and below 1; or one for each column of the output. The output may then have several columns for targets of one,
        [N] or [N, 1].
    reduction : str
        See `Loss`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.Quantile(0.9)([[0.0], [2.0]], [[1.0], [1.0]])
    0.5
    >>> nn.losses.Quantile([0.1, 0.9])([2.0], [[1.0, 1.0]])
    0.5
    """

    name, aliases, targets, attributes = "quantile", ("pinball", "quantile_loss", "pinball_loss"), "repeated", ("quantile",)

    def __init__(self, quantile: Any = 0.5, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.quantile = per_column("Quantile", "quantile", quantile, 0.0, 1.0, open_low=True, open_high=True)

    def check_columns(self, columns: int) -> None:
        check_width("Quantile", "quantile", self.quantile, columns)

    def _attributes(self) -> tuple[float, ...]:
        return columns_as_attributes(self.quantile)


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between prediction and target, for each row: -1 if they have the same direction, as in Keras.

    A length below 1e-6 counts as 1e-6, so that the loss of a row of zeros is 0.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.CosineSimilarity()([[0.0, 1.0]], [[3.0, 4.0]]), 4)
    -0.8
    """

    name = "cosine_similarity"
