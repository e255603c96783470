"""Gradients of whole networks, through the plan, against central differences in float64.

Every kind of layer, and every activation in every place where the plan treats it differently; losses are in
test_loss_gradients.py. The lists come from the registry, so that a new op is covered, or fails here until it says what it needs.
float32 gradients are compared with the differences of a float64 twin.
"""

import numpy as np
import pytest
from truth import nets
from truth.gradcheck import ROWS, check_backward, choose_rows

from nncore import _core
from nncore.records import Op

# Activations: as the epilogue of a product, as the last op, alone, and where another op reads what they read.

PLACES = {
    "between": lambda code: ([nets.linear("a", 0, 5, 4), nets.activation(code, 1), nets.linear("b", 2, 4, 3)], {1: code}),
    "last": lambda code: ([nets.linear("a", 0, 5, 4), nets.activation(code, 1)], {1: code}),
    "first": lambda code: ([nets.activation(code, 0), nets.linear("a", 1, 5, 3)], {0: code}),
    "after a view": lambda code: (
        [nets.linear("a", 0, 5, 4), nets.activation("identity", 1), nets.activation(code, 2), nets.linear("b", 3, 4, 2)],
        {1: code},
    ),
    "after another": lambda code: (
        [nets.linear("a", 0, 5, 4), nets.activation("tanh", 1), nets.activation(code, 2), nets.linear("b", 3, 4, 2)],
        {2: code},
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("code", nets.names("activation"))
def test_activation(code, place, dtype, rng):
    ops, watched = PLACES[place](code)
    inputs = [(5,)]
    check_backward(inputs, ops, choose_rows(rng, inputs, ops, watched), rng, dtype)


@pytest.mark.parametrize("code", nets.names("activation"))
def test_activation_that_shares_its_input(code, dtype, rng):
    # value 1 is read by two ops, so the activation cannot be the epilogue and its gradient is added to another one.
    ops = [
        nets.linear("a", 0, 5, 4),
        nets.activation(code, 1),
        nets.linear("b", 2, 4, 3),
        nets.linear("c", 1, 4, 2),
    ]
    inputs = [(5,)]
    x = choose_rows(rng, inputs, ops, {1: code})
    check_backward(inputs, ops, x, rng, dtype, outputs=[3, 4])


# Layers: one list of cases per kind, so that a new kind has to say how it is tested.

LAYERS = {
    "linear": {
        "plain": ([(5,)], [nets.linear("a", 0, 5, 3)], None),
        "no bias": ([(5,)], [nets.linear("a", 0, 5, 3, bias=False), nets.linear("b", 1, 3, 2)], None),
        "lines": ([(3, 4)], [nets.linear("a", 0, 4, 5), nets.activation("tanh", 1), nets.linear("b", 2, 5, 2)], None),
        "wide": ([(70,)], [nets.linear("a", 0, 70, 3), nets.activation("tanh", 1), nets.linear("b", 2, 3, 67)], None),
        "one": ([(1,)], [nets.linear("a", 0, 1, 1)], None),
        "shared input": ([(4,)], [nets.linear("a", 0, 4, 3), nets.linear("b", 0, 4, 2)], [1, 2]),
    },
    "activation": {
        "read twice": ([(4,)], [nets.activation("tanh", 0), nets.linear("a", 1, 4, 3), nets.linear("b", 1, 4, 2)], [2, 3])
    },
    "dropout": {
        "between": ([(5,)], [nets.linear("a", 0, 5, 8), nets.dropout(1, 0.4), nets.linear("b", 2, 8, 3)], None),
        "first": ([(9,)], [nets.dropout(0, 0.3), nets.linear("b", 1, 9, 3)], None),
        "lines": ([(3, 4)], [nets.linear("a", 0, 4, 5), nets.dropout(1, 0.4), nets.linear("b", 2, 5, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.dropout(1, 0.5), nets.linear("b", 2, 6, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "flatten": {
        "all": ([(2, 3)], [nets.linear("a", 0, 3, 4), nets.flatten(1), nets.linear("b", 2, 8, 2)], None),
        "first": ([(2, 3)], [nets.flatten(0), nets.linear("b", 1, 6, 2)], None),
        "part": (
            [(2, 3, 4)],
            [nets.flatten(0, 1, 2), nets.linear("a", 1, 4, 2), nets.flatten(2), nets.linear("b", 3, 12, 2)],
            None,
        ),
        "last two": ([(2, 3, 4)], [nets.flatten(0, 2, 3), nets.linear("a", 1, 12, 2)], None),
        "last": ([(2, 3)], [nets.linear("a", 0, 3, 4), nets.flatten(1)], None),
        "wide": ([(3, 5)], [nets.linear("a", 0, 5, 40), nets.flatten(1), nets.activation("softmax", 2)], None),
        "read twice": (
            [(2, 3)],
            [nets.linear("a", 0, 3, 4), nets.flatten(1), nets.linear("b", 2, 8, 2), nets.linear("c", 1, 4, 2)],
            [3, 4],
        ),
    },
    # No bias before the norm: it would cancel, and its gradient is rounding alone.
    "batch_norm": {
        "columns": ([(5,)], [nets.linear("a", 0, 5, 19, bias=False), nets.batch_norm(1, 19), nets.linear("b", 2, 19, 3)], None),
        "first": ([(5,)], [nets.batch_norm(0, 5), nets.linear("a", 1, 5, 3)], None),
        "fused": ([(5,)], [nets.linear("a", 0, 5, 4, bias=False), nets.batch_norm(1, 4), nets.activation("tanh", 2)], None),
        "not fused": ([(5,)], [nets.linear("a", 0, 5, 4, bias=False), nets.batch_norm(1, 4), nets.activation("gelu", 2)], None),
        "plain": ([(5,)], [nets.batch_norm(0, 5, affine=False, track=False), nets.linear("a", 1, 5, 3)], None),
        "steps": (
            [(5, 3)],
            [nets.linear("a", 0, 3, 19, bias=False), nets.batch_norm(1, 19, last=True), nets.linear("b", 2, 19, 2)],
            None,
        ),
        "steps, fused": ([(11, 3)], [nets.batch_norm(0, 3, last=True), nets.activation("tanh", 1)], None),
        "planes": ([(3, 17)], [nets.batch_norm(0, 3), nets.activation("sigmoid", 1), nets.linear("a", 2, 17, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6, bias=False), nets.batch_norm(1, 6), nets.linear("b", 2, 6, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "add": {
        "residual": (
            [(4,)],
            [nets.linear("a", 0, 4, 4), nets.activation("tanh", 1), nets.add(2, 0), nets.linear("b", 3, 4, 2)],
            None,
        ),
        "wide": ([(3,), (70,)], [nets.linear("a", 0, 3, 70), nets.add(2, 1), nets.activation("tanh", 3)], None),
        "to itself": ([(4,)], [nets.linear("a", 0, 4, 3), nets.add(1, 1, 1), nets.activation("gelu", 2)], None),
        "weighted": ([(4,)], [nets.linear("a", 0, 4, 3), nets.linear("b", 0, 4, 3), nets.add(1, 2, 1, first=0.5, rest=-2.0)], None),
        "one": ([(4,)], [nets.linear("a", 0, 4, 3), nets.add(1, first=-1.0, offset=1.0), nets.multiply(1, 2)], None),
        "of outputs": ([(4,)], [nets.linear("a", 0, 4, 3), nets.linear("b", 0, 4, 3), nets.add(1, 2)], [1, 3, 2]),
        "then softmax": ([(4,), (4,)], [nets.linear("a", 0, 4, 4), nets.add(1, 2), nets.activation("softmax", 3)], None),
        "lines": ([(3, 5), (3, 4)], [nets.linear("a", 0, 5, 4), nets.add(1, 2), nets.flatten(3), nets.linear("b", 4, 12, 2)], None),
    },
    "multiply": {
        "gate": (
            [(5,)],
            [nets.linear("a", 0, 5, 33), nets.linear("b", 0, 5, 33), nets.activation("sigmoid", 2), nets.multiply(1, 3)],
            None,
        ),
        "square": ([(4,)], [nets.linear("a", 0, 4, 3), nets.multiply(1, 1), nets.linear("b", 2, 3, 2)], None),
        "input": (
            [(4,), (4,)],
            [nets.linear("a", 0, 4, 4), nets.multiply(1, 2), nets.multiply(3, 0), nets.activation("tanh", 4)],
            None,
        ),
    },
    "maximum": {
        "of two": (
            [(4,)],
            [nets.linear("a", 0, 4, 33), nets.linear("b", 0, 4, 33), nets.maximum(1, 2), nets.linear("c", 3, 33, 2)],
            None,
        ),
        "least": ([(4,), (4,)], [nets.linear("a", 0, 4, 4), nets.maximum(1, 2, True), nets.linear("c", 3, 4, 2)], None),
        "and added": ([(4,)], [nets.linear("a", 0, 4, 4), nets.maximum(1, 0), nets.add(2, 1), nets.activation("tanh", 3)], None),
        "ties": ([(4,)], [nets.linear("a", 0, 4, 3), nets.maximum(1, 1), nets.linear("b", 2, 3, 2)], None),
    },
    "concat": {
        "columns": ([(4,), (3,)], [nets.linear("a", 0, 4, 65), nets.concat(2, 1, 0), nets.linear("b", 3, 72, 2)], None),
        "twice": ([(4,)], [nets.linear("a", 0, 4, 3), nets.concat(1, 1), nets.linear("b", 2, 6, 2)], None),
        "with a skip": (
            [(4,)],
            [nets.linear("a", 0, 4, 3), nets.activation("tanh", 1), nets.concat(2, 0, 1), nets.linear("b", 3, 10, 2)],
            None,
        ),
        "then tanh": (
            [(4,)],
            [nets.linear("a", 0, 4, 3), nets.linear("b", 0, 4, 2), nets.concat(1, 2), nets.activation("tanh", 3)],
            None,
        ),
        "lines": (
            [(2, 3), (4, 3)],
            [nets.linear("a", 0, 3, 3), nets.concat(2, 1, axis=1), nets.flatten(3), nets.linear("b", 4, 18, 2)],
            None,
        ),
        "columns of lines": ([(2, 3)], [nets.linear("a", 0, 3, 5), nets.concat(0, 1, axis=-1), nets.linear("b", 2, 8, 2)], None),
        "middle": (
            [(2, 3, 2), (2, 1, 2)],
            [nets.linear("a", 0, 2, 2), nets.concat(2, 1, axis=2), nets.flatten(3), nets.linear("b", 4, 16, 2)],
            None,
        ),
        "single lines": ([(1, 70)], [nets.linear("a", 0, 70, 70), nets.concat(0, 1, axis=1), nets.linear("b", 2, 70, 2)], None),
    },
    "reshape": {
        "of a line": ([(6,)], [nets.reshape(0, 3, 2), nets.linear("a", 1, 2, 3)], None),
        "of a padded line": (
            [(4,)],
            [nets.linear("a", 0, 4, 70), nets.reshape(1, 7, -1), nets.linear("b", 2, 10, 2), nets.reshape(3, 2, 7)],
            None,
        ),
        "of a padded line read twice": (
            [(4,)],
            [nets.linear("a", 0, 4, 70), nets.reshape(1, 35, 2), nets.linear("b", 2, 2, 1), nets.linear("c", 1, 70, 2)],
            [3, 4],
        ),
        "to a line": ([(2, 3)], [nets.linear("a", 0, 3, 4), nets.reshape(1, 8), nets.linear("b", 2, 8, 2)], None),
        "lines": ([(2, 6)], [nets.linear("a", 0, 6, 6), nets.reshape(1, 4, 3), nets.activation("softmax", 2)], None),
    },
    "layer_norm": {
        "between": ([(5,)], [nets.linear("a", 0, 5, 19), nets.layer_norm(1, 19), nets.linear("b", 2, 19, 3)], None),
        "padded": ([(5,)], [nets.linear("a", 0, 5, 70), nets.layer_norm(1, 70), nets.linear("b", 2, 70, 3)], None),
        "fused": ([(5,)], [nets.linear("a", 0, 5, 4), nets.layer_norm(1, 4), nets.activation("tanh", 2)], None),
        "not fused": ([(5,)], [nets.linear("a", 0, 5, 4), nets.layer_norm(1, 4, bias=False), nets.activation("gelu", 2)], None),
        "plain": ([(5,)], [nets.layer_norm(0, 5, weight=False, bias=False), nets.linear("a", 1, 5, 3)], None),
        "lines": ([(3, 4)], [nets.layer_norm(0, 4), nets.linear("a", 1, 4, 2)], None),
        "two dimensions": ([(2, 3, 4)], [nets.linear("a", 0, 4, 4), nets.layer_norm(1, 3, 4)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.layer_norm(1, 6), nets.linear("b", 2, 6, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "gaussian_noise": {
        "between": ([(5,)], [nets.linear("a", 0, 5, 8), nets.gaussian_noise(1, 0.3), nets.linear("b", 2, 8, 3)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.gaussian_noise(1, 0.5), nets.linear("b", 2, 6, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "prelu": {
        "one": ([(5,)], [nets.linear("a", 0, 5, 8), nets.prelu(1), nets.linear("b", 2, 8, 3)], None),
        "columns": ([(5,)], [nets.linear("a", 0, 5, 70), nets.prelu(1, 70), nets.linear("b", 2, 70, 3)], None),
        "channels": ([(3, 5)], [nets.linear("a", 0, 5, 4), nets.prelu(1, 3), nets.linear("b", 2, 4, 2)], None),
        "planes": ([(2, 3, 4)], [nets.prelu(0, 2), nets.linear("b", 1, 4, 2)], None),
        "one of lines": ([(3, 5)], [nets.prelu(0), nets.linear("b", 1, 5, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.prelu(1, 6), nets.linear("b", 2, 6, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
        "shared input of channels": (
            [(2, 5)],
            [nets.linear("a", 0, 5, 6), nets.prelu(1, 2), nets.linear("b", 2, 6, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "maxout": {
        "two": ([(5,)], [nets.linear("a", 0, 5, 8), nets.maxout(1, 2), nets.linear("b", 2, 4, 3)], None),
        "lines": ([(3, 4)], [nets.linear("a", 0, 4, 9), nets.maxout(1, 3), nets.linear("b", 2, 3, 2)], None),
        "wide": ([(4,)], [nets.linear("a", 0, 4, 140), nets.maxout(1, 2), nets.linear("b", 2, 70, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.maxout(1, 3), nets.linear("b", 2, 2, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "glu": {
        "line": ([(5,)], [nets.linear("a", 0, 5, 8), nets.glu(1), nets.linear("b", 2, 4, 3)], None),
        "lines": ([(3, 4)], [nets.linear("a", 0, 4, 6), nets.glu(1), nets.linear("b", 2, 3, 2)], None),
        "wide": ([(4,)], [nets.linear("a", 0, 4, 140), nets.glu(1), nets.linear("b", 2, 70, 2)], None),
        "then tanh": ([(4,)], [nets.linear("a", 0, 4, 6), nets.glu(1), nets.activation("tanh", 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.glu(1), nets.linear("b", 2, 3, 2), nets.linear("c", 1, 6, 2)],
            [3, 4],
        ),
    },
    "permute": {
        "two": ([(3, 5)], [nets.linear("a", 0, 5, 4), nets.permute(1, 2, 1), nets.linear("b", 2, 3, 2)], None),
        "three": ([(2, 3, 4)], [nets.linear("a", 0, 4, 5), nets.permute(1, 3, 1, 2), nets.linear("b", 2, 3, 2)], None),
        "last stays": ([(2, 3, 4)], [nets.linear("a", 0, 4, 5), nets.permute(1, 2, 1, 3), nets.linear("b", 2, 5, 2)], None),
        "as it was": ([(3, 5)], [nets.linear("a", 0, 5, 4), nets.permute(1, 1, 2), nets.linear("b", 2, 4, 2)], None),
        "a line": ([(5,)], [nets.linear("a", 0, 5, 70), nets.permute(1, 1), nets.linear("b", 2, 70, 2)], None),
        "one column": ([(1, 70)], [nets.linear("a", 0, 70, 70), nets.permute(1, 2, 1), nets.linear("b", 2, 1, 2)], None),
        "input": ([(3, 5)], [nets.permute(0, 2, 1), nets.linear("b", 1, 3, 2)], None),
        "shared input": (
            [(3, 5)],
            [nets.linear("a", 0, 5, 4), nets.permute(1, 2, 1), nets.linear("b", 2, 3, 2), nets.linear("c", 1, 4, 2)],
            [3, 4],
        ),
    },
    "repeat_vector": {
        "line": ([(5,)], [nets.linear("a", 0, 5, 4), nets.repeat_vector(1, 3), nets.linear("b", 2, 4, 2)], None),
        "padded": ([(5,)], [nets.linear("a", 0, 5, 70), nets.repeat_vector(1, 2), nets.linear("b", 2, 70, 2)], None),
        "once": ([(5,)], [nets.repeat_vector(0, 1), nets.linear("b", 1, 5, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 4), nets.repeat_vector(1, 3), nets.repeat_vector(1, 2), nets.linear("c", 1, 4, 2)],
            [2, 3, 4],
        ),
    },
    "slice": {
        "line": ([(5,)], [nets.linear("a", 0, 5, 8), nets.part(1, -1, 2, 5), nets.linear("b", 2, 3, 2)], None),
        "every second": ([(5,)], [nets.linear("a", 0, 5, 70), nets.part(1, 1, -1, -70, -2), nets.linear("b", 2, 35, 2)], None),
        "lines": ([(3, 4)], [nets.linear("a", 0, 4, 6), nets.part(1, 2, 1, 3), nets.linear("b", 2, 2, 2)], None),
        "steps": ([(5, 3)], [nets.linear("a", 0, 3, 4), nets.part(1, 1, 1, 5, 2), nets.linear("b", 2, 4, 2)], None),
        "between": ([(2, 5, 3)], [nets.linear("a", 0, 3, 4), nets.part(1, -2, 3, -6, -1), nets.linear("b", 2, 4, 2)], None),
        "one step": ([(4, 70)], [nets.linear("a", 0, 70, 70), nets.part(1, 1, 2, 3), nets.linear("b", 2, 70, 2)], None),
        "input": ([(6,)], [nets.part(0, 1, 0, 3), nets.linear("b", 1, 3, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.part(1, 1, 0, 4), nets.part(1, 1, 5, 0, -2), nets.linear("c", 1, 6, 2)],
            [2, 3, 4],
        ),
    },
    "take": {
        "line": ([(5,)], [nets.linear("a", 0, 5, 8), nets.take(1, -1, 3, 1, 0, -1, 3), nets.linear("b", 2, 5, 2)], None),
        "lines": ([(3, 4)], [nets.linear("a", 0, 4, 70), nets.take(1, 2, 69, 2), nets.linear("b", 2, 2, 2)], None),
        "steps": ([(3, 4)], [nets.linear("a", 0, 4, 5), nets.take(1, 1, *[2, 0, 2] * 5), nets.linear("b", 2, 5, 2)], None),
        "input": ([(6,)], [nets.take(0, 1, 5, 5), nets.linear("b", 1, 2, 2)], None),
        "shared input": (
            [(5,)],
            [nets.linear("a", 0, 5, 6), nets.take(1, 1, 4, 4), nets.take(1, 1, 0, 1, 4), nets.linear("c", 1, 6, 2)],
            [2, 3, 4],
        ),
    },
    "embedding": {
        "words": ([(7,)], [nets.embedding(0, 4, 3), nets.linear("a", 1, 3, 2)], None),
        "side by side": ([(7,)], [nets.embedding(0, 4, 3), nets.flatten(1), nets.linear("a", 2, 21, 2)], None),
        "one": ([(1,)], [nets.flatten(0), nets.embedding(1, 4, 70), nets.linear("a", 2, 70, 2)], None),
        "many": ([(70,)], [nets.embedding(0, 4, 2)], None),
        "two tables": ([(5,)], [nets.embedding(0, 4, 3), nets.embedding(0, 6, 3), nets.add(1, 2)], None),
    },
    "pool": {
        "mean": ([(5, 3)], [nets.linear("a", 0, 3, 4), nets.pool(1, 0), nets.linear("b", 2, 4, 2)], None),
        "max": ([(5, 3)], [nets.linear("a", 0, 3, 70), nets.activation("tanh", 1), nets.pool(2, 1)], None),
        "last": ([(5, 3)], [nets.pool(0, 2), nets.linear("a", 1, 3, 2)], None),
        "parts of steps": ([(5, 2, 3)], [nets.linear("a", 0, 3, 4), nets.pool(1, 1), nets.linear("b", 2, 4, 2)], None),
        "one step": ([(1, 3)], [nets.linear("a", 0, 3, 40), nets.pool(1, 0), nets.activation("tanh", 2)], None),
        "shared input": (
            [(4, 3)],
            [nets.linear("a", 0, 3, 5), nets.pool(1, 0), nets.pool(1, 1), nets.pool(1, 2), nets.linear("b", 1, 5, 2)],
            [2, 3, 4, 5],
        ),
    },
}


def test_every_kind_of_layer_has_cases():
    elsewhere = {"recurrent", "state", "python"}  # test_recurrent*.py; the tests of parts in Python, by check_gradients
    assert set(LAYERS) | elsewhere == set(nets.names("layer"))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind in LAYERS for case in LAYERS[kind]])
def test_layer(kind, case, training, dtype, rng):
    inputs, ops, outputs = LAYERS[kind][case]
    x = [rng.uniform(-1, 1, (ROWS, *shape)).astype(np.float32).astype(np.float64) for shape in inputs]
    if kind == "embedding":
        x = [np.floor(2 + 2 * a) for a in x]  # 0 to 3
    check_backward(inputs, ops, x, rng, dtype, outputs, training, indices=kind == "embedding")


# Shared parameters: one set of weights used by several ops; the gradient is the sum over them.

_WEIGHTS = nets.linear("a", 0, 4, 4)
_NORM = nets.batch_norm(1, 4)
SHARED = {
    "towers": (
        [(4,), (4,)],
        [_WEIGHTS, nets.activation("tanh", 2), nets.shared(_WEIGHTS, 1, 0), nets.activation("tanh", 4), nets.add(3, 5, rest=-1.0)],
    ),
    "chain": (
        [(4,)],
        [
            _WEIGHTS,
            nets.activation("tanh", 1),
            nets.shared(_WEIGHTS, 2, 0),
            nets.activation("tanh", 3),
            nets.shared(_WEIGHTS, 4, 0),
        ],
    ),
    "input and hidden": (
        [(4,)],
        [nets.linear("b", 0, 4, 4), nets.activation("tanh", 1), _WEIGHTS, nets.shared(_WEIGHTS, 2, 2), nets.multiply(3, 4)],
    ),
    "norms": (
        [(4,)],
        [
            nets.linear("b", 0, 4, 4, bias=False),
            _NORM,
            nets.activation("tanh", 2),
            nets.shared(_NORM, 3, 1),
            nets.shared(_NORM, 0, 1),
            nets.add(4, 5),
        ],
    ),
    "other lines": (
        [(4,), (3, 4)],
        [_WEIGHTS, nets.shared(_WEIGHTS, 1, 0), nets.flatten(3), nets.concat(2, 4), nets.linear("b", 5, 16, 2)],
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_parameters(case, dtype, rng):
    inputs, ops = SHARED[case]
    x = [rng.uniform(-1, 1, (ROWS, *shape)).astype(np.float32).astype(np.float64) for shape in inputs]
    check_backward(inputs, ops, x, rng, dtype, training=True)


def test_compiled_or_not_backward_is_the_same(dtype, rng):
    ops = [nets.linear("a", 0, 5, 4), nets.activation("sigmoid", 1)]
    x, dy = rng.uniform(-1, 1, (7, 5)).astype(dtype), rng.uniform(-1, 1, (7, 4)).astype(dtype)
    net = nets.assemble([(5,)], ops, dtype=dtype)
    gradients = []
    for compiled in (False, True):
        if compiled:
            nets.compile_net(net, "binary_crossentropy")
        net.forward([x], True)
        (dx,) = net.backward([dy])
        gradients.append([dx, *(np.array(p.grad) for p in net.parameters())])
    assert all(np.abs(g).max() > 0 for g in gradients[0])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_array_equal(a, b)


def test_op_records_name_their_kind():
    with pytest.raises(ValueError, match="unknown kind of op 'conv'"):
        _core.Plan().assemble([(2,)], [Op("conv", "c", (0,))], [1], "float32")
