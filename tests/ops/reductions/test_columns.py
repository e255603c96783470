"""column_sum and accumulate: to the bit, for every size, split, stride and alignment, and nothing else touched."""

import itertools
import sys

import numpy as np
import pytest
from ops.guarded import Guarded, run
from ops.matrices import LARGER, cut, make_pool, shapes, with_gap

from nncore._core import kernels


@pytest.fixture
def pool(rng, dtype):
    return make_pool(rng, dtype)


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
        kernels.column_sum(a, total, isa=isa)
        kernels.column_sum(a, total, accumulate=True, isa=isa)
        kernels.accumulate(y, a, isa=isa)


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages with mprotect")
def test_touch_nothing_but_their_operands(isa):
    process = run("ops.reductions.test_columns", isa)
    assert process.returncode == 0, f"{process.stderr}\nlast: {process.stdout.splitlines()[-1:]}"


if __name__ == "__main__":
    touch_the_guards(sys.argv[1])
