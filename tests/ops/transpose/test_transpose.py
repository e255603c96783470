"""transpose: to the bit, for every size, stride and alignment, and nothing else touched."""

import itertools
import sys

import numpy as np
import pytest
from ops.guarded import Guarded, run
from ops.matrices import cut, make_pool, shapes

from nncore._core import kernels


@pytest.fixture
def pool(rng, dtype):
    return make_pool(rng, dtype)


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


def touch_the_guards(isa):
    """The kernel on operands that end, or begin, at a page that kills whoever touches it."""
    rng = np.random.default_rng(0)
    block = Guarded(3_000_000)
    for (rows, cols), dtype, at_end in itertools.product(shapes(rng), (np.float32, np.float64), (True, False)):
        print(rows, cols, dtype.__name__, at_end, flush=True)
        gap = int(rng.integers(0, 3))
        kernels.transpose(block.array(rows, cols, cols + gap, dtype, at_end), isa=isa)


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages with mprotect")
def test_touch_nothing_but_their_operands(isa):
    process = run("ops.transpose.test_transpose", isa)
    assert process.returncode == 0, f"{process.stderr}\nlast: {process.stdout.splitlines()[-1:]}"


if __name__ == "__main__":
    touch_the_guards(sys.argv[1])
