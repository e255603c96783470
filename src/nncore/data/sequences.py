"""Valid time steps of sequences. The other steps are padding with arbitrary values.

The core knows lengths: the valid steps of a row come first. A mask [N, time] tells the valid steps one by one, so that padding may
also come first, or lie between them. Such rows are rearranged on their way in: the valid steps first, in their order, then the
others. Results with time steps are put back into their places on the way out. So whatever holds for lengths holds for masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .arrays import as_array
from .batches import depth_of


class Steps:
    """Which time steps of each row are valid.

    Attributes
    ----------
    lengths : numpy.ndarray
        int64 [N], how many there are.
    mask : numpy.ndarray or None
        bool [N, T]; None if the valid steps of all rows come first.
    """

    def __init__(self, lengths: np.ndarray, mask: np.ndarray | None = None) -> None:
        self.lengths, self.mask = lengths, mask

    def take(self, rows: Any) -> Steps:
        """Return the steps of these rows."""
        return Steps(self.lengths[rows], None if self.mask is None else self.mask[rows])

    @cached_property
    def _places(self) -> np.ndarray:
        """For each row and place in the rearranged sequence, the number of the step in [N * T, ...]."""
        mask = self.mask
        assert mask is not None
        order = np.argsort(~mask, axis=1, kind="stable")
        places: np.ndarray = order + np.arange(0, mask.size, mask.shape[1])[:, None]
        return places.reshape(-1)

    def gathered(self, array: np.ndarray) -> np.ndarray:
        """Return [N, T, ...] with the valid steps of each row first. It is the same array if that is how they are."""
        if self.mask is None or not array.size:
            return array
        moved: np.ndarray = array.reshape(self.mask.size, -1)[self._places].reshape(array.shape)
        return moved

    def scattered(self, array: np.ndarray) -> np.ndarray:
        """Return an array of `gathered` with all steps in their places again."""
        if self.mask is None or not array.size:
            return array
        lines = array.reshape(self.mask.size, -1)
        found = np.empty_like(lines)
        found[self._places] = lines
        return found.reshape(array.shape)

    def cleared(self, y: np.ndarray, form: str = "values", classes: int = 0) -> np.ndarray:
        """Return a copy of values [N, T, ...] with zeros, or the first class, in the padding, so that checks accept it."""
        if self.mask is None:
            return without_padding(y, self.lengths, form, classes)
        y = y.copy()
        lines = y if y.shape[1] == self.mask.shape[1] else y.reshape(*self.mask.shape, -1)
        lines[~self.mask] = _filler(y, form, classes)
        return y


def bind_steps(given: Any, rows: int, steps: int) -> Steps:
    """Return the valid steps, from lengths [N] or from a mask [N, T] of bools.

    Raises
    ------
    ShapeError
        The shape is wrong, or a row has no valid step.
    ArgumentError
        It is neither.
    """
    mask = _read_mask(given, (rows, steps))
    if mask is None:
        return Steps(bind_lengths(given, rows, steps))
    if mask.shape != (rows, steps):
        raise ShapeError(f"mask has shape {mask.shape}, but {(rows, steps)} is needed, one bool per row and time step")
    lengths = mask.sum(axis=1, dtype=np.int64)
    empty = np.flatnonzero(lengths == 0)
    if empty.size:
        raise ShapeError(f"mask: row {empty[0]} has no valid step; an empty sequence cannot be used; leave it out")
    leads = np.array_equal(mask, np.arange(steps) < lengths[:, None])
    return Steps(lengths, None if leads else mask)


def either(who: str, lengths: Any, mask: Any) -> Any:
    """Return the lengths, or the mask as bools.

    Raises
    ------
    ArgumentError
        Both are given, or the mask holds other numbers than 0 and 1.
    ShapeError
        The mask is not [N, T].
    """
    if mask is None:
        return lengths
    if lengths is not None:
        raise ArgumentError(f"{who}: pass lengths or mask, not both; a mask tells the lengths too")
    if isinstance(mask, Mapping):
        raise ArgumentError(
            f"{who}: mask must be one array [N, time]; it is for all inputs with as many time steps as the first one"
        )
    array = as_array(mask, "mask", np.dtype(np.int64))
    if array.ndim != 2:
        raise ShapeError(f"mask has shape {array.shape}, but [N, time] is needed, one bool per row and time step")
    if array.dtype.kind != "b":
        if not np.isin(array, (0, 1)).all():
            raise ArgumentError(f"{who}: mask must be of bools, or of 0 and 1: True where a step is valid")
        array = array.astype(bool)
    return array


def _read_mask(given: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a mask as bools, or None if these are lengths. A mask has two dimensions and holds bools.

    An array of this shape may also hold 0 and 1, as tokenizers make it.
    """
    if isinstance(given, Mapping) or depth_of(given) != 2:
        return None
    first = given
    while isinstance(first, list | tuple):
        if not first:
            return None
        first = first[0]
    of_bools = isinstance(first, bool) or str(getattr(first, "dtype", "")).endswith("bool")
    if not of_bools and isinstance(given, list | tuple) and not _has_shape(given, shape):
        return None
    mask = np.asarray(as_array(given, "mask", np.dtype(np.int64)))
    if mask.dtype.kind != "b" and (mask.shape != shape or not np.isin(mask, (0, 1)).all()):
        return None
    return mask.astype(bool, copy=False)


def _has_shape(given: Any, shape: tuple[int, int]) -> bool:
    try:
        return bool(np.shape(given) == shape)
    except ValueError:  # the rows differ
        return False


def bind_lengths(lengths: Any, rows: int, steps: int) -> np.ndarray:
    """Return lengths in the form that the core reads, int64 [rows].

    Parameters
    ----------
    lengths : array_like of int
        One per sequence, in any order.
    rows : int
        N, the number of sequences.
    steps : int
        T, the number of time steps of the padded sequences.

    Raises
    ------
    ShapeError
        The number of lengths is not N, or a length is not in 1 .. steps.
    ArgumentError
        They are not whole numbers, or are given for each input separately.
    """
    several = isinstance(lengths, list | tuple) and any(depth_of(each) for each in lengths)
    if several or isinstance(lengths, Mapping):
        raise ArgumentError(
            "lengths must be one array [N]; it is for all inputs with as many time steps as the first one; mask the padding of "
            "other inputs in another way, for example by a Multiply with zeros [N, time, 1]"
        )
    array = as_array(lengths, "lengths", np.dtype(np.int64))
    if array.shape != (rows,):
        raise ShapeError(f"lengths has shape {array.shape}, but there are {rows} sequences: ({rows},) is needed")
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"lengths must be whole numbers, not {array.dtype}")
    broken = np.flatnonzero(array != np.floor(array)) if array.dtype.kind == "f" else array[:0]  # NaN too: it equals nothing
    if broken.size:
        raise ArgumentError(f"lengths is {array[broken[0]]} at row {broken[0]}, but must be a whole number")
    bad = np.flatnonzero((array < 1) | (array > steps))
    if bad.size:
        value = array[bad[0]].item()
        value = int(value) if isfinite(value) else value
        what = "an empty sequence cannot be used; leave it out" if value == 0 else f"the sequences have {steps} steps"
        raise ShapeError(f"lengths is {value} at row {bad[0]}, but must lie between 1 and {steps}: {what}")
    return np.ascontiguousarray(array, np.int64)


def valid_steps(lengths: np.ndarray | None, timeline: tuple[int, int] | None) -> np.ndarray | None:
    """Return how many steps of a value are valid, by row. None if it has no time, or no padding.

    timeline: (times, plus), so that ``times * length + plus`` steps are valid. It is (1, 0), except for values that were joined in
    time.
    """
    return None if lengths is None or timeline is None else timeline[0] * lengths + timeline[1]


def without_padding(y: np.ndarray, lengths: np.ndarray, form: str, classes: int) -> np.ndarray:
    """Return a copy of targets [N, time, ...] with zeros, or the first class, in the padding, so that checks accept it."""
    y = y.copy()
    y[np.arange(y.shape[1]) >= lengths[:, None]] = _filler(y, form, classes)
    return y


def _filler(y: np.ndarray, form: str, classes: int) -> Any:
    """Return what checks accept as a target of one step."""
    return np.eye(1, classes, dtype=y.dtype)[0] if form == "one_hot" and y.ndim > 2 and y.shape[-1] == classes else 0
