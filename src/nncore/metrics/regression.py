"""Metrics of regression, computed from sums of errors per column. The layout of the sums is documented in csrc/ops/kernels.inc.

Results equal scikit-learn's. Several columns are averaged, as with scikit-learn's "uniform_average".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .._core import sum_residuals
from ..data import bind_prediction, bind_weight, shape_of
from ..errors import ArgumentError, ShapeError
from ..records import COMMON_SUMS, StatisticSpec
from .base import Metric

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from .task import Task


class _Residual(Metric):
    """A metric that is computed for each column and averaged over the columns."""

    kind, direction = "residuals", "min"

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the sums of residuals."""
        if task.targets == "classes":
            raise ArgumentError(f"metric {self.name!r} compares numbers, but the targets are class indices; use 'accuracy'")
        return (StatisticSpec("residuals"),)

    def compute(self, sums: np.ndarray) -> float:
        """Return the mean of the metric over the columns. sums: in the third place the number of rows, then 7 per column."""
        given = sums.tolist()  # a NumPy operation takes longer than all of this
        if len(given) == COMMON_SUMS + 7:  # most often there is one column
            column = given[COMMON_SUMS:]
            return self._of_rows(self._of_column(*column) if column[0] else 0.0, given[2])
        columns = [given[i : i + 7] for i in range(COMMON_SUMS, len(given), 7)]
        each = [self._of_column(*column) if column[0] else 0.0 for column in columns]
        return self._of_rows(sum(each) / len(each), given[2])

    def _of_rows(self, value: float, rows: float) -> float:
        """Return the value, or NaN if it is not defined for so few rows."""
        return value

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        """Return the metric of one column, from its sums of w, w e², w |e|, w |e| / |t|, w (t - shift) and w (t - shift)²."""
        raise NotImplementedError

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        prediction = bind_prediction(y_pred).astype(np.float64)
        target = bind_prediction(y_true, "y_true").astype(np.float64)
        if target.shape != prediction.shape:
            raise ShapeError(f"y_true has shape {shape_of(y_true)} and y_pred {shape_of(y_pred)}; they must be the same")
        weight = bind_weight(sample_weight, len(target))
        common = np.zeros(COMMON_SUMS)
        common[2] = len(target) if weight is None else np.count_nonzero(weight)
        return self.compute(np.concatenate([common, sum_residuals(prediction, target, weight).reshape(-1)]))


class MSE(_Residual):
    """Mean squared error.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.MSE()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    name, aliases = "mse", ("mean_squared_error", "MeanSquaredError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return square / w


class RMSE(_Residual):
    """Root of the mean squared error, computed per column and then averaged, as in scikit-learn.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.RMSE()([1.0, 2.0], [1.0, 2.0])
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
    >>> import nncore as nn
    >>> nn.metrics.MAE()([1.0, 2.0], [1.0, 4.0])
    1.0
    """

    name, aliases = "mae", ("mean_absolute_error", "MeanAbsoluteError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return absolute / w


class MAPE(_Residual):
    """Mean absolute percentage error, in percent as in Keras (100 times scikit-learn's). |target| is replaced by at least 1e-7.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.MAPE()([1.0, 2.0], [1.0, 4.0])
    50.0
    """

    name, aliases = "mape", ("mean_absolute_percentage_error", "MeanAbsolutePercentageError")

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        return 100 * relative / w


class R2(_Residual):
    """Coefficient of determination, 1 - Σ e² / Σ (t - mean)². For constant targets it is 1 if all are predicted exactly, else 0.

    Of a single row it is not defined (NaN).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.metrics.R2()([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """

    name, aliases, direction = "r2", ("r2_score", "R2Score"), "max"

    @staticmethod
    def _of_column(w: float, square: float, absolute: float, relative: float, t: float, tt: float, shift: float) -> float:
        spread = tt - t * t / w
        if spread > 0:
            return 1 - square / spread
        if square != square or spread != spread:
            return math.nan
        return 1.0 if square == 0 else 0.0

    def _of_rows(self, value: float, rows: float) -> float:
        return math.nan if rows == 1 else value
