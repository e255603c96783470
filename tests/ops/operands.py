"""Operands for tests of kernels, and how near their results have to be to NumPy's in float64."""

import numpy as np

#: Rows and columns below, at and above whole vectors.
SHAPES = [(1, 1), (5, 3), (4, 16), (3, 33), (7, 64), (2, 131), (6, 70)]


def close(actual, expected, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * max(1.0, np.abs(expected).max(initial=0)))


def spaced(array, dtype):
    """The array with a gap of NaN behind each row, which no kernel may read into a result."""
    wide = np.full((array.shape[0], array.shape[1] + 3), np.nan, dtype)
    wide[:, :-3] = array
    return wide[:, :-3]


def draw(rng, dtype, *shapes):
    return [rng.normal(1, 2, shape).astype(dtype).astype(np.float64) for shape in shapes]
