"""The sums under metrics and clipping, against NumPy in float64."""

import numpy as np
import pytest

from nncore._core import kernels


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 1000, 4099])
def test_sum_squares_to_the_bit(n, isa, dtype, rng):
    """32 partial sums, each in increasing order, then pairwise: the same bits on every instruction set."""
    x = rng.normal(size=n).astype(dtype)
    parts = np.zeros(32)
    for row in np.pad(x.astype(float), (0, -n % 32)).reshape(-1, 32):
        parts += row * row
    while parts.size > 1:
        parts = parts[: parts.size // 2] + parts[parts.size // 2 :]
    total = kernels.sum_squares(x, isa=isa)
    assert total == parts[0]
    np.testing.assert_allclose(total, np.square(x.astype(float)).sum(), rtol=1e-13)


def test_sum_squares_neither_overflows_nor_loses_small_terms(isa):
    x = np.full(10**5, 1e30, np.float32)
    np.testing.assert_allclose(kernels.sum_squares(x, isa=isa), 1e65, rtol=1e-6)
    x = np.ones(10**6, np.float32)
    x[0] = 1e5
    assert kernels.sum_squares(x, isa=isa) == float(np.float32(1e5)) ** 2 + 10**6 - 1
    x[7] = np.nan
    assert np.isnan(kernels.sum_squares(x, isa=isa))


@pytest.mark.parametrize("n", [0, 1, 15, 31, 32, 100, 4099])
def test_changes_are_two_such_sums(n, isa, dtype, rng):
    before, now = (rng.normal(size=n).astype(dtype) for _ in range(2))
    found = kernels.sum_changes(before, now, isa=isa)
    assert found == (kernels.sum_squares(before, isa=isa), kernels.sum_squares(now - before, isa=isa))
    np.testing.assert_allclose(found[1], np.square(now.astype(float) - before).sum(), rtol=1e-5)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (5, 3), (32, 10), (7, 16), (33, 41)])
def test_sums_of_units(rows, cols, isa, dtype, rng):
    y = rng.integers(-6, 7, size=(rows, cols + 3)).astype(dtype)[:, :cols] / 4  # exact, and many zeros and ends
    sums = kernels.unit_sums(y, -1.0, 1.25, isa=isa)
    np.testing.assert_array_equal(sums, [y.sum(0), (y * y).sum(0), (y == 0).sum(0), ((y < -1) | (y > 1.25)).sum(0)])
    np.testing.assert_array_equal(kernels.unit_sums(y, -np.inf, np.inf, isa=isa)[3], np.zeros(cols))


def confusion(truth, guess, weight, classes):
    counts = np.zeros((classes, classes))
    np.add.at(counts, (truth, guess), weight)
    return counts


@pytest.mark.parametrize("cols", [2, 3, 10, 16, 17, 100])
def test_confusion_of_classes(cols, isa, dtype, rng):
    rows = 57
    z = rng.integers(0, 5, size=(rows, cols)).astype(dtype)  # small integers: many ties, of which the first counts
    labels = rng.integers(0, cols, size=rows)
    weight = rng.integers(0, 4, size=rows).astype(dtype) / 4
    expected = confusion(labels, z.argmax(axis=1), weight.astype(float), cols)
    by_index = kernels.count_confusion(z, labels.astype(dtype), weight, cols, True, 0.5, 0.5, isa=isa)
    np.testing.assert_array_equal(by_index, expected)
    one_hot = np.eye(cols, dtype=dtype)[labels]
    np.testing.assert_array_equal(kernels.count_confusion(z, one_hot, weight, cols, False, 0.5, 0.5, isa=isa), expected)
    counted = kernels.count_confusion(z, one_hot, None, cols, False, 0.5, 0.5, isa=isa)
    np.testing.assert_array_equal(counted, confusion(labels, z.argmax(axis=1), 1.0, cols))


def test_confusion_finds_the_largest_in_every_place(isa, dtype):
    for cols in (2, 7, 16, 33):
        z = -np.ones((cols, cols), dtype) + 2 * np.eye(cols, dtype=dtype)
        counts = kernels.count_confusion(z, np.arange(cols).astype(dtype), None, cols, True, 0.5, 0.5, isa=isa)
        np.testing.assert_array_equal(counts, np.eye(cols))


def test_thresholds_are_not_rounded(isa, dtype):
    """float32 of 0.1 lies above 0.1, and counts as such; that of 0.3 as well; that of 0.7 below."""
    for threshold in (0.1, 0.3, 0.7):
        nearest = dtype.type(threshold)
        z = np.array([[np.nextafter(nearest, -dtype.type(1))], [nearest], [np.nextafter(nearest, dtype.type(1))]])
        expected = confusion(
            (z[:, 0].astype(float) > threshold).astype(int), (z[:, 0].astype(float) > threshold).astype(int), 1.0, 2
        )
        np.testing.assert_array_equal(kernels.count_confusion(z, z, None, 2, False, threshold, threshold, isa=isa), expected)


@pytest.mark.parametrize("shape", [(33, 1), (1000, 1), (20, 3), (7, 40)])
def test_confusion_of_decisions(shape, isa, dtype, rng):
    z = rng.uniform(size=shape).astype(dtype)
    z[0] = 0.25  # at the threshold: not above it
    t = rng.choice([-1, 1], size=shape).astype(dtype)
    weight = rng.integers(1, 4, size=shape[0]).astype(dtype)
    spread = np.broadcast_to(weight[:, None], shape).astype(float)
    counts = kernels.count_confusion(z, t, weight, 2, False, 0.25, 0.0, isa=isa)
    truth, guess = (t > 0).astype(int), (z > 0.25).astype(int)
    np.testing.assert_array_equal(counts, confusion(truth, guess, spread, 2))
    counts = kernels.count_confusion(z, t, None, 2, False, 0.25, 0.0, isa=isa)
    np.testing.assert_array_equal(counts, confusion(truth, guess, 1.0, 2))
    padded = np.pad(z, ((0, 0), (0, 3)), constant_values=9)[:, : shape[1]]
    np.testing.assert_array_equal(kernels.count_confusion(padded, t, None, 2, False, 0.25, 0.0, isa=isa), counts)


def test_confusion_with_nan_and_infinity(isa, dtype):
    nan, inf = np.nan, np.inf
    rows = [[nan, 1, 2], [2, nan, 1], [nan, nan, nan], [-inf, -inf, -inf], [-inf, 0, nan], [0, inf, inf]]
    z = np.array(rows, dtype)
    counts = kernels.count_confusion(z, np.zeros(6, dtype), None, 3, True, 0.5, 0.5, isa=isa)
    np.testing.assert_array_equal(counts[0], [3, 2, 1])
    wide = np.full((1, 50), nan, dtype)
    wide[0, 45] = -3
    assert kernels.count_confusion(wide, np.zeros(1, dtype), None, 50, True, 0.5, 0.5, isa=isa)[0, 45] == 1
    decision = np.array([[nan]], dtype)
    np.testing.assert_array_equal(kernels.count_confusion(decision, decision, None, 2, False, 0.5, 0.5, isa=isa), [[1, 0], [0, 0]])


def residual_sums(z, t, w):
    z, t, e = z.astype(float), t.astype(float), z.astype(float) - t.astype(float)
    shift, w = t[0], w.astype(float)[:, None]
    size, d = np.abs(e), t - shift
    terms = [w + 0 * e, w * e * e, w * size, w * size / np.maximum(np.abs(t), 1e-7), w * d, w * d * d]
    return np.stack([term.sum(axis=0) for term in terms] + [shift], axis=1)


@pytest.mark.parametrize("shape", [(1, 1), (64, 1), (33, 10), (9, 20)])
def test_residuals(shape, isa, dtype, rng):
    z, t = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    weight = rng.uniform(0.5, 2, size=shape[0]).astype(dtype)
    sums = kernels.sum_residuals(z, t, weight, isa=isa)
    np.testing.assert_allclose(sums, residual_sums(z, t, weight), rtol=1e-12, atol=1e-12)
    plain = kernels.sum_residuals(z, t, None, isa=isa)
    np.testing.assert_allclose(plain, residual_sums(z, t, np.ones(shape[0])), rtol=1e-12, atol=1e-12)


def test_residuals_shift_by_the_first_target_that_weighs(isa, dtype):
    z, t = np.zeros((4, 1), dtype), np.array([[9], [5], [7], [1]], dtype)
    weight = np.array([0, 1, 1, 2], dtype)
    sums = kernels.sum_residuals(z, t, weight, isa=isa)[0]
    assert sums[6] == 5
    assert sums[0] == 4
    assert sums[4] == 0 + 2 - 8
    assert sums[5] == 0 + 4 + 2 * 16


def test_variance_of_targets_far_from_zero_does_not_cancel(isa, rng):
    t = 1e9 + rng.normal(size=(500, 1))
    sums = kernels.sum_residuals(np.zeros_like(t), t, None, isa=isa)[0]
    variance = (sums[5] - sums[4] ** 2 / sums[0]) / sums[0]
    np.testing.assert_allclose(variance, t.var(), rtol=1e-6)


def test_residuals_against_a_zero_target_are_finite(isa, dtype):
    z, t = np.ones((3, 1), dtype), np.zeros((3, 1), dtype)
    np.testing.assert_allclose(kernels.sum_residuals(z, t, None, isa=isa)[0, 3], 3 / 1e-7, rtol=1e-6)
