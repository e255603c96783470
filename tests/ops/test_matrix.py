"""transpose, column_sum and accumulate: to the bit, for every size, split, stride and alignment, and nothing else touched."""

import itertools
import sys

import numpy as np
import pytest
from ops.guarded import Guarded, run

from nncore._core import kernels

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


@pytest.fixture
def pool(rng, dtype):
    return rng.standard_normal((1010, 1010)).astype(dtype)


def test_transpose(isa, pool, rng):
    for rows, cols in shapes(rng):
        a = cut(rng, pool, rows, cols)
        np.testing.assert_array_equal(kernels.transpose(a, isa=isa), a.T)


def test_transpose_moves_bits(isa, dtype):
    """Signalling NaNs, signed zeros and denormals arrive as they were."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    bits = np.arange(33 * 41, dtype=unsigned).reshape(33, 41) + (np.array(np.inf, dtype).view(unsigned))
    bits[::2] ^= np.array(-np.inf, dtype).view(unsigned)
    np.testing.assert_array_equal(kernels.transpose(bits.view(dtype), isa=isa).view(unsigned), bits.T)


def test_transpose_into(isa, dtype, rng):
    a, wide = rng.standard_normal((19, 37)).astype(dtype), np.full((37, 24), np.nan, dtype)
    assert kernels.transpose(a, wide[:, :19], isa=isa).base is wide
    np.testing.assert_array_equal(wide[:, :19], a.T)
    assert np.isnan(wide[:, 19:]).all()
    with pytest.raises(ValueError, match="out"):
        kernels.transpose(a, np.empty((19, 37), dtype), isa=isa)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.transpose(a, a.reshape(37, 19), isa=isa)


def test_column_sum_in_increasing_row(isa, dtype, pool, rng):
    for rows, cols in shapes(rng):
        a = cut(rng, pool, rows, cols)
        for start in (None, pool[0, :cols]):
            expected = np.zeros(cols, dtype) if start is None else start.copy()
            for row in a:
                expected += row
            out = None if start is None else start.copy()
            result = kernels.column_sum(a, out, accumulate=start is not None, isa=isa)
            np.testing.assert_array_equal(result, expected)


def test_column_sum_is_the_same_in_pieces(isa, dtype, pool, rng):
    for rows, cols in LARGER:
        a = pool[:rows, :cols]
        whole = kernels.column_sum(a, isa=isa)
        i, j = int(rng.integers(rows + 1)), int(rng.integers(cols + 1))
        pieces = np.zeros(cols, dtype)
        for part in (slice(0, j), slice(j, cols)):
            for part_rows in (slice(0, i), slice(i, rows)):
                kernels.column_sum(a[part_rows, part], pieces[part], accumulate=True, isa=isa)
        np.testing.assert_array_equal(whole, pieces)


def test_column_sum_of_no_rows(isa, dtype):
    np.testing.assert_array_equal(kernels.column_sum(np.ones((0, 5), dtype), isa=isa), np.zeros(5))


def test_accumulate(isa, pool, rng):
    for rows, cols in shapes(rng):
        x, y = cut(rng, pool, rows, cols), cut(rng, pool, rows, cols)
        out, gap = with_gap(y, int(rng.integers(0, 4)))
        kernels.accumulate(out, x, isa=isa)
        np.testing.assert_array_equal(out, y + x)
        assert np.isnan(gap).all(), f"wrote between the rows of {rows} x {cols}"


def touch_the_guards(isa):
    """Each kernel on operands that all end, or all begin, at a page that kills whoever touches it."""
    rng = np.random.default_rng(0)
    one, other, vector = (Guarded(3_000_000) for _ in range(3))
    for (rows, cols), dtype, at_end in itertools.product(shapes(rng), (np.float32, np.float64), (True, False)):
        print(rows, cols, dtype.__name__, at_end, flush=True)
        gap = int(rng.integers(0, 3))
        a, y = (block.array(rows, cols, cols + gap, dtype, at_end) for block in (one, other))
        total = vector.array(1, cols, cols, dtype, at_end)[0]
        kernels.transpose(a, isa=isa)
        kernels.column_sum(a, total, isa=isa)
        kernels.column_sum(a, total, accumulate=True, isa=isa)
        kernels.accumulate(y, a, isa=isa)


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages with mprotect")
def test_touch_nothing_but_their_operands(isa):
    process = run("ops.test_matrix", isa)
    assert process.returncode == 0, f"{process.stderr}\nlast: {process.stdout.splitlines()[-1:]}"


if __name__ == "__main__":
    touch_the_guards(sys.argv[1])
