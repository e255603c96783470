"""Linear layers with products in bfloat16: forward and backward to the bit, against NumPy."""

import numpy as np
import pytest
from plan.bf16 import column_sum, product, rounded

import nncore as nn

SIZES = [(16, 16), (17, 40), (64, 31), (33, 100), (130, 16)]
BATCHES = [1, 16, 31, 32, 33, 70]


def drawn(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    nn._core.force_threads(request.param)
    yield request.param
    nn._core.force_threads(0)


@pytest.mark.parametrize("rows", BATCHES)
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_one_layer(rng, inputs, outputs, rows, threads):
    model = nn.Sequential(nn.Linear(inputs, outputs), seed=3, compute="bfloat16")
    weight, bias = model[0].weight.T.copy(), drawn(rng, outputs)
    model[0].bias = bias
    x, dy = drawn(rng, rows, inputs), drawn(rng, rows, outputs)
    y = model.forward(x, training=True)
    np.testing.assert_array_equal(y, product(x, weight) + bias)
    for infer in (model, model.predict, model.forward):
        np.testing.assert_array_equal(infer(x), y)
    dx = model.backward(dy)
    np.testing.assert_array_equal(dx, product(dy, weight.T))
    np.testing.assert_array_equal(model.gradients["0.weight"], product(x.T, dy).T)
    np.testing.assert_array_equal(model.gradients["0.bias"], column_sum(dy))


@pytest.mark.parametrize("rows", BATCHES)
def test_layers_with_relu_between(rng, rows, threads):
    model = nn.Sequential(nn.Linear(40, 70), nn.ReLU(), nn.Linear(70, 33), nn.ReLU(), nn.Linear(33, 20), seed=0, compute="bfloat16")
    layers = [model[i] for i in (0, 2, 4)]
    for layer in layers:
        layer.bias = drawn(rng, len(layer.bias))
    x, dz = drawn(rng, rows, 40), drawn(rng, rows, 20)
    values = [x]
    for layer in layers:
        z = product(values[-1], layer.weight.T) + layer.bias
        values.append(np.maximum(z, 0) if layer is not layers[-1] else z)
    np.testing.assert_array_equal(model.predict(x), values[-1])
    np.testing.assert_array_equal(model.forward(x, training=True), values[-1])
    dx = model.backward(dz)
    for i, layer in reversed(list(enumerate(layers))):
        np.testing.assert_array_equal(model.gradients[f"{2 * i}.weight"], product(values[i].T, dz).T)
        np.testing.assert_array_equal(model.gradients[f"{2 * i}.bias"], column_sum(dz))
        dz = product(dz, layer.weight)
        dz = dz * (values[i] > 0) if i else dz
    np.testing.assert_array_equal(dx, dz)


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.GELU(), nn.Sigmoid(), nn.Softmax(), nn.PReLU(), nn.LayerNorm(48)])
def test_the_next_layer_rounds_what_this_one_gives(rng, activation):
    """Everything between two products is float32, and so are the gradients there."""
    first, last = nn.Linear(24, 48), nn.Linear(48, 20)
    model = nn.Sequential(first, activation, last, seed=0, compute="bfloat16")
    x, dy = drawn(rng, 50, 24), drawn(rng, 50, 20)
    between = nn.Sequential(nn.Identity(), type(activation)(**activation.config()), seed=0, compute="bfloat16").build((48,))
    z = product(x, first.weight.T) + first.bias
    h = between.forward(z, training=True)
    np.testing.assert_array_equal(model.forward(x, training=True), product(h, last.weight.T) + last.bias)
    dx = model.backward(dy)
    dz = between.backward(product(dy, last.weight))
    np.testing.assert_array_equal(model.gradients["2.weight"], product(h.T, dy).T)
    np.testing.assert_array_equal(model.gradients["0.weight"], product(x.T, dz).T)
    np.testing.assert_array_equal(model.gradients["0.bias"], column_sum(dz))
    np.testing.assert_array_equal(dx, product(dz, first.weight))


@pytest.mark.parametrize(("inputs", "outputs"), [(15, 40), (40, 15), (2, 1)])
def test_small_sides_stay_float32(rng, inputs, outputs):
    model = nn.Sequential(nn.Linear(inputs, outputs), seed=3, compute="bfloat16")
    full = nn.Sequential(nn.Linear(inputs, outputs), seed=3)
    x, dy = drawn(rng, 40, inputs), drawn(rng, 40, outputs)
    np.testing.assert_allclose(model.forward(x), x.astype(np.float64) @ model[0].weight.T + model[0].bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.backward(dy), dy.astype(np.float64) @ model[0].weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(x), full.predict(x), rtol=1e-5, atol=1e-6)


def test_time_steps_share_the_layer(rng, threads):
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 17), seed=0, compute="bfloat16").build((5, 20))
    x, dy = drawn(rng, 37, 5, 20), drawn(rng, 37, 5, 17)
    flat = x.reshape(-1, 20)
    h = np.maximum(product(flat, model[0].weight.T) + model[0].bias, 0)
    y = (product(h, model[2].weight.T) + model[2].bias).reshape(37, 5, 17)
    np.testing.assert_array_equal(model.forward(x, training=True), y)
    np.testing.assert_array_equal(model.predict(x), y)
    model.backward(dy)
    np.testing.assert_array_equal(model.gradients["2.weight"], product(h.T, dy.reshape(-1, 17)).T)
    np.testing.assert_array_equal(model.gradients["2.bias"], column_sum(dy.reshape(-1, 17)))


def test_one_layer_called_twice(rng, threads):
    """Gradients are added in the order of the calls."""
    x = nn.Input((20,), name="x")
    layer = nn.Linear(20, 20, name="twice")
    model = nn.Model(x, layer(nn.ReLU()(layer(x))), seed=0, compute="bfloat16")
    w, b, data, dy = layer.weight.T.copy(), layer.bias, drawn(rng, 45, 20), drawn(rng, 45, 20)
    h = np.maximum(product(data, w) + b, 0)
    np.testing.assert_array_equal(model.forward(data, training=True), product(h, w) + b)
    model.backward(dy)
    dz = product(dy, w.T) * (h > 0)
    np.testing.assert_array_equal(model.gradients["twice.weight"], (product(data.T, dz) + product(h.T, dy)).T)
    np.testing.assert_array_equal(model.gradients["twice.bias"], column_sum(dz) + column_sum(dy))


def test_a_value_that_several_layers_read(rng, threads):
    x = nn.Input((20,), name="x")
    h = nn.Flatten()(nn.ReLU()(nn.Linear(20, 40, name="h")(x)))
    first, second = nn.Linear(40, 24, name="a"), nn.Linear(40, 24, name="b")
    model = nn.Model(x, [first(h), second(nn.Identity()(h)), h], seed=0, compute="bfloat16")
    data, grads = drawn(rng, 45, 20), [drawn(rng, 45, 24), drawn(rng, 45, 24), drawn(rng, 45, 40)]
    hidden = np.maximum(product(data, model.layers[0].weight.T) + model.layers[0].bias, 0)
    found = model.forward(data, training=True)
    for y, layer in zip(found[:2], (first, second), strict=True):
        np.testing.assert_array_equal(y, product(hidden, layer.weight.T) + layer.bias)
    np.testing.assert_array_equal(found[2], hidden)
    model.backward(grads)
    for dy, name in zip(grads, "ab", strict=False):
        np.testing.assert_array_equal(model.gradients[f"{name}.weight"], product(hidden.T, dy).T)
    dh = (grads[2] + product(grads[1], second.weight)) + product(grads[0], first.weight)
    np.testing.assert_array_equal(model.gradients["h.weight"], product(data.T, dh * (hidden > 0)).T)


def test_gradients_of_several_batches(rng):
    model = nn.Sequential(nn.Linear(20, 30), seed=0, compute="bfloat16")
    total = 0
    for rows in (33, 7):
        x, dy = drawn(rng, rows, 20), drawn(rng, rows, 30)
        model.forward(x, training=True)
        model.backward(dy, accumulate=rows == 7)
        total = total + product(x.T, dy)
    np.testing.assert_array_equal(model.gradients["0.weight"], total.T)


def test_denormals_and_large_numbers(rng):
    model = nn.Sequential(nn.Linear(32, 16, bias=False), seed=0, compute="bfloat16")
    model[0].weight = drawn(rng, 16, 32) * np.float32(1e-20)
    x = drawn(rng, 33, 32) * np.float32(10.0) ** rng.integers(-25, 25, size=(33, 32)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(x), product(x, model[0].weight.T))
    assert (rounded(np.float32([1.0])) == 1).all()


def test_infinities_and_nan_pass_through():
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), seed=0, compute="bfloat16")
    x = np.zeros((3, 16), np.float32)
    x[0, 3], x[1, 3] = np.nan, np.inf
    y = model(x)
    assert np.isnan(y[0]).all()
    np.testing.assert_array_equal(y[1], np.where(model[0].weight[:, 3] > 0, np.inf, 0))
    assert np.isfinite(y[2]).all()
