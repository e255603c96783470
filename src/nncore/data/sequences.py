"""Lengths of sequences: the number of valid time steps of each row. The steps after them are padding with arbitrary values."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .arrays import as_array
from .batches import depth_of


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
    beyond = np.arange(y.shape[1]) >= lengths[:, None]
    y[beyond] = np.eye(1, classes, dtype=y.dtype)[0] if form == "one_hot" and y.ndim > 2 and y.shape[-1] == classes else 0
    return y
