"""gemm: within its error bound, one chain in increasing k to the bit, whatever the shape, the split and the instruction set."""

import ctypes
import ctypes.util
import functools
import itertools
import platform
import sys
import threading

import numpy as np
import pytest
from ops.guarded import Guarded, run

from nncore import _core
from nncore._core import kernels

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
#: m, n, k that reach every path of gemm.c: tiles near and far, blocks of k, copies of a and b, transposed, narrow, stream.
LARGER = [
    *[(1, 1, 3000), (1, 700, 70), (1, 33, 2000), (2, 1030, 1030), (3, 200, 130), (4, 65, 300), (5, 130, 900), (7, 130, 33)],
    *[(64, 1, 130), (65, 2, 67), (100, 3, 19), (50, 4, 500), (70, 10, 40), (33, 24, 300), (100, 17, 513)],
    *[(33, 65, 100), (64, 128, 64), (48, 96, 800), (130, 47, 260), (17, 1000, 9), (9, 9, 2049), (257, 31, 31)],
    *[(1, 50, 300), (2, 300, 300), (6, 40, 270), (16, 65, 5), (49, 513, 257), (300, 70, 40), (1030, 33, 20)],
    *[(70, 300, 130), (90, 600, 300), (64, 1024, 70), (1000, 40, 400), (40, 1200, 300), (45, 270, 1024), (400, 530, 660)],
]


#: Whether a and b are transposed.
LAYOUTS = {a + b: {"transpose_a": a == "T", "transpose_b": b == "T"} for a in "NT" for b in "NT"}


def shapes(layout, m, n, k):
    """Of a and b as they lie in memory."""
    return (k, m) if layout[0] == "T" else (m, k), (n, k) if layout[1] == "T" else (k, n)


def assert_close(out, a, b, start, what):
    """Within k * eps * (|start| + |A| |b|) of the product in a wider type; of the rows of a large product in long double, which
    takes long, some. All rows are within twice that of the product in double."""
    (m, k), n, wider = a.shape, b.shape[1], WIDER[out.dtype]
    bound = k * np.finfo(out.dtype).eps * (abs(start) + abs(a).astype(np.float64) @ abs(b).astype(np.float64))
    few = max(1, m * n * k // 4_000_000) if wider is np.longdouble else 1
    rows = slice(m // few // 2, None, few)
    start = np.broadcast_to(start, out.shape)
    expected = start[rows].astype(wider) + a[rows].astype(wider) @ b.astype(wider)
    assert np.all(abs(out[rows] - expected) <= bound[rows]), what
    assert few == 1 or np.all(abs(out - (start + a @ b)) <= 2 * bound), what


class Operands:
    """Random operands cut out of larger arrays: rows that are not contiguous, addresses that are not aligned."""

    def __init__(self, rng, dtype, side):
        self.rng, self.dtype = rng, dtype
        drawn = rng.standard_normal(65_537).astype(dtype)  # a prime number, so that no two rows are the same
        self.pool = [np.resize(drawn[i:], (side + 8, side + 8)) for i in range(2)]

    def cut(self, rows, cols):
        pool = self.pool[self.rng.integers(2)]
        i, j = self.rng.integers(0, 8, 2)
        view = pool[i : i + rows, j : j + cols]
        return np.ascontiguousarray(view) if self.rng.integers(2) else view

    def check(self, m, n, k, isa):
        """One product, with a layout, a start and strides drawn at random."""
        layout, mode, gap = str(self.rng.choice([*LAYOUTS])), self.rng.integers(3), int(self.rng.integers(0, 4))
        a_shape, b_shape = shapes(layout, m, n, k)
        a, b, c = self.cut(*a_shape), self.cut(*b_shape), self.cut(m, n)
        wide = np.full((m, n + gap), np.nan, self.dtype)
        out, bias, start = wide[:, :n], None, np.zeros((1, n), self.dtype)
        if mode == 1:
            bias = c[0].copy()
            start = bias[None]
        elif mode == 2:
            out[...] = start = c
        result = kernels.gemm(a, b, bias, out, accumulate=mode == 2, **LAYOUTS[layout], isa=isa)
        assert result is out
        left, right = a.T if layout[0] == "T" else a, b.T if layout[1] == "T" else b
        shape = f"m={m} n={n} k={k} {layout} mode={mode} gap={gap}"
        assert_close(out, left, right, start, shape)
        assert np.all(np.isnan(wide[:, n:])), f"wrote between the rows: {shape}"


def test_small_shapes(isa, dtype, rng):
    operands = Operands(rng, dtype, 33)
    for m, n, k in itertools.product(range(1, 10), repeat=3):
        operands.check(m, n, k, isa)
    for m, n, k in rng.integers(1, 34, (3000, 3)):
        operands.check(m, n, k, isa)


@pytest.mark.exhaustive
def test_every_small_shape(isa, dtype, rng):
    operands = Operands(rng, dtype, 33)
    for m, n, k in itertools.product(range(1, 34), repeat=3):
        operands.check(m, n, k, isa)


@pytest.mark.exhaustive
def test_random_shapes(isa, dtype, rng):
    operands = Operands(rng, dtype, 700)
    for shape in np.exp(rng.uniform(0, np.log(700), (10_000, 3))).astype(int):
        operands.check(*map(int, shape), isa)


@pytest.mark.parametrize(("m", "n", "k"), LARGER)
def test_larger_shapes(m, n, k, isa, dtype, rng):
    operands = Operands(rng, dtype, max(m, n, k))
    for _ in range(4):
        operands.check(m, n, k, isa)


@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 2), (3, 0, 2), (0, 0, 0), (3, 2, 0), (40, 40, 0), (40, 1, 0), (1, 300, 0)])
def test_nothing_to_multiply(m, n, k, isa, dtype):
    a, b, bias = np.ones((m, k), dtype), np.ones((k, n), dtype), np.arange(n, dtype=dtype)
    np.testing.assert_array_equal(kernels.gemm(a, b, isa=isa), np.zeros((m, n)))
    np.testing.assert_array_equal(kernels.gemm(a, b.T.copy(), transpose_b=True, isa=isa), np.zeros((m, n)))
    np.testing.assert_array_equal(kernels.gemm(a, b, bias, isa=isa), np.broadcast_to(bias, (m, n)))
    out = np.full((m, n), 3, dtype)
    np.testing.assert_array_equal(kernels.gemm(a, b, out=out, accumulate=True, isa=isa), np.full((m, n), 3))


@pytest.mark.parametrize(("m", "n", "k"), LARGER)
def test_layouts_give_the_same_bits(m, n, k, isa, dtype, rng):
    a, b, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), n))
    expected = kernels.gemm(a, b, bias, isa=isa)
    for layout, given in LAYOUTS.items():
        x, y = a.T.copy() if layout[0] == "T" else a, b.T.copy() if layout[1] == "T" else b
        np.testing.assert_array_equal(kernels.gemm(x, y, bias, **given, isa=isa), expected, layout)


def chain(a, b, bias, fused):
    """Each element as the chain that gemm.c promises, by the C library's fma, or with two roundings where there is none."""
    if not fused:
        acc = np.broadcast_to(bias, (len(a), len(bias))).copy()
        for p in range(a.shape[1]):
            acc += a[:, p, None] * b[p]
        return acc
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    fma, number = (libm.fmaf, ctypes.c_float) if a.dtype == np.float32 else (libm.fma, ctypes.c_double)
    fma.argtypes, fma.restype = [number] * 3, number
    acc = np.empty((len(a), b.shape[1]), a.dtype)
    for i, j in np.ndindex(acc.shape):
        total = float(bias[j])
        for x, y in zip(a[i].tolist(), b[:, j].tolist(), strict=True):
            total = fma(x, y, total)
        acc[i, j] = total
    return acc


@pytest.mark.skipif(not ctypes.util.find_library("m"), reason="no C library with an fma to compare with")
@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 37, 20), (3, 17, 33), (7, 50, 9), (13, 30, 13), (40, 1, 19), (36, 3, 10), (33, 4, 8)]
)
@pytest.mark.parametrize("transpose_a", [False, True], ids=["NN", "TN"])
def test_chain_of_multiply_adds(m, n, k, transpose_a, isa, dtype, rng):
    a, b, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), n))
    fused = isa != "baseline" or platform.machine().lower() in ("aarch64", "arm64")
    given = np.ascontiguousarray(a.T) if transpose_a else a
    result = kernels.gemm(given, b, bias, transpose_a=transpose_a, isa=isa)
    np.testing.assert_array_equal(result, chain(a, b, bias, fused))


@pytest.mark.parametrize(("m", "n", "k"), [*LARGER, (2, 1100, 1000), (4, 1500, 720)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bits_do_not_depend_on_the_split(m, n, k, layout, isa, dtype, rng):
    a, b, bias, c = (rng.standard_normal(shape).astype(dtype) for shape in (*shapes(layout, m, n, k), n, (m, n)))

    def product(rows, cols, out, start):
        a_part, b_part = a[:, rows] if layout[0] == "T" else a[rows], b[cols] if layout[1] == "T" else b[:, cols]
        kernels.gemm(a_part, b_part, start, out[rows, cols], start is None, **LAYOUTS[layout], isa=isa)

    for start in (bias, None):
        whole, pieces = c.copy(), c.copy()
        product(slice(None), slice(None), whole, start)
        row_cuts = sorted({0, m, min(m, 1), *rng.integers(0, m + 1, 2).tolist()})
        col_cuts = sorted({0, n, min(n, 1), *rng.integers(0, n + 1, 3).tolist()})
        for rows in map(slice, row_cuts, row_cuts[1:]):
            for cols in map(slice, col_cuts, col_cuts[1:]):
                product(rows, cols, pieces, None if start is None else start[cols])
        np.testing.assert_array_equal(whole, pieces, f"cut at rows {row_cuts}, columns {col_cuts}")


@pytest.mark.skipif({"avx2", "avx512"} - set(_core.isas()), reason="needs a CPU with both")
@pytest.mark.parametrize(("m", "n", "k"), LARGER)
def test_bits_are_those_of_every_set_with_fma(m, n, k, dtype, rng):
    for layout, given in LAYOUTS.items():
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes(layout, m, n, k))
        avx2, avx512 = (kernels.gemm(a, b, **given, isa=isa) for isa in ("avx2", "avx512"))
        np.testing.assert_array_equal(avx2, avx512)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_numbers_stay_in_their_row_or_column(bad, isa, dtype, rng):
    for m, n, k in [(5, 3, 4), (33, 1, 9), (34, 3, 10), (17, 10, 20), (9, 49, 7), (40, 20, 30)]:
        for layout, given in LAYOUTS.items():
            a, b = (rng.uniform(1, 2, shape).astype(dtype) for shape in shapes(layout, m, n, k))
            i, j, p = (int(rng.integers(size)) for size in (m, n, k))
            a[(p, i) if given["transpose_a"] else (i, p)] = bad
            result = kernels.gemm(a, b, **given, isa=isa)
            assert np.array_equal(~np.isfinite(result).all(axis=1), np.arange(m) == i)
            a[(p, i) if given["transpose_a"] else (i, p)] = 1
            b[(j, p) if given["transpose_b"] else (p, j)] = bad
            result = kernels.gemm(a, b, **given, isa=isa)
            assert np.array_equal(~np.isfinite(result).all(axis=0), np.arange(n) == j)


def touch_the_guards(isa):
    """Products whose operands all end, or all begin, at a page that kills whoever touches it."""
    rng = np.random.default_rng(0)
    sizes = [
        *rng.integers(1, 34, (300, 3)).tolist(),
        *LARGER,
        *itertools.product((1, 2, 3, 4, 5, 16, 17), (1, 2, 4, 5, 16), (1, 8, 11)),
    ]
    memory = [Guarded(9_000_000) for _ in range(4)]
    for (m, n, k), dtype, at_end, layout in itertools.product(sizes, (np.float32, np.float64), (True, False), LAYOUTS):
        gap = int(rng.integers(0, 3))
        a, b, bias, out = (
            block.array(rows, cols, cols + gap, dtype, at_end)
            for block, (rows, cols) in zip(memory, (*shapes(layout, m, n, k), (1, n), (m, n)), strict=True)
        )
        print(m, n, k, dtype.__name__, at_end, layout, flush=True)
        kernels.gemm(a, b, bias[0], out, **LAYOUTS[layout], isa=isa)
        kernels.gemm(a, b, None, out, accumulate=True, **LAYOUTS[layout], isa=isa)


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages with mprotect")
def test_touches_nothing_but_its_operands(isa):
    process = run("ops.gemm.test_gemm", isa)
    assert process.returncode == 0, f"{process.stderr}\nlast: {process.stdout.splitlines()[-1:]}"


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages with mprotect")
@pytest.mark.parametrize("side", ["begin", "end"])
def test_guards_kill(side):
    process = run("ops.guarded", side)
    assert process.stdout == "0.0\n"
    assert process.returncode < 0


#: m, n, k where b is copied by panels and a by blocks: what needs scratch.
COPIED = (130, 530, 330)


def in_thread(act):
    """What act gives, on a thread of its own, which has no scratch yet."""
    given = []
    thread = threading.Thread(target=lambda: given.append(act()))
    thread.start()
    thread.join()
    return given[0]


def test_bits_are_the_same_without_memory_for_copies(isa, dtype, rng):
    m, n, k = COPIED
    for transpose_a, transpose_b in itertools.product((False, True), repeat=2):
        shapes = (k, m) if transpose_a else (m, k), (n, k) if transpose_b else (k, n)
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        stored = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        product = functools.partial(kernels.gemm, a, b, np.zeros(n, dtype), np.empty((m, n), dtype), **stored, isa=isa)
        before = _core.alloc_count()
        copied = in_thread(product)
        assert _core.alloc_count() == before + 1, "this shape is not one that needs scratch"
        _core.alloc_fail_at(1)
        try:
            np.testing.assert_array_equal(in_thread(product), copied)
        finally:
            _core.alloc_fail_at(0)


def multiply_on_a_small_stack():
    """Products of every kind on threads with the least stack that is common: musl's."""
    threading.stack_size(128 * 1024)
    for (m, n, k), dtype, isa in itertools.product([*LARGER, COPIED], (np.float32, np.float64), _core.isas()):
        print(m, n, k, dtype.__name__, isa, flush=True)
        b = np.ones((k, n), dtype)
        in_thread(functools.partial(kernels.gemm, np.ones((m, k), dtype), b, isa=isa))
        in_thread(functools.partial(kernels.gemm, np.ones((k, m), dtype), b, transpose_a=True, isa=isa))
        in_thread(functools.partial(kernels.gemm, np.ones((m, k), dtype), np.ones((n, k), dtype), transpose_b=True, isa=isa))


def test_small_stack():
    process = run("ops.gemm.test_gemm", "stack")
    assert process.returncode == 0, f"{process.stderr}\nlast: {process.stdout.splitlines()[-1:]}"


if __name__ == "__main__":
    if sys.argv[1] == "stack":
        multiply_on_a_small_stack()
    else:
        touch_the_guards(sys.argv[1])
