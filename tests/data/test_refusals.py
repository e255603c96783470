"""Data that are not numbers: each kind gets a sentence of its own, which says what to do, and following it works."""

import datetime

import numpy as np
import pytest

import nncore as nn
from nncore import errors

DAYS = [datetime.datetime(2020, 1, day) for day in (1, 2, 3)]


def refused(x, text, error=errors.DTypeError):
    """Wherever data come in, as samples or as targets."""
    model = nn.Sequential(nn.Linear(2, 1))
    model.compile("mse", "sgd")
    for call in (
        lambda: model.predict(x),
        lambda: model(x),
        lambda: model.fit(x, np.ones(3)),
        lambda: model.evaluate([(x, np.ones(3))]),
    ):
        with pytest.raises(error, match=text):
            call()
    with pytest.raises(error, match=text.replace("x", "y", 1) if text.startswith("^x") else text):
        model.fit(np.ones((3, 2)), x)
    assert model.step == 0


def test_tensors():
    torch = pytest.importorskip("torch")
    plain = torch.ones(3, 2)
    refused(plain.bfloat16(), r"^x is a tensor of bfloat16, .* pass .\.float\(\)")
    refused([plain[0].bfloat16()] * 3, r"tensor of bfloat16")
    refused(plain.to(torch.float8_e4m3fn), r"^x is a tensor of float8_e4m3fn, .* pass .\.float\(\)")
    refused(plain.to_sparse(), r"^x is a sparse tensor; pass .\.to_dense\(\)")
    refused(plain.to("meta"), "meta")
    refused(plain.to(torch.complex64), r"\.real and .\.imag")
    model = nn.Sequential(nn.Linear(2, 1))
    expected = model(np.ones((3, 2)))
    for given in (
        plain.bfloat16().float(),
        plain.to_sparse().to_dense(),
        [*plain],
        [*plain.clone().requires_grad_()],
        plain.half(),
    ):
        np.testing.assert_allclose(model.predict(given), expected, rtol=1e-6)


def test_arrays_of_small_types():
    small = pytest.importorskip("ml_dtypes")
    for dtype in (small.bfloat16, small.float8_e4m3fn):
        x = np.ones((3, 2), dtype)
        refused(x, r"^x has dtype (bfloat16|float8_e4m3fn), .* pass .\.astype\('float32'\)")
        model = nn.Sequential(nn.Linear(2, 1))
        np.testing.assert_array_equal(model(x.astype("float32")), model(np.ones((3, 2), "f4")))


def test_lazy_frames():
    polars = pytest.importorskip("polars")
    frame = polars.LazyFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 3]})
    refused(frame, r"^x is a LazyFrame, .* pass .\.collect\(\)")
    assert nn.Sequential(nn.Linear(2, 1)).predict(frame.collect()).shape == (3, 1)


def test_dates_and_spans_in_frames():
    """polars writes dates as numbers beside other numbers: nanoseconds or days, according to the type of the column."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    numbers = [1.0, 2.0, 3.0]
    dates = r"column 'when', has the type .*date.*turn dates into numbers first.*dt\.days"
    spans = r"column 'for', has the type .*turn time spans into numbers first.*total_seconds"
    for make in (pandas.DataFrame, polars.DataFrame):
        refused(make({"a": numbers, "when": DAYS}), f"(?i){dates}")
        refused(make({"a": numbers, "when": [day.date() for day in DAYS]}), r"(?s)column 'when', .*turn dates into numbers")
        refused(make({"a": numbers, "when": [datetime.time(1)] * 3}), r"column 'when', .*turn dates into numbers")
        refused(make({"a": numbers, "for": [datetime.timedelta(1)] * 3}), spans)
    refused(pandas.DataFrame({"a": numbers, "when": pandas.to_datetime(DAYS).tz_localize("UTC")}), dates)
    refused(
        pandas.DataFrame({"a": numbers, "when": pandas.period_range("2020", periods=3)}), "column 'when', .*turn dates into numbers"
    )
    for series in (pandas.Series(DAYS), polars.Series(DAYS)):
        refused(series, r"^x has the type .*, not numbers; turn dates")
    when = pandas.Series(DAYS)
    assert nn.Sequential(nn.Linear(1, 1)).predict((when - when.min()).dt.days).shape == (3, 1)


def test_text_and_lists_in_frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    numbers = [1.0, 2.0, 3.0]
    for make in (pandas.DataFrame, polars.DataFrame):
        refused(
            make({"a": numbers, "b": ["p", "q", "p"]}), "column 'b', holds 'p' at row 0, not a number; encode text as numbers first"
        )
        refused(make({"a": numbers, "b": [[1, 2], [1], [3]]}), r"column 'b', .*its entries are arrays or lists")
    refused(pandas.DataFrame({"a": numbers, "b": pandas.Categorical(["p", "q", "p"])}), "column 'b', holds 'p' at row 0")
    refused(pandas.Series([np.zeros(2)] * 3), "^x holds array.* at row 0.*its entries are arrays")


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.array([["1.5", "2"]] * 3), "dtype <U3 .*encode text as numbers first"),
        (np.array([[b"1.5", b"2"]] * 3), "dtype .S3 .*encode text as numbers first"),
        (np.array([["a", 1.0]] * 3, object), "dtype object and holds 'a', not numbers; encode text"),
        (np.array([[1.0, None]] * 3, object), "dtype object and holds None, not numbers; .*fill what is missing"),
        (np.array([[1.0, DAYS[0]]] * 3, object), "dtype object and holds datetime.*turn dates into numbers"),
        (np.array([[1.0, datetime.timedelta(1)]] * 3, object), "dtype object and holds .*turn time spans into numbers"),
        (np.array([[1.0, 1j]] * 3, object), "dtype object and holds 1j.*real and imaginary"),
        (
            np.array([np.zeros(2), np.zeros(3), np.zeros(2)], object),
            r"dtype object and holds array.*numpy\.stack.*nn\.pad_sequences",
        ),
        (np.array(DAYS, "M8[D]"), "dtype datetime64.*turn dates into numbers"),
        (np.array([1, 2, 3], "m8[s]"), "dtype timedelta64.*turn time spans into numbers"),
        (np.zeros((3, 2), complex), r"dtype complex128 .*pass .\.real and .\.imag"),
        (np.zeros(3, [("p", "f4"), ("q", "f4")]), r"^x is a structured array with the fields 'p', 'q'.*structured_to_unstructured"),
        (np.rec.fromarrays([[1.0, 2, 3], [3.0, 4, 5]], names="p,q"), "structured_to_unstructured"),
        (object(), "^x is an object, not numbers; pass an array"),
        (len, "^x is a builtin_function_or_method, not numbers"),
    ],
)
def test_arrays_and_objects(x, text):
    refused(x, text)


def test_structured_arrays_as_the_error_says():
    from numpy.lib.recfunctions import structured_to_unstructured

    x = np.zeros(3, [("p", "f4"), ("q", "f8")])
    assert nn.Sequential(nn.Linear(2, 1)).predict(structured_to_unstructured(x)).shape == (3, 1)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([1, 2, 2], r"^y is 2(.0)? at row 1, .*takes targets in \[0, 1\]; for the two classes 1 and 2 pass y == 2$"),
        ([0, 2, 2], r"for the two classes 0 and 2 pass y == 2$"),
        ([3, 7, 3], r"for the two classes 3 and 7 pass y == 7$"),
        ([0, 1, 2], "for 3 classes use 3 outputs and sparse_categorical_crossentropy$"),
        ([1, 2, 3], "for 3 classes use 3 outputs and sparse_categorical_crossentropy, with y - 1$"),
        ([2, 2, 2], r"takes targets in \[0, 1\]$"),
        ([0.5, 1.5, 0.0], r"takes targets in \[0, 1\]$"),
        ([-1, 1, 1], r"use hinge, or pass \(y \+ 1\) / 2$"),
    ],
)
def test_labels_for_a_binary_loss(labels, text):
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    model.compile("binary_crossentropy", "sgd")
    with pytest.raises(errors.LabelError, match=text):
        model.fit(np.ones((3, 2)), labels)
    with pytest.raises(errors.LabelError, match=text):
        model.train_on_batch(np.ones((3, 2)), np.array(labels, float)[:, None])
    if "==" in text:
        model.fit(np.ones((3, 2)), np.array(labels) == max(labels), verbose=0)


@pytest.mark.parametrize("kind", ["dok_matrix", "dok_array", "csr_matrix"])
def test_sparse_matrices_are_no_inputs_by_name(kind: str) -> None:
    sparse = getattr(pytest.importorskip("scipy.sparse"), kind)(np.eye(4))
    model = nn.Sequential(nn.Linear(4, 1))
    model.compile("mse", "sgd")
    for call in (lambda: model.predict(sparse), lambda: model.fit(sparse, np.ones(4), verbose=0)):
        with pytest.raises(nn.errors.DTypeError, match="x: sparse matrices are not supported"):
            call()


@pytest.mark.parametrize("as_bytes", [False, True])
def test_open_files_are_no_tensors(as_bytes, tmp_path):
    """They have ``detach``, too, after which they cannot be read any more."""
    path = tmp_path / "x.csv"
    path.write_text("1,2")
    model = nn.Sequential(nn.Linear(2, 1))
    with path.open("rb" if as_bytes else "r") as file:
        for call in (
            model.predict,
            model,
            model.forward,
            lambda x: nn.metrics.mse(x, [1.0]),
            lambda x: nn.metrics.accuracy(x, [1]),
        ):
            with pytest.raises(errors.NncoreError):
                call(file)
        assert not file.closed


def test_a_function_that_makes_batches_is_to_be_called():
    model = nn.Sequential(nn.Linear(2, 1))
    model.compile("mse", "sgd")
    with pytest.raises(errors.ArgumentError, match="not function; call it, if it returns batches"):
        model.fit(lambda: iter([]))
