"""RecurrentRegressor: recurrent networks that predict numbers from sequences, and forecast series."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import check_array, check_is_fitted, fitting
from ..wrapped import building
from ..wrapped.base import Given, Wrapped
from ..wrapped.documentation import documented
from ..wrapped.predicting import Regresses
from ..wrapped.samples import NO_Y, Samples
from . import known, series
from .network import CONSTRAINTS, architecture, network


@documented
class RecurrentRegressor(Regresses, Wrapped):
    """A recurrent network that predicts numbers from sequences, or forecasts series.

    X is an array [sequences, steps] of one feature or [sequences, steps, features], or a list of sequences [steps, features] of
    different lengths. With ``window``, X is a series [time] or [time, features] or a list of series. The network then learns what
    follows each window: the next ``horizon`` steps of the series itself, or of y if there is one. ``exog`` has columns whose values
    are known ahead, such as the calendar or planned prices; the network also reads them at the steps that it predicts.

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
        exog: Any = None,
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
            ``(X, y)`` to validate on, or ``(X, y, None, exog)``. With ``window`` and ``early_stopping``, the default is the last
            part of each series.
        exog : array-like of shape (n_steps, n_columns), optional
            With ``window``: what is known ahead, a row for each step of X. Further rows are those of the steps to come, which
            `forecast` uses. A list for a list of series.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, validation_data, exog=exog))
        return found

    @fitting
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None, exog: Any = None
    ) -> Self:
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask, exog
            See `fit`.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, None, True, exog=exog))
        return found

    def _make(self, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
        return network(self, shape, n_outputs)

    def _architecture(self) -> dict[str, Any]:
        return architecture(self)

    def _fit(self, given: Given) -> Self:
        if self.window is None:
            if given.exog is not None:
                raise ValueError("exog is for series; set window, or put its columns into X.")
            super()._fit(given)
            return self
        self._refuse_changes(given.is_partial)
        ready = series.prepared(self, given)
        held = ready.held
        if held is not None and len(held) == 4:
            held = known.bundled(held[0], held[3]), *held[1:3]
        super()._fit(ready._replace(X=known.bundled(ready.X, ready.exog), held=held))
        whole, start = series.tables(self, given.X, reset=False)[-1], -int(self.window)  # also of the part to validate on
        self._tail = whole[start:].copy()
        times: Any = getattr(given.X[-1] if series.several(given.X) else given.X, "index", None)
        self._end = times[-1] if series.is_time(times) else None
        if given.exog is not None:
            self._known_tail = known.tables(self, given.X, given.exog, reset=False)[-1][len(whole) + start :].copy()
        return self

    def _read(self, X: Any, y: Any, lengths: Any, mask: Any, reset: bool) -> tuple[Samples, Any]:
        X, exog = known.apart(X)
        if reset:
            self.__dict__.pop("_known", None)
        else:
            known.check_given(self, exog)
        if self.window is None:
            return super()._read(X, y, lengths, mask, reset)
        samples, y = series.read(self, X, y, lengths, mask, reset)
        if exog is None:
            return samples, y
        if getattr(X, "ndim", 0) == 3:
            found: Any = known.of_windows(self, X, exog)
        else:
            many = known.tables(self, X, exog, reset)
            if reset:
                steps = map(len, X if series.several(X) else [X])
                self._known_scale = series.Scale([each[:n] for each, n in zip(many, steps, strict=True)], self.scale)
            parts, kept = known.windows(self, X, many, y is not NO_Y)
            samples, found = Samples(samples.x if len(kept) == len(samples.x) else samples.x[kept]), series.joined(parts)
        return Samples(known.beside(samples.x, self._known_scale(found))), y

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

    def predict(self, X: Any, *, lengths: Any = None, mask: Any = None, exog: Any = None) -> np.ndarray:
        """Return the predictions for sequences, or for what follows each window of a series.

        Parameters
        ----------
        X, lengths, mask
            See `fit`. With ``window``, windows of shape (n_windows, window, n_features) will do, too.
        exog : array-like of shape (n_steps + horizon, n_columns), optional
            See `fit`. With fewer rows, there are no predictions after the windows for which they do not suffice. For windows, an
            array of shape (n_windows, window + horizon, n_columns).

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With ``window``: (n_windows,), with dimensions for ``horizon`` and for the targets if they are more than 1. Window i
            ends with step ``i + window - 1``. So the last prediction is for what follows the series. For a list of series they come
            one after another.
        """
        self._refuse_other_windows()
        found = super().predict(known.bundled(X, exog), lengths=lengths, mask=mask)
        if self.window is None:
            return found
        steps, columns = max(1, int(self.horizon)), self._columns
        if found.size != len(found) * steps * columns:  # quantiles of one number
            return self._target_scale.back(found)
        found = self._target_scale.back(found.reshape(len(found), steps, columns))
        shape = [size for size in (steps, columns) if size > 1]
        return found.reshape(len(found), *shape)

    def forecast(self, steps: int | None = None, X: Any = None, *, exog: Any = None) -> np.ndarray:
        """Return the steps that follow a series. More than ``horizon`` of them are made from predictions in turn.

        Parameters
        ----------
        steps : int, optional
            How many; ``horizon`` by default. If the network predicts other values than the series itself, at most ``horizon``.
        X : array-like of shape (n_steps,) or (n_steps, n_features), optional
            The series. By default it is the last one of `fit`.
        exog : array-like of shape (steps, n_columns), optional
            What is known of the steps to come, at least ``horizon`` of them. By default the further rows of `fit`. With X, the rows
            of its steps come first.

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
        rows = known.of_steps(self, steps, X, exog)
        found = np.empty((0, self._columns), latest.dtype)
        while len(found) < steps:  # with exog, the last ones are those that end with what is known
            at = len(found) if rows is None else min(len(found), len(rows) - size - horizon)
            window = np.concatenate([latest, found])[at : at + size] if len(found) else latest
            coming = None if rows is None else rows[None, at : at + size + horizon]
            following = self.predict(window[None], exog=coming).reshape(-1, self._columns)
            if len(following) != horizon:
                raise ValueError("forecast needs one prediction for each step; the loss gives several quantiles. Call predict.")
            found = np.concatenate([found, following[len(found) - at :]])
        return found[:steps, 0] if self._columns == 1 else found[:steps]

    def score(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None, exog: Any = None
    ) -> float:
        """Return the coefficient of determination, R². With ``window``: that of all predictions that can be compared.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask, exog
            See `fit`.
        """
        from sklearn.metrics import r2_score

        if self.window is None or getattr(X, "ndim", 0) == 3:
            return super().score(known.bundled(X, exog), y, sample_weight, lengths=lengths, mask=mask)
        self._refuse_other_windows()
        sample_weight = series.prepared(self, Given(X, y, sample_weight, held=())).weight
        windows, truth = series.pairs(self, *self._series_and_targets(X, y, reset=False), int(self.horizon))
        known.check_given(self, exog)
        if exog is not None:
            exog = series.joined(known.windows(self, X, known.tables(self, X, exog, reset=False), True)[0])
        found = self.predict(windows, exog=exog).reshape(len(windows), -1)
        return float(r2_score(truth.reshape(len(truth), -1), found, sample_weight=sample_weight))
