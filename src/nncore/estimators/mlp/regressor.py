"""MLPRegressor."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .._sklearn import HasMethods, available_if, column_or_1d, fitting
from ..base import Regressing
from ..targets import Numbers
from .base import MLP
from .classifier import _may_go_on
from .objectives import Objective, of_numbers


class MLPRegressor(Regressing, MLP):
    """Multi-layer perceptron regressor."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLP._parameter_constraints,
        "loss": [str, HasMethods("spec"), HasMethods(["value", "gradient"]), callable],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        callbacks: Any = None,
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train a new network."""
        self._fit(X, y, sample_weight)
        return self

    @available_if(_may_go_on)
    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one more epoch on these rows."""
        self._fit(X, y, sample_weight, is_partial=True)
        return self

    def _read(self, X: Any, y: Any, weight: Any, reset: bool, is_partial: bool) -> tuple[Any, Any, Any]:
        X, y, weight = self._validated(X, y, weight, reset, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self._targets = Numbers(y)
        return X, y, weight

    def _objective(self) -> Objective:
        return of_numbers(self.loss, self._targets.columns)

    def _score_of(self, outputs: np.ndarray, y: Any, weight: Any) -> float:
        from sklearn.metrics import r2_score

        if not np.isfinite(outputs).all():
            return float("nan")
        return float(r2_score(y, outputs, sample_weight=weight))
