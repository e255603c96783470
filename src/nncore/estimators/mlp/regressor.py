"""MLPRegressor."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import available_if, fitting
from ..base import Regressing, joined
from ..targets import Numbers, dense, without_column
from .base import MLP
from .classifier import may_go_on
from .documentation import documented
from .objectives import Objective, of_numbers


@documented
class MLPRegressor(Regressing, MLP):
    """Multi-layer perceptron regressor: scikit-learn's ``MLPRegressor``, faster and with more choices.

    Parameters
    ----------
    loss : str or loss, default "squared_error"
        "squared_error"; "poisson", with exponential outputs for targets that are counts; "absolute_error"; "huber"; a name or an
        object of `nncore.losses` for numbers; a function ``f(y_true, y_pred)`` that returns the losses of rows [N] and their
        gradients.
    {only}
    {further}
    {last}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> X = np.linspace(-2, 2, 200)[:, None]
    >>> reg = nn.estimators.MLPRegressor(solver="lbfgs", random_state=0)
    >>> y = np.sin(2 * X[:, 0])
    >>> reg.fit(X, y).score(X, y) > 0.99
    True
    >>> reg.predict([[0.0]]).shape
    (1,)
    >>> nn.estimators.MLPRegressor().partial_fit(X, X[:, 0]).n_iter_
    1
    """

    _checks: ClassVar[dict[str, Any]] = {"y_numeric": True}

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
        dtype: str = "auto",
        compute: str | None = None,
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train a network: a new one, or with ``warm_start`` that of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. Sparse ones are made dense batch by batch; for "lbfgs" in blocks of 32 MB, with ``batch_norm`` all at once.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The numbers to predict.
        sample_weight : array-like of shape (n_samples,), optional
        validation_data : tuple, optional
            ``(X, y)`` or ``(X, y, sample_weight)``: rows to validate on after each epoch, in place of a part of X.
        X_val, y_val : array-like, optional
            The same, for ``Pipeline(…, transform_input=["X_val"])``, which transforms ``X_val``.

        Returns
        -------
        MLPRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            A parameter or the data cannot be used, or the weights have become infinite.
        """
        self._fit(X, y, sample_weight, joined(validation_data, X_val, y_val))
        return self

    @available_if(may_go_on)
    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.

        Returns
        -------
        MLPRegressor
            The estimator itself.
        """
        self._fit(X, y, sample_weight, is_partial=True)
        return self

    def _read(self, X: Any, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[Any, Any, Any, Numbers]:
        X, y, weight = self._validated(X, y, weight, reset, **self._checks)
        y = without_column(dense(y))
        return X, y, weight, Numbers(y) if reset else self._targets

    def _objective(self, targets: Numbers, y: np.ndarray) -> Objective:
        return of_numbers(self.loss, y.reshape(len(y), -1))

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weight: Any) -> float:
        """Return R², as ``sklearn.metrics.r2_score`` has it: the mean over the outputs, 1 or 0 for targets that do not vary."""
        if not np.isfinite(outputs).all():
            return float("nan")
        y = y.astype(np.float64)
        mean = np.average(y, axis=0, weights=weight)
        rows = np.ones(len(y)) if weight is None else weight
        left, all_of_it = rows @ (y - outputs) ** 2, rows @ (y - mean) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(all_of_it > 0, 1 - left / all_of_it, np.where(left > 0, 0.0, 1.0))
        return float(found.mean())
