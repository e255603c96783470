"""Columns whose values to come are known, such as the calendar, prices or planned events: what ``exog=`` takes beside a series."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...data.preparation import make_windows
from .._sklearn import FLOATS, check_array
from .series import check_times, is_time, joined, plain, several


class Known(NamedTuple):
    """A series, or a list of them, with the columns that are known ahead."""

    series: Any
    exog: Any


def apart(X: Any) -> Known:
    """Return what X consists of."""
    return X if isinstance(X, Known) else Known(X, None)


def bundled(X: Any, exog: Any) -> Any:
    """Return a series with what is known ahead, if anything is."""
    return X if exog is None else Known(X, exog)


def tables(own: Any, X: Any, exog: Any, reset: bool) -> list[np.ndarray]:
    """Return the known columns of each series, [time, columns], checked: a row for each step of the series, and for steps to come.

    Sets the number of columns and their names, or compares with them if not ``reset``.
    """
    many, every = (each if several(X) else [each] for each in (X, exog))
    if len(every) != len(many):
        raise ValueError(f"X has {len(many)} series and exog has {len(every)}; each series needs its exog.")
    rules = {"dtype": FLOATS, "input_name": "exog", "estimator": own}
    names = [*map(str, getattr(every[0], "columns", ()))]
    found = []
    for at, each in zip(many, every, strict=True):
        if len(each) < len(at):
            raise ValueError(f"exog has {len(each)} rows, but the series has {len(at)} steps; it needs a row for each.")
        times: list[Any] = [getattr(one, "index", None) for one in (at, each)]
        if all(map(is_time, times)) and not times[0].equals(times[1][: len(at)]):
            raise ValueError("exog has other times than the series; its first rows must be those of the steps of the series.")
        check_times(own, each, "exog")
        values = plain(each)
        found.append(check_array(values[:, None] if values.ndim == 1 else values, **rules))
    return compared(own, found, names, reset)


def compared(own: Any, found: list[np.ndarray], names: list[str], reset: bool) -> list[np.ndarray]:
    """Return tables whose columns are those of the first fit; set these if ``reset``."""
    widths = {each.shape[1] for each in found}
    if reset:
        own._known = min(widths), names
    count, before = own._known
    if widths != {count}:
        raise ValueError(f"exog has {sorted(widths)} columns, but {type(own).__name__} is expecting {count}.")
    if names and before and names != before:
        raise ValueError(f"exog has the columns {names}, but {type(own).__name__} was fitted with {before}, in this order.")
    return found


def check_given(own: Any, exog: Any) -> None:
    """Raise ValueError unless there is exog exactly if the estimator was fitted with it."""
    if (exog is None) is ("_known" in vars(own)):
        said = "was fitted with exog; pass exog" if exog is None else "was fitted without exog; leave exog out"
        raise ValueError(f"{type(own).__name__} {said}.")


def windows(own: Any, X: Any, many: list[np.ndarray], is_training: bool) -> tuple[list[np.ndarray], Any]:
    """Return the known columns of the steps of each window and of those that are predicted, for each series [N, window + horizon,
    columns], and the numbers of the windows of X that they are for. For others, too few rows are known."""
    size, horizon = int(own.window), int(own.horizon)
    found, kept, start = [], [], 0
    for one, each in zip(X if several(X) else [X], many, strict=True):
        steps = len(one)
        if len(each) < size + horizon:
            raise ValueError(f"exog has {len(each)} rows, fewer than window={size} and horizon={horizon} take.")
        rows = each[: steps if is_training else steps + horizon]
        found.append(make_windows(rows, size + horizon, stride=int(own.stride) if is_training else 1))
        kept.append(np.arange(start, start + len(found[-1])))
        start += steps - size + 1
    return found, joined(kept)


def beside(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return what the network reads: the steps of each window, then those that are predicted, of which only some columns are known.

    Parameters
    ----------
    x : numpy.ndarray
        [N, window, features].
    known : numpy.ndarray
        [N, window + horizon, columns].

    Returns
    -------
    numpy.ndarray
        [N, window + horizon, features + 1 + columns]. The one column tells the steps to come.
    """
    size, features = x.shape[1:]
    found = np.zeros((*known.shape[:2], features + 1 + known.shape[2]), x.dtype)
    found[:, :size, :features], found[:, size:, features], found[:, :, features + 1 :] = x, 1, known
    return found


def of_windows(own: Any, X: Any, exog: Any) -> np.ndarray:
    """Return the known columns of windows [N, window, features], checked: [N, window + horizon, columns]."""
    found: np.ndarray = check_array(exog, dtype=FLOATS, allow_nd=True, input_name="exog", estimator=own)
    wanted = len(X), X.shape[1] + int(own.horizon), own._known[0]
    if found.shape != wanted:
        raise ValueError(f"exog has the shape {found.shape}, but windows of the shape {np.shape(X)} need {wanted}.")
    return found


def of_steps(own: Any, steps: int, X: Any, exog: Any) -> np.ndarray | None:
    """Return the known rows of the last window and of the steps to come, [window + steps, columns]; None if nothing is known."""
    if "_known" not in vars(own):
        check_given(own, exog)
        return None
    rows: np.ndarray
    size, need = int(own.window), max(steps, int(own.horizon))
    if X is None:
        rows = own._known_tail
        if exog is not None:
            times: Any = getattr(exog, "index", None)
            if is_time(times) and own._end is not None and not times[0] > own._end:
                raise ValueError(
                    f"exog begins at {times[0]}, but the series ends at {own._end}; pass the rows after it, or pass X."
                )
            after = tables(own, np.empty(0), exog, reset=False)[0]
            rows = np.concatenate([rows[:size], after])
    else:
        check_given(own, exog)
        rows = tables(own, X, exog, reset=False)[-1][len(X[-1] if several(X) else X) - size :]
    if len(rows) < size + need:
        raise ValueError(f"exog has the values of {len(rows) - size} steps to come; forecast({steps}) needs those of {need}.")
    return rows[: size + need]
