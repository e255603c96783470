"""Products of bfloat16, their operands and what becomes of them, on each instruction set, against rational numbers.

prove_bf16.c covers far more shapes, addresses and distances; here is that the kernels do what model.py says, from Python.
"""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from nncore._core import kernels

_spec = importlib.util.spec_from_file_location("bf16_model", Path(__file__).with_name("model.py"))
model = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(model)

FORMS = ("a", "at", "b", "bt")
SHAPES = [(1, 1, 1), (1, 33, 40), (2, 3, 64), (5, 17, 70), (33, 2, 31), (7, 34, 5)]
SETTINGS = list(itertools.product((False, True), repeat=4))  # bias, relu, mask, accumulate
BLOCK = np.zeros((1, 1, 1024), np.uint16)


def same(x, y):
    return x.shape == y.shape and x.tobytes() == y.tobytes()


def numbers(rng, kind, *shape):
    """Floats of one kind: ordinary, of all exponents, near the smallest and the largest numbers, and any bits at all."""
    if kind == "ordinary":
        return rng.standard_normal(shape).astype(np.float32)
    low, high = {"wide": (1, 254), "small": (50, 70), "large": (183, 196), "any": (0, 255)}[kind]
    exponent = rng.integers(low, high, shape, endpoint=True).astype(np.uint32)
    exponent[rng.random(shape) < 0.1] = 0
    return (rng.integers(2**32, size=shape, dtype=np.uint32) & 0x807FFFFF | exponent << 23).view(np.float32)


def operands(rng, kind, m, n, k):
    x, w = numbers(rng, kind, m, k), numbers(rng, kind, k, n)
    return model.rounded_to_bf16(x), model.rounded_to_bf16(w)


@pytest.mark.parametrize("kind", ["ordinary", "wide", "any"])
@pytest.mark.parametrize("shape", [(1, 1), (31, 33), (32, 64), (70, 5), (3, 100)], ids=str)
def test_every_form_of_an_operand(shape, kind, isa, rng):
    x = numbers(rng, kind, *shape)
    rounded = model.rounded_to_bf16(x)
    for form, blocks in zip(FORMS, kernels.bf16_pack(x, FORMS, isa=isa), strict=True):
        assert same(blocks, model.form(rounded, form, isa)), form
        assert same(kernels.bf16_pack(np.pad(x, ((0, 0), (0, 3)))[:, : shape[1]], form, isa=isa), blocks), form


def test_rounding_to_bf16(isa):
    """At and beside every tie, and at the ends of the range."""
    high = np.array([0x0000, 0x0001, 0x007F, 0x0080, 0x3F80, 0x3F81, 0x7F7F, 0x7F80, 0x7F81, 0x7FC0], np.uint32)
    low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    bits = (high[:, None] << 16 | low).ravel()
    x = np.concatenate([bits, bits | 0x80000000]).view(np.float32)[None]
    blocks = kernels.bf16_pack(x, "a", isa=isa)
    assert same(np.concatenate(blocks[0])[: blocks.size].reshape(-1, 32, 32)[:, 0].ravel()[: x.size], model.rounded_to_bf16(x)[0])


@pytest.mark.parametrize("kind", ["ordinary", "wide", "small", "large", "any"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_of_products(shape, kind, isa, rng):
    m, n, k = shape
    a, b = operands(rng, kind, m, n, k)
    c = model.product(a, b)
    assert same(kernels.bf16_product(model.form(a, "a"), model.form(b, "b"), m, n, isa=isa), c)
    of_transpose = model.form(np.ascontiguousarray(a.T), "at", isa)
    assert same(kernels.bf16_product(of_transpose, model.form(b, "b"), m, n, isa=isa, transposed=True), c)


def test_products_of_wide_matrices(isa, rng):
    """Numbers whose sums are exact, so that integers say what comes out."""
    m, n, k = 70, 150, 1100
    a, b = rng.integers(-8, 9, (m, k)), rng.integers(-8, 9, (k, n))
    left, right = (kernels.bf16_pack(x.astype(np.float32), form, isa=isa) for x, form in ((a, "a"), (b, "b")))
    c = kernels.bf16_product(left, right, m, n, isa=isa)
    assert np.array_equal(c, a @ b)
    again = kernels.bf16_product(left[:1], right, 7, n, isa=isa)
    assert same(again, c[:7])


@pytest.mark.parametrize("kind", ["ordinary", "any"])
@pytest.mark.parametrize("shape", [(1, 40, 33), (33, 5, 8), (3, 7, 40)], ids=str)
def test_what_becomes_of_a_product(shape, kind, isa, rng):
    m, n, k = shape
    a, b = operands(rng, kind, m, n, k)
    left, right, c = model.form(a, "a"), model.form(b, "b"), model.product(a, b)
    bias, before = numbers(rng, "ordinary", n), numbers(rng, "ordinary", m, n)
    saved = model.rounded_to_bf16(np.maximum(numbers(rng, kind, m, n), 0))
    for with_bias, relu, masked, accumulate in SETTINGS:
        with np.errstate(all="ignore"):
            y = c + bias if with_bias else c
            y = np.where(y < 0, np.float32(0), y) if relu else y
            y = np.where(saved.view(np.int16) > 0, y, np.float32(0)) if masked else y
            y = np.where(np.isnan(y), model.NAN, y)
            rows = before + y if accumulate else y
        wanted = ("rows", "sums", *FORMS)
        out = np.full((m, n + 5), 7, np.float32)
        out[:, :n] = before
        rows_out, sums, *forms = kernels.bf16_product(
            left, right, m, n, wanted, bias if with_bias else None, relu, model.form(saved, "a") if masked else None,
            out[:, :n], accumulate, isa=isa,
        )  # fmt: skip
        assert rows_out.base is out
        assert (out[:, n:] == 7).all()
        assert same(np.ascontiguousarray(rows_out), np.where(np.isnan(rows), model.NAN, rows))
        assert same(sums, model.column_sums(y))
        for form, blocks in zip(FORMS, forms, strict=True):
            assert same(blocks, model.form(model.rounded_to_bf16(y), form, isa)), form


def test_a_sum_that_comes_to_minus_zero_stays_that(isa):
    """Rows that are not there add nothing, not even a zero."""
    a, b = (model.rounded_to_bf16(np.array(x, np.float32)) for x in ([[1.0], [-1.5]], [[2.0**-126]]))
    sums = kernels.bf16_product(model.form(a, "a"), model.form(b, "b"), 2, 1, ("sums",), isa=isa)
    assert sums == 0
    assert np.signbit(sums)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 70])
def test_column_sums(rows, isa, rng):
    x = numbers(rng, "ordinary", rows, 45)
    total = np.zeros(45, np.float32)
    for sums in model.column_sums(x):
        total += sums
    assert same(kernels.bf16_column_sum(x, isa=isa), total)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "forms: expected a, at, b or bt, got 'c'", lambda x: kernels.bf16_pack(x, "c")),
        (ValueError, "wanted: expected rows", lambda x: kernels.bf16_product(BLOCK, BLOCK, 1, 1, ("columns",))),
        (ValueError, "a: expected contiguous uint16", lambda x: kernels.bf16_product(x, x, 1, 1)),
    ],
)
def test_wrong_arguments(error, message, call):
    with pytest.raises(error, match=message):
        call(np.zeros((2, 2), np.float32))
