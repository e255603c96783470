"""Gradients of every loss with every reduction: what a training step leaves in the buffer, against differences of the loss that
training records; and what the optimizer makes of them.
"""

import numpy as np
import pytest
from truth import nets
from truth.gradcheck import ENDS, FORMS, LOSSES, ROWS, assert_gradient, check_loss, choose_rows, numeric_gradient

from nncore.records import LossSpec, ParameterOptions


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


# The others need classes, and the cosine of one column is 1 or -1.
ONE_COLUMN = [name for name in LOSSES if ENDS.get(name) != "softmax" and name not in ("categorical_hinge", "cosine_similarity")]


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
    width = 4 if name == "gaussian_nll" else 3
    inputs, ops = [(4,)], [nets.linear("a", 0, 4, width), nets.activation(code, 1)]
    (x,) = choose_rows(rng, inputs, ops, {1: code})
    net = nets.compile_net(nets.assemble(inputs, ops), LossSpec(name, attributes=nets.attributes("loss", name)))
    y = nets.targets_for(name, rng, ROWS, (width,))
    nets.train(net, x, y)
    gradients = [np.array(p.grad) for p in net.parameters()]  # the differences train as well
    for p, analytic in zip(net.parameters(), gradients, strict=True):
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
    for own, p in zip(net.parameters(), truth.parameters(), strict=True):
        assert_gradient(
            np.array(own.grad), numeric_gradient(lambda: nets.train(truth, x, y)[0], p.value), dtype, f"{p.op}.{p.role}"
        )
    first, second = nets.predict(truth, x)
    bce = -np.mean(y[0] * np.log(first) + (1 - y[0]) * np.log(1 - first))
    expected = 0.4 * bce + 2.5 * np.sum(np.mean((second - y[1]) ** 2, axis=1))
    assert nets.train(net, x.astype(dtype), y)[0] == pytest.approx(expected, rel=1e-12 if dtype == np.float64 else 1e-5)


def test_the_change_of_the_parameters_is_the_gradient(dtype, rng):
    net = nets.compile_net(nets.assemble([(4,)], [nets.linear("a", 0, 4, 3)], dtype=dtype))
    before = [np.array(p.value, np.float64) for p in net.parameters()]
    nets.train(net, rng.uniform(-1, 1, (9, 4)).astype(dtype), rng.uniform(-1, 1, (9, 3)), lr=0.25)
    for p, old in zip(net.parameters(), before, strict=True):
        np.testing.assert_allclose(old - p.value, 0.25 * p.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("role", ["weight", "bias"])
def test_penalties_and_frozen_parameters(role, rng):
    net = nets.assemble([(4,)], [nets.linear("a", 0, 4, 3)])
    kinds = [p.role for p in net.parameters()]
    options = [ParameterOptions(l1=0.3, l2=0.2, lr_scale=0.5) if r == role else ParameterOptions(trainable=False) for r in kinds]
    nets.draw(net, rng)
    nets.compile_net(net, options=options)
    before = [np.array(p.value) for p in net.parameters()]
    nets.train(net, rng.uniform(-1, 1, (9, 4)), rng.uniform(-1, 1, (9, 3)), lr=0.1)
    for p, old in zip(net.parameters(), before, strict=True):
        step = 0.1 * 0.5 * (p.grad + 0.3 * np.sign(old) + 2 * 0.2 * old) if p.role == role else 0.0
        np.testing.assert_allclose(p.value, old - step, rtol=1e-12)
