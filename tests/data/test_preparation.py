"""pad_sequences gives Keras's results, make_windows those of NumPy's sliding windows."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import nncore as nn
from nncore import errors


def keras(sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0):
    """What Keras documents: truncate each sequence at one end, then fill at one end."""
    steps = max(map(len, sequences)) if maxlen is None else maxlen
    rows = []
    for each in sequences:
        each = list(each)
        each = (each[-steps:] if truncating == "pre" else each[:steps]) if len(each) > steps else each
        filler = [np.full(np.shape(each[0]) if each else np.shape(max(sequences, key=len)[0]), value)] * (steps - len(each))
        rows.append(filler + each if padding == "pre" else each + filler)
    return np.array(rows).astype(dtype)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 1, 2, 3, 6])
@pytest.mark.parametrize("value", [0.0, -1.0, 7])
@pytest.mark.parametrize("tail", [(), (2,), (2, 3)])
def test_padding_is_that_of_keras(padding, truncating, maxlen, value, tail, rng):
    sequences = [rng.integers(1, 9, size=(n, *tail)) for n in (3, 1, 4, 2)]
    given = {"maxlen": maxlen, "padding": padding, "truncating": truncating, "value": value}
    expected = keras(sequences, **given)
    np.testing.assert_array_equal(nn.pad_sequences(sequences, **given), expected)
    np.testing.assert_array_equal(nn.pad_sequences([each.tolist() for each in sequences], **given), expected)
    np.testing.assert_array_equal(nn.pad_sequences(iter(sequences), dtype="float32", **given), expected)


def test_examples_of_the_documentation_of_keras():
    sequence = [[1], [2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(nn.pad_sequences(sequence, padding="pre"), [[0, 0, 1], [0, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(nn.pad_sequences(sequence, value=-1, padding="pre"), [[-1, -1, 1], [-1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(nn.pad_sequences(sequence, padding="post"), [[1, 0, 0], [2, 3, 0], [4, 5, 6]])
    np.testing.assert_array_equal(nn.pad_sequences(sequence, maxlen=2, padding="pre"), [[0, 1], [2, 3], [5, 6]])
    np.testing.assert_array_equal(nn.pad_sequences(sequence), [[1, 0, 0], [2, 3, 0], [4, 5, 6]])  # the default here


@pytest.mark.parametrize(
    ("sequences", "value", "dtype"),
    [
        ([[1], [2, 3]], 0.0, np.int64),
        ([[1], [2, 3]], 0.5, np.float64),
        ([[1], [2, 3]], np.nan, np.float64),
        ([[1.5], [2, 3]], 0, np.float64),
        ([np.ones(2, np.float32), np.ones(3, np.float32)], 0.5, np.float32),
        ([np.ones(2, np.float32), np.ones(3, np.float64)], 0, np.float64),
        ([np.ones(2, np.uint8), [1]], 0, np.int64),
        ([np.ones(2, np.uint8), np.ones(3, np.uint8)], 0, np.uint8),
        ([np.ones(2, np.uint8), np.ones(3, np.uint8)], -1, np.int16),
        ([np.ones(2, np.uint8), np.ones(3, np.uint8)], 256, np.uint16),
        ([[True], [True, False]], 0, np.bool_),
        ([[True], [True, False]], 2, np.uint8),
        ([[], [2, 3]], 0, np.int64),
    ],
)
def test_numbers_keep_their_type_and_values(sequences, value, dtype):
    found = nn.pad_sequences(sequences, value=value)
    assert found.dtype == dtype
    longest = max(map(len, sequences))
    expected = [[*each, *[value] * (longest - len(each))] for each in sequences]
    np.testing.assert_array_equal(found, np.array(expected, np.float64))


def test_lengths_are_those_that_fit_takes(rng):
    sequences = [rng.normal(size=(n, 2)) for n in (3, 5, 1)]
    x, lengths = nn.pad_sequences(sequences, return_lengths=True)
    assert x.shape == (3, 5, 2)
    assert lengths.tolist() == [3, 5, 1]
    short, cut = nn.pad_sequences(sequences, maxlen=2, return_lengths=True)
    assert cut.tolist() == [2, 2, 1]
    np.testing.assert_array_equal(short[1], sequences[1][-2:])
    model = nn.Sequential(nn.GRU(2, 3), seed=0)
    alone = np.concatenate([model.predict(each[None]) for each in sequences])
    np.testing.assert_array_equal(model.predict(x, lengths=lengths), alone)
    empty, none = nn.pad_sequences([[], [1.0]], return_lengths=True)
    assert empty.tolist() == [[0.0], [1.0]]
    assert none.tolist() == [0, 1]
    assert nn.pad_sequences([]).shape == (0, 0)
    assert nn.pad_sequences([[], []]).shape == (2, 0)
    assert nn.pad_sequences([np.zeros((0, 3)), np.ones((2, 3))]).shape == (2, 2, 3)


def test_sequences_of_other_libraries():
    torch, pandas = pytest.importorskip("torch"), pytest.importorskip("pandas")
    expected = [[1, 0], [2, 3]]
    np.testing.assert_array_equal(nn.pad_sequences([torch.tensor([1]), torch.tensor([2, 3])]), expected)
    np.testing.assert_array_equal(nn.pad_sequences([pandas.Series([1]), pandas.Series([2, 3])]), expected)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nn.pad_sequences([np.ones((2, 3)), np.ones((2, 4))]),
            errors.ShapeError,
            r"sequences\[1\] has steps of shape \(4,\)",
        ),
        (lambda: nn.pad_sequences([1, 2]), errors.ShapeError, r"sequences\[0\] is a single number"),
        (lambda: nn.pad_sequences([["a"], ["b"]]), errors.DTypeError, r"sequences\[0\]"),
        (lambda: nn.pad_sequences([[1, None]]), errors.DTypeError, r"sequences\[0\]"),
        (lambda: nn.pad_sequences("text"), errors.ArgumentError, "sequences must be a list"),
        (lambda: nn.pad_sequences(None), errors.ArgumentError, "sequences must be a list"),
        (lambda: nn.pad_sequences([[1]], maxlen=0), errors.ArgumentError, "maxlen"),
        (lambda: nn.pad_sequences([[1]], maxlen=1.5), errors.ArgumentError, "maxlen"),
        (lambda: nn.pad_sequences([[1]], padding="left"), errors.ArgumentError, "padding must be 'post' or 'pre'"),
        (lambda: nn.pad_sequences([[1]], truncating="end"), errors.ArgumentError, "truncating"),
        (lambda: nn.pad_sequences([[1]], value="0"), errors.ArgumentError, "value must be a number"),
        (lambda: nn.pad_sequences([[1]], dtype="str"), errors.DTypeError, "dtype"),
        (lambda: nn.pad_sequences([[1]], dtype="nothing"), errors.DTypeError, "dtype"),
        (lambda: nn.pad_sequences([[1]], return_lengths=2), errors.ArgumentError, "return_lengths"),
        (lambda: nn.pad_sequences([[1]], padding="pre", return_lengths=True), errors.ArgumentError, "padding='post'"),
        (lambda: nn.make_windows(np.ones(5), 6), errors.EmptyDataError, "5 steps has no window of 6 steps"),
        (lambda: nn.make_windows(np.ones(5), 4, 2), errors.EmptyDataError, "4 steps and the 2 after"),
        (lambda: nn.make_windows(3.0, 1), errors.ShapeError, "single number"),
        (lambda: nn.make_windows(["a", "b"], 1), errors.DTypeError, "series"),
        (lambda: nn.make_windows(np.ones(5), 0), errors.ArgumentError, "length"),
        (lambda: nn.make_windows(np.ones(5), 2, -1), errors.ArgumentError, "horizon"),
        (lambda: nn.make_windows(np.ones(5), 2, stride=0), errors.ArgumentError, "stride"),
        (lambda: nn.make_windows(np.ones(5), 2, targets=np.ones(4)), errors.ShapeError, "targets have 4 steps and series 5"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("tail", [(), (2,), (2, 3)])
@pytest.mark.parametrize("length", [1, 3, 12])
@pytest.mark.parametrize("stride", [1, 2, 5, 40])
def test_windows_are_those_of_numpy(tail, length, stride, rng):
    series = rng.normal(size=(12, *tail)).astype("f4")
    expected = np.moveaxis(sliding_window_view(series, length, axis=0), -1, 1)[::stride]
    found = nn.make_windows(series, length, stride=stride)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    assert np.shares_memory(found, series)
    assert found.base is not None


@pytest.mark.parametrize("tail", [(), (2,)])
@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("horizon", [0, 1, 2, 5])
def test_what_follows_a_window(tail, length, stride, horizon, rng):
    series, labels = rng.normal(size=(17, *tail)), rng.integers(3, size=17)
    for targets in (None, labels, series[:, None]):
        x, y = nn.make_windows(series, length, horizon, targets=targets, stride=stride)
        values = series if targets is None else targets
        starts = [i for i in range(0, 17, stride) if i + length + horizon <= 17]
        np.testing.assert_array_equal(x, [series[i : i + length] for i in starts])
        if horizon == 0:
            expected = [values[i + length - 1] for i in starts]
        elif horizon == 1:
            expected = [values[i + length] for i in starts]
        else:
            expected = [values[i + length : i + length + horizon] for i in starts]
        np.testing.assert_array_equal(y, expected)
        assert np.shares_memory(y, values)
    one, next_step = nn.make_windows(series, length, targets=labels)
    np.testing.assert_array_equal(next_step, labels[length:])
    assert len(one) == len(next_step)


def test_windows_train_without_a_copy(rng):
    series = np.cumsum(rng.normal(size=(300, 2)), axis=0).astype("f4")
    x, y = nn.make_windows(series, 10, horizon=1)
    models = [nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 2), seed=0) for _ in range(2)]
    for model, data in zip(models, ((x, y), (x.copy(), y.copy())), strict=True):
        model.compile("mse", "adam")
        model.fit(*data, epochs=2, validation_split=0.2, validation="last", verbose=0)
    np.testing.assert_array_equal(models[0].predict(x), models[1].predict(x.copy()))


def test_series_of_other_libraries(tmp_path):
    pandas, torch = pytest.importorskip("pandas"), pytest.importorskip("torch")
    expected = [[0, 1], [1, 2]]
    for series in ([0, 1, 2], pandas.Series([0, 1, 2]), torch.tensor([0, 1, 2])):
        np.testing.assert_array_equal(nn.make_windows(series, 2), expected)
    frame = pandas.DataFrame({"a": [0.0, 1, 2], "b": [3.0, 4, 5]})
    assert nn.make_windows(frame, 2).tolist() == [[[0, 3], [1, 4]], [[1, 4], [2, 5]]]
    mapped = np.memmap(tmp_path / "m", np.float32, "w+", shape=(100,))
    assert nn.make_windows(mapped, 10).base is not None
    assert np.shares_memory(nn.make_windows(mapped, 10), mapped)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([300], "uint8"),
        ([-1], "uint8"),
        ([2**40], "int32"),
        ([np.nan], "int32"),
        ([np.inf], "int64"),
        ([2.0**63], "int64"),
        ([2**63], "int64"),
        ([-1], "uint64"),
        ([1e300], "float32"),
        ([70000], "float16"),
        ([2], "bool"),
    ],
)
def test_values_that_the_type_cannot_hold(values, dtype):
    with pytest.raises(nn.errors.ArgumentError, match=rf"sequences\[1\] holds .*{dtype}"):
        nn.pad_sequences([[1], values], dtype=dtype)
    with pytest.raises(nn.errors.ArgumentError, match=rf"value holds .*{dtype}"):
        nn.pad_sequences([[1, 1], [1]], dtype=dtype, value=values[0])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([255, 0], "uint8"),
        ([-(2**63), 2**63 - 1], "int64"),
        ([1.75, -2.5], "int32"),
        ([np.inf, np.nan], "float32"),
        ([0, 1], "bool"),
    ],
)
def test_values_at_the_ends_of_the_type(values, dtype):
    np.testing.assert_array_equal(nn.pad_sequences([values], dtype=dtype)[0], np.array(values).astype(dtype))


@pytest.mark.parametrize("value", [1e300, 2**70])
def test_padding_that_widens_the_type(value):
    for dtype in (np.float32, np.int64):
        assert nn.pad_sequences([np.ones(2, dtype), np.ones(1, dtype)], value=value)[1, 1] == float(value)
