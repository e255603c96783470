"""PReLU, kernel by kernel, against NumPy in float64."""

import numpy as np
import pytest
from ops.operands import SHAPES, close, draw, spaced

from nncore._core import kernels


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("per_column", [True, False])
def test_prelu(shape, per_column, isa, dtype, rng):
    x, dy, slope = draw(rng, dtype, shape, shape, shape[1] if per_column else 1)
    x[0, 0] = 0
    own = slope.astype(dtype)
    close(kernels.prelu_forward(spaced(x, dtype), own, isa=isa), np.where(x > 0, x, slope * x), dtype)
    close(kernels.prelu_backward(spaced(dy, dtype), spaced(x, dtype), own, isa=isa), np.where(x > 0, dy, slope * dy), dtype)
    share = np.where(x > 0, 0, dy * x)
    expected = share.sum(0) if per_column else share.sum().reshape(1)
    close(kernels.prelu_gradient(spaced(dy, dtype), spaced(x, dtype), per_column, isa=isa), expected, dtype)


def test_prelu_lets_nan_through(isa, dtype):
    y = kernels.prelu_forward(np.array([[np.nan, -np.inf, np.inf]], dtype), np.array([0.5], dtype), isa=isa)
    np.testing.assert_array_equal(y, np.array([[np.nan, -np.inf, np.inf]], dtype))
