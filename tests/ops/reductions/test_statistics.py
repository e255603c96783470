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


def class_sums(truth, guess, weight, classes, negative=0, zero=0):
    """What counts have in common, and the table of classes and the matrix behind it."""
    weight = np.broadcast_to(np.asarray(weight, float), truth.shape)
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (truth, guess), weight)
    common = [weight.sum(), weight[truth == guess].sum(), weight.sum(), negative, zero]
    table = np.stack([np.diagonal(matrix), matrix.sum(1), matrix.sum(0)], axis=1)
    return common, table, matrix


@pytest.mark.parametrize("cols", [2, 3, 10, 16, 17, 100])
def test_counts_of_classes(cols, isa, dtype, rng):
    rows = 57
    z = rng.integers(0, 5, size=(rows, cols)).astype(dtype)  # small integers: many ties, of which the first counts
    labels = rng.integers(0, cols, size=rows)
    one_hot = np.eye(cols, dtype=dtype)[labels]
    for weight in (rng.integers(0, 4, size=rows).astype(dtype) / 4, None):
        common, table, matrix = class_sums(labels, z.argmax(axis=1), 1.0 if weight is None else weight, cols)
        for target, index in ((labels.astype(dtype), True), (one_hot, False)):
            found = {what: kernels.count_classes(z, target, weight, index, what, isa=isa) for what in ("right", "each", "pairs")}
            np.testing.assert_array_equal(found["right"], common)
            np.testing.assert_array_equal(found["each"], [*common, *table.reshape(-1)])
            np.testing.assert_array_equal(found["pairs"], [*common, *matrix.reshape(-1)])


@pytest.mark.parametrize("cols", [2, 3, 16, 17, 40])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_k_greatest(cols, k, isa, dtype, rng):
    """In the order of a stable sort from the end, as in scikit-learn: of equals the last comes first."""
    z = rng.integers(0, 4, size=(50, cols)).astype(dtype)
    labels, weight = rng.integers(0, cols, size=50), rng.integers(0, 3, size=50).astype(dtype)
    among = (np.argsort(z, axis=1, kind="stable")[:, ::-1][:, :k] == labels[:, None]).any(axis=1)
    found = kernels.count_classes(z, labels.astype(dtype), weight, True, "top", k, isa=isa)
    np.testing.assert_array_equal(found, [weight.sum(), weight[among].sum(), weight.sum(), 0, 0])


def test_the_largest_is_found_in_every_place(isa, dtype):
    for cols in (2, 7, 16, 33):
        z = -np.ones((cols, cols), dtype) + 2 * np.eye(cols, dtype=dtype)
        counts = kernels.count_classes(z, np.arange(cols).astype(dtype), None, True, "pairs", isa=isa)
        np.testing.assert_array_equal(counts[5:].reshape(cols, cols), np.eye(cols))


def test_thresholds_are_not_rounded(isa, dtype):
    """float32 of 0.1 lies above 0.1, and counts as such; that of 0.3 as well; that of 0.7 below."""
    for threshold in (0.1, 0.3, 0.7):
        nearest = dtype.type(threshold)
        z = np.array([[np.nextafter(nearest, -dtype.type(1))], [nearest], [np.nextafter(nearest, dtype.type(1))]])
        above = (z.astype(float) > threshold).sum()
        found = kernels.count_decisions(z, z, None, "each", threshold, threshold, isa=isa)
        np.testing.assert_array_equal(found, [3, 3, 3, 0, 3 - above, above, above, above])


@pytest.mark.parametrize("shape", [(33, 1), (1000, 1), (20, 3), (7, 40)])
@pytest.mark.parametrize("low", [-1, 0])
def test_counts_of_decisions(shape, low, isa, dtype, rng):
    z = rng.uniform(size=shape).astype(dtype)
    z[0] = 0.25  # at the threshold: not above it
    t = rng.choice([low, 1], size=shape).astype(dtype)
    guess, truth = z > 0.25, t > 0
    for weight in (rng.integers(0, 4, size=shape[0]).astype(dtype), None):
        w = np.ones(shape[0]) if weight is None else weight.astype(float)
        right, counted = guess == truth, (~truth)[w > 0].sum()
        common = [w.sum() * shape[1], w @ right.sum(1), w.sum(), counted * (low == -1), counted * (low == 0)]
        each = np.stack([w @ (guess & truth), w @ truth, w @ guess], axis=1).reshape(-1)
        for own in (z, np.pad(z, ((0, 0), (0, 3)), constant_values=9)[:, : shape[1]]):
            found = {what: kernels.count_decisions(own, t, weight, what, 0.25, 0.5, isa=isa) for what in ("right", "each", "whole")}
            np.testing.assert_array_equal(found["right"], common)
            np.testing.assert_array_equal(found["each"], [*common, *each])
            np.testing.assert_array_equal(found["whole"], [w.sum(), w @ right.all(1), *common[2:]])


def test_a_class_that_cannot_be_told_makes_the_total_nan(isa, dtype):
    nan, inf = np.nan, np.inf
    undecided = [[nan, 1, 2], [2, nan, 1], [nan, nan, nan], [-inf, -inf, -inf], [0, inf, inf]]
    for what in ("right", "top"):
        for row in undecided:
            sums = kernels.count_classes(np.array([row, [3, 2, 1]], dtype), np.zeros(2, dtype), None, True, what, isa=isa)
            assert np.isnan(sums[0])
            assert sums[1:3].tolist() == [1, 2]
        masked = np.array([[-inf, 0, -inf], [2, 1, -inf]], dtype)  # classes that are never chosen
        assert kernels.count_classes(masked, np.ones(2, dtype), None, True, what, isa=isa)[:2].tolist() == [2, 1]
    wide = np.zeros((1, 50), dtype)
    wide[0, 45] = nan
    assert np.isnan(kernels.count_classes(wide, np.zeros(1, dtype), None, True, "right", isa=isa)[0])
    assert kernels.count_classes(wide, np.zeros(1, dtype), np.zeros(1, dtype), True, "right", isa=isa).tolist() == [0] * 5


def test_a_decision_that_cannot_be_made_makes_the_total_nan(isa, dtype):
    for value in (np.nan, np.inf, -np.inf):
        z, t = np.zeros((20, 1), dtype), np.ones((20, 1), dtype)
        z[17] = value
        assert np.isnan(kernels.count_decisions(z, t, None, "right", 0.5, 0.5, isa=isa)[0])
        weight = np.ones(20, dtype)
        weight[17] = 0
        assert kernels.count_decisions(z, t, weight, "right", 0.5, 0.5, isa=isa).tolist() == [19, 0, 19, 0, 0]
    t[3] = np.nan
    assert np.isnan(kernels.count_decisions(np.zeros_like(t), t, None, "each", 0.5, 0.5, isa=isa)[0])


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
