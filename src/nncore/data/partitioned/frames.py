"""Chunks of frames (pandas, polars), of arrays, and of what iterables of these give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError, kind_of
from ..arrays import as_array
from ..batches import is_array, read_batch
from ..frames import from_frame
from ..names import Names, column_names
from .columns import Columns, choose, naming
from .origin import Chunk, Form, Origin

_RUN = 1 << 20  # bytes of a run of rows


def is_frame(value: Any) -> bool:
    """Return whether a value is a table with named columns."""
    return hasattr(value, "columns") and not hasattr(value, "__next__") and (hasattr(value, "to_numpy") or is_arrow(value))


def is_arrow(value: Any) -> bool:
    """Return whether a value is a table or a record batch of Arrow."""
    return hasattr(value, "num_columns") and hasattr(value, "schema")


def frame_chunk(frame: Any, columns: Columns, dtype: np.dtype[Any], where: str, first: int = 0) -> Chunk:
    """Return the rows of a frame."""
    if is_arrow(frame):
        from .arrow import chunk_of

        return chunk_of(frame, columns, dtype, where, first)

    def get(name: str) -> np.ndarray:
        values = columns.categories.get(name)
        return from_frame(frame[name], f"column {name!r}") if values is None else _codes(frame[name], name, values)

    return columns.chunk(get, dtype, where, first)


def _codes(series: Any, name: str, values: Sequence[Any]) -> np.ndarray:
    """Return the place of each value of a series in the list of values."""
    from .arrow import to_numpy, unknown

    if hasattr(series, "to_arrow"):  # polars
        return to_numpy(series.to_arrow(), name, 0, values)
    codes: np.ndarray = import_module("pandas").Index(values).get_indexer(series)
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        unknown(name, series.iloc[row], row)
    return codes


def split(given: Any) -> tuple[list[Any], Form]:
    """Return what is given for each input or output, and in which form."""
    if isinstance(given, Mapping):
        return list(given.values()), tuple(map(str, given))
    if isinstance(given, list | tuple) and given and all(map(is_array, given)):
        return list(given), True
    return [given], False


def array_chunk(x: Any, y: Any, weight: Any, lengths: Any, dtype: np.dtype[Any], where: str, first: int = 0) -> Chunk:
    """Return rows that are given as arrays, frames, tensors or lists."""
    with naming(where):
        xs, ys = ([] if each is None else split(each)[0] for each in (x, y))
        arrays = [as_array(each, "x", dtype) for each in xs]
        targets = [as_array(each, "y", dtype) for each in ys]
        weight, lengths = (
            None if each is None else as_array(each, name, np.dtype(np.float64))
            for name, each in (("sample_weight", weight), ("lengths", lengths))
        )
        rows = [each.shape[:1] for each in (*arrays, *targets, weight, lengths) if each is not None]
        if len({*rows}) > 1 or not rows or not rows[0]:
            raise ShapeError(f"x, y and what belongs to them have different numbers of rows: {[n for (n,) in filter(None, rows)]}")
        return Chunk(arrays, targets, weight, lengths, where, first)


class ArrayOrigin(Origin):
    """Arrays from which runs of rows are sliced: memory maps, datasets of HDF5 and Zarr, arrays in memory."""

    def __init__(self, who: str, x: Any, y: Any, weight: Any, lengths: Any):
        self.x, x_form = split(x)
        self.y, y_form = ([], False) if y is None else split(y)
        self.weight, self.lengths, self.forms = weight, lengths, (x_form, y_form)
        given = [*self.x, *self.y, *(each for each in (weight, lengths) if each is not None)]
        for each in given:
            if not hasattr(each, "shape") or not hasattr(each, "__getitem__") or not each.shape:
                raise ArgumentError(f"{who}: arrays that can be sliced are needed, not {kind_of(each)}")
        counts = [int(each.shape[0]) for each in given]
        if len({*counts}) > 1:
            raise ShapeError(f"{who}: the arrays have different numbers of rows: {counts}")
        self.rows, self.has_targets, self.is_dear = counts[0], bool(self.y), False
        sizes = (np.dtype(getattr(each, "dtype", float)).itemsize * int(np.prod(each.shape[1:])) for each in given)
        self.run = max(1, _RUN // max(1, sum(sizes)))
        self.pieces = max(1, -(-self.rows // self.run))

    def read(self, piece: int, dtype: np.dtype[Any]) -> Iterator[Chunk]:
        rows = slice(piece * self.run, min(self.rows or 0, (piece + 1) * self.run))
        where = f"rows from {rows.start}"
        x, y = ([np.asarray(each[rows]) for each in group] for group in (self.x, self.y))
        weight, lengths = (None if each is None else np.asarray(each[rows]) for each in (self.weight, self.lengths))
        with naming(where):
            x, y = [as_array(a, "x", dtype) for a in x], [as_array(a, "y", dtype) for a in y]
            yield Chunk(x, y, weight, lengths, where, 0)


class ChunkOrigin(Origin):
    """An iterable of chunks of any size, or a function that returns one: (x, y), (x, y, sample_weight), ..., x alone, or frames."""

    def __init__(self, who: str, chunks: Any, features: Any, target: Any, weight: Any, lengths: Any, categories: Any):
        self.who, self.chunks = who, chunks
        self.chosen = (features, target, weight, lengths, categories)
        self.has_targets = True
        self._columns: Columns | None = None
        if not callable(chunks) and not isinstance(chunks, Iterable):
            raise ArgumentError(f"{who}: {kind_of(chunks)} is no table, no array, and cannot be iterated for chunks")

    def read(self, piece: int, dtype: np.dtype[Any]) -> Iterator[Chunk]:
        found: Iterable[Any] = self.chunks() if callable(self.chunks) else self.chunks
        chunks = iter(found)
        self.is_spent = chunks is self.chunks
        for number, each in enumerate(chunks):
            yield self._chunk(each, f"chunk {number}", dtype)

    def _chunk(self, given: Any, where: str, dtype: np.dtype[Any]) -> Chunk:
        features, target, weight, lengths, categories = self.chosen
        named = any(isinstance(each, str | list | Mapping) for each in (features, target, weight))
        if is_frame(given) and (named or target is None):
            if self._columns is None:
                available = column_names(given) or ()
                self._columns = choose(self.who, available, features, target, weight, lengths, categories)
                self.names, self.forms = self._columns.names(), self._columns.forms
                self.has_targets = bool(self._columns.y)
            return frame_chunk(given, self._columns, dtype, where)
        with naming(where):
            batch = read_batch(given) if isinstance(given, list | tuple) else None
        x, y, own, steps = (given, None, None, None) if batch is None else batch
        if self.names is None:
            self.forms = (split(x)[1], False if y is None else split(y)[1])
            names: list[Names] = [column_names(each) for each in split(x)[0]]
            self.names, self.has_targets = names, y is not None
        return array_chunk(x, y, own, steps, dtype, where)


#: Computes parts of collections, one after another.
Compute = Callable[..., tuple[Any, ...]]


class DaskOrigin(Origin):
    """Frames of Dask by partition, and arrays of Dask by their chunks of rows. A partition is computed when it is read."""

    def __init__(self, who: str, x: Any, y: Any, features: Any, weight: Any, lengths: Any, categories: Any):
        self.compute: Compute = import_module("dask").compute
        self.columns: Columns | None = None
        named = all(each is None or isinstance(each, str | list | Mapping) for each in (y, weight, lengths)) and not _has_dask(y)
        if named and hasattr(x, "npartitions") and hasattr(x, "columns"):
            self.columns = choose(who, column_names(x) or (), features, y, weight, lengths, categories)
            self.names, self.forms, self.has_targets = self.columns.names(), self.columns.forms, bool(self.columns.y)
            self.fields = [x[self.columns.needed]]
        else:
            if features is not None or categories is not None:
                raise ArgumentError(f"{who}: features and categories are for one frame whose columns are named")
            (xs, x_form), (ys, y_form) = split(x), ([], False) if y is None else split(y)
            self.forms, self.has_targets = (x_form, y_form), bool(ys)
            self.shape = (len(xs), len(ys), weight is not None, lengths is not None)
            self.fields = _aligned(who, [*xs, *ys, *(each for each in (weight, lengths) if each is not None)])
            self.names = [column_names(each) if hasattr(each, "columns") else None for each in xs]
        self.pieces = _partitions(self.fields[0])
        sizes = getattr(self.fields[0], "chunks", ((float("nan"),),))[0]
        self.rows = None if np.isnan(sum(sizes)) else int(sum(sizes))

    def read(self, piece: int, dtype: np.dtype[Any]) -> Iterator[Chunk]:
        where = f"partition {piece}"
        found = self.compute(*((each.blocks if hasattr(each, "chunks") else each.partitions)[piece] for each in self.fields))
        if self.columns is not None:
            yield frame_chunk(found[0], self.columns, dtype, where)
            return
        inputs, outputs, has_weight, has_lengths = self.shape
        values = iter(found)
        x, y = [next(values) for _ in range(inputs)], [next(values) for _ in range(outputs)]
        weight, lengths = (next(values) if has else None for has in (has_weight, has_lengths))
        yield array_chunk(x, y or None, weight, lengths, dtype, where)


def _partitions(collection: Any) -> int:
    return int(collection.numblocks[0] if hasattr(collection, "chunks") else collection.npartitions)


def _has_dask(given: Any) -> bool:
    return any(hasattr(each, "dask") for each in split(given)[0])


def _aligned(who: str, fields: list[Any]) -> list[Any]:
    """Return the collections with the same partitions. Arrays can be divided like the first one, frames cannot."""
    first = fields[0]
    for i, each in enumerate(fields):
        if not hasattr(each, "dask"):
            raise ArgumentError(f"{who}: x is a collection of Dask, and so must be y and what belongs to it, not {kind_of(each)}")
        arrays = hasattr(first, "chunks") and hasattr(each, "chunks")
        if arrays and each.shape[0] == first.shape[0] and each.chunks[0] != first.chunks[0]:
            fields[i] = each.rechunk({0: first.chunks[0]})
    counts = list(map(_partitions, fields))
    if len({*counts}) > 1:
        raise ShapeError(f"{who}: the collections of Dask have different numbers of partitions: {counts}; divide them alike")
    return fields
