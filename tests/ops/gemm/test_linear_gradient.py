"""linear_gradient: the bits of gemm and column_sum, whatever way it takes, and nothing else touched."""

import itertools
import sys

import numpy as np
import pytest
from ops.guarded import Guarded, run

from nncore._core import kernels

SHAPES = [*itertools.product((1, 2, 5, 8, 10, 12, 13, 16, 17, 40), repeat=2)]


def operand(rng, rows, cols, gap, dtype):
    return rng.normal(size=(rows, cols + gap)).astype(dtype)[:, :cols]


@pytest.mark.parametrize("rows", [0, 1, 3, 32, 65])
def test_has_the_bits_of_product_and_sum(rows, isa, dtype, rng):
    for m, n in SHAPES:
        gap = int(rng.integers(0, 3))
        x, dz = operand(rng, rows, m, gap, dtype), operand(rng, rows, n, gap, dtype)
        whole = np.full((m, n + gap), np.nan, dtype)
        dw, db = kernels.linear_gradient(x, dz, whole[:, :n], isa=isa)
        np.testing.assert_array_equal(dw, kernels.gemm(x, dz, transpose_a=True, isa=isa))
        np.testing.assert_array_equal(db, kernels.column_sum(dz, isa=isa))
        assert np.isnan(whole[:, n:]).all(), f"wrote between the rows of {m} x {n}"
        alone, none = kernels.linear_gradient(x, dz, bias=False, isa=isa)
        assert none is None
        np.testing.assert_array_equal(alone, dw)


def test_is_close_to_numpy(isa, dtype, rng):
    for m, n in SHAPES:
        x, dz = operand(rng, 32, m, 0, dtype), operand(rng, 32, n, 0, dtype)
        dw, db = kernels.linear_gradient(x, dz, isa=isa)
        exact = x.astype(np.longdouble), dz.astype(np.longdouble)
        bound = 32 * np.finfo(dtype).eps * (np.abs(exact[0]).T @ np.abs(exact[1]))
        assert (np.abs(dw - exact[0].T @ exact[1]) <= bound).all()
        assert (np.abs(db - exact[1].sum(0)) <= 32 * np.finfo(dtype).eps * np.abs(exact[1]).sum(0)).all()


def test_rows_of_the_weight_may_be_taken_apart(isa, dtype, rng):
    for m, n in ((10, 10), (16, 3), (12, 1), (40, 16)):
        x, dz = operand(rng, 32, m, 0, dtype), operand(rng, 32, n, 0, dtype)
        whole, _ = kernels.linear_gradient(x, dz, isa=isa)
        cut = int(rng.integers(1, m))
        parts = [kernels.linear_gradient(part, dz, isa=isa)[0] for part in (x[:, :cut], x[:, cut:])]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def touch_the_guards(isa):
    """On operands that all end, or all begin, at a page that kills whoever touches it."""
    rng = np.random.default_rng(0)
    one, other, third = (Guarded(100_000) for _ in range(3))
    for (m, n), rows, dtype, at_end in itertools.product(SHAPES, (1, 32), (np.float32, np.float64), (True, False)):
        print(m, n, rows, dtype.__name__, at_end, flush=True)
        gap = int(rng.integers(0, 3))
        x, dz, dw = (
            block.array(*shape, shape[1] + gap, dtype, at_end)
            for block, shape in ((one, (rows, m)), (other, (rows, n)), (third, (m, n)))
        )
        kernels.linear_gradient(x, dz, dw, isa=isa)


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages with mprotect")
def test_touches_nothing_but_its_operands(isa):
    process = run("ops.gemm.test_linear_gradient", isa)
    assert process.returncode == 0, f"{process.stderr}\nlast: {process.stdout.splitlines()[-1:]}"


if __name__ == "__main__":
    touch_the_guards(sys.argv[1])
