"""compile(check_finite=True): data that are not finite, in their own type or in the network's, are refused wherever they come."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors

LARGEST = np.finfo(np.float32).max


def model_of(dtype="float32", check_finite=True):
    model = nn.Sequential(nn.Linear(3, 2), seed=0, dtype=dtype)
    model.compile("mse", "sgd", check_finite=check_finite)
    return model


@pytest.fixture
def xy(rng):
    return rng.normal(size=(10, 3)), rng.normal(size=(10, 2))


TAKERS = {
    "fit": lambda m, x, y, w: m.fit(x, y, sample_weight=w, verbose=0),
    "fit on batches": lambda m, x, y, w: m.fit([(x, y, w)], verbose=0),
    "validation": lambda m, x, y, w: m.fit(np.ones((2, 3)), np.ones((2, 2)), validation_data=(x, y, w), verbose=0),
    "evaluate": lambda m, x, y, w: m.evaluate(x, y, sample_weight=w),
    "evaluate batches": lambda m, x, y, w: m.evaluate(iter([(x, y, w)])),
    "train_on_batch": lambda m, x, y, w: m.train_on_batch(x, y, w),
    "test_on_batch": lambda m, x, y, w: m.test_on_batch(x, y, w),
}
READERS = {
    "predict": lambda m, x: m.predict(x),
    "predict batches": lambda m, x: m.predict(iter([x])),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
    "call": lambda m, x: m(x),
    "forward": lambda m, x: m.forward(x),
}
# in float32; what float32 rounds to its largest number is finite
BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "1e39": 1e39, "-max": -np.finfo(np.float64).max}


@pytest.mark.filterwarnings("ignore:fit. the loss is:UserWarning")
@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS.keys())
def test_samples_targets_and_weights(xy, taker, value):
    x, y = xy
    for name, where, row in (("x", 0, "row 4, column 1"), ("y", 1, "row 4, column 1"), ("sample_weight", 2, "row 4")):
        data = [x.copy(), y.copy(), np.ones(10)]
        data[where][(4, 1)[: data[where].ndim]] = value
        model = model_of()
        before = model[0].weight.copy()
        with pytest.raises((errors.NonFiniteError, errors.ArgumentError), match=f"^(fit: validation_data: )?{name} is .* at {row}"):
            taker(model, *data)
        np.testing.assert_array_equal(model[0].weight, before)
        assert model.step == 0
        if name != "sample_weight":  # weights must always be finite
            taker(model_of(check_finite=False), *data)


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_to_predict(xy, reader, value, dtype):
    x = xy[0]
    x[4, 1] = value
    if dtype == "float64" and np.isfinite(value):
        assert np.isfinite(reader(model_of(dtype), x)).all()
        return
    with pytest.raises(errors.NonFiniteError, match="x is .* at row 4, column 1.*; drop such rows or fill them in"):
        reader(model_of(dtype), x)
    with np.errstate(over="ignore"):
        x = x.astype(dtype)
    with pytest.raises(errors.NonFiniteError, match="row 4, column 1"):  # in the network's own type, which needs no conversion
        reader(model_of(dtype), x)
    assert not np.isfinite(reader(model_of(dtype, check_finite=False), x)).all()


def test_what_float32_can_hold_passes(xy):
    x, y = xy
    x[4, 1] = float(LARGEST) * (1 + 2**-26)  # rounds to the largest number of float32
    assert np.isfinite(np.float32(x[4, 1]))
    model = model_of()
    model[0].weight[...] = 0
    assert np.isfinite(model.evaluate(x, y))
    assert model.predict(np.full((1, 3), 2**62)).shape == (1, 2)  # integers are finite in every type
    x[4, 1] = float(LARGEST) * (1 + 2**-24)
    with pytest.raises(errors.NonFiniteError, match=r"x is 3.40\d+e\+38 at row 4, column 1, which is infinite in float32"):
        model.evaluate(x, y)


def test_the_answer_follows_compile(xy):
    x = xy[0]
    x[0, 0] = np.inf
    model = model_of(check_finite=False)
    assert np.isnan(model(x)[0]).any() or np.isinf(model(x)[0]).all()
    model.compile("mse", "sgd", check_finite=True)
    with pytest.raises(errors.NonFiniteError):
        model(x)
    with pytest.raises(errors.NonFiniteError):
        model.predict(x)
    model.compile("mse", "sgd")
    model(x)
    late = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))  # compiled before it is built
    late.compile("mse", "sgd", check_finite=True)
    with pytest.raises(errors.NonFiniteError):
        late(x)
    with pytest.raises(errors.NonFiniteError):
        late(x.astype("f4"))


def test_padding_may_hold_anything(rng):
    x, y = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4, 1))
    lengths = [1, 2, 4]
    x[0, 2, 1] = y[1, 3, 0] = np.nan
    model = nn.Sequential(nn.GRU(2, 3, return_sequences=True), nn.Linear(3, 1), seed=0)
    model.compile("mse", "sgd", check_finite=True)
    for call in (
        lambda x, y: model.fit(x, y, lengths=lengths, validation_data=(x, y, None, lengths), verbose=0),
        lambda x, y: model.evaluate([(x, y, None, lengths)]),
        lambda x, y: model.train_on_batch(x, y, lengths=lengths),
        lambda x, y: model.predict(x, lengths=lengths),
        lambda x, y: model.predict(iter([(x, y, None, lengths)])),
        lambda x, y: model.forward(x, lengths=lengths),
    ):
        call(x, y)
        wrong = x.copy()
        wrong[2, 3, 0] = 1e39
        with pytest.raises(errors.NonFiniteError, match=r"x is 1e\+39 at row 2, column \(3, 0\)"):
            call(wrong, y)


def test_lengths(rng):
    model = nn.Sequential(nn.GRU(2, 3), seed=0)
    model.compile("mse", "sgd")
    x, y = rng.normal(size=(3, 4, 2)), np.zeros((3, 3))
    for lengths, error, text in (
        ([1, np.nan, 2], errors.ArgumentError, "lengths is nan at row 1"),
        ([1, np.inf, 2], errors.ShapeError, "lengths is inf at row 1"),
        ([1, -1, 2], errors.ShapeError, "lengths is -1 at row 1, but must lie between 1 and 4"),
        ([1, 2, 0], errors.ShapeError, "lengths is 0 at row 2.*leave it out"),
        ([5, 1, 2], errors.ShapeError, "lengths is 5 at row 0"),
        ([1, 1, 1.5], errors.ArgumentError, "lengths is 1.5 at row 2, but must be a whole number"),
        ([True, True, True], errors.ArgumentError, "whole numbers, not bool"),
        ([1, 2], errors.ShapeError, r"shape \(2,\), but there are 3 sequences"),
        (["1", "2", "3"], errors.DTypeError, "lengths"),
        ([[1], [2], [3]], errors.ArgumentError, "one array"),
    ):
        for call in (
            lambda lengths: model.fit(x, y, lengths=lengths, verbose=0),
            lambda lengths: model.fit([(x, y, None, lengths)], verbose=0),
            lambda lengths: model.evaluate(x, y, lengths=lengths),
            lambda lengths: model.predict(x, lengths=lengths),
            lambda lengths: model.predict(iter([(x, y, None, lengths)])),
            lambda lengths: model.train_on_batch(x, y, lengths=lengths),
            lambda lengths: model.forward(x, lengths=lengths),
        ):
            with pytest.raises(error, match=text):
                call(lengths)
    assert model.step == 0


def test_class_weights_that_become_infinite():
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    model.compile("binary_crossentropy", "sgd")
    x, y = np.ones((4, 3)), [0, 1, 0, 1]
    for weights, of_rows in (({1: 1e39}, None), ({1: 1e30}, [1e30] * 4)):
        with pytest.raises(errors.NonFiniteError, match="class_weight: a weight becomes .* infinite in float32"):
            model.fit(x, y, class_weight=weights, sample_weight=of_rows)
        with pytest.raises(errors.NonFiniteError, match="class_weight"):
            model.train_on_batch(x, y, of_rows, weights)
    for wrong, text in (({2: 1.0}, "class 2"), ({-1: 1.0}, "class -1"), ({float("nan"): 1.0}, "nan"), ({0: -1.0}, "class 0")):
        with pytest.raises(errors.NncoreError, match=text):
            model.fit(x, y, class_weight=wrong)
    assert model.step == 0
