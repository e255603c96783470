"""Batch normalisation, kernel by kernel, against the formulas in float64."""

import numpy as np
import pytest

from nncore._core import kernels

ROWS, CHANNELS, EPS, MOMENTUM = 7, 37, 1e-3, 0.2


def close(actual, expected, dtype):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def flat(array, dtype):
    """[rows, channels, inner] as the kernels take it, with a gap behind each row."""
    wide = np.full((ROWS, array[0].size + 3), np.nan, dtype)
    wide[:, :-3] = array.reshape(ROWS, -1)
    return wide[:, :-3]


@pytest.fixture(params=[1, 5], ids=["columns", "planes"])
def case(request, rng, dtype):
    """x and dy [rows, channels, inner], gamma and beta; rounded to dtype, then computed with in float64."""
    shape = (ROWS, CHANNELS, request.param)
    values = [rng.normal(3, 2, size=shape), rng.normal(size=shape), rng.normal(size=CHANNELS), rng.normal(size=CHANNELS)]
    return [value.astype(dtype).astype(np.float64) for value in values]


def test_forward(case, isa, dtype):
    x, _, gamma, beta = case
    running_mean, running_var = np.full(CHANNELS, 0.5, dtype), np.full(CHANNELS, 2.0, dtype)
    y, mean, rstd = kernels.batch_norm_forward(
        flat(x, dtype), gamma.astype(dtype), beta.astype(dtype), running_mean, running_var, x.shape[2], EPS, MOMENTUM, isa=isa
    )
    close(mean, x.mean((0, 2)), dtype)
    close(rstd, 1 / np.sqrt(x.var((0, 2)) + EPS), dtype)
    normal = (x - x.mean((0, 2), keepdims=True)) / np.sqrt(x.var((0, 2), keepdims=True) + EPS)
    close(y, (normal * gamma[:, None] + beta[:, None]).reshape(ROWS, -1), dtype)
    close(running_mean, 0.5 * (1 - MOMENTUM) + MOMENTUM * x.mean((0, 2)), dtype)
    close(running_var, 2 * (1 - MOMENTUM) + MOMENTUM * x.var((0, 2), ddof=1), dtype)


def test_forward_frozen(case, isa, dtype):
    x, _, mean, var = case
    var = var**2
    running_mean, running_var = mean.astype(dtype), var.astype(dtype)
    y, _, _ = kernels.batch_norm_forward(
        flat(x, dtype), None, None, running_mean, running_var, x.shape[2], EPS, frozen=True, isa=isa
    )
    close(y, ((x - mean[:, None]) / np.sqrt(running_var.astype(float)[:, None] + EPS)).reshape(ROWS, -1), dtype)
    np.testing.assert_array_equal(running_mean, mean.astype(dtype))
    np.testing.assert_array_equal(running_var, var.astype(dtype))


@pytest.mark.parametrize("frozen", [False, True])
def test_backward(case, frozen, isa, dtype):
    x, dy, gamma, _ = case
    mean, var = x.mean((0, 2)), x.var((0, 2))
    rstd = 1 / np.sqrt(var + EPS)
    dx, dgamma, dbeta = kernels.batch_norm_backward(
        flat(dy, dtype),
        flat(x, dtype),
        mean.astype(dtype),
        (var if frozen else rstd).astype(dtype),
        gamma.astype(dtype),
        x.shape[2],
        EPS,
        frozen,
        isa=isa,
    )
    normal = (x - mean[:, None]) * rstd[:, None]
    close(dbeta, dy.sum((0, 2)), dtype)
    close(dgamma, (dy * normal).sum((0, 2)), dtype)
    expected = dy.copy()
    if not frozen:
        expected -= dy.mean((0, 2), keepdims=True) + normal * (dy * normal).mean((0, 2), keepdims=True)
    close(dx, (expected * (gamma * rstd)[:, None]).reshape(ROWS, -1), dtype)


@pytest.mark.parametrize("rows", [1, 7, 8, 21, 64])
def test_in_parts_gives_the_bits_of_the_whole(rows, isa, dtype, rng):
    x, dy = rng.normal(3, 2, (rows, CHANNELS)).astype(dtype), rng.normal(size=(rows, CHANNELS)).astype(dtype)
    gamma, beta = rng.normal(size=CHANNELS).astype(dtype), rng.normal(size=CHANNELS).astype(dtype)
    whole = kernels.batch_norm_forward(x, gamma, beta, isa=isa)
    whole += kernels.batch_norm_backward(dy, x, whole[1], whole[2], gamma, isa=isa)
    for got, expected in zip(kernels.batch_norm_in_parts(x, dy, gamma, beta, isa=isa), whole, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("rows", [2, 7, 8, 9, 16, 29])
def test_batch_norm_of_a_first_row_far_from_the_others(rows, isa, dtype, rng):
    """What breaks a variance that is shifted by its first row, or computed from plain sums."""
    x = rng.normal(size=(rows, 37)) + (300.0 if dtype == np.float32 else 1e6)
    x[0] += 100 if dtype == np.float32 else 1e4
    x = x.astype(dtype)
    _, mean, rstd = kernels.batch_norm_forward(x, eps=0.0, isa=isa)
    exact = x.astype(np.longdouble)
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(mean, exact.mean(0).astype(float), rtol=tolerance)
    np.testing.assert_allclose(rstd, (1 / exact.std(0)).astype(float), rtol=tolerance)


def test_batch_norm_of_a_wide_batch_gives_the_bits_of_each_column(isa, dtype, rng):
    x, dy = rng.normal(size=(2, 21, 150)).astype(dtype)
    y, mean, rstd = kernels.batch_norm_forward(x, isa=isa)
    dx, dgamma, dbeta = kernels.batch_norm_backward(dy, x, mean, rstd, isa=isa)
    for first, last in ((0, 1), (3, 40), (64, 128), (149, 150)):
        part = np.ascontiguousarray(x[:, first:last])
        y1, mean1, rstd1 = kernels.batch_norm_forward(part, isa=isa)
        dx1, dgamma1, dbeta1 = kernels.batch_norm_backward(np.ascontiguousarray(dy[:, first:last]), part, mean1, rstd1, isa=isa)
        for own, other in ((y[:, first:last], y1), (dx[:, first:last], dx1)):
            np.testing.assert_array_equal(own, other)
        for own, other in ((mean, mean1), (rstd, rstd1), (dgamma, dgamma1), (dbeta, dbeta1)):
            np.testing.assert_array_equal(own[first:last], other)
