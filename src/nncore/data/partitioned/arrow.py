"""Parts of Arrow: datasets (Parquet, Feather, CSV, ...), Parquet files, tables, record batches, and readers of a stream.

pyarrow is imported here, and only when one of its objects was passed, or a path to `parquet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from ..._checks import shown
from ...errors import ArgumentError, DTypeError, LabelError, NonFiniteError, ShapeError, require
from ..refusals import advice_for_column
from .columns import Columns, choose
from .origin import Chunk, Origin

_READ = 4 << 20  # bytes that are read at a time
_CATEGORIES = "encode it as numbers first, or pass categories={{{0!r}: [...]}}, its values in the order of their numbers"


@cache
def arrow(purpose: str = "nn.data.parquet") -> Any:
    """Return pyarrow."""
    return require("pyarrow", "parquet", purpose)


class ArrowOrigin(Origin):
    """Record batches of a dataset, file, table or stream."""

    def __init__(self, source: Any, who: str, features: Any, target: Any, weight: Any, lengths: Any, categories: Any, where: Any):
        self.source, self.filter = source, where
        schema = source.schema_arrow if hasattr(source, "schema_arrow") else self._schema(source)
        self.columns = choose(who, schema.names, features, target, weight, lengths, categories)
        types = arrow().types
        nested = {field.name for field in schema if types.is_nested(field.type) or hasattr(field.type, "storage_type")}
        self.names, self.forms, self.has_targets = self.columns.names(nested.__contains__), self.columns.forms, bool(self.columns.y)
        fields = [schema.field(name) for name in self.columns.needed]
        self.batch = max(1 << 8, _READ // max(8, sum(8 * _width(types, field.type) for field in fields)))
        self._pieces, counts = self._find_pieces()
        self.pieces, self.is_dear = len(self._pieces), hasattr(source, "read_next_batch")
        self.rows = None if None in counts else sum(count for count in counts if count)
        if not self.pieces:
            self.pieces, self._pieces = 1, [("the data", lambda: iter(()))]

    @staticmethod
    def _schema(source: Any) -> Any:
        return source.schema if hasattr(source, "schema") else source.projected_schema

    def _find_pieces(self) -> tuple[list[tuple[str, Any]], list[int | None]]:
        """Return for each piece how errors call it, and a function that returns its record batches; and how many rows it has."""
        source, names = self.source, self.columns.needed
        options = {"batch_size": self.batch, "columns": names}
        if hasattr(source, "get_fragments"):
            return self._of_dataset()
        if hasattr(source, "iter_batches"):  # ParquetFile
            numbers = range(source.num_row_groups)
            pieces = [
                (f"row group {i}", lambda i=i: source.iter_batches(row_groups=[i], use_threads=False, **options)) for i in numbers
            ]
            return pieces, [source.metadata.row_group(i).num_rows for i in numbers]
        if hasattr(source, "slice"):  # a table, a record batch
            table = arrow().Table.from_batches([source]) if type(source).__name__ == "RecordBatch" else source
            table = table.select(names)
            size = self.batch
            starts = range(0, table.num_rows, size)
            runs = [(f"rows from {i}", lambda i=i: iter(table.slice(i, size).to_batches())) for i in starts]
            return runs, [min(size, table.num_rows - i) for i in starts]
        if hasattr(source, "to_batches"):  # Scanner
            return [("the data", lambda: iter(source.to_batches()))], [None]
        return [("the data", self._once)], [None]

    def _of_dataset(self) -> tuple[list[tuple[str, Any]], list[int | None]]:
        pieces: list[tuple[str, Any]] = []
        counts: list[int | None] = []
        for number, fragment in enumerate(self.source.get_fragments(filter=self.filter)):
            path = getattr(fragment, "path", "") or f"part {number}"
            if not hasattr(fragment, "split_by_row_group"):
                pieces.append((path, partial(self._batches, fragment)))
                counts.append(None)
                continue
            for part in fragment.split_by_row_group(filter=self.filter, schema=self.source.schema):
                (group,) = part.row_groups
                read = partial(self._row_group, fragment, group.id) if self.filter is None else partial(self._batches, part)
                pieces.append((f"row group {group.id} of {path}", read))
                counts.append(group.num_rows if self.filter is None else None)
        if None in counts and self.filter is None and type(self.source).__name__ == "InMemoryDataset":
            counts = [self.source.count_rows()]
        return pieces, counts

    def _batches(self, fragment: Any) -> Iterator[Any]:
        """Return the record batches of a fragment as pyarrow's datasets read them: they decode ahead, up to a row group."""
        options = {"batch_readahead": 0, "fragment_readahead": 0, "use_threads": False, "filter": self.filter}
        found: Iterator[Any] = fragment.to_batches(
            schema=self.source.schema, columns=self.columns.needed, batch_size=self.batch, **options
        )
        return found

    def _row_group(self, fragment: Any, number: int) -> Iterator[Any]:
        """Return the record batches of a row group, decoded one after another."""
        names, pyarrow, schema = self.columns.needed, arrow(), self.source.schema
        size = min(1 << 20, max(1 << 16, (8 << 20) // len(names)))
        file = require("pyarrow.parquet", "parquet", "parquet").ParquetFile(
            fragment.open(), metadata=fragment.metadata, pre_buffer=False, buffer_size=size
        )
        with file:
            own = set(file.schema_arrow.names)
            keys = require("pyarrow.dataset", "parquet", "parquet").get_partition_keys(fragment.partition_expression)
            read = {"columns": [name for name in names if name in own], "row_groups": [number], "use_threads": False}
            for batch in file.iter_batches(self.batch, **read):
                if batch.schema.names == names and batch.schema.types == [schema.field(name).type for name in names]:
                    yield batch
                    continue
                columns = []
                for name in names:
                    kind = schema.field(name).type
                    kind = kind.value_type if name in keys and pyarrow.types.is_dictionary(kind) else kind
                    if name in own and name not in keys:
                        columns.append(batch.column(name).cast(kind))
                    else:  # of a folder's name, or only in other files
                        columns.append(pyarrow.repeat(pyarrow.scalar(keys.get(name), kind), batch.num_rows))
                yield pyarrow.RecordBatch.from_arrays(columns, names=names)

    def _once(self) -> Iterator[Any]:
        self.is_spent = True
        return iter(self.source)

    def read(self, piece: int, dtype: np.dtype[Any]) -> Iterator[Chunk]:
        where, batches = self._pieces[piece]
        first = 0
        for batch in batches():
            yield chunk_of(batch, self.columns, dtype, where, first)
            first += batch.num_rows


def _width(types: Any, kind: Any) -> int:
    """Return about how many numbers a row has."""
    if types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(types, kind.value_type)
    if hasattr(kind, "storage_type"):
        return _width(types, kind.storage_type)
    return 64 if types.is_nested(kind) else 1


def chunk_of(batch: Any, columns: Columns, dtype: np.dtype[Any], where: str, first: int = 0) -> Chunk:
    """Return the rows of a record batch or of a table."""
    if type(batch).__name__ == "Table":  # a table
        batch = batch.combine_chunks()

    def get(name: str) -> np.ndarray:
        column = batch.column(name)
        if hasattr(column, "num_chunks"):
            column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return to_numpy(column, name, first, columns.categories.get(name))

    return columns.chunk(get, dtype, where, first)


def to_numpy(column: Any, name: str, first: int = 0, values: Any = None, width: int = 1) -> np.ndarray:
    """Return an Arrow array as numbers.

    first: the number of its first row in messages. values: those of a category. width: how many entries a row has.
    """
    types, kind = arrow().types, column.type
    if column.null_count:
        missing = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
        _refuse_missing(missing, name, first, width)
    if values is not None:
        return _codes(column, name, first, values)
    if hasattr(column, "to_numpy_ndarray"):  # a fixed-shape tensor
        return np.asarray(column.to_numpy_ndarray())
    if hasattr(column, "storage"):
        return to_numpy(column.storage, name, first)
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        return _lists(column, name, first)
    if types.is_decimal(kind):
        column = column.cast("float64")
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        advice = _CATEGORIES.format(name) if types.is_dictionary(kind) or _is_text(types, kind) else advice_for_column(kind)
        raise DTypeError(f"column {name!r} has the type {kind}, not numbers; {advice or 'turn every value into a number first'}")
    array = np.asarray(column.to_numpy(zero_copy_only=False))
    if array.dtype.kind == "f" and array.size and np.isnan(array.min()):  # quicker than to look for NaN
        _refuse_missing(np.isnan(array), name, first, width)
    return array


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view")


def _refuse_missing(missing: np.ndarray, name: str, first: int, width: int) -> None:
    row = first + int(np.flatnonzero(missing)[0]) // width
    raise NonFiniteError(f"column {name!r} has no value at row {row}; drop such rows or fill them in")


def _codes(column: Any, name: str, first: int, values: Any) -> np.ndarray:
    """Return the place of each value in the list of values."""
    pyarrow = arrow()
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        known = pyarrow.array(list(values)).cast(column.type)
    except (TypeError, ValueError, pyarrow.ArrowException) as error:
        raise ArgumentError(f"categories[{name!r}] must be values of the type {column.type}, not {shown(values)}") from error
    codes = require("pyarrow.compute", "parquet", "categories").index_in(column, value_set=known)
    if codes.null_count:
        row = int(np.flatnonzero(codes.is_null().to_numpy(zero_copy_only=False))[0])
        unknown(name, column[row].as_py(), first + row)
    return np.asarray(codes.to_numpy(zero_copy_only=False))


def unknown(name: str, value: Any, row: int) -> None:
    """Raise LabelError for a value that is not among the categories of a column."""
    raise LabelError(f"column {name!r} holds {shown(value)} at row {row}, which is not in categories[{name!r}]; add it")


def _lists(column: Any, name: str, first: int) -> np.ndarray:
    """Return lists that are all of the same length as an array with one more dimension."""
    if hasattr(column.type, "list_size"):
        width = int(column.type.list_size)
    else:
        sizes = column.value_lengths().to_numpy(zero_copy_only=False)
        width = int(sizes[0]) if len(sizes) else 0
        odd = np.flatnonzero(sizes != width)
        if len(odd):
            raise ShapeError(
                f"column {name!r} has {sizes[odd[0]]} entries at row {first + odd[0]} and {width} at row {first}; all rows need as "
                "many: pad them, and pass the numbers of entries as lengths"
            )
    inner = to_numpy(column.flatten(), name, first, width=max(1, width))
    return inner.reshape(len(column), width, *inner.shape[1:])


def open_parquet(path: Any, who: str, partitioning: Any) -> Any:
    """Return the dataset of a Parquet file, a folder of them, or a list of files."""
    arrow()
    return require("pyarrow.dataset", "parquet", who).dataset(path, format="parquet", partitioning=partitioning)


def expression(filters: Any) -> Any:
    """Return a list of conditions as an expression."""
    return require("pyarrow.parquet", "parquet", "parquet").filters_to_expression(list(filters))
