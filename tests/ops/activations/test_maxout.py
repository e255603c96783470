"""Maxout, kernel by kernel, against NumPy to the bit."""

import numpy as np
import pytest
from ops.operands import spaced

from nncore._core import kernels


@pytest.mark.parametrize("cols", [1, 3, 16, 37])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout(cols, pieces, isa, dtype, rng):
    x = rng.integers(-3, 4, (6, pieces * cols)).astype(dtype)  # with many equals
    dy = rng.normal(size=(6, cols)).astype(dtype)
    parts = x.reshape(6, pieces, cols)
    np.testing.assert_array_equal(kernels.maxout_forward(spaced(x, dtype), pieces, isa=isa), parts.max(1))
    first = np.arange(pieces)[:, None] == parts.argmax(1)[:, None]
    dx = kernels.maxout_backward(spaced(dy, dtype), spaced(x, dtype), pieces, isa=isa)
    np.testing.assert_array_equal(dx.reshape(parts.shape), np.where(first, dy[:, None], 0))


def test_maxout_lets_nan_through(isa, dtype):
    x = np.array([[1, np.nan, np.nan, 2, 3, np.nan]], dtype)  # pieces [1, nan, nan] and [2, 3, nan]
    np.testing.assert_array_equal(kernels.maxout_forward(x, 2, isa=isa), np.array([[2, np.nan, np.nan]], dtype))
    np.testing.assert_array_equal(kernels.maxout_backward(np.ones((1, 3), dtype), x, 2, isa=isa), [[0, 1, 1, 1, 0, 0]])
