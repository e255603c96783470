"""pandas and polars: frames and series train like the numbers in them, and errors name the column."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors
from nncore.data import as_array

F4 = np.dtype("f4")


@pytest.fixture(params=["pandas", "polars"])
def frames(request):
    return pytest.importorskip(request.param)


def columns(rng, rows=40):
    return {
        "height": rng.normal(size=rows),
        "weight": rng.normal(size=rows).astype(np.float32),
        "children": rng.integers(5, size=rows),
        "member": rng.integers(2, size=rows).astype(bool),
    }


def test_training_is_that_of_the_array(frames, rng):
    table = columns(rng)
    y, groups = rng.integers(2, size=40), rng.integers(8, size=40)
    weight = rng.random(40)
    results = []
    for as_frame in (False, True):
        series = frames.Series if as_frame else np.asarray
        x = frames.DataFrame(table) if as_frame else np.column_stack(list(table.values()))
        model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid(), seed=0)
        model.compile("binary_crossentropy", "adam", ["accuracy"])
        options = {"sample_weight": series(weight), "groups": series(groups), "validation_split": 0.25}
        history = model.fit(x, series(y), epochs=3, batch_size=7, **options).history
        results.append((history, model.predict(x).tolist(), model.evaluate(x, series(y))))
    assert results[0] == results[1]


def test_missing_values_are_named(frames, rng):
    table = columns(rng, 6)
    table["height"] = [1.0, None, 2.0, None, 3.0, 4.0]
    with pytest.raises(errors.NonFiniteError, match="x, column 'height', lacks 2 of 6 values, the first at row 1"):
        as_array(frames.DataFrame(table), "x", F4)
    table["height"] = table["weight"]
    table["children"] = [1, 2, 3, 4, None, 6]
    with pytest.raises(errors.NonFiniteError, match="x, column 'children', lacks 1 of 6 values, the first at row 4"):
        as_array(frames.DataFrame(table), "x", F4)
    with pytest.raises(errors.NonFiniteError, match="y lacks 1 of 3 values, the first at row 2"):
        as_array(frames.Series([1.0, 2.0, None]), "y", F4)


def test_text_is_named(frames, rng):
    table = {**columns(rng, 3), "city": ["Oslo", "Rome", "Lima"]}
    with pytest.raises(errors.DTypeError, match="x, column 'city', holds 'Oslo' at row 0, not a number"):
        as_array(frames.DataFrame(table), "x", F4)
    with pytest.raises(errors.DTypeError, match="'b'|holds 'a' at row 0|text"):
        as_array(frames.Series(["a", "b"]), "y", F4)


def test_errors_leave_the_model_alone(frames, rng):
    model = nn.Sequential(nn.Linear(4, 1), seed=0)
    model.compile("mse", "adam")
    before = [w.copy() for w in model.get_weights()]
    x = frames.DataFrame({**columns(rng), "height": [None] + [1.0] * 39})
    with pytest.raises(errors.NonFiniteError, match="height"):
        model.fit(x, rng.normal(size=40))
    for one, two in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)
    assert model.step == 0


def test_types_of_pandas():
    pandas = pytest.importorskip("pandas")
    whole = pandas.DataFrame({"a": pandas.array([1, 2], dtype="Int64"), "b": pandas.array([0.5, 1.5], dtype="Float64")})
    np.testing.assert_array_equal(as_array(whole, "x", F4), [[1, 0.5], [2, 1.5]])
    holes = pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64")})
    with pytest.raises(errors.NonFiniteError, match="column 'a', lacks 1 of 2"):
        as_array(holes, "x", F4)
    with pytest.raises(errors.DTypeError, match="dates"):
        as_array(pandas.to_datetime(pandas.Series(["2020-01-01"])), "x", F4)
    with pytest.raises(errors.DTypeError, match="column 'kind', holds 'x'"):
        as_array(pandas.DataFrame({"kind": pandas.Categorical(["x", "y"])}), "x", F4)
    np.testing.assert_array_equal(as_array(pandas.Series([True, False]), "y", F4), [True, False])


def test_an_infinity_is_for_check_finite(frames):
    assert np.isinf(as_array(frames.Series([1.0, float("inf")]), "x", F4)[1])
