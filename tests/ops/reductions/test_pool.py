"""Pooling over the steps of one sample, kernel by kernel, against NumPy."""

import numpy as np
import pytest
from ops.operands import spaced

from nncore._core import kernels

REDUCE = {"mean": lambda x: x.mean(0), "max": lambda x: x.max(0), "last": lambda x: x[-1]}


@pytest.mark.parametrize("cols", [1, 3, 16, 37, 130])
@pytest.mark.parametrize(("steps", "length"), [(1, 1), (6, 6), (6, 1), (6, 4)])
@pytest.mark.parametrize("pool", REDUCE)
def test_pool(pool, steps, length, cols, isa, dtype, rng):
    x = rng.integers(-3, 4, (steps, cols)).astype(dtype)  # with many equals; sums are exact
    x[length:] = np.nan
    dy = rng.normal(size=(1, cols)).astype(dtype)
    expected = REDUCE[pool](x[:length]).astype(dtype)
    y = kernels.pool_forward(spaced(x, dtype), length, pool, isa=isa)
    np.testing.assert_array_equal(y, expected[None])
    at = np.arange(steps)[:, None]
    share = {
        "mean": (dy / np.dtype(dtype).type(length)) * (at < length),
        "max": dy * (at == x[:length].argmax(0)),
        "last": dy * (at == length - 1),
    }[pool]
    np.testing.assert_array_equal(kernels.pool_backward(dy, spaced(x, dtype), y, length, pool, isa=isa), share.astype(dtype))


@pytest.mark.parametrize("cols", [1, 5, 40])
def test_columns_do_not_depend_on_each_other(cols, isa, dtype, rng):
    """However many there are, a mean is the chain of its additions."""
    x = rng.normal(size=(9, cols)).astype(dtype)
    total = x[0].copy()
    for step in x[1:]:
        total += step
    np.testing.assert_array_equal(kernels.pool_forward(x, 9, "mean", isa=isa)[0], total / np.dtype(dtype).type(9))


def test_pool_lets_nan_through(isa, dtype):
    x = np.array([[1, np.nan, 2], [np.nan, 3, 5], [7, np.nan, 4]], dtype)
    y = kernels.pool_forward(x, 3, "max", isa=isa)
    np.testing.assert_array_equal(y, np.array([[np.nan, np.nan, 5]], dtype))
    np.testing.assert_array_equal(
        kernels.pool_backward(np.ones((1, 3), dtype), x, y, 3, "max", isa=isa), [[0, 1, 0], [1, 0, 1], [0, 0, 0]]
    )
