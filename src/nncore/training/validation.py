"""The validation data of `fit`: how they are divided into batches, and after which epochs they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import whole
from ..data.bound import Data, in_batches

if TYPE_CHECKING:
    from .ranks.base import Ranks

#: Whether validation follows an epoch. The epoch is counted from 0.
ShouldValidate = Callable[[int], bool]
#: Returns the batches of a validation. The argument tells whether a callback overrides the batch hooks.
ValidationBatches = Callable[[bool], Iterable[Data]]

_COPIED = 64 << 20  # the largest size in bytes of validation data that are copied; larger ones are read in place


def part_of(ranks: Ranks | None, n: int) -> slice:
    """Return which of n rows this rank takes: all of them if it is alone, or if it has been given rows of its own."""
    if ranks is None or ranks.sharded:
        return slice(0, n)
    return slice(n * ranks.rank // ranks.size, n * (ranks.rank + 1) // ranks.size)


def all_rows(data: Data, size: int | None, ranks: Ranks | None = None) -> ValidationBatches:
    """Return all rows, or this rank's part. If batch hooks are overridden, they come in batches of ``size``."""
    data = data if ranks is None else data.take(part_of(ranks, data.rows))
    return lambda watched: in_batches(data, size, watched)


def some_rows(data: Data, rows: Any, size: int | None, ranks: Ranks | None = None) -> ValidationBatches:
    """Return some rows. Few rows are copied once; many are taken part by part, so that a memory map is not loaded as a whole."""
    if ranks is not None:
        rows = np.arange(data.rows)[rows]
        rows = rows[part_of(ranks, len(rows))]
    if isinstance(rows, slice) or len(rows) * data.row_bytes <= _COPIED:
        return all_rows(data.take(rows), size)
    fitting_in = max(1, _COPIED // 4 // data.row_bytes)

    def pieces(watched: bool) -> Iterator[Data]:
        step = size or 32 if watched else fitting_in
        return (data.take(rows[i : i + step]) for i in range(0, len(rows), step))

    return pieces


def validation_schedule(freq: int | Iterable[int]) -> ShouldValidate:
    """Return a function that tells after which epochs validation is due."""
    if type(freq) is not int and isinstance(freq, Iterable) and not isinstance(freq, str):
        epochs = {whole("fit", "each epoch of validation_freq", epoch) for epoch in freq}
        return lambda epoch: epoch + 1 in epochs
    every = whole("fit", "validation_freq", freq)
    return lambda epoch: (epoch + 1) % every == 0
