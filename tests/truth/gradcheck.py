"""Central differences in float64, the comparison that every gradient test goes through, and the checks of whole nets and losses."""

from __future__ import annotations

import numpy as np
import pytest
from truth import nets

from nncore.records import LossSpec

ROWS = 6
MARGIN = 0.02  # how far from a kink every number that enters an activation stays: far more than the step of the differences


def numeric_gradient(f, array, h=1e-5):
    """d f() / d array by central differences; f reads ``array``, which is float64 and is left as it was."""
    grad = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + h
        above = f()
        array[index] = kept - h
        below = f()
        array[index] = kept
        grad[index] = (above - below) / (2 * h)
    return grad


def assert_gradient(analytic, numeric, dtype, what):
    """Raise AssertionError unless two gradients agree: to 1e-5 in float64, and as rounding allows in float32.

    The absolute part is relative to the largest element, so that a gradient that is small as a whole is still checked.
    """
    assert analytic.shape == numeric.shape, f"{what}: shape {analytic.shape} for {numeric.shape}"
    rtol, atol = (1e-5, 1e-8) if np.dtype(dtype) == np.float64 else (2e-4, 2e-5)
    size = np.abs(numeric).max(initial=0.0)
    np.testing.assert_allclose(analytic, numeric, rtol=rtol, atol=atol * size + 1e-9, err_msg=what)


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
        (got,) = nets.assemble(inputs, ops[: v - len(inputs) + 1], [v]).forward(draws, False)
        fits &= far_from_kinks(got, watched[v]).reshape(400, -1).all(1)
    chosen = np.flatnonzero(fits)[:rows]
    assert len(chosen) == rows, "no inputs far enough from the kinks; choose another seed"
    return [np.ascontiguousarray(d[chosen]) for d in draws]


def check_backward(inputs, ops, x, rng, dtype, outputs=None, training=False, corrupt=None, indices=False):
    """Compare backward with the differences of sum(c * outputs), c drawn, for parameters and inputs."""
    net = nets.assemble(inputs, ops, outputs, dtype)
    truth = nets.twin(net, inputs, ops, outputs)
    results = net.forward([a.astype(dtype) for a in x], training)
    scales = [rng.uniform(-1, 1, r.shape).astype(np.float32) for r in results]
    grad_inputs = net.backward([s.astype(dtype) for s in scales])

    def objective():
        truth.passes = 0  # the masks of the first pass
        return sum(float((c * r).sum()) for c, r in zip(scales, truth.forward(x, training), strict=True))

    for own, p in zip(net.parameters(), truth.parameters(), strict=True):
        analytic = np.array(own.grad)
        if corrupt:
            corrupt(own.role, analytic)
        assert_gradient(analytic, numeric_gradient(objective, p.value), dtype, f"{ops[p.op].name}.{p.role}")
    if indices:  # which have no derivative
        assert not any(got.any() for got in grad_inputs)
        return
    for i, (got, at) in enumerate(zip(grad_inputs, x, strict=True)):
        assert_gradient(got, numeric_gradient(objective, at), dtype, f"input {i}")


#: What the numbers that a loss reads must be, and so the activation before it. None: any numbers.
ENDS = {
    "binary_crossentropy": "sigmoid",
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
    "kl_divergence": "softmax",
    "poisson": "softplus",
    "mean_squared_logarithmic_error": "softplus",
    "weighted_binary_crossentropy": "sigmoid",
    "binary_focal_crossentropy": "sigmoid",
    "categorical_focal_crossentropy": "softmax",
    "sparse_categorical_focal_crossentropy": "softmax",
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
    shape = (*shape[:-1], 2 * shape[-1]) if name == "gaussian_nll" else shape
    inputs, ops = loss_case(form, name, shape, rng)
    attr = nets.attributes("loss", name)
    attr = attr if smooth or "label_smoothing" not in nets.values("loss", name) else (0.0, *attr[1:])
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
    for own, p in zip(net.parameters(), truth.parameters(), strict=True):
        analytic = np.array(own.grad)
        if corrupt:
            corrupt(own.role, analytic)
        assert_gradient(analytic, numeric_gradient(objective, p.value), dtype, f"{name} {form}: {ops[p.op].name}.{p.role}")
