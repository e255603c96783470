"""The rows that `fit` validates on: in what pieces they come, and after which epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._checks import whole
from ..data.bound import Data, parts

#: Whether validation follows an epoch, which is counted from 0.
Due = Callable[[int], bool]
#: Makes the batches of a validation; told whether a callback wants to see them one by one.
Parts = Callable[[bool], Iterable[Data]]

_COPIED = 64 << 20  # bytes of validation data that are copied out of all data; more are read where they lie


def all_rows(data: Data, size: int | None) -> Parts:
    """All rows, ``size`` at a time where somebody watches the batches."""
    return lambda watched: parts(data, size, watched)


def some_rows(data: Data, rows: Any, size: int | None) -> Parts:
    """Some rows: copied once where they are few, else taken piece by piece, so that a memory map is not loaded."""
    if isinstance(rows, slice) or len(rows) * data.row_bytes <= _COPIED:
        return all_rows(data.take(rows), size)
    fitting_in = max(1, _COPIED // 4 // data.row_bytes)

    def pieces(watched: bool) -> Iterator[Data]:
        step = size or 32 if watched else fitting_in
        return (data.take(rows[i : i + step]) for i in range(0, len(rows), step))

    return pieces


def due_after(freq: int | Iterable[int]) -> Due:
    """After which epochs validation is due."""
    if isinstance(freq, Iterable) and not isinstance(freq, str):
        epochs = {whole("fit", "each epoch of validation_freq", epoch) for epoch in freq}
        return lambda epoch: epoch + 1 in epochs
    every = whole("fit", "validation_freq", freq)
    return lambda epoch: (epoch + 1) % every == 0
