"""Each origin of data in parts gives the rows that the libraries themselves read, and refuses what is no number with its place."""

import datetime
import decimal
import subprocess
import sys

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import nncore as nn
from nncore import errors

ROWS = 1000
NAMES = ["a", "b", "c"]
CUTS = [(0, 300), (300, 310), (310, ROWS)]


@pytest.fixture
def frame(rng):
    """Columns of three types, a weight, and targets."""
    return pd.DataFrame(
        {
            "a": rng.normal(size=ROWS).astype(np.float32),
            "y": rng.integers(3, size=ROWS),
            "b": rng.normal(size=ROWS),
            "w": rng.uniform(size=ROWS),
            "c": rng.integers(100, size=ROWS).astype(np.int16),
        }
    )


def files(frame, path):
    """Write three files of two row groups each, of different sizes."""
    for i, (start, stop) in enumerate(CUTS):
        part = pa.Table.from_pandas(frame[start:stop], preserve_index=False)
        pq.write_table(part, path / f"{i}.parquet", row_group_size=(stop - start + 1) // 2)
    return path


def feather(frame, path):
    pyarrow.feather.write_feather(frame, path / "x")
    return ds.dataset(path, format="feather")


def csv(frame, path):
    frame.to_csv(path / "x.csv", index=False)
    return ds.dataset(path, format="csv")


SOURCES = {
    "dataset": lambda frame, path: ds.dataset(files(frame, path)),
    "feather": feather,
    "csv": csv,
    "table": lambda frame, path: pa.Table.from_pandas(frame),
    "table as a dataset": lambda frame, path: ds.dataset(pa.Table.from_pandas(frame)),
    "record batch": lambda frame, path: pa.RecordBatch.from_pandas(frame),
    "reader": lambda frame, path: pa.Table.from_pandas(frame).to_reader(77),
    "scanner": lambda frame, path: ds.dataset(pa.Table.from_pandas(frame)).scanner(),
    "file": lambda frame, path: pq.ParquetFile(files(frame, path) / "2.parquet"),
    "dask": lambda frame, path: dd.from_pandas(frame, npartitions=7),
    "pandas": lambda frame, path: frame,
    "polars": lambda frame, path: pl.from_pandas(frame),
    "list of frames": lambda frame, path: [frame[:10], frame[10:]],
    "function": lambda frame, path: lambda: (pl.from_pandas(frame[i : i + 90]) for i in range(0, ROWS, 90)),
    "chunks of arrow": lambda frame, path: lambda: iter(pa.Table.from_pandas(frame).to_batches(200)),
}


def joined(parts, size=64):
    """All rows of the batches, field by field."""
    batches = list(parts.batches(size))
    assert {len(batch[-1]) for batch in batches[:-1]} <= {size}
    return [np.concatenate(each) for each in zip(*batches, strict=True)]


@pytest.mark.parametrize("source", SOURCES)
def test_rows_are_those_of_the_source(source, frame, tmp_path):
    expected = frame[310:] if source == "file" else frame
    parts = nn.data.parts(SOURCES[source](frame, tmp_path), "y", features=NAMES, sample_weight="w")
    x, y, weight = joined(parts)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, expected[NAMES].to_numpy(np.float32))
    np.testing.assert_array_equal(y, expected["y"])
    np.testing.assert_allclose(weight, expected["w"], rtol=1e-15)
    if source in ("dataset", "table", "file", "table as a dataset", "record batch"):
        assert parts.rows == len(expected)
    elif source == "reader":
        with pytest.raises(errors.ArgumentError, match="only once"):
            joined(parts)


def test_parquet_reads_files_folders_and_lists(frame, tmp_path):
    files(frame, tmp_path)
    for path in (tmp_path, str(tmp_path), [tmp_path / f"{i}.parquet" for i in range(3)]):
        parts = nn.data.parquet(path, target="y", features=["c"])
        assert parts.rows == ROWS
        assert "1000 rows" in repr(parts)
        assert "6 parts" in repr(parts)
        x, y = joined(parts)
        assert x.dtype == np.int16, "whole numbers stay whole, for embeddings"
        np.testing.assert_array_equal(x[:, 0], frame["c"])
        np.testing.assert_array_equal(y, frame["y"])
    filtered = nn.data.parquet(tmp_path, target="y", features=["c"], filters=[("a", ">", 0.5)])
    assert filtered.rows is None
    np.testing.assert_array_equal(joined(filtered)[1], frame["y"][frame["a"] > 0.5])
    filtered = nn.data.parquet(tmp_path, target="y", features=["c"], filters=pc.field("y") == 1)
    np.testing.assert_array_equal(joined(filtered)[0][:, 0], frame["c"][frame["y"] == 1])
    with pytest.raises(FileNotFoundError):
        nn.data.parquet(tmp_path / "nothing", target="y")


def test_names_of_folders_are_columns_and_files_may_differ(tmp_path):
    """Hive partitions; a file whose columns are in another order; one with a narrower type."""
    tables = {
        2020: pa.table({"a": [1.0, 2.0], "y": [0, 1]}),
        2021: pa.table({"y": pa.array([1], pa.int64()), "a": pa.array([3.0], pa.float64())}),
        2022: pa.table({"a": pa.array([4.0], pa.float32()), "y": pa.array([0], pa.int16())}),
    }
    for year, part in tables.items():
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(part, tmp_path / f"year={year}" / "x.parquet")
    x, y = joined(nn.data.parquet(tmp_path, target="y", features=["year", "a"]))
    np.testing.assert_array_equal(x, [[2020, 1], [2020, 2], [2021, 3], [2022, 4]])
    np.testing.assert_array_equal(y, [0, 1, 1, 0])


def test_groups_of_columns_are_inputs_and_outputs(frame, tmp_path):
    files(frame, tmp_path)
    parts = nn.data.parquet(tmp_path, features={"left": ["a", "b"], "right": "c"}, target={"kind": "y", "size": ["w"]})
    (x, y), *_ = parts.batches(ROWS)
    assert {name: each.shape for name, each in x.items()} == {"left": (ROWS, 2), "right": (ROWS,)}
    assert {name: each.shape for name, each in y.items()} == {"kind": (ROWS,), "size": (ROWS, 1)}
    parts = nn.data.parquet(tmp_path, features=[["a"], ["b", "c"]], target=["y", "w"])
    (x, y), *_ = parts.batches(ROWS)
    assert [each.shape for each in x] == [(ROWS, 1), (ROWS, 2)]
    assert y.shape == (ROWS, 2)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([True, False, True]),
        pa.array([1, 2, 3], pa.uint8()),
        pa.array(np.array([1, 2, 3], np.float16)),
        pa.array([decimal.Decimal("1.25"), decimal.Decimal(2), decimal.Decimal(3)]),
        pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
        pa.array([[1, 2], [3, 4], [5, 6]]),
        pa.array([[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]]),
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12.0).reshape(3, 2, 2)),
        pa.array([[1.0, 2.0]] * 4).slice(1),
    ],
    ids=lambda column: str(column.type),
)
def test_types_of_arrow(column):
    is_tensor = hasattr(column, "to_numpy_ndarray")
    expected = column.to_numpy_ndarray() if is_tensor else np.array(column.to_pylist(), float)
    whole, _ = joined(nn.data.parts(pa.table({"v": column, "y": [0.0, 1.0, 2.0]}), "y", features="v"))
    np.testing.assert_array_equal(whole.reshape(3, -1).astype(float), expected.reshape(3, -1))
    if whole.ndim < 3:
        beside, _ = joined(nn.data.parts(pa.table({"v": column, "k": [7, 8, 9], "y": [0.0, 1.0, 2.0]}), "y"))
        np.testing.assert_array_equal(beside, np.column_stack([expected.reshape(3, -1), [7, 8, 9]]))


def test_categories_become_their_places(tmp_path):
    colours, labels = ["red", "green", "red", "blue"], ["no", "yes", "yes", "no"]
    chosen = {"categories": {"colour": ["blue", "red", "green"], "label": ["no", "yes"]}, "features": ["colour", "v"]}
    columns = {"colour": colours, "v": [1, 2, 3, 4], "label": labels}
    encoded = pa.table({**columns, "colour": pa.array(colours).dictionary_encode()})
    frames = [pa.table(columns), encoded, dd.from_pandas(pd.DataFrame(columns).astype({"colour": "category"}), npartitions=2)]
    for each in [*frames, [pl.DataFrame(columns)], pd.DataFrame(columns)]:
        x, y = joined(nn.data.parts(each, "label", **chosen))
        np.testing.assert_array_equal(x, [[1, 1], [2, 2], [1, 3], [0, 4]])
        np.testing.assert_array_equal(y, [0, 1, 1, 0])
    for each in [*frames, [pl.DataFrame(columns)], pd.DataFrame(columns)]:
        with pytest.raises(errors.LabelError, match="'colour' holds 'blue' at row ., which is not in categories"):
            joined(nn.data.parts(each, "label", **chosen | {"categories": {"colour": ["red", "green"], "label": ["no", "yes"]}}))
    with pytest.raises(errors.DTypeError, match=r"'colour' has the type dictionary.*categories=\{'colour'"):
        joined(nn.data.parts(encoded, "v"))


BAD = {
    "text": (["x", "y", "z"], errors.DTypeError, r"'v' has the type string, not numbers; .*categories=\{'v'"),
    "dates": ([datetime.date(2020, 1, 1)] * 3, errors.DTypeError, "'v' has the type date32.*days since"),
    "spans": ([datetime.timedelta(1)] * 3, errors.DTypeError, "'v' has the type duration.*seconds"),
    "structs": ([{"k": 1}] * 3, errors.DTypeError, "'v' has the type struct"),
    "nulls": ([1.0, None, None], errors.NonFiniteError, "row group 1 of .*: column 'v' has no value at row 1"),
    "NaN": ([1.0, 2.0, float("nan")], errors.NonFiniteError, "row group 1 of .*: column 'v' has no value at row 2"),
    "ragged": ([[1.0], [1.0, 2.0], [3.0]], errors.ShapeError, "'v' has 2 entries at row 1 and 1 at row 0.*lengths"),
    "null in a list": ([[1.0, 2.0], [3.0, None], [5.0, 6.0]], errors.NonFiniteError, "'v' has no value at row 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_number_is_refused_with_its_place(case, tmp_path):
    values, error, match = BAD[case]
    bad = pa.table({"v": values, "y": [0.0, 1.0, 2.0]})
    good = pa.table({"v": [values[0]] * 3, "y": [0.0, 1.0, 2.0]}).cast(bad.schema)
    pq.write_table(pa.concat_tables([good, bad]), tmp_path / "x.parquet", row_group_size=3)
    with pytest.raises(error, match=match):
        joined(nn.data.parquet(tmp_path, target="y", features="v"))


def test_what_is_missing_in_a_frame_is_refused_with_its_part():
    bad = dd.from_pandas(pd.DataFrame({"v": [1.0, 2, 3, np.nan], "y": 1.0}), npartitions=2)
    with pytest.raises(errors.NonFiniteError, match="partition 1: column 'v' lacks 1 of 2 values, the first at row 1"):
        joined(nn.data.parts(bad, "y"))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"target": "z"}, "no column called 'z'; the columns are 'a', 'y', 'b', 'w', 'c'"),
        ({"target": "y", "features": ["a", "y"]}, "'y' is both a feature and a target"),
        ({"target": "y", "features": ["a", "a"]}, "'a' twice"),
        ({"target": 3}, "target must be the name of a column"),
        ({"target": "y", "sample_weight": 1.0}, "sample_weight must be the name of a column"),
        ({"target": "y", "features": []}, "features must be"),
        ({"target": ["a", "b", "c", "w", "y"]}, "no column is left"),
        ({"target": "y", "categories": ["a"]}, "categories must be a dict"),
        ({"target": "y", "buffer": 0}, "buffer"),
        ({"target": "y", "read_ahead": "yes"}, "read_ahead"),
    ],
)
def test_wrong_arguments(arguments, match, frame):
    with pytest.raises(errors.ArgumentError, match=match):
        nn.data.parts(pa.Table.from_pandas(frame), **arguments)


def test_wrong_data(tmp_path):
    with pytest.raises(errors.ArgumentError, match="nn.data.parquet"):
        nn.data.parts("x.parquet", "y")
    with pytest.raises(errors.DTypeError, match="LazyFrame.*sink_parquet.*collect_batches"):
        nn.data.parts(pl.LazyFrame({"a": [1]}), "a")
    with pytest.raises(errors.ArgumentError, match="int is no table"):
        nn.data.parts(3, "y")
    with pytest.raises(errors.ShapeError, match=r"different numbers of rows: \[4, 3\]"):
        nn.data.parts(np.ones((4, 2)), np.ones(3))
    with pytest.raises(errors.ShapeError, match="chunk 1: the rows of x have the shapes.*chunk 0"):
        joined(nn.data.parts([(np.ones((4, 2)), np.ones(4)), (np.ones((4, 3)), np.ones(4))]))
    with pytest.raises(errors.ShapeError, match="chunk 1 has no sample weights"):
        joined(nn.data.parts([(np.ones((4, 2)), np.ones(4), np.ones(4)), (np.ones((4, 2)), np.ones(4))]))
    with pytest.raises(errors.ShapeError, match="chunk 0: .*different numbers of rows"):
        joined(nn.data.parts([(np.ones((4, 2)), np.ones(3))]))
    with pytest.raises(errors.ShapeError, match=r"different numbers of partitions: \[2, 3\]"):
        nn.data.parts(*(dd.from_pandas(pd.DataFrame({"a": range(6)}), npartitions=n) for n in (2, 3)))
    with pytest.raises(errors.ArgumentError, match="so must be y"):
        nn.data.parts(da.ones((6, 2)), np.ones(6))


def test_where_data_in_parts_do_not_fit_the_error_says_what_does(tmp_path):
    model = nn.Sequential(nn.Linear(1, 1), seed=0)
    model.compile("mse", "adam")
    dataset = ds.dataset(pa.table({"a": [1.0], "y": [1.0]}))
    for call in (model, model.forward, model.predict_on_batch, lambda x: model.train_on_batch(x, "y")):
        with pytest.raises(errors.DTypeError, match="x is a dataset of pyarrow, which fit, evaluate and predict read in parts"):
            call(dataset)
    for path in ("rows.parquet", tmp_path):
        with pytest.raises(errors.DTypeError, match=r"x is a path; .* nn.data.parquet\('.*', target="):
            model.fit(path, "y")


def test_frames_of_a_polars_query(tmp_path):
    query = pl.LazyFrame({"a": np.arange(100.0), "y": np.arange(100) % 2})
    x, y = joined(nn.data.parts(lambda: query.collect_batches(chunk_size=30), "y"))
    np.testing.assert_array_equal(x[:, 0], np.arange(100))
    query.sink_parquet(tmp_path / "x")
    np.testing.assert_array_equal(joined(nn.data.parquet(tmp_path / "x", target="y"))[1], y)


def test_arrays_are_sliced_and_never_read_whole(rng):
    """What h5py and Zarr have: a shape, a dtype, and slices."""

    class OnDisk:
        def __init__(self, array):
            self.array, self.shape, self.dtype, self.most = array, array.shape, array.dtype, 0

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            self.most = max(self.most, rows.stop - rows.start)
            return self.array[rows]

    x, y = rng.normal(size=(5000, 100)), rng.integers(3, size=5000)
    disk = OnDisk(x)
    found = joined(nn.data.parts(disk, y))
    np.testing.assert_array_equal(found[0], x.astype(np.float32))
    np.testing.assert_array_equal(found[1], y)
    assert disk.most < 2000
    several = nn.data.parts([disk, OnDisk(x[:, :3])], y, sample_weight=x[:, 0] ** 2)
    (inputs, _, weight), *_ = several.batches(10)
    assert [each.shape for each in inputs] == [(10, 100), (10, 3)]
    np.testing.assert_array_equal(weight, x[:10, 0] ** 2)


def test_shuffled_batches_have_every_row_once_in_an_order_that_the_seed_determines(frame):
    parts = nn.data.parts(pa.Table.from_pandas(frame.assign(i=np.arange(ROWS))), "i", features=["a"], buffer=96)
    first, again, other = (
        np.concatenate([y for _, y in parts.batches(32, shuffle=True, seed=seed)]).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other
    assert sorted(first) == list(range(ROWS)) != first


def test_dask_computes_a_partition_once(rng):
    """A frame and its columns share what they are made of; so do arrays."""
    made = []

    def make(i):
        made.append(i)
        return pd.DataFrame({"a": np.arange(4.0) + i, "b": 1.0, "y": [i] * 4})

    frame = dd.from_map(make, range(3), meta=make(0))
    block = da.from_array(np.arange(24.0).reshape(12, 2), chunks=(4, 1)).map_blocks(lambda b: made.append(0) or b, dtype=float)
    for x, y, count in [(frame, "y", 3), (frame[["a", "b"]], frame["y"], 3), (block, block[:, 0], 6)]:
        parts = nn.data.parts(x, y)
        made.clear()
        found = joined(parts)
        assert len(made) == count
        assert len(found[0]) == 12


def test_neither_pyarrow_nor_dask_is_imported_for_arrays(tmp_path):
    program = (
        "import sys, numpy as np, nncore as nn\n"
        "x, y = np.ones((100, 2)), np.ones(100)\n"
        "model = nn.Sequential(nn.Linear(2, 1), seed=0)\n"
        "model.compile(loss='mse', optimizer='adam')\n"
        "for data in ((x, y), (nn.data.parts(x, y), None), (nn.data.read_ahead([(x, y)]), None)):\n"
        "    model.fit(*data)\n"
        "    model.evaluate(*data)\n"
        "    model.predict(data[0])\n"
        "assert not {'pyarrow', 'dask', 'pandas', 'polars'} & {*sys.modules}, sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=60)


def test_without_pyarrow_the_error_names_the_extra(monkeypatch):
    from nncore.data.partitioned import arrow

    arrow.arrow.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(errors.MissingExtraError, match=r'pip install "nncore\[parquet\]"'):
        nn.data.parquet("x.parquet", target="y")
    arrow.arrow.cache_clear()
