"""Lists of batches: predict and calls read them as fit and evaluate do, and judge the list as a whole."""

import numpy as np
import pytest

import nncore as nn


def two_inputs() -> nn.Model:
    a, b = nn.Input((3,), name="a"), nn.Input((2,), name="b")
    return nn.Model([a, b], nn.Linear(5, 1)(nn.Concatenate()([a, b])), seed=0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_batches_of_flat_lists_for_one_feature(size):
    model = nn.Sequential(nn.Linear(1, 1), seed=0)
    model.compile("mse", "sgd")
    weight, bias = (p.astype(float) for p in model.state_dict().values())
    x, y = np.arange(1.0, 6.0), np.arange(5.0)
    right = x[:, None] @ weight.reshape(1, 1) + bias
    batches = [[x[i : i + size].tolist(), y[i : i + size].tolist()] for i in range(0, 5, size)]
    np.testing.assert_allclose(model.predict(batches), right, rtol=1e-5)
    np.testing.assert_allclose(model(batches), right, rtol=1e-5)
    if size > 1:  # from a generator, a list of one row follows those before it
        np.testing.assert_allclose(model.predict(iter(batches)), right, rtol=1e-5)
    loss = model.evaluate(batches)
    assert loss == pytest.approx(np.mean((right[:, 0] - y) ** 2), rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", ["tuple", "list"])
@pytest.mark.parametrize("shape", [(1,), (2,), (4, 2), (1, 1)])
def test_batches_whose_x_is_a_dict(shape, kind, count):
    layers = [nn.Linear(shape[0], 1)] if len(shape) == 1 else [nn.GRU(shape[1], 2), nn.Linear(2, 1)]
    model = nn.Sequential(*layers, seed=0).build(shape)
    x = np.random.default_rng(0).normal(size=(3 * count, *shape))
    form = tuple if kind == "tuple" else list
    batches = [form(({model.input_names[0]: x[3 * i : 3 * i + 3]}, np.ones((3, 1)))) for i in range(count)]
    np.testing.assert_allclose(model.predict(batches), model.predict(x))
    np.testing.assert_allclose(model(batches), model.predict(x))
    model.compile("mse", "sgd")
    model.fit(x, np.ones((len(x), 1)), verbose=0, validation_data=batches)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("form", ["dict, y", "[x1, x2]", "(x1, x2)", "([x1, x2],)", "([x1, x2], y)"])
def test_batches_for_several_inputs(form, count):
    model, rng = two_inputs(), np.random.default_rng(0)
    a, b = rng.normal(size=(4 * count, 3)), rng.normal(size=(4 * count, 2))
    parts = [(a[4 * i : 4 * i + 4], b[4 * i : 4 * i + 4]) for i in range(count)]
    y = np.zeros((4, 1))
    make = {
        "dict, y": lambda p: ({"a": p[0], "b": p[1]}, y),
        "[x1, x2]": list,
        "(x1, x2)": tuple,
        "([x1, x2],)": lambda p: (list(p),),
        "([x1, x2], y)": lambda p: (list(p), y),
    }[form]
    batches = [make(p) for p in parts]
    np.testing.assert_allclose(model.predict(batches), model.predict([a, b]))
    np.testing.assert_allclose(model.predict(iter(batches)), model.predict([a, b]))


@pytest.mark.parametrize("kind", ["tuple", "list"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("first", ["embedding", "flatten", "lambda"])
def test_nested_lists_for_a_model_that_is_not_built(first, count, kind):
    def make():
        layers = {
            "embedding": [nn.Embedding(9, 2), nn.Flatten()],
            "flatten": [nn.Flatten()],
            "lambda": [nn.Lambda(np.square, lambda dy, x, y: 2 * x * dy)],
        }[first]
        return nn.Sequential(*layers, nn.Linear(6 if first == "embedding" else 3, 1), seed=0)

    x, y = [[1, 2, 3], [4, 5, 6]], [0, 1]
    form = tuple if kind == "tuple" else list
    found = make().predict([form((x, y))] * count)
    right = make().predict(np.array(x * count))
    np.testing.assert_allclose(found, right)


def test_other_numbers_of_time_steps_for_several_inputs():
    a, b = nn.Input((4, 2), name="a"), nn.Input((4, 2), name="b")
    model = nn.Model([a, b], nn.Linear(6, 1)(nn.Concatenate()([nn.GRU(2, 3)(a), nn.GRU(2, 3)(b)])), seed=0)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(3, 6, 2)), rng.normal(size=(3, 6, 2))]
    right = model.predict(x)
    np.testing.assert_allclose(model.forward(x), right, rtol=1e-5)
    np.testing.assert_allclose(model(x, training=True), right, rtol=1e-5)
    with pytest.raises(nn.errors.ShapeError, match="rows"):
        model.forward([x[0], x[1][:2]])
