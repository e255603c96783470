"""Series: what estimators with ``window=`` take as X, cut into windows with what is to be predicted after them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...data.preparation import make_windows
from ...data.windows import split_series
from ...errors import EmptyDataError
from .._sklearn import FLOATS, check_array, check_consistent_length, validate_data
from ..targets import dense
from ..wrapped.base import Given
from ..wrapped.samples import NO_Y, Samples


def read(own: Any, X: Any, y: Any, lengths: Any, mask: Any, reset: bool) -> tuple[Samples, Any]:
    """Return the windows of series as samples, and their targets, which `_windows` of the estimator makes."""
    if lengths is not None or mask is not None:
        raise ValueError("All windows have the same length; lengths and mask are for window=None.")
    if y is NO_Y:
        return Samples(ends(own, X, own._scale)), y
    found: tuple[Samples, Any] = own._windows(X, y, reset)
    return found


def is_time(index: Any) -> bool:
    """Return whether an index of pandas holds times."""
    return str(getattr(index, "dtype", "")).startswith(("datetime64", "period"))


def several(X: Any) -> bool:
    """Return whether X is a list of series, and not one."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(getattr(each, "ndim", 0) in (1, 2) for each in X)


def plain(values: Any) -> np.ndarray:
    """Return the values of a list, an array, or a frame or series."""
    return dense(values.to_numpy() if hasattr(values, "to_numpy") else values)


def of_each(X: Any, values: Any, name: str) -> list[np.ndarray]:
    """Return the values of the steps of each series, of y or of weights."""
    found = [plain(each) for each in (values if several(X) else [values])]
    if not all(each.ndim for each in found):
        raise ValueError(f"X is a list of series, so {name} must be a list with an array for each.")
    return found


def check_times(own: Any, table: Any, what: str) -> None:
    """Raise ValueError if the times of a frame or series of pandas do not increase, or if some are missing.

    Times are complete if their steps are equal, or if pandas knows a frequency for them, such as months or business days.
    """
    index: Any = getattr(table, "index", None)
    if not is_time(index):
        return
    start = f"{type(own).__name__}: the times of {what}"
    if not index.is_monotonic_increasing:
        raise ValueError(f"{start} do not increase; sort it: X.sort_index()")
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise ValueError(f"{start} have {twice} twice; each step needs a time of its own, and several series are passed as a list")
    if not _is_complete(index):
        at, end = 1, len(index)  # the first ones are complete up to `at`, and not up to `end`
        while end - at > 1:
            middle = (at + end) // 2
            at, end = (middle, end) if _is_complete(index[:middle]) else (at, middle)
        raise ValueError(
            f"{start} have gaps: {index[at - 1]} is followed by {index[at]}. Insert the missing ones and fill them "
            "(X.asfreq(...).interpolate()), pass the pieces as a list, or pass X.to_numpy() if each row is a step whatever its time"
        )


def _is_complete(index: Any) -> bool:
    steps = np.diff(index.asi8)
    if "period" in str(index.dtype):
        return bool((steps == index.freq.n).all())
    if (steps == steps[:1]).all():
        return True
    with warnings.catch_warnings():  # of what the attribute will be one day
        warnings.simplefilter("ignore")
        return bool(index.freq or index.inferred_freq)


def tables(own: Any, X: Any, reset: bool) -> list[np.ndarray]:
    """Return each series as [time, features], checked. Sets or compares the number of features."""
    for each in X if several(X) else [X]:
        check_times(own, each, "the series")
    if not several(X):
        X = plain(X)[:, None] if np.ndim(X) == 1 else X
        return [validate_data(own, X, dtype=FLOATS, reset=reset)]
    rules = {"dtype": FLOATS, "input_name": "X", "estimator": own}
    found = [check_array(plain(each)[:, None] if each.ndim == 1 else each, **rules) for each in X]
    widths = {each.shape[1] for each in found} | (set() if reset else {own.n_features_in_})
    if len(widths) > 1:
        raise ValueError(f"X has series with different numbers of features: {sorted(widths)}.")
    if reset:
        own.n_features_in_ = widths.pop()
        vars(own).pop("feature_names_in_", None)
    return found


def targets_of(X: Any, y: Any, many: list[np.ndarray]) -> list[np.ndarray]:
    """Return the targets of each series, [time] or [time, targets]."""
    found = of_each(X, y, "y")
    if len(found) != len(many):
        raise ValueError(f"X has {len(many)} series and y has {len(found)}; each series needs its targets.")
    for series, each in zip(many, found, strict=True):
        check_consistent_length(series, each)
    return found


def pairs(own: Any, many: list[np.ndarray], targets: list[np.ndarray], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows [N, window, features], and what is to be predicted after each: [N, ...] or [N, horizon, ...]."""
    windows, values = [], []
    for series, each in zip(many, targets, strict=True):
        x, at = make_windows(series, int(own.window), horizon, targets=np.arange(len(series)), stride=int(own.stride))
        windows.append(x)
        values.append(each[at])
    return joined(windows), joined(values)


def ends(own: Any, X: Any, scale: Any) -> np.ndarray:
    """Return the windows to predict after, scaled: all windows of the series, or X itself if it is [N, window, features]."""
    if getattr(X, "ndim", 0) != 3:
        return joined([make_windows(scale(each), int(own.window)) for each in tables(own, X, reset=False)])
    x = check_array(X, dtype=FLOATS, allow_nd=True, input_name="X", estimator=own)
    if x.shape[2] != own.n_features_in_:
        raise ValueError(
            f"X has {x.shape[2]} features, but {type(own).__name__} is expecting {own.n_features_in_} features as input."
        )
    return scale(x.reshape(-1, x.shape[2])).reshape(x.shape)  # type: ignore[no-any-return]


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Return arrays one after another. A single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Scale:
    """Mean and standard deviation of each column, or nothing.

    Parameters
    ----------
    many : list of numpy.ndarray
        [time, columns], of training.
    is_on : bool
        Whether anything is scaled.
    """

    def __init__(self, many: list[np.ndarray], is_on: bool) -> None:
        self.mean: Any = 0.0
        self.spread: Any = 1.0
        if is_on:
            from sklearn.preprocessing import StandardScaler

            found = StandardScaler().fit(joined(many))
            self.mean, self.spread = (each.astype(many[0].dtype) for each in (found.mean_, found.scale_))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return scaled columns."""
        scaled: np.ndarray = (values - self.mean) / self.spread
        return scaled

    def back(self, values: np.ndarray) -> np.ndarray:
        """Return scaled columns as they were."""
        found: np.ndarray = values * self.spread + self.mean
        return found


def prepared(own: Any, given: Given, which: int = 0) -> Given:
    """Return the arguments of a fit on series: with a last part for early stopping, and with the weights of windows.

    which: the number of the predicted step whose weight a window has.
    """
    if own.early_stopping and given.held is None and not given.is_partial:
        X, y, weight, exog, held = _split(own, given.X, given.y, given.weight, given.exog)
        given = given._replace(X=X, y=y, weight=weight, exog=exog, held=held)
    X, weight = given.X, given.weight
    given = given._replace(held=given.held or None)
    if weight is None or np.ndim(weight) == 0:
        return given
    weights = of_each(X, weight, "sample_weight")
    for each, series in zip(weights, X if several(X) else [X], strict=True):
        check_consistent_length(series, each)
    found = pairs(own, weights, weights, int(own.horizon))[1]
    return given._replace(weight=found if found.ndim == 1 else found[:, which])


def _split(own: Any, X: Any, y: Any, weight: Any, exog: Any) -> tuple[Any, ...]:
    """Return what is for training, and the last part of each series for validation, so that no window lies in both."""
    many = several(X)
    parts = split_series(*(X if many else [X]), validation=float(own.validation_fraction))
    first, second = parts[::2], parts[1::2]
    steps, least = min(map(len, second)), int(own.window) + int(own.horizon)
    if steps < least:
        raise EmptyDataError(
            f"{type(own).__name__}: early stopping has only {steps} steps of a series to validate on, but window and horizon take "
            f"{least}. Increase validation_fraction={own.validation_fraction}, or pass validation_data."
        )

    def cut(values: Any, at_start: bool) -> Any:
        if values is None:
            return None
        found = [plain(each)[: len(a)] if at_start else plain(each)[len(a) :] for each, a in zip(values, first, strict=True)]
        return found if many else found[0]

    def cut_rows(at_start: bool) -> Any:
        if exog is None:
            return None
        found = []
        for each, a in zip(exog if many else [exog], first, strict=True):
            rows = getattr(each, "iloc", each if hasattr(each, "shape") else plain(each))
            found.append(rows[: len(a)] if at_start else rows[len(a) :])
        return found if many else found[0]

    y, weight = (None if each is None else each if many else [each] for each in (y, weight))
    held = (second if many else second[0]), cut(y, False), None, cut_rows(False)
    return (first if many else first[0]), cut(y, True), cut(weight, True), cut_rows(True), held[: 2 if exog is None else 4]
