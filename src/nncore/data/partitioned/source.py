"""Parts: a source of rows that `fit`, `evaluate` and `predict` read while they compute, at steady memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ... import _core
from ..._checks import flag, shown, whole
from ...errors import ArgumentError, DTypeError, kind_of
from ..ahead import Reader
from ..names import Names
from .frames import ArrayOrigin, ChunkOrigin, DaskOrigin, is_arrow, is_frame
from .origin import Block, Chunk, Origin, in_blocks, wrapped

_BLOCK = 16 << 20  # bytes of the rows that are shuffled together
_PIECES = 2**61  # an update count that training never reaches, so that the order of the pieces does not equal that of the rows


class Parts:
    """Rows that are read in parts; made by `nncore.data.parts` and `nncore.data.parquet`, and passed to `fit`, `evaluate` and
    `predict` in place of x and y.

    Attributes
    ----------
    rows : int or None
        The number of rows, or None if it is not known before they are read.
    has_targets : bool
        Whether there are targets.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> data = nn.data.parts(lambda: iter([(np.ones((3, 2)), np.ones(3))]))
    >>> data.has_targets, [len(x) for x, y in data.batches(2)]
    (True, [2, 1])
    """

    def __init__(self, origin: Origin, buffer: int | None, read_ahead: bool, title: str) -> None:
        self._origin, self._buffer, self._reads_ahead, self._title = origin, buffer, read_ahead, title
        self._begun: tuple[Chunk, Iterator[Chunk]] | None = None  # the first chunk and the rest of its piece, if it was looked at

    @property
    def rows(self) -> int | None:
        return self._origin.rows

    @property
    def has_targets(self) -> bool:
        return self._origin.has_targets

    @property
    def names(self) -> list[Names] | None:
        """The names of the columns of each input; None if they are not known, or not yet."""
        return self._origin.names

    def __repr__(self) -> str:
        rows = "an unknown number of rows" if self.rows is None else f"{self.rows} rows"
        return f"<{rows} of {self._title}, in {self._origin.pieces} parts>"

    def first(self, dtype: np.dtype[Any]) -> Chunk | None:
        """Return the first chunk that has rows, to see shapes. If that is dear, it is not read a second time."""
        if self._begun is None:
            self._refuse_spent()
            chunks = self._origin.read(0, dtype)
            found = next((chunk for chunk in chunks if chunk.rows), None)
            if found is None or not self._origin.is_dear:
                return found
            self._begun = found, chunks
        return self._begun[0]

    def block_rows(self, multiple: int, dtype: np.dtype[Any]) -> Callable[[Chunk], int]:
        """Return a function that tells from the first chunk how many rows a block has: whole steps of ``multiple`` rows."""

        def size(chunk: Chunk) -> int:
            wanted = self._buffer
            if wanted is None:
                arrays = [*chunk.x, *chunk.y]
                widths = (min(a.itemsize, dtype.itemsize) if a.dtype.kind == "f" else a.itemsize for a in arrays)
                wanted = _BLOCK // max(1, sum(w * (a[0].size or 1) for w, a in zip(widths, arrays, strict=True)))
            return max(1, wanted // multiple) * multiple

        return size

    def blocks(self, dtype: np.dtype[Any], multiple: int = 1, order: tuple[int, int] | None = None) -> BlockReader:
        """Start to read blocks of rows. Close what is returned, which ends the thread that reads ahead.

        order: the seed and the number of updates that determine the order of the pieces; None is the order in which they are.
        """
        self._refuse_spent()
        size = self.block_rows(multiple, dtype)
        pieces = self._order(order, size, dtype)

        def begin(stopped: Callable[[], bool]) -> Iterator[Block]:
            return in_blocks(self._chunks(pieces, dtype, stopped), size, dtype)

        return BlockReader(begin, self._reads_ahead)

    def _order(self, order: tuple[int, int] | None, size: Callable[[Chunk], int], dtype: np.dtype[Any]) -> Sequence[int]:
        count = self._origin.pieces
        if order is None or count == 1:
            return range(count)
        if self.rows is not None:
            chunk = self.first(dtype)
            if chunk is None or self.rows <= size(chunk):
                return range(count)  # one block, whose rows are shuffled, as if they were arrays
        pieces = np.empty(count, np.int64)
        _core.shuffle(pieces, order[0], _PIECES + order[1])
        return pieces.tolist()

    def _chunks(self, pieces: Sequence[int], dtype: np.dtype[Any], stopped: Callable[[], bool]) -> Iterator[Chunk]:
        for piece in pieces:
            chunks = self._origin.read(piece, dtype)
            if piece == 0 and self._begun is not None:
                (begun, rest), self._begun = self._begun, None
                chunks = chain([begun], rest)
            for chunk in chunks:
                if stopped():
                    return
                yield chunk

    def _refuse_spent(self) -> None:
        if self._origin.is_spent and self._begun is None:
            raise ArgumentError(
                f"{self._title} can be read only once, which has been done; pass something that can be read again, such as a "
                "dataset or a function that returns a new iterator"
            )

    def batches(self, batch_size: int = 32, *, shuffle: bool = False, seed: int = 0) -> Iterator[tuple[Any, ...]]:
        """Return batches for loops of your own: (x, y), (x, y, sample_weight), ..., or (x,) without targets.

        Parameters
        ----------
        batch_size : int
            Rows of a batch. The last one may have fewer.
        shuffle : bool
            Whether to draw the order of the parts, and of the rows within the buffer.
        seed : int
            Determines the order.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> rows = nn.data.parts(np.arange(5.0)[:, None], np.arange(5))
        >>> [y.tolist() for x, y in rows.batches(2)]
        [[0, 1], [2, 3], [4]]
        """
        who = "Parts.batches"
        size, shuffle, seed = whole(who, "batch_size", batch_size), flag(who, "shuffle", shuffle), whole(who, "seed", seed, 0)
        return self._batches(size, (seed, 0) if shuffle else None)

    def _batches(self, size: int, order: tuple[int, int] | None) -> Iterator[tuple[Any, ...]]:
        with self.blocks(np.dtype(np.float32), size, order) as blocks:
            for number, block in enumerate(blocks):
                rows = np.arange(block.chunk.rows)
                if order is not None:
                    _core.shuffle(rows, order[0], number)
                for start in range(0, len(rows), size):
                    yield self.fields(block.chunk, rows[start : start + size])

    def fields(self, chunk: Chunk, rows: Any = slice(None)) -> tuple[Any, ...]:
        """Return x, y, sample weights and lengths as a user passes them, as far as there are any."""
        x_form, y_form = self._origin.forms
        x, y = [a[rows] for a in chunk.x], [a[rows] for a in chunk.y]
        weight, lengths = (None if each is None else each[rows] for each in (chunk.weight, chunk.lengths))
        found = (wrapped(x, x_form), wrapped(y, y_form) if y else None, weight, lengths)
        used = max(i + 1 for i, each in enumerate(found) if each is not None)
        return found[:used]


class BlockReader(Iterator[Block]):
    """An iterator over blocks, in a thread of its own if they are read ahead."""

    def __init__(self, begin: Callable[[Callable[[], bool]], Iterator[Block]], ahead: bool) -> None:
        self._reader = Reader(begin) if ahead else None
        self._blocks = begin(lambda: False) if self._reader is None else self._reader

    def __next__(self) -> Block:
        return next(self._blocks)

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread."""
        if self._reader is not None:
            self._reader.close()


# Making parts --------------------------------------------------------------------------------------------------------------------


def parts(
    data: Any,
    target: Any = None,
    *,
    features: Any = None,
    sample_weight: Any = None,
    lengths: Any = None,
    categories: Mapping[str, Sequence[Any]] | None = None,
    buffer: int | None = None,
    read_ahead: bool = True,
) -> Parts:
    """Let a model read rows in parts, so that they need not fit into memory.

    `fit` makes batches of ``batch_size`` rows from the parts, whatever their size. A background thread reads the next rows while
    the model trains on those before.

    Parameters
    ----------
    data : object
        A dataset, table, Parquet file or reader of pyarrow; a frame or array of Dask; arrays that can be sliced, such as
        `numpy.memmap` or a dataset of h5py or Zarr (a list or dict of them for several inputs); or an iterable of chunks
        ``(x, y)``, ``(x, y, sample_weight)``, x or frames, of any number of rows. A function without arguments that returns such an
        iterable is called for each epoch.
    target : str, list, dict or array, optional
        The column of the targets; a list of columns for an output of several numbers; a dict by output if there are several. For
        arrays, an array with as many rows. `predict` needs none.
    features : str, list or dict, optional
        The columns of x, in this order. By default all columns that are not used otherwise. For several inputs, a list of lists, or
        a dict by name. A column of lists of the same length is an array with one more dimension; a single name keeps its shape.
    sample_weight, lengths : str or array, optional
        The column of the weights, and that of the valid time steps.
    categories : dict, optional
        For columns of text: the values, ``{"color": ["red", "green"]}``. Each becomes its place in the list: 0, 1, ...
    buffer : int, optional
        How many rows are in memory at a time, and are shuffled together. By default those that take 16 MiB. Two such buffers exist:
        one in training, and one that is being read.
    read_ahead : bool
        Whether a background thread reads.

    Returns
    -------
    Parts
        To be passed to `fit`, `evaluate` or `predict` in place of x, without y.

    Raises
    ------
    ArgumentError, DTypeError, ShapeError
        A column does not exist, or the data cannot be read in parts. What is wrong with single rows (NonFiniteError, LabelError)
        is raised when they are read, with the place of the row.

    Notes
    -----
    With ``shuffle=True``, each epoch draws a new order of the parts (row groups, partitions, runs of rows), and of the rows within
    the buffer. Rows further apart are not mixed: where the rows of a part are sorted, for example by class, pass a larger
    ``buffer``. The order depends on the model's seed and the number of updates, so that training can be repeated and resumed bit by
    bit. Without shuffling, and if all rows fit into the buffer, the result is that of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> def chunks():  # for example one file after another
    ...     for rows in (3, 1, 4):
    ...         yield np.ones((rows, 2)), np.ones(rows)
    >>> model = nn.Sequential(nn.Linear(2, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="adam")
    >>> history = model.fit(nn.data.parts(chunks), epochs=2, batch_size=4)
    >>> model.step
    4
    """
    who = "parts"
    options = (None if buffer is None else whole(who, "buffer", buffer), flag(who, "read_ahead", read_ahead))
    if isinstance(data, Parts):
        raise ArgumentError("parts: these data are in parts already")
    return Parts(_origin(who, data, target, features, sample_weight, lengths, categories), *options, kind_of(data))


def parquet(
    path: Any,
    *,
    target: Any = None,
    features: Any = None,
    sample_weight: Any = None,
    lengths: Any = None,
    categories: Mapping[str, Sequence[Any]] | None = None,
    filters: Any = None,
    partitioning: Any = "hive",
    buffer: int | None = None,
    read_ahead: bool = True,
) -> Parts:
    """Let a model read Parquet files in parts. pyarrow reads them: ``pip install "nncore[parquet]"``.

    Only the columns that are used are read, one row group after another. So the memory does not depend on the size of the files.

    Parameters
    ----------
    path : str, path-like or list
        A file, a folder of files, or a list of files.
    target, features, sample_weight, lengths, categories, buffer, read_ahead
        As for `parts`.
    filters : pyarrow.compute.Expression or list, optional
        Which rows to read, such as ``[("year", ">", 2020)]``. The number of rows is then not known before they are read.
    partitioning : str or pyarrow.dataset.Partitioning
        How the folders' names give values of columns.

    Returns
    -------
    Parts
        To be passed to `fit`, `evaluate` or `predict` in place of x, without y.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    OSError
        A file cannot be read, or is not there.
    ArgumentError
        A column does not exist.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, pyarrow as pa, pyarrow.parquet
    >>> import nncore as nn
    >>> table = pa.table(
    ...     {"a": np.arange(100.0), "b": np.ones(100), "y": np.arange(100) % 2}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyarrow.parquet.write_table(
    ...         table, os.path.join(folder, "rows.parquet"), row_group_size=30
    ...     )
    ...     rows = nn.data.parquet(folder, target="y")
    ...     model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    ...     model.compile(loss="binary_crossentropy", optimizer="adam")
    ...     history = model.fit(rows, epochs=2, batch_size=10)
    >>> rows.rows, model.step, model.feature_names
    (100, 20, ['a', 'b'])
    """
    from .arrow import ArrowOrigin, open_parquet

    who = "parquet"
    options = (None if buffer is None else whole(who, "buffer", buffer), flag(who, "read_ahead", read_ahead))
    dataset = open_parquet(path, who, partitioning)
    if isinstance(filters, list | tuple):
        from .arrow import expression

        filters = expression(filters)
    origin = ArrowOrigin(dataset, who, features, target, sample_weight, lengths, categories, filters)
    return Parts(origin, *options, os.fspath(path) if isinstance(path, str | os.PathLike) else f"{len(path)} files")


def _origin(who: str, data: Any, target: Any, features: Any, weight: Any, lengths: Any, categories: Any) -> Origin:
    chosen = (features, target, weight, lengths, categories)
    several = isinstance(data, list | tuple | Mapping)
    first = next(iter(data.values() if isinstance(data, Mapping) else data), None) if several else data
    if (several and hasattr(first, "__dask_graph__")) or hasattr(data, "__dask_graph__"):
        return DaskOrigin(who, data, target, features, weight, lengths, categories)
    if isinstance(data, str | bytes | os.PathLike):
        raise ArgumentError(f"{who}: for files of Parquet use nn.data.parquet({shown(data)}, target=...)")
    if hasattr(data, "collect") and not hasattr(data, "shape"):
        raise DTypeError(
            f"{who}: the values of a {kind_of(data)} are not computed yet; write them by sink_parquet(path) and read them by "
            "nn.data.parquet(path), or pass lambda: frame.collect_batches()"
        )
    if is_arrow(data) or type(data).__module__.partition(".")[0] == "pyarrow":
        from .arrow import ArrowOrigin

        return ArrowOrigin(data, who, *chosen, None)
    if is_frame(data):
        return ChunkOrigin(who, [data], *chosen)
    if is_frame(first):
        return ChunkOrigin(who, data, *chosen)
    if hasattr(first, "shape"):
        if features is not None or categories is not None:
            raise ArgumentError(f"{who}: features and categories are for tables with named columns, not for arrays")
        return ArrayOrigin(who, data, target, weight, lengths)
    return ChunkOrigin(who, data, *chosen)
