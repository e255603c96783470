"""Matrices for tests of kernels: every small size and some larger ones, cut out of a pool at any alignment."""

import itertools

import numpy as np

LARGER = [(1, 1000), (1000, 1), (64, 64), (65, 130), (130, 67), (3, 515), (515, 3), (10, 257), (200, 300)]


def shapes(rng):
    return [*itertools.product(range(1, 20), repeat=2), *rng.integers(1, 80, (300, 2)).tolist(), *LARGER]


def cut(rng, pool, rows, cols):
    """A view with rows apart at any alignment, or a contiguous array."""
    i, j = rng.integers(0, 8, 2)
    view = pool[i : i + rows, j : j + cols]
    return view if rng.integers(2) else np.ascontiguousarray(view)


def with_gap(array, gap):
    """A copy whose rows lie gap NaNs apart, and those NaNs."""
    wide = np.full((len(array), array.shape[1] + gap), np.nan, array.dtype)
    wide[:, : array.shape[1]] = array
    return wide[:, : array.shape[1]], wide[:, array.shape[1] :]


def make_pool(rng, dtype):
    return rng.standard_normal((1010, 1010)).astype(dtype)
