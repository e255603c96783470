"""What parts of data are: chunks of rows. An origin reads one piece (a row group, a partition, a run of rows) at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...errors import ShapeError
from ..names import Names


class Chunk(NamedTuple):
    """Some rows, as arrays: one per input, one per output. ``first``: the number of its first row within ``where``."""

    x: list[np.ndarray]
    y: list[np.ndarray]
    weight: np.ndarray | None
    lengths: np.ndarray | None
    where: str
    first: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.x[0])

    def take(self, start: int, stop: int) -> Chunk:
        """Return some of the rows, as views."""
        rows = slice(start, stop)
        x, y = [a[rows] for a in self.x], [a[rows] for a in self.y]
        weight = None if self.weight is None else self.weight[rows]
        return Chunk(x, y, weight, None if self.lengths is None else self.lengths[rows], self.where, self.first + start)


#: How the arrays of all inputs, or of all outputs, are passed on: an array, a list (True), or a dict with these keys.
Form = bool | tuple[str, ...]


def wrapped(arrays: list[np.ndarray], form: Form) -> Any:
    """Return the arrays as a user would pass them."""
    if isinstance(form, tuple):
        return dict(zip(form, arrays, strict=True))
    return arrays if form else arrays[0]


class Origin(ABC):
    """Where chunks come from.

    Attributes
    ----------
    rows : int or None
        The number of rows of all pieces; None if it is not known without reading them.
    pieces : int
        The number of pieces. 1 is a sequence whose order cannot be changed.
    names : list of tuple of str, or None
        The names of the columns of each input; None if they are not known.
    forms : tuple of Form
        How x and y are passed on.
    has_targets : bool
        Whether chunks have y.
    is_spent : bool
        Whether a source that can be read only once has been read.
    is_dear : bool
        Whether the beginning should not be read twice, because it is computed or cannot be read again.
    """

    rows: int | None = None
    pieces = 1
    names: list[Names] | None = None
    forms: tuple[Form, Form] = (False, False)
    has_targets = True
    is_spent = False
    is_dear = True

    @abstractmethod
    def read(self, piece: int, dtype: np.dtype[Any]) -> Iterator[Chunk]:
        """Return the chunks of a piece. dtype: that of the network, in which numbers of mixed types are returned."""


def narrowed(dtype: np.dtype[Any], network: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which inputs are kept: no floating type is wider than the network's."""
    return network if dtype.kind == "f" and dtype.itemsize > network.itemsize else dtype


class Block(NamedTuple):
    """Rows that are trained on together, and the chunks of which they were made: where, first row, and number of rows."""

    chunk: Chunk
    made_of: list[tuple[str, int, int]]


def in_blocks(chunks: Iterable[Chunk], size: Callable[[Chunk], int], dtype: np.dtype[Any]) -> Iterator[Block]:
    """Copy chunks, of any size, into blocks of the same size. The last block may be smaller.

    size: the rows of a block, from the first chunk.
    """
    filling: _Filling | None = None
    for chunk in chunks:
        start = 0
        while start < chunk.rows:
            filling = filling or _Filling(chunk, size(chunk), dtype)
            start = filling.add(chunk, start)
            if filling.rows == filling.wanted:
                yield filling.block()
                filling = None
    if filling is not None:
        yield filling.block()


class _Filling:
    """A block to which rows are being added. Each block has memory of its own, because metrics may keep what they are given."""

    def __init__(self, first: Chunk, wanted: int, dtype: np.dtype[Any]) -> None:
        self.first, self.wanted, self.rows = first, wanted, 0
        self.made_of: list[tuple[str, int, int]] = []
        kinds = [narrowed(a.dtype, dtype) for a in first.x] + [a.dtype for a in _others(first)]
        self.arrays = [np.empty((wanted, *a.shape[1:]), kind) for a, kind in zip((*first.x, *_others(first)), kinds, strict=True)]
        self.dtype = dtype

    def add(self, chunk: Chunk, start: int) -> int:
        """Add rows from ``start`` on, as many as there is room for. Return the first row that was not added."""
        _refuse_other_form(self.first, chunk)
        count = min(chunk.rows - start, self.wanted - self.rows)
        given, inputs = (*chunk.x, *_others(chunk)), len(chunk.x)
        for i, array in enumerate(given):
            kind = np.result_type(self.arrays[i].dtype, narrowed(array.dtype, self.dtype) if i < inputs else array.dtype)
            if kind != self.arrays[i].dtype:  # a column has integers here and fractions there
                self.arrays[i] = self.arrays[i].astype(narrowed(kind, self.dtype) if i < inputs else kind)
            with np.errstate(over="ignore"):  # the core converts without a warning, too
                self.arrays[i][self.rows : self.rows + count] = array[start : start + count]
        self.made_of.append((chunk.where, chunk.first + start, count))
        self.rows += count
        return start + count

    def block(self) -> Block:
        """Return the rows."""
        arrays = [a[: self.rows] for a in self.arrays]
        first, inputs = self.first, len(self.first.x)
        outputs = inputs + len(first.y)
        rest = iter(arrays[outputs:])
        weight = None if first.weight is None else next(rest)
        lengths = None if first.lengths is None else next(rest)
        return Block(Chunk(arrays[:inputs], arrays[inputs:outputs], weight, lengths, first.where, first.first), self.made_of)


def _others(chunk: Chunk) -> list[np.ndarray]:
    """Return what is not x."""
    return [*chunk.y, *(each for each in (chunk.weight, chunk.lengths) if each is not None)]


def _refuse_other_form(first: Chunk, other: Chunk) -> None:
    """Raise ShapeError if chunks cannot be joined."""
    for name, ones, others in (("x", first.x, other.x), ("y", first.y, other.y)):
        shapes = [[a.shape[1:] for a in arrays] for arrays in (ones, others)]
        if shapes[0] != shapes[1]:
            raise ShapeError(
                f"{other.where}: the rows of {name} have the shapes {shapes[1]}, and those of {first.where} {shapes[0]}"
            )
    for name, one, another in (("sample weights", first.weight, other.weight), ("lengths", first.lengths, other.lengths)):
        if (one is None) != (another is None):
            raise ShapeError(f"{other.where} has {'no ' if another is None else ''}{name}, unlike {first.where}; all need the same")
