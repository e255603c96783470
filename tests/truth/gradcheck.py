"""Central differences in float64, and the comparison that every gradient test goes through."""

from __future__ import annotations

import numpy as np


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
