"""Gradients of whole networks, through the plan, against central differences in float64.

Every kind of layer, every activation in every place where the plan treats it differently, every loss with every reduction. The
lists come from the registry, so that a new op is covered, or fails here until it says what it needs. float32 gradients are compared
with the differences of a float64 twin.
"""

import numpy as np
import pytest
from truth import nets
from truth.gradcheck import assert_gradient, numeric_gradient

from nncore import _core
from nncore.spec import LossSpec, Op, ParameterOptions

ROWS = 6
MARGIN = 0.02  # how far from a kink every number that enters an activation stays: far more than the step of the differences


def far_from_kinks(values, code):
    return np.all([np.abs(values - kink) > MARGIN for kink in nets.KINKS.get(code, (0.0,))], axis=0)


def choose_rows(rng, inputs, ops, watched, rows=ROWS):
    """Inputs of which no watched activation is near a kink. watched: {value that it reads: its code}."""
    draws = [rng.uniform(-1.5, 1.5, (400, *shape)).astype(np.float32).astype(np.float64) for shape in inputs]
    values = [v for v in watched if v >= len(inputs)]
    fits = np.ones(400, bool)
    for v in watched:
        if v < len(inputs):
            fits &= far_from_kinks(draws[v], watched[v]).reshape(400, -1).all(1)
    # Each value is computed by a net that ends in it.
    for v in values:
        (got,) = nets.assemble(inputs, ops[: v - len(inputs) + 1], [v])._forward(draws, False)
        fits &= far_from_kinks(got, watched[v]).reshape(400, -1).all(1)
    chosen = np.flatnonzero(fits)[:rows]
    assert len(chosen) == rows, "no inputs far enough from the kinks; choose another seed"
    return [np.ascontiguousarray(d[chosen]) for d in draws]


def check_backward(inputs, ops, x, rng, dtype, outputs=None, training=False, corrupt=None, indices=False):
    """Compare backward with the differences of sum(c * outputs), c drawn, for parameters and inputs."""
    net = nets.assemble(inputs, ops, outputs, dtype)
    truth = nets.twin(net, inputs, ops, outputs)
    results = net._forward([a.astype(dtype) for a in x], training)
    scales = [rng.uniform(-1, 1, r.shape).astype(np.float32) for r in results]
    grad_inputs = net._backward([s.astype(dtype) for s in scales])

    def objective():
        return sum(float((c * r).sum()) for c, r in zip(scales, truth._forward(x, training), strict=True))

    for own, p in zip(net._parameters(), truth._parameters(), strict=True):
        analytic = np.array(own.grad)
        if corrupt:
            corrupt(own.role, analytic)
        assert_gradient(analytic, numeric_gradient(objective, p.value), dtype, f"{ops[p.op].name}.{p.role}")
    if indices:  # which have no derivative
        assert not any(got.any() for got in grad_inputs)
        return
    for i, (got, at) in enumerate(zip(grad_inputs, x, strict=True)):
        assert_gradient(got, numeric_gradient(objective, at), dtype, f"input {i}")


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
    "embedding": {
        "words": ([(7,)], [nets.embedding(0, 4, 3), nets.linear("a", 1, 3, 2)], None),
        "side by side": ([(7,)], [nets.embedding(0, 4, 3), nets.flatten(1), nets.linear("a", 2, 21, 2)], None),
        "one": ([(1,)], [nets.flatten(0), nets.embedding(1, 4, 70), nets.linear("a", 2, 70, 2)], None),
        "many": ([(70,)], [nets.embedding(0, 4, 2)], None),
        "two tables": ([(5,)], [nets.embedding(0, 4, 3), nets.embedding(0, 6, 3), nets.add(1, 2)], None),
    },
}


def test_every_kind_of_layer_has_cases():
    elsewhere = {"recurrent", "python"}  # test_recurrent.py; the tests of parts in Python, by check_gradients
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
        net._forward([x], True)
        (dx,) = net._backward([dy])
        gradients.append([dx, *(np.array(p.grad) for p in net._parameters())])
    assert all(np.abs(g).max() > 0 for g in gradients[0])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_array_equal(a, b)


# Losses: the gradient that a training step leaves in the buffer, against differences of the loss that training records.

#: What the numbers that a loss reads must be, and so the activation before it. None: any numbers.
ENDS = {
    "binary_crossentropy": "sigmoid",
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
    "kl_divergence": "softmax",
    "poisson": "softplus",
}
LOSSES = [name for name in nets.names("loss") if not name.endswith("_logits")]
WITH_LOGITS = [name.removesuffix("_logits") for name in nets.names("loss") if name.endswith("_logits")]
FORMS = [("plain", name) for name in LOSSES] + [(form, name) for name in WITH_LOGITS for form in ("fused", "logits", "alone")]


def loss_case(form, name, shape, seed):
    """(input shape, ops) of a net that ends in numbers that the loss takes, computed in the way that ``form`` says."""
    ops = [nets.linear("a", 0, 4, 5), nets.activation("tanh", 1), nets.linear("b", 2, 5, shape[-1])]
    end = ENDS.get(name)
    if form == "plain" and end:
        ops += [nets.activation(end, 3), nets.activation("identity", 4)]  # a view in between: not fused into the loss
    elif form == "fused":
        ops += [nets.activation(end, 3)]
    elif form == "alone":  # the activation reads a view, so it is no epilogue, and is fused into the loss all the same
        ops += [nets.activation("identity", 3), nets.activation(end, 4)]
    return [(*shape[:-1], 4)], ops


def check_loss(form, name, dtype, rng, shape=(3,), reduction="mean", weighted=False, smooth=True, corrupt=None):
    inputs, ops = loss_case(form, name, shape, rng)
    attr = nets.attributes("loss", name)
    attr = attr if smooth or name == "huber" else tuple(0.0 for _ in attr)
    spec = LossSpec(name, form == "logits", attr, reduction, 1.7)
    net = nets.compile_net(nets.assemble(inputs, ops, dtype=dtype), spec)
    truth = nets.compile_net(nets.twin(net, inputs, ops), spec)
    x = rng.uniform(-1.5, 1.5, (ROWS, *inputs[0])).astype(np.float32).astype(np.float64)
    y = nets.targets_for(name, rng, ROWS, shape)
    y = np.asarray(y, np.float32).astype(np.float64) if y.dtype.kind == "f" else y
    weight = rng.uniform(0.2, 2, ROWS).astype(np.float32).astype(np.float64) if weighted else None
    (loss,) = nets.train(net, x.astype(dtype), y, weight=weight)

    def objective():
        return float(nets.train(truth, x, y, weight=weight)[0])

    assert loss == pytest.approx(objective(), rel=1e-12 if dtype == np.float64 else 1e-5)
    for own, p in zip(net._parameters(), truth._parameters(), strict=True):
        analytic = np.array(own.grad)
        if corrupt:
            corrupt(own.role, analytic)
        assert_gradient(analytic, numeric_gradient(objective, p.value), dtype, f"{name} {form}: {ops[p.op].name}.{p.role}")


@pytest.mark.parametrize(("form", "name"), FORMS)
def test_loss(form, name, dtype, rng):
    check_loss(form, name, dtype, rng)


@pytest.mark.parametrize(("form", "name"), FORMS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
def test_loss_with_weights(form, name, reduction, rng):
    check_loss(form, name, np.dtype(np.float64), rng, reduction=reduction, weighted=True, smooth=False)


@pytest.mark.parametrize(("form", "name"), FORMS)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_of_lines(form, name, weighted, rng):
    check_loss(form, name, np.dtype(np.float64), rng, shape=(2, 3), weighted=weighted)


ONE_COLUMN = [name for name in LOSSES if ENDS.get(name) != "softmax" and name != "categorical_hinge"]  # the others need classes


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_loss_of_one_column(name, dtype, rng):
    for form in ("plain", "fused") if name in ENDS else ("plain",):
        check_loss(form, name, dtype, rng, shape=(1,))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("code", nets.names("activation"))
def test_activation_before_loss(code, name, rng):
    """Every pair that makes sense, also those that look like one that is fused and are not."""
    fitting = {"softmax": ("sigmoid", "softmax"), "sigmoid": ("sigmoid", "softmax"), "softplus": ("softplus", "sigmoid", "softmax")}
    if name in ENDS and code not in fitting[ENDS[name]]:
        return  # the logarithm of a negative number
    inputs, ops = [(4,)], [nets.linear("a", 0, 4, 3), nets.activation(code, 1)]
    (x,) = choose_rows(rng, inputs, ops, {1: code})
    net = nets.compile_net(nets.assemble(inputs, ops), LossSpec(name, attributes=nets.attributes("loss", name)))
    y = nets.targets_for(name, rng, ROWS, (3,))
    nets.train(net, x, y)
    gradients = [np.array(p.grad) for p in net._parameters()]  # the differences train as well
    for p, analytic in zip(net._parameters(), gradients, strict=True):
        assert_gradient(analytic, numeric_gradient(lambda: nets.train(net, x, y)[0], p.value), np.float64, p.role)


def test_losses_of_several_outputs_add_up(dtype, rng):
    # value 2 is an output, is read by another op, and ends in a sigmoid: nothing may be fused into the loss.
    inputs, ops = [(4,)], [nets.linear("a", 0, 4, 3), nets.activation("sigmoid", 1), nets.linear("b", 2, 3, 2)]
    specs = [
        LossSpec("binary_crossentropy", attributes=(0.0,), weight=0.4),
        LossSpec("mean_squared_error", weight=2.5, reduction="sum"),
    ]
    net = nets.compile_net(nets.assemble(inputs, ops, [2, 3], dtype), specs)
    truth = nets.compile_net(nets.twin(net, inputs, ops, [2, 3]), specs)
    x = rng.uniform(-1, 1, (ROWS, 4)).astype(np.float32).astype(np.float64)
    y = [nets.targets_for("binary_crossentropy", rng, ROWS, (3,)), rng.integers(-2, 3, (ROWS, 2)).astype(np.float64)]
    nets.train(net, x.astype(dtype), y)
    for own, p in zip(net._parameters(), truth._parameters(), strict=True):
        assert_gradient(
            np.array(own.grad), numeric_gradient(lambda: nets.train(truth, x, y)[0], p.value), dtype, f"{p.op}.{p.role}"
        )
    first, second = nets.predict(truth, x)
    bce = -np.mean(y[0] * np.log(first) + (1 - y[0]) * np.log(1 - first))
    expected = 0.4 * bce + 2.5 * np.sum(np.mean((second - y[1]) ** 2, axis=1))
    assert nets.train(net, x.astype(dtype), y)[0] == pytest.approx(expected, rel=1e-12 if dtype == np.float64 else 1e-5)


def test_the_change_of_the_parameters_is_the_gradient(dtype, rng):
    net = nets.compile_net(nets.assemble([(4,)], [nets.linear("a", 0, 4, 3)], dtype=dtype))
    before = [np.array(p.value, np.float64) for p in net._parameters()]
    nets.train(net, rng.uniform(-1, 1, (9, 4)).astype(dtype), rng.uniform(-1, 1, (9, 3)), lr=0.25)
    for p, old in zip(net._parameters(), before, strict=True):
        np.testing.assert_allclose(old - p.value, 0.25 * p.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("role", ["weight", "bias"])
def test_penalties_and_frozen_parameters(role, rng):
    net = nets.assemble([(4,)], [nets.linear("a", 0, 4, 3)])
    kinds = [p.role for p in net._parameters()]
    options = [ParameterOptions(l1=0.3, l2=0.2, lr_scale=0.5) if r == role else ParameterOptions(trainable=False) for r in kinds]
    nets.draw(net, rng)
    nets.compile_net(net, options=options)
    before = [np.array(p.value) for p in net._parameters()]
    nets.train(net, rng.uniform(-1, 1, (9, 4)), rng.uniform(-1, 1, (9, 3)), lr=0.1)
    for p, old in zip(net._parameters(), before, strict=True):
        step = 0.1 * 0.5 * (p.grad + 0.3 * np.sign(old) + 2 * 0.2 * old) if p.role == role else 0.0
        np.testing.assert_allclose(p.value, old - step, rtol=1e-12)


# The checker itself: errors that people make, planted into right gradients.


def flip_sign(role, grad):
    grad *= -1


def scale_a_little(role, grad):
    grad *= 1.001


def forget_the_bias(role, grad):
    if role == "bias":
        grad[...] = 0


def forget_one_row(role, grad):
    grad[0] *= (ROWS - 1) / ROWS


def swap_two(role, grad):
    grad[[0, 1]] = grad[[1, 0]]


@pytest.mark.parametrize("error", [flip_sign, scale_a_little, forget_the_bias, forget_one_row, swap_two])
def test_planted_errors_are_caught(error, dtype, rng):
    ops, watched = PLACES["between"]("tanh")
    x = choose_rows(rng, [(5,)], ops, watched)
    with pytest.raises(AssertionError):
        check_backward([(5,)], ops, x, rng, dtype, corrupt=error)
    with pytest.raises(AssertionError):
        check_loss("fused", "categorical_crossentropy", dtype, rng, corrupt=error)


def test_a_wrong_derivative_is_caught(rng):
    # gelu's derivative for that of gelu_tanh: different by 1e-3 at most, and still seen.
    net = nets.assemble([(5,)], [nets.linear("a", 0, 5, 4), nets.activation("gelu", 1)])
    other = nets.assemble([(5,)], [nets.linear("a", 0, 5, 4), nets.activation("gelu_tanh", 1)])
    x, dy = rng.uniform(-2, 2, (ROWS, 5)), np.ones((ROWS, 4))
    net._forward([x], False)
    (dx,) = net._backward([dy])
    numeric = numeric_gradient(lambda: float(other._forward([x], False)[0].sum()), x)
    with pytest.raises(AssertionError):
        assert_gradient(dx, numeric, np.float64, "gelu")


def test_op_records_name_their_kind():
    with pytest.raises(ValueError, match="unknown kind of op 'conv'"):
        _core.Network()._assemble([(2,)], [Op("conv", "c", (0,))], [1], "float32")
