"""Layer normalisation, kernel by kernel, against NumPy in float64; a part gives the bits of the whole."""

import numpy as np
import pytest
from ops.operands import SHAPES, close, draw, spaced

from nncore._core import kernels


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(shape, affine, isa, dtype, rng):
    x, dy, gamma, beta = draw(rng, dtype, shape, shape, shape[1:], shape[1:])
    eps = 1e-2
    mean, rstd = x.mean(1), 1 / np.sqrt(x.var(1) + eps)
    normed = (x - mean[:, None]) * rstd[:, None]
    weights = (gamma.astype(dtype), beta.astype(dtype)) if affine else ()
    y, own_mean, own_rstd = kernels.layer_norm_forward(spaced(x, dtype), *weights, eps=eps, isa=isa)
    close(y, normed * gamma + beta if affine else normed, dtype)
    close(own_mean, mean, dtype)
    close(own_rstd, rstd, dtype)
    g = dy * gamma if affine else dy
    saved = mean.astype(dtype), rstd.astype(dtype)
    dx = kernels.layer_norm_backward(spaced(dy, dtype), spaced(x, dtype), *saved, *weights[:1], isa=isa)
    close(dx, rstd[:, None] * (g - g.mean(1, keepdims=True) - normed * (g * normed).mean(1, keepdims=True)), dtype)
    dgamma, dbeta = kernels.layer_norm_gradient(spaced(dy, dtype), spaced(x, dtype), *saved, isa=isa)
    close(dgamma, (dy * normed).sum(0), dtype)
    close(dbeta, dy.sum(0), dtype)


def test_layer_norm_of_far_numbers_does_not_cancel(isa, dtype, rng):
    x = (rng.normal(size=(3, 200)) + (1e4 if dtype == np.float32 else 1e9)).astype(dtype)
    exact = x.astype(np.longdouble)
    expected = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    y, *_ = kernels.layer_norm_forward(x, eps=0.0, isa=isa)
    np.testing.assert_allclose(y, expected.astype(np.float64), rtol=0, atol=2e-3 if dtype == np.float32 else 1e-6)


def test_layer_norm_gradient_by_columns(isa, dtype, rng):
    dy, x, mean, rstd = (rng.normal(size=s).astype(dtype) for s in ((9, 150), (9, 150), 9, 9))
    whole = kernels.layer_norm_gradient(dy, x, mean, rstd, isa=isa)
    for cut in (1, 16, 64, 149):
        parts = [kernels.layer_norm_gradient(dy, x, mean, rstd, a, b, isa=isa) for a, b in ((0, cut), (cut, 150))]
        for i in range(2):
            np.testing.assert_array_equal(whole[i], parts[0][i] + parts[1][i])
