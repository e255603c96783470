"""combine, multiply, maximum and its gradient: to the bit, for every size and stride, NaN and infinity as NumPy has them."""

import numpy as np
import pytest

from nncore._core import kernels

SHAPES = [(1, 1), (3, 7), (5, 16), (4, 33), (9, 64), (2, 131), (0, 5)]


def operands(rng, shape, dtype, count):
    """Matrices, some with rows apart; every eleventh element is special, and some are equal."""
    found = []
    for i in range(count):
        a = rng.standard_normal((shape[0], shape[1] + 3 * i)).astype(dtype)[:, : shape[1]]
        flat = a.reshape(-1) if i == 0 else None
        if flat is not None:
            flat[::11] = np.resize(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype), flat[::11].shape)
        found.append(a)
    if count > 1:
        found[1][:, ::3] = found[0][:, ::3]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_combine(shape, isa, dtype, rng):
    a, b = operands(rng, shape, dtype, 2)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(kernels.combine(a, b, 1.0, 1.0, 0.0, isa), a + b)
        np.testing.assert_array_equal(kernels.combine(a, b, 1.0, -1.0, 0.0, isa), a - b)
        np.testing.assert_array_equal(kernels.combine(a, None, -1.0, 0.0, 1.0, isa), 1 - a)
        exact = 0.3 * a.astype(np.longdouble) + 0.7 * b.astype(np.longdouble) + 0.1
        size = abs(0.3 * a) + abs(0.7 * b) + 0.1
        near = kernels.combine(a, b, 0.3, 0.7, 0.1, isa)
        finite = np.isfinite(exact)
        assert np.all(abs(near - exact)[finite] <= (4 * np.finfo(dtype).eps * size)[finite])
        np.testing.assert_array_equal(np.isfinite(near), finite)


@pytest.mark.parametrize("shape", SHAPES)
def test_multiply(shape, isa, dtype, rng):
    a, b, start = operands(rng, shape, dtype, 3)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(kernels.multiply(a, b, isa=isa), a * b)
        added = a.astype(np.float64) * b + start
        eps = np.finfo(dtype).eps  # without fused multiply-adds, the product rounds as well
        np.testing.assert_allclose(kernels.multiply(a, b, start.copy(), isa=isa), added, rtol=eps, atol=20 * eps)


@pytest.mark.parametrize("is_minimum", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_maximum(shape, is_minimum, isa, dtype, rng):
    a, b = operands(rng, shape, dtype, 2)
    truth = np.minimum if is_minimum else np.maximum
    np.testing.assert_array_equal(kernels.maximum(a, b, is_minimum, isa), truth(a, b))
    np.testing.assert_array_equal(kernels.maximum(b, a, is_minimum, isa), truth(b, a))


@pytest.mark.parametrize("is_minimum", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_maximum_backward_against_torch(shape, is_minimum, isa, dtype, rng):
    torch = pytest.importorskip("torch")
    a, b = operands(rng, shape, dtype, 2)
    dy = rng.standard_normal(shape).astype(dtype)
    ta, tb = (torch.tensor(v.copy(), requires_grad=True) for v in (a, b))
    (torch.minimum if is_minimum else torch.maximum)(ta, tb).backward(torch.tensor(dy))
    np.testing.assert_array_equal(kernels.maximum_backward(dy, a, b, is_minimum, isa), ta.grad.numpy())
    np.testing.assert_array_equal(kernels.maximum_backward(dy, b, a, is_minimum, isa), tb.grad.numpy())


def test_elements_stand_alone(isa, dtype, rng):
    a, b = rng.standard_normal((2, 7, 50)).astype(dtype)
    whole = kernels.combine(a, b, 0.3, 0.7, 0.1, isa)
    for first, last in [(0, 1), (3, 20), (11, 50)]:
        np.testing.assert_array_equal(whole[:, first:last], kernels.combine(a[:, first:last], b[:, first:last], 0.3, 0.7, 0.1, isa))
