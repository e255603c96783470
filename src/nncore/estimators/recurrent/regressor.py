"""RecurrentRegressor: recurrent networks that predict numbers from sequences, and forecast series."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import check_array, check_is_fitted, fitting
from ..wrapped import building
from ..wrapped.base import Given, Wrapped
from ..wrapped.documentation import documented
from ..wrapped.predicting import Regresses
from ..wrapped.samples import Samples
from . import series
from .network import CONSTRAINTS, architecture, network


@documented
class RecurrentRegressor(Regresses, Wrapped):
    """A recurrent network that predicts numbers from sequences, or forecasts series.

    X is an array [sequences, steps] of one feature or [sequences, steps, features], or a list of sequences [steps, features] of
    different lengths. With ``window``, X is a series [time] or [time, features] or a list of series. The network then learns what
    follows each window: the next ``horizon`` steps of the series itself, or of y if there is one.

    Parameters
    ----------
    {cells}
    horizon : int, default 1
        With ``window``: how many steps after a window are predicted. 0 is the target of the last step of the window.
    {stride}
    scale : bool, default True
        With ``window``: whether the network gets each feature and each target with mean 0 and standard deviation 1, as in training.
    {step}
    {loss_of_numbers}
    {training}
    {running}

    Attributes
    ----------
    {fitted}
    {columns}

    See Also
    --------
    nncore.split_series : parts of a series for training, validation and testing.
    sklearn.model_selection.TimeSeriesSplit : splits of a series for cross-validation. It needs no gap here, as every part is cut
        into windows of its own.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> series = 20 + 5 * np.sin(np.arange(300) / 4)
    >>> past, future = nn.split_series(series, validation=12)
    >>> net = nn.estimators.RecurrentRegressor(
    ...     window=24, horizon=3, hidden_sizes=(16,), lr=0.01, epochs=30, random_state=0
    ... )
    >>> net.fit(past).forecast(12).shape
    (12,)
    >>> bool(np.abs(net.forecast(12) - future).max() < 1)
    True
    >>> net.predict(past).shape  # the 3 steps after each window
    (265, 3)
    >>> net.partial_fit(past).forecast(2).shape
    (2,)

    Each row is a sequence:

    >>> X = np.random.default_rng(0).normal(size=(100, 12))
    >>> net = nn.estimators.RecurrentRegressor(
    ...     hidden_sizes=(16,), epochs=40, lr=0.01, random_state=0
    ... )
    >>> net.fit(X, X.mean(axis=1)).score(X, X.mean(axis=1)) > 0.9
    True
    """

    _rows_are_sequences: ClassVar[bool] = True
    _scale: series.Scale
    _checks: ClassVar[dict[str, Any]] = {"y_numeric": True}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_sizes: Any = (64,),
        bidirectional: bool = False,
        dropout: float = 0.0,
        window: Any = None,
        horizon: int = 1,
        stride: int = 1,
        scale: bool = True,
        optimizer: Any = "adam",
        lr: Any = None,
        loss: Any = "auto",
        metrics: Any = (),
        epochs: int = 100,
        batch_size: Any = 32,
        shuffle: bool = True,
        callbacks: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        dtype: str = "auto",
        compute: Any = None,
        threads: Any = None,
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.window is None
        return tags

    @fitting
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        validation_data: Any = None,
    ) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps) or (n_samples, n_steps, n_features), or list of sequences
            With ``window``: a series of shape (n_steps,) or (n_steps, n_features), or a list of series.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            With ``window``: values for each step to be predicted in place of the series itself, and a list for a list of series.
        sample_weight : array-like of shape (n_samples,), optional
            With ``window``: weights of the first step that is predicted.
        lengths : array-like of shape (n_samples,), optional
            The number of valid steps of each sequence; the rest is padding.
        mask : array-like of shape (n_samples, n_steps), optional
            Which steps are valid, in place of ``lengths``.
        validation_data : tuple, optional
            ``(X, y)`` to validate on. With ``window`` and ``early_stopping``, the default is the last part of each series.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, validation_data))
        return found

    def _make(self, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
        return network(self, shape, n_outputs)

    def _architecture(self) -> dict[str, Any]:
        return architecture(self)

    def _fit(self, given: Given) -> Self:
        if self.window is None:
            super()._fit(given)
            return self
        self._refuse_changes(given.is_partial)
        super()._fit(series.prepared(self, given))
        self._tail = series.tables(self, given.X, reset=False)[-1][-int(self.window) :].copy()  # also of the part to validate on
        return self

    def _read(self, X: Any, y: Any, lengths: Any, mask: Any, reset: bool) -> tuple[Samples, Any]:
        if self.window is None:
            return super()._read(X, y, lengths, mask, reset)
        return series.read(self, X, y, lengths, mask, reset)

    def _windows(self, X: Any, y: Any, reset: bool) -> tuple[Samples, Any]:
        many, values = self._series_and_targets(X, y, reset)
        if reset:
            self._scale = series.Scale(many, self.scale)
            self._target_scale = series.Scale(values, self.scale)
            self._tail, self._follows_itself, self._columns = many[-1][-int(self.window) :].copy(), y is None, values[0].shape[1]
        elif values[0].shape[1] != self._columns or self._follows_itself is not (y is None):
            raise ValueError("y must be what it was in the first fit: the series itself (None), or as many columns.")
        scaled = [self._target_scale(each) for each in values]
        x, found = series.pairs(self, [self._scale(each) for each in many], scaled, int(self.horizon))
        found = found.reshape(len(found), -1)
        return Samples(x), found if found.shape[1] > 1 else found[:, 0]

    def _series_and_targets(self, X: Any, y: Any, reset: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return each series [time, features] and what is predicted, [time, targets]."""
        many = series.tables(self, X, reset)
        if y is None:
            return many, many
        values = [
            check_array(each, ensure_2d=False, dtype=many[0].dtype, input_name="y", estimator=self)
            for each in series.targets_of(X, y, many)
        ]
        return many, [each.reshape(len(each), -1) for each in values]

    def _refuse_other_windows(self) -> None:
        """Raise an error if there is no fit, or if window or horizon have been set since."""
        check_is_fitted(self)
        now = {name: getattr(self, name) for name in ("window", "horizon")}
        building.refuse_changes(type(self).__name__, {name: self._made_from[name] for name in now}, now, "; call fit again")

    def predict(self, X: Any, *, lengths: Any = None, mask: Any = None) -> np.ndarray:
        """Return the predictions for sequences, or for what follows each window of a series.

        Parameters
        ----------
        X, lengths, mask
            See `fit`. With ``window``, windows of shape (n_windows, window, n_features) will do, too.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With ``window``: (n_windows,), with dimensions for ``horizon`` and for the targets if they are more than 1. Window i
            ends with step ``i + window - 1``. So the last prediction is for what follows the series. For a list of series they come
            one after another.
        """
        self._refuse_other_windows()
        found = super().predict(X, lengths=lengths, mask=mask)
        if self.window is None:
            return found
        steps, columns = max(1, int(self.horizon)), self._columns
        if found.size != len(found) * steps * columns:  # quantiles of one number
            return self._target_scale.back(found)
        found = self._target_scale.back(found.reshape(len(found), steps, columns))
        shape = [size for size in (steps, columns) if size > 1]
        return found.reshape(len(found), *shape)

    def forecast(self, steps: int | None = None, X: Any = None) -> np.ndarray:
        """Return the steps that follow a series. More than ``horizon`` of them are made from predictions in turn.

        Parameters
        ----------
        steps : int, optional
            How many; ``horizon`` by default. If the network predicts other values than the series itself, at most ``horizon``.
        X : array-like of shape (n_steps,) or (n_steps, n_features), optional
            The series. By default it is the last one of `fit`.

        Returns
        -------
        ndarray of shape (steps,) or (steps, n_outputs)
        """
        self._refuse_other_windows()
        if self.window is None or self.horizon < 1:
            raise ValueError("forecast is for estimators with window, and a horizon of at least 1.")
        horizon, size = int(self.horizon), int(self.window)
        steps = horizon if steps is None else int(steps)
        if steps < 1 or (steps > horizon and not self._follows_itself):
            most = "" if self._follows_itself else f" and at most horizon={horizon}, as y is not the series itself"
            raise ValueError(f"steps must be at least 1{most}, got {steps}.")
        latest = self._tail if X is None else series.tables(self, X, reset=False)[-1][-size:]
        if len(latest) < size:
            raise ValueError(f"The series has {len(latest)} steps, fewer than window={size}.")
        found = np.empty((0, self._columns), latest.dtype)
        while len(found) < steps:
            following = self.predict(latest[None]).reshape(-1, self._columns)
            if len(following) != horizon:
                raise ValueError("forecast needs one prediction for each step; the loss gives several quantiles. Call predict.")
            found = np.concatenate([found, following])
            if len(found) < steps:
                latest = np.concatenate([latest, following])[-size:]
        return found[:steps, 0] if self._columns == 1 else found[:steps]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> float:
        """Return the coefficient of determination, R². With ``window``: that of all predictions that can be compared.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        """
        if self.window is None or getattr(X, "ndim", 0) == 3:
            return super().score(X, y, sample_weight, lengths=lengths, mask=mask)
        self._refuse_other_windows()
        sample_weight = series.prepared(self, Given(X, y, sample_weight, held=())).weight
        windows, truth = series.pairs(self, *self._series_and_targets(X, y, reset=False), int(self.horizon))
        return super().score(windows, truth.reshape(len(truth), -1), sample_weight)
