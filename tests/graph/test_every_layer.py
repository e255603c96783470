"""Every kind of layer in a graph: called once it does what it does alone, called twice its gradients add up."""

import copy

import numpy as np
import pytest
from saving.test_declarations import LAYERS_MADE

import nncore as nn
from nncore.layers.pooling import Pooling

SINGLE = [layer for layer in LAYERS_MADE if layer.input_count[0] == 1]
ROWS = 8


def sample_shape(layer):
    has_time = isinstance(layer, nn.layers.Recurrent | Pooling)
    return layer.input_shape() or ((5, 4) if has_time else (4,))


def samples(layer, rng):
    shape = (ROWS, *sample_shape(layer))
    return rng.integers(0, 5, shape).astype(float) if isinstance(layer, nn.Embedding) else rng.uniform(0.1, 1, shape)


@pytest.mark.parametrize("layer", SINGLE, ids=repr)
def test_a_graph_of_one_layer_is_the_layer(layer, rng):
    layer = copy.deepcopy(layer)
    chain = nn.Sequential(copy.deepcopy(layer), seed=5, dtype="float64").build(sample_shape(layer))
    x = nn.Input(sample_shape(layer))
    model = nn.Model(x, layer(x), seed=5, dtype="float64")
    data = samples(layer, rng)
    np.testing.assert_array_equal(model.forward(data, training=True), chain.forward(data, training=True))
    grad = rng.normal(size=(ROWS, *model.output_shapes[0]))
    np.testing.assert_array_equal(model.backward(grad), chain.backward(grad))
    for own, other in zip(model.gradients.values(), chain.gradients.values(), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("layer", [layer for layer in SINGLE if layer.parameter_shapes()], ids=repr)
def test_gradients_of_two_calls_add_up(layer, rng):
    layer = copy.deepcopy(layer)
    a, b = nn.Input(sample_shape(layer)), nn.Input(sample_shape(layer))
    model = nn.Model([a, b], [layer(a), layer(b)], seed=5, dtype="float64")
    chain = nn.Sequential(copy.deepcopy(layer), dtype="float64").build(sample_shape(layer))
    data = [samples(layer, rng) for _ in range(2)]
    grads = [rng.normal(size=(ROWS, *shape)) for shape in model.output_shapes]
    model.forward(data, training=True)
    dx = model.backward(grads)
    total = []
    for x, grad, own in zip(data, grads, dx, strict=True):
        chain.forward(x, training=True)
        np.testing.assert_allclose(own, chain.backward(grad), rtol=1e-12, atol=1e-14)
        total.append([value.copy() for value in chain.gradients.values()])
    for own, one, two in zip(model.gradients.values(), *total, strict=True):
        np.testing.assert_allclose(own, one + two, rtol=1e-12, atol=1e-13)
