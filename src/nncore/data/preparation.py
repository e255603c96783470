"""Preparation of sequences: padding to one length, and windows of a long series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .._checks import choice, flag, is_number, shown, whole
from .._declarations import explained
from ..errors import ArgumentError, DTypeError, EmptyDataError, ShapeError
from .arrays import as_array

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..typing import ArrayLike

_FLOAT64 = np.dtype(np.float64)


@overload
def pad_sequences(
    sequences: Iterable[ArrayLike],
    maxlen: int | None = None,
    dtype: npt.DTypeLike | None = None,
    padding: Literal["post", "pre"] = "post",
    truncating: Literal["pre", "post"] = "pre",
    value: float = 0.0,
    *,
    return_lengths: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def pad_sequences(
    sequences: Iterable[ArrayLike],
    maxlen: int | None = None,
    dtype: npt.DTypeLike | None = None,
    padding: Literal["post", "pre"] = "post",
    truncating: Literal["pre", "post"] = "pre",
    value: float = 0.0,
    *,
    return_lengths: Literal[False] = False,
) -> np.ndarray: ...
@explained
def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = None,
    padding: Literal["post", "pre"] = "post",
    truncating: Literal["pre", "post"] = "pre",
    value: float = 0.0,
    *,
    return_lengths: bool = False,
) -> Any:
    """Put sequences of different lengths into one array, as Keras's function of this name does.

    Two defaults differ from Keras. Padding comes after the steps, because ``lengths=`` counts steps from the first one. And the
    type of the numbers is kept, whereas Keras makes them int32.

    Parameters
    ----------
    sequences : iterable of array_like
        N sequences, [steps, ...] each. All dimensions but the first are the same.
    maxlen : int, optional
        The number of steps of the result; None is that of the longest sequence.
    dtype : dtype, optional
        The type of the result. None is the smallest type that holds all sequences and ``value``.
    padding : {"post", "pre"}
        Whether padding follows the steps or precedes them.
    truncating : {"pre", "post"}
        Whether sequences longer than ``maxlen`` lose their first steps or their last ones.
    value : float
        The padding.
    return_lengths : bool
        Whether to return the number of steps of each sequence too, for ``lengths=`` of `fit`, `evaluate` and `predict`.

    Returns
    -------
    numpy.ndarray, or two
        [N, maxlen, ...], and the lengths [N] if they are asked for. A sequence without steps is all padding, and its length is 0;
        `fit` takes no such sequence.

    Raises
    ------
    ShapeError
        The sequences differ in another dimension than the first one, or one is a single number.
    DTypeError
        A sequence contains other things than numbers.
    ArgumentError
        An argument is wrong, or lengths are asked for although the padding precedes the steps.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [4, 0, 0]])
    >>> x, lengths = nn.pad_sequences(
    ...     [[1.0, 2.0, 3.0], [4.0]], maxlen=2, return_lengths=True
    ... )
    >>> x
    array([[2., 3.],
           [4., 0.]])
    >>> lengths
    array([2, 1])
    """
    owner = "pad_sequences"
    choice(owner, "padding", padding, ("post", "pre"))
    choice(owner, "truncating", truncating, ("pre", "post"))
    if flag(owner, "return_lengths", return_lengths) and padding == "pre":
        raise ArgumentError(f"{owner}: lengths count steps from the first one, so they are for padding='post', not 'pre'")
    _check_padding(owner, value)
    arrays = _sequences(owner, sequences)
    steps = max(map(len, arrays), default=0) if maxlen is None else whole(owner, "maxlen", maxlen)
    filled = [array for array in arrays if len(array)]
    tail = filled[0].shape[1:] if filled else next((array.shape[1:] for array in arrays), ())
    kind = _type_for(filled, value) if dtype is None else _given(owner, dtype)
    _require_held(owner, "value", np.asarray(value), kind)
    result = np.full((len(arrays), steps, *tail), value, kind)
    for i, array in enumerate(arrays):
        if len(array) and array.shape[1:] != tail:
            raise ShapeError(f"{owner}: sequences[{i}] has steps of shape {array.shape[1:]}, and others {tail}; all need the same")
        kept = array[max(0, len(array) - steps) :] if truncating == "pre" else array[:steps]
        if len(kept):
            _require_held(owner, f"sequences[{i}]", kept, kind)
            result[i, slice(len(kept)) if padding == "post" else slice(steps - len(kept), None)] = kept
    if not return_lengths:
        return result
    return result, np.array([min(len(array), steps) for array in arrays], np.int64)


def _check_padding(owner: str, value: Any) -> None:
    if is_number(value):
        with suppress(OverflowError):
            float(value)
            return
    raise ArgumentError(f"{owner}: value must be a number that an array can hold, not {shown(value)}")


def _sequences(owner: str, given: Any) -> list[np.ndarray]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise ArgumentError(f"{owner}: sequences must be a list of sequences, not {shown(given)}")
    arrays = [as_array(each, f"{owner}: sequences[{i}]", _FLOAT64) for i, each in enumerate(given)]
    for i, array in enumerate(arrays):
        if array.ndim == 0:
            raise ShapeError(f"{owner}: sequences[{i}] is a single number; each sequence has a dimension for its steps")
    return arrays


def _require_held(owner: str, name: str, array: np.ndarray, dtype: np.dtype[Any]) -> None:
    """Raise ArgumentError if an array has values outside of the range of a type. Fractions may be lost, as in Keras."""
    if np.can_cast(array.dtype, dtype, "safe"):
        return
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            fits = np.isfinite(array.astype(dtype)) | ~np.isfinite(array.astype(np.float64))
    elif dtype.kind == "b":
        fits = (array == 0) | (array == 1)
    elif array.dtype.kind in "iu":
        fits = (array >= np.iinfo(dtype).min) & (array <= np.iinfo(dtype).max)
    else:
        whole_part = np.trunc(array.astype(np.float64))
        fits = (whole_part >= float(np.iinfo(dtype).min)) & (whole_part < float(np.iinfo(dtype).max) + 1)  # never true for NaN
    if not fits.all():
        found = array.reshape(-1)[np.flatnonzero(~fits)[0]]
        value = found.item() if isinstance(found, np.generic) else found
        raise ArgumentError(f"{owner}: {name} holds {shown(value)}, which {dtype} cannot; pass a wider dtype")


def _type_for(arrays: list[np.ndarray], value: float) -> np.dtype[Any]:
    """Return the type that holds all arrays and the padding."""
    found: np.dtype[Any] = np.result_type(*arrays) if arrays else np.dtype(np.float32)
    if found.kind == "f":
        with np.errstate(over="ignore"):
            return found if np.isfinite(found.type(value)) or not isfinite(value) else np.dtype(np.float64)
    if not isfinite(value) or value != int(value):
        return np.dtype(np.float64)
    least, most = (0, 1) if found.kind == "b" else (np.iinfo(found).min, np.iinfo(found).max)
    if least <= value <= most:
        return found
    wider = np.result_type(found, np.min_scalar_type(int(value)))
    return np.dtype(np.float64) if wider.kind == "O" else wider


def _given(owner: str, dtype: Any) -> np.dtype[Any]:
    found: np.dtype[Any] = np.dtype(object)
    if not isinstance(dtype, list | tuple | dict):  # several fields
        with suppress(TypeError, ValueError, SyntaxError, RuntimeError):
            found = np.dtype(dtype)
    if found.kind not in "fiub":
        raise DTypeError(f"{owner}: dtype must be a type of real numbers, not {shown(dtype)}")
    return found


@overload
def make_windows(series: ArrayLike, length: int, horizon: None = None, *, targets: None = None, stride: int = 1) -> np.ndarray: ...
@overload
def make_windows(
    series: ArrayLike, length: int, horizon: int, *, targets: ArrayLike | None = None, stride: int = 1
) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def make_windows(
    series: ArrayLike, length: int, horizon: int | None = None, *, targets: ArrayLike, stride: int = 1
) -> tuple[np.ndarray, np.ndarray]: ...
@explained
def make_windows(series: Any, length: int, horizon: int | None = None, *, targets: Any = None, stride: int = 1) -> Any:
    """Cut a series into overlapping windows, and find what follows each of them.

    The windows are views: they take no memory of their own, and `fit` reads them without a copy. Neighbours share all but
    ``stride`` steps, so random rows are no fair validation. Cut the series first, by `split_series`. For cross-validation there is
    `WindowSplit`. With ``validation="last"``, `fit` takes the last windows, of which the first ones overlap with those of training.

    Parameters
    ----------
    series : array_like
        [time, ...], for example [time, features], or [time] for one feature without its dimension.
    length : int
        Steps of a window.
    horizon : int, optional
        How many steps after each window are to be predicted. 1 is the next step. 0 is the last step of the window itself, for
        labels that are given for each step. If it is None and there are ``targets``, it is 1.
    targets : array_like, optional
        [time, ...]: the values to be predicted, at the same times as ``series``. By default they are the series itself.
    stride : int
        Steps from the start of one window to that of the next.

    Returns
    -------
    numpy.ndarray, or two
        The windows x [N, length, ...], N = (time - length - horizon) // stride + 1. With ``horizon`` or ``targets`` also y:
        [N, ...], and [N, horizon, ...] if ``horizon`` is more than 1.

    Raises
    ------
    EmptyDataError
        The series is shorter than one window and what follows it.
    ShapeError
        The targets have another number of steps than the series.
    ArgumentError
        An argument is out of range.

    Examples
    --------
    >>> import nncore as nn
    >>> x, y = nn.make_windows([1, 2, 3, 4, 5], 3, horizon=1)
    >>> x
    array([[1, 2, 3],
           [2, 3, 4]])
    >>> y
    array([4, 5])
    """
    owner = "make_windows"
    length, stride = whole(owner, "length", length), whole(owner, "stride", stride)
    array = _series(owner, "series", series)
    if horizon is None and targets is None:
        return _windows(owner, array, length, 0, stride)
    horizon = whole(owner, "horizon", 1 if horizon is None else horizon, 0)
    values = array if targets is None else _series(owner, "targets", targets)
    if len(values) != len(array):
        raise ShapeError(f"{owner}: targets have {len(values)} steps and series {len(array)}; both need the same times")
    x = _windows(owner, array, length, horizon, stride)
    first = length if horizon else length - 1
    if horizon < 2:
        return x, values[first : first + (len(x) - 1) * stride + 1 : stride]
    return x, _windows(owner, values[first:], horizon, 0, stride)[: len(x)]


def _series(owner: str, name: str, given: Any) -> np.ndarray:
    array = as_array(given, f"{owner}: {name}", _FLOAT64, as_mapped=True)
    if array.ndim == 0:
        raise ShapeError(f"{owner}: {name} is a single number, and not a series [time, ...]")
    return array


def _windows(owner: str, array: np.ndarray, length: int, after: int, stride: int) -> np.ndarray:
    """Return windows [N, length, ...] that ``after`` more steps follow, as a view."""
    if len(array) < length + after:
        rest = f" and the {after} after them" if after else ""
        raise EmptyDataError(f"{owner}: a series of {len(array)} steps has no window of {length} steps{rest}")
    found = np.moveaxis(np.lib.stride_tricks.sliding_window_view(array, length, axis=0), -1, 1)
    return found[: len(array) - length - after + 1 : stride]
