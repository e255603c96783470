"""The checker of gradients itself: errors that people make, planted into right gradients."""

import numpy as np
import pytest
from truth import nets
from truth.gradcheck import ROWS, assert_gradient, check_backward, check_loss, choose_rows, numeric_gradient


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
    ops, watched = [nets.linear("a", 0, 5, 4), nets.activation("tanh", 1), nets.linear("b", 2, 4, 3)], {1: "tanh"}
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
    net.forward([x], False)
    (dx,) = net.backward([dy])
    numeric = numeric_gradient(lambda: float(other.forward([x], False)[0].sum()), x)
    with pytest.raises(AssertionError):
        assert_gradient(dx, numeric, np.float64, "gelu")
