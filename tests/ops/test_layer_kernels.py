"""Layer norm, PReLU, maxout and embeddings, kernel by kernel, against NumPy in float64; a part gives the bits of the whole."""

import numpy as np
import pytest

from nncore._core import kernels

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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(shape, affine, isa, dtype, rng):
    x, dy, gamma, beta = draw(rng, dtype, shape, shape, shape[1:], shape[1:])
    eps = 1e-2
    mean, rstd = x.mean(1), 1 / np.sqrt(x.var(1) + eps)
    normed = (x - mean[:, None]) * rstd[:, None]
    weights = (gamma.astype(dtype), beta.astype(dtype)) if affine else ()
    y, own_mean, own_rstd = kernels.layer_norm_forward(spaced(x, dtype), *weights, eps=eps, isa=isa)
    close(y, normed * gamma + beta if affine else normed, dtype)
    close(own_mean, mean, dtype)
    close(own_rstd, rstd, dtype)
    g = dy * gamma if affine else dy
    saved = mean.astype(dtype), rstd.astype(dtype)
    dx = kernels.layer_norm_backward(spaced(dy, dtype), spaced(x, dtype), *saved, *weights[:1], isa=isa)
    close(dx, rstd[:, None] * (g - g.mean(1, keepdims=True) - normed * (g * normed).mean(1, keepdims=True)), dtype)
    dgamma, dbeta = kernels.layer_norm_gradient(spaced(dy, dtype), spaced(x, dtype), *saved, isa=isa)
    close(dgamma, (dy * normed).sum(0), dtype)
    close(dbeta, dy.sum(0), dtype)


def test_layer_norm_of_far_numbers_does_not_cancel(isa, dtype, rng):
    x = (rng.normal(size=(3, 200)) + (1e4 if dtype == np.float32 else 1e9)).astype(dtype)
    exact = x.astype(np.longdouble)
    expected = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    y, *_ = kernels.layer_norm_forward(x, eps=0.0, isa=isa)
    np.testing.assert_allclose(y, expected.astype(np.float64), rtol=0, atol=2e-3 if dtype == np.float32 else 1e-6)


def test_layer_norm_gradient_by_columns(isa, dtype, rng):
    dy, x, mean, rstd = (rng.normal(size=s).astype(dtype) for s in ((9, 150), (9, 150), 9, 9))
    whole = kernels.layer_norm_gradient(dy, x, mean, rstd, isa=isa)
    for cut in (1, 16, 64, 149):
        parts = [kernels.layer_norm_gradient(dy, x, mean, rstd, a, b, isa=isa) for a, b in ((0, cut), (cut, 150))]
        for i in range(2):
            np.testing.assert_array_equal(whole[i], parts[0][i] + parts[1][i])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("per_column", [True, False])
def test_prelu(shape, per_column, isa, dtype, rng):
    x, dy, slope = draw(rng, dtype, shape, shape, shape[1] if per_column else 1)
    x[0, 0] = 0
    own = slope.astype(dtype)
    close(kernels.prelu_forward(spaced(x, dtype), own, isa=isa), np.where(x > 0, x, slope * x), dtype)
    close(kernels.prelu_backward(spaced(dy, dtype), spaced(x, dtype), own, isa=isa), np.where(x > 0, dy, slope * dy), dtype)
    share = np.where(x > 0, 0, dy * x)
    expected = share.sum(0) if per_column else share.sum().reshape(1)
    close(kernels.prelu_gradient(spaced(dy, dtype), spaced(x, dtype), per_column, isa=isa), expected, dtype)


def test_prelu_lets_nan_through(isa, dtype):
    y = kernels.prelu_forward(np.array([[np.nan, -np.inf, np.inf]], dtype), np.array([0.5], dtype), isa=isa)
    np.testing.assert_array_equal(y, np.array([[np.nan, -np.inf, np.inf]], dtype))


@pytest.mark.parametrize("cols", [1, 3, 16, 37])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout(cols, pieces, isa, dtype, rng):
    x = rng.integers(-3, 4, (6, pieces * cols)).astype(dtype)  # with many equals
    dy = rng.normal(size=(6, cols)).astype(dtype)
    parts = x.reshape(6, pieces, cols)
    np.testing.assert_array_equal(kernels.maxout_forward(spaced(x, dtype), pieces, isa=isa), parts.max(1))
    first = np.arange(pieces)[:, None] == parts.argmax(1)[:, None]
    dx = kernels.maxout_backward(spaced(dy, dtype), spaced(x, dtype), pieces, isa=isa)
    np.testing.assert_array_equal(dx.reshape(parts.shape), np.where(first, dy[:, None], 0))


def test_maxout_lets_nan_through(isa, dtype):
    x = np.array([[1, np.nan, np.nan, 2, 3, np.nan]], dtype)  # pieces [1, nan, nan] and [2, 3, nan]
    np.testing.assert_array_equal(kernels.maxout_forward(x, 2, isa=isa), np.array([[2, np.nan, np.nan]], dtype))
    np.testing.assert_array_equal(kernels.maxout_backward(np.ones((1, 3), dtype), x, 2, isa=isa), [[0, 1, 1, 1, 0, 0]])


@pytest.mark.parametrize("dim", [1, 3, 16, 37])
@pytest.mark.parametrize("padding", [-1, 2])
def test_embedding(dim, padding, isa, dtype, rng):
    table, index = rng.normal(size=(11, dim)).astype(dtype), rng.integers(0, 11, (9, 4))
    x = spaced(index, dtype)
    np.testing.assert_array_equal(kernels.embedding_forward(x, spaced(table, dtype), isa=isa), table[index.ravel()])
    dy = rng.normal(size=(36, dim)).astype(dtype)
    expected = np.zeros((11, dim), dtype)
    for i, row in zip(index.ravel(), dy, strict=True):  # in this order, to the bit
        if i != padding:
            expected[i] += row
    np.testing.assert_array_equal(kernels.embedding_gradient(x, spaced(dy, dtype), 11, padding, isa=isa), expected)
    part = kernels.embedding_gradient(x, dy, 11, padding, 4, 9, isa=isa)
    np.testing.assert_array_equal(part[4:9], expected[4:9])
    assert np.isnan(part[:4]).all()
    assert np.isnan(part[9:]).all()


@pytest.mark.parametrize("bad", [-1.0, 11.0, 1e30, np.nan, np.inf, -np.inf])
def test_what_is_no_index_touches_no_memory_but_the_table(bad, isa, dtype, rng):
    table = rng.normal(size=(11, 5)).astype(dtype)
    x = np.array([[bad]], dtype)
    np.testing.assert_array_equal(kernels.embedding_forward(x, table, isa=isa), table[:1])
    assert not kernels.embedding_gradient(x, np.ones((1, 5), dtype), 11, isa=isa).any()


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
