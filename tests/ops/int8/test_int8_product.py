"""Kernels of 8-bit integers against integers of NumPy, as csrc/ops/int8.h says. prove_int8.c does the
same for all small shapes, between guard pages."""

import numpy as np
import pytest

from nncore._core import kernels

SHAPES = [(1, 16, 16), (3, 40, 70), (5, 130, 33), (17, 64, 257), (33, 18, 100), (70, 70, 70), (2, 300, 1030)]


def quantized(w):
    """The specification of weights: q and scale by row."""
    largest = np.abs(w).max(1)
    scale = np.where(largest < 2.0**-119, 0, largest / np.float32(127)).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale[:, None] > 0, np.rint(w / scale[:, None]), 0).astype(np.int8), scale


def inputs(x):
    """The specification of inputs."""
    largest = np.abs(x).max(1)
    is_zero = largest < 2.0**-119
    with np.errstate(divide="ignore", over="ignore"):
        factor = np.where(is_zero, 0, np.float32(127) / largest).astype(np.float32)
    return np.rint(x * factor[:, None]).astype(np.int64), np.where(is_zero, 0, largest / np.float32(127)).astype(np.float32)


def product(x, w, bias):
    q, scale = quantized(w)
    p, of_rows = inputs(x)
    y = (p @ q.T.astype(np.int64)).astype(np.float32) * (of_rows[:, None] * scale)
    return y if bias is None else y + bias


def computed(x, w, bias, isa):
    packed = kernels.int8_pack(*kernels.int8_quantize_weight(w, isa=isa), isa=isa)
    rows, scale = kernels.int8_quantize(x, isa=isa)
    return kernels.int8_product(rows, scale, packed, *w.shape, bias, isa=isa)


@pytest.mark.parametrize("shape", SHAPES)
def test_products_have_the_bits_of_the_specification(shape, isa, rng):
    m, n, k = shape
    x = (rng.normal(size=(m, k)) * np.exp(rng.normal(size=(m, 1)) * 3)).astype(np.float32)
    w, bias = rng.normal(size=(n, k)).astype(np.float32), rng.normal(size=n).astype(np.float32)
    x[m // 2] = 0
    w[n // 2] = 0
    for each in (None, bias):
        assert computed(x, w, each, isa).tobytes() == product(x, w, each).tobytes()


def test_inputs_may_have_a_distance_between_rows(isa, rng):
    x, w = rng.normal(size=(9, 100)).astype(np.float32), rng.normal(size=(20, 61)).astype(np.float32)
    assert computed(x[:, 3:64], w, None, isa).tobytes() == product(x[:, 3:64].copy(), w, None).tobytes()


def test_ties_round_to_even(isa):
    halves = np.array([[127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5]], np.float32)
    wanted = [127, 0, 2, 2, 0, -2, -2, 126]
    assert kernels.int8_quantize_weight(halves, isa=isa)[0].tolist() == [wanted]
    rows, scale = kernels.int8_quantize(halves, isa=isa)
    assert (rows[0, :8].astype(int) - 128).tolist() == wanted
    assert scale.tolist() == [1]


def test_the_largest_sums_do_not_overflow(isa):
    k = 1 << 17
    x, w = np.ones((2, k), np.float32), np.ones((3, k), np.float32)
    x[1], w[1] = -1, -1
    assert computed(x, w, None, isa).tolist() == [[k, -k, k], [-k, k, -k]]


def test_rows_with_nan_or_infinity_give_nan_and_others_do_not(isa, rng):
    x, w = rng.normal(size=(6, 48)).astype(np.float32), rng.normal(size=(32, 48)).astype(np.float32)
    x[1, 5], x[3, 0], x[4, 47] = np.nan, np.inf, -np.inf
    y = computed(x, w, None, isa)
    assert np.isnan(y[[1, 3, 4]]).all()
    rest = [0, 2, 5]
    assert y[rest].tobytes() == product(x[rest], w, None).tobytes()


def test_tiny_rows_are_zeros(isa):
    x, w = np.full((3, 16), 2.0**-120, np.float32), np.full((16, 16), 127, np.float32)
    x[1], x[2] = 2.0**-119, 1e-45
    y = computed(x, w, None, isa)
    assert (y[0] == 0).all()
    np.testing.assert_allclose(y[1], 127 * 2.0**-115, rtol=1e-6)
    assert (y[2] == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bad, isa, rng):
    w = rng.normal(size=(5, 20)).astype(np.float32)
    w[3, 7] = bad
    with pytest.raises(ValueError, match="row 3"):
        kernels.int8_quantize_weight(w, isa=isa)


@pytest.mark.parametrize("shape", [(1, 1), (16, 64), (17, 65), (70, 3)])
def test_unpacking_gives_what_was_packed(shape, isa, rng):
    q = rng.integers(-127, 128, size=shape).astype(np.int8)
    scale = rng.uniform(size=shape[0]).astype(np.float32)
    found = kernels.int8_unpack(kernels.int8_pack(q, scale, isa=isa), *shape, isa=isa)
    np.testing.assert_array_equal(found[0], q)
    np.testing.assert_array_equal(found[1], scale)


def test_tiles_have_the_same_bits(amx):
    """On amx, under the emulator where the CPU has no tiles."""
    amx.run(
        """
        import numpy as np
        from nncore._core import kernels

        rng = np.random.default_rng(0)
        for m, n, k in [(3, 40, 70), (4, 16, 16), (5, 130, 33), (17, 64, 257), (33, 18, 100), (70, 70, 70)]:
            x, w = rng.normal(size=(m, k)).astype("f"), rng.normal(size=(n, k)).astype("f")
            packed = kernels.int8_pack(*kernels.int8_quantize_weight(w))
            rows, scale = kernels.int8_quantize(x)
            found = [kernels.int8_product(rows, scale, packed, n, k, w[:, 0].copy(), isa=isa) for isa in ("baseline", "amx")]
            assert found[0].tobytes() == found[1].tobytes(), (m, n, k)
        """
    )
