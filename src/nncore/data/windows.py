"""Splits of series and of their windows in time, so that nothing that a model is judged by has been seen in training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import is_number, optional_whole, shown, warn, whole
from .._declarations import explained
from ..errors import ArgumentError, EmptyDataError, ShapeError
from .arrays import as_array

if TYPE_CHECKING:
    from ..typing import ArrayLike

_FLOAT64 = np.dtype(np.float64)


@explained
def split_series(
    series: Any, *others: Any, validation: Any = 0.2, test: Any = None, gap: int = 0, index: ArrayLike | None = None
) -> list[Any]:
    """Cut series into a first part for training, a following one for validation and, on request, a last one for testing.

    Cut first, then scale, then make windows of each part by `make_windows`. So no window reaches from one part into another: no
    window for validation contains a step that was a target in training, and no target of training lies in the validation part.

    Parameters
    ----------
    series : array_like
        [time, ...] in the order of time: an array, a list, or a frame or series of pandas or polars.
    *others : array_like
        More series. Each is cut by its own length, or at the same dates. So they may be targets for the same times, or further
        recordings of other lengths.
    validation, test : float, int, date or None
        A float below 1 is the fraction of the steps; an int is their number. A date (a string, datetime or datetime64) is the first
        one of the part. None leaves the part out.
    gap : int
        Steps between two parts that belong to none. They are taken from the earlier one. Use it if nearby steps are correlated by
        how they were made, for example by a moving average.
    index : array_like, optional
        [time]: the dates of the steps, in increasing order, for all series. pandas objects with a ``DatetimeIndex`` have their own.

    Returns
    -------
    list
        The parts of the first series, then those of the next one, as scikit-learn's train_test_split orders them: ``train,
        validation``, or ``train, validation, test``. Parts of arrays and frames are views or slices of the same kind.

    Raises
    ------
    EmptyDataError
        A part would have no step.
    ShapeError
        The index has another number of steps than a series.
    ArgumentError
        An argument is out of range, or a date is given without an index, or the index is not in order.

    See Also
    --------
    WindowSplit : cross-validation of windows.

    Examples
    --------
    The scale comes from the training part alone, and windows from each part:

    >>> import numpy as np
    >>> import nncore as nn
    >>> series = np.arange(10.0)
    >>> train, validation = nn.split_series(series, validation=0.4)
    >>> mean, scale = train.mean(), train.std()
    >>> x, y = nn.make_windows((train - mean) / scale, 3, horizon=1)
    >>> x_val, y_val = nn.make_windows((validation - mean) / scale, 3, horizon=1)
    >>> len(x), len(x_val)
    (3, 1)

    Several recordings: cut each of them, and put their windows one after another.

    >>> a, a_val, b, b_val = nn.split_series(np.arange(8), np.arange(20, 25), validation=2)
    >>> np.concatenate([nn.make_windows(each, 3) for each in (a, b)])
    array([[ 0,  1,  2],
           [ 1,  2,  3],
           [ 2,  3,  4],
           [ 3,  4,  5],
           [20, 21, 22]])
    """
    owner = "split_series"
    gap = whole(owner, "gap", gap, 0)
    wanted = [(name, value) for name, value in (("validation", validation), ("test", test)) if value is not None]
    if not wanted:
        raise ArgumentError(f"{owner}: validation or test must be given; both are None")
    found: list[Any] = []
    for number, each in enumerate((series, *others)):
        name = "series" if number == 0 else f"series {number + 1}"
        values = each if _slices(each) else as_array(each, f"{owner}: {name}", _FLOAT64, as_mapped=True)
        if not getattr(values, "ndim", 1):
            raise ShapeError(f"{owner}: {name} is a single number, and not a series [time, ...]")
        dates = _dates(owner, name, each, index, len(values))
        starts = _starts(owner, name, wanted, len(values), dates)
        for start, stop in _bounds(owner, name, wanted, starts, gap, len(values)):
            found.append(values.iloc[start:stop] if hasattr(values, "iloc") else values[start:stop])
    return found


def _slices(series: Any) -> bool:
    """Return whether a series can be cut as it is: arrays and frames."""
    return isinstance(series, np.ndarray) or hasattr(series, "to_numpy")


def _dates(owner: str, name: str, series: Any, index: Any, steps: int) -> np.ndarray | None:
    """Return the dates [time] as datetime64, or None."""
    if index is None:
        index = getattr(series, "index", None)
        if getattr(getattr(index, "dtype", None), "kind", "") != "M":
            return None
    if getattr(index, "tz", None) is not None:  # dates are those of the local clock
        index = index.tz_localize(None)
    try:
        dates = np.asarray(index.to_numpy() if hasattr(index, "to_numpy") else index)
        if dates.dtype.kind in "fiubc":
            raise TypeError(f"it holds {dates.dtype}")
        dates = dates if dates.dtype.kind == "M" else dates.astype("datetime64[us]")
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(f"{owner}: index must hold dates ({error})") from None
    if dates.shape != (steps,):
        raise ShapeError(f"{owner}: index has shape {dates.shape}, but {name} has {steps} steps: ({steps},) is needed")
    if np.isnat(dates).any():
        raise ArgumentError(f"{owner}: index lacks the date of step {np.flatnonzero(np.isnat(dates))[0]}")
    late = np.flatnonzero(dates[1:] < dates[:-1])
    if late.size:
        raise ArgumentError(f"{owner}: index goes back at step {late[0] + 1}; sort the series by time first")
    return dates


def _starts(owner: str, name: str, wanted: list[tuple[str, Any]], steps: int, dates: np.ndarray | None) -> list[int]:
    """Return the first step of each part after the training part. Numbers and fractions are counted from the end."""
    stop, starts = steps, []
    for part, value in reversed(wanted):
        if isinstance(value, bool | np.bool_) or value is None:
            raise _no_size(owner, part, value)
        if not is_number(value):
            stop = _first_at(owner, part, value, dates)
        elif isinstance(value, int | np.integer):
            stop -= whole(owner, part, value)
        elif 0 < value < 1:
            stop -= max(1, round(float(value) * steps))
        else:
            raise _no_size(owner, part, value)
        starts.append(stop)
    return starts[::-1]


def _no_size(owner: str, part: str, value: Any) -> ArgumentError:
    return ArgumentError(
        f"{owner}: {part} must be a fraction between 0 and 1, a whole number of steps, or a date, not {shown(value)}"
    )


def _first_at(owner: str, part: str, value: Any, dates: np.ndarray | None) -> int:
    """Return the first step that is not before a date."""
    try:
        date = np.datetime64(value, "us")
    except (ValueError, TypeError, OverflowError):
        raise _no_size(owner, part, value) from None
    if np.isnat(date):
        raise _no_size(owner, part, value)
    if dates is None:
        raise ArgumentError(f"{owner}: {part} is a date, so the dates of the steps are needed; pass index")
    return int(np.searchsorted(dates, date))


def _bounds(owner: str, name: str, wanted: list[tuple[str, Any]], starts: list[int], gap: int, steps: int) -> list[tuple[int, int]]:
    """Return the first step and the end of each part, the training part included."""
    names = ["training", *(part for part, _ in wanted)]
    bounds = list(zip([0, *starts], [*(start - gap for start in starts), steps], strict=True))
    for part, (start, stop) in zip(names, bounds, strict=True):
        if not 0 <= start < stop:
            sizes = ", ".join(f"{each}={shown(value)}" for each, value in wanted)
            raise EmptyDataError(f"{owner}: {sizes} and gap={gap} leave none of the {steps} steps of {name} for {part}")
    return bounds


class WindowSplit:
    """Cross-validation over time for windows that `make_windows` has made: train on earlier windows, test on later ones.

    Neighbouring windows overlap. So between the windows for training and those for testing, it leaves out all that share a step
    with both. No window of a test contains a step that was a target in training, and no target of training is in the test.

    Parameters
    ----------
    n_splits : int
        Number of splits. Each tests on windows that follow those of the split before.
    length : int
        Steps of a window, as given to `make_windows`.
    horizon : int
        The steps after a window that were to be predicted, as given to `make_windows`. 0 if the targets are within the window.
    stride : int
        Steps from one window to the next, as given to `make_windows`.
    gap : int
        Further steps to leave out between training and testing.
    test_size : int, optional
        Number of windows of each test. By default all tests and the first training have about equal numbers.
    max_train_size : int, optional
        The largest number of windows to train on: the last ones. By default all earlier windows.

    Notes
    -----
    The number of windows left out is ``ceil((length + horizon + gap) / stride) - 1``. scikit-learn's TimeSeriesSplit gives the same
    splits with this number as its ``gap``; with its default, 0, training has seen most steps of the first tests. A series that an
    estimator with ``window=`` cuts into windows itself needs no gap.

    Examples
    --------
    >>> import nncore as nn
    >>> x, y = nn.make_windows(range(20), 3, horizon=1)
    >>> for train, test in nn.WindowSplit(2, length=3, horizon=1).split(x):
    ...     print(x[train[-1]], y[train[-1]], x[test[0]], y[test[0]])
    [5 6 7] 8 [ 9 10 11] 12
    [ 9 10 11] 12 [13 14 15] 16
    >>> nn.WindowSplit(2, length=3).get_n_splits()
    2
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        length: int,
        horizon: int = 1,
        stride: int = 1,
        gap: int = 0,
        test_size: int | None = None,
        max_train_size: int | None = None,
    ) -> None:
        owner = type(self).__name__
        self.n_splits = whole(owner, "n_splits", n_splits, 1)
        self.length = whole(owner, "length", length)
        self.horizon = whole(owner, "horizon", horizon, 0)
        self.stride = whole(owner, "stride", stride)
        self.gap = whole(owner, "gap", gap, 0)
        self.test_size = optional_whole(owner, "test_size", test_size)
        self.max_train_size = optional_whole(owner, "max_train_size", max_train_size)

    @property
    def omitted(self) -> int:
        """The number of windows between training and testing that belong to neither."""
        return -(-(self.length + self.horizon + self.gap) // self.stride) - 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the numbers of the windows for training and for testing, one pair for each split.

        Parameters
        ----------
        X : array_like
            The windows [N, length, ...], all of one series and in the order of time. Only their number counts.
        y, groups : object
            Not used; scikit-learn passes them.

        Yields
        ------
        train, test : numpy.ndarray
            Indices, int64.

        Raises
        ------
        EmptyDataError
            There are too few windows.
        """
        owner = type(self).__name__
        rows = len(X)
        if groups is not None:
            warn(f"{owner}: groups are not used, as all windows must be of one series")
        size = (rows - self.omitted) // (self.n_splits + 1) if self.test_size is None else self.test_size
        first = rows - self.n_splits * size
        if size < 1 or first - self.omitted < 1:
            raise EmptyDataError(
                f"{owner}: {rows} windows are too few for {self.n_splits} tests of {max(size, 1)} and {self.omitted} left out "
                "before each, with one to train on; take fewer splits, or a longer series"
            )
        for start in range(first, rows, size):
            stop = start - self.omitted
            begin = 0 if self.max_train_size is None else max(0, stop - self.max_train_size)
            yield np.arange(begin, stop), np.arange(start, start + size)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits."""
        return self.n_splits

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in vars(self).items())})"
