"""Each loss against its textbook formula in float64, and its gradient against central differences of itself."""

import numpy as np
import pytest

from nncore import _core
from nncore._core import kernels

LOSSES = {record["name"]: record for record in _core.OPS["loss"]}
SHAPES = [(1, 1), (33, 1), (7, 3), (40, 10), (5, 16), (4, 17), (3, 100)]
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}
EPS = 1e-7  # Keras's


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(z):
    d = z - z.max(axis=1, keepdims=True)
    return d - np.log(np.exp(d).sum(axis=1, keepdims=True))


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def smooth_binary(t, s):
    return t * (1 - s) + s / 2


def smooth_classes(t, s):
    return t * (1 - s) + s / t.shape[1]


def one_hot(labels, like):
    return np.eye(like.shape[1])[labels[:, 0].astype(int)]


def crossentropy(p, t):
    return -(t * np.log(np.clip(p / p.sum(axis=1, keepdims=True), EPS, 1 - EPS))).sum(axis=1)


def binary_crossentropy(z, t, s):
    p, t = np.clip(z, EPS, 1 - EPS), smooth_binary(t, s)
    return -(t * np.log(p) + (1 - t) * np.log1p(-p)).mean(axis=1)


def huber(z, t, delta):
    d = np.abs(z - t)
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2)).mean(axis=1)


def kl_divergence(z, t):
    t, p = np.clip(t, EPS, 1), np.clip(z, EPS, 1)
    return (t * np.log(t / p)).sum(axis=1)


def weighted_binary_crossentropy(z, t, s, count, weight):
    p, t = np.clip(z, EPS, 1 - EPS), smooth_binary(t, s)
    return -(weight * t * np.log(p) + (1 - t) * np.log1p(-p)).mean(axis=1)


def weighted_binary_crossentropy_logits(z, t, s, count, weight):
    t = smooth_binary(t, s)
    return (weight * t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)).mean(axis=1)


def focal(p, t, s, gamma, alpha):
    """Keras's binary_focal_crossentropy, line by line."""
    t = smooth_binary(t, s)
    clipped = np.clip(p, EPS, 1 - EPS)
    crossentropy = -(t * np.log(clipped) + (1 - t) * np.log(1 - clipped))
    factor = (1 - (t * p + (1 - t) * (1 - p))) ** gamma
    weight = t * alpha + (1 - t) * (1 - alpha) if alpha >= 0 else 1
    return (weight * factor * crossentropy).mean(axis=1)


def class_focal(p, t, s, gamma, count, alpha):
    """Keras's categorical_focal_crossentropy, line by line."""
    output = np.clip(p / p.sum(axis=1, keepdims=True), EPS, 1 - EPS)
    return (alpha * (1 - output) ** gamma * -smooth_classes(t, s) * np.log(output)).sum(axis=1)


def class_focal_logits(z, t, s, gamma, count, alpha):
    logs = log_softmax(z)
    return (alpha * (1 - np.exp(logs)) ** gamma * -smooth_classes(t, s) * logs).sum(axis=1)


def squared_logarithmic(z, t):
    return ((np.log(np.maximum(z, EPS) + 1) - np.log(np.maximum(t, EPS) + 1)) ** 2).mean(axis=1)


def quantile(z, t, count, q):
    return np.maximum(q * (t - z), (q - 1) * (t - z)).mean(axis=1)


def gaussian(z, t, eps, full, log_variance):
    mean, variance = np.split(z, 2, axis=1)
    variance = np.maximum(np.exp(variance) if log_variance else variance, eps)
    return (0.5 * (np.log(variance) + (mean - t) ** 2 / variance) + full * 0.5 * np.log(2 * np.pi)).mean(axis=1)


def cosine(z, t):
    return -(z * t).sum(axis=1) / np.sqrt((z * z).sum(axis=1) * (t * t).sum(axis=1))


FORMULAS = {
    "mean_squared_error": lambda z, t: ((z - t) ** 2).mean(axis=1),
    "half_squared_error": lambda z, t: 0.5 * ((z - t) ** 2).sum(axis=1),
    "mean_absolute_error": lambda z, t: np.abs(z - t).mean(axis=1),
    "mean_absolute_percentage_error": lambda z, t: 100 * (np.abs(z - t) / np.maximum(np.abs(t), EPS)).mean(axis=1),
    "huber": huber,
    "binary_crossentropy": binary_crossentropy,
    "binary_crossentropy_logits": lambda z, t, s: (np.logaddexp(0, z) - z * smooth_binary(t, s)).mean(axis=1),
    "categorical_crossentropy": lambda z, t, s: crossentropy(z, smooth_classes(t, s)),
    "categorical_crossentropy_logits": lambda z, t, s: -(smooth_classes(t, s) * log_softmax(z)).sum(axis=1),
    "sparse_categorical_crossentropy": lambda z, t, s: crossentropy(z, smooth_classes(one_hot(t, z), s)),
    "sparse_categorical_crossentropy_logits": lambda z, t, s: -(smooth_classes(one_hot(t, z), s) * log_softmax(z)).sum(axis=1),
    "hinge": lambda z, t: np.maximum(1 - t * z, 0).mean(axis=1),
    "categorical_hinge": lambda z, t: np.maximum(((1 - t) * z).max(axis=1) - (t * z).sum(axis=1) + 1, 0),
    "perceptron": lambda z, t: np.maximum(0, -t * z).mean(axis=1),
    "poisson": lambda z, t: (z - t * np.log(z + EPS)).mean(axis=1),
    "kl_divergence": kl_divergence,
    "weighted_binary_crossentropy": weighted_binary_crossentropy,
    "weighted_binary_crossentropy_logits": weighted_binary_crossentropy_logits,
    "binary_focal_crossentropy": focal,
    "binary_focal_crossentropy_logits": lambda z, t, *attr: focal(sigmoid(z), t, *attr),
    "categorical_focal_crossentropy": class_focal,
    "categorical_focal_crossentropy_logits": class_focal_logits,
    "sparse_categorical_focal_crossentropy": lambda z, t, *attr: class_focal(z, one_hot(t, z), *attr),
    "sparse_categorical_focal_crossentropy_logits": lambda z, t, *attr: class_focal_logits(z, one_hot(t, z), *attr),
    "squared_hinge": lambda z, t: (np.maximum(1 - t * z, 0) ** 2).mean(axis=1),
    "mean_squared_logarithmic_error": squared_logarithmic,
    "log_cosh": lambda z, t: (np.logaddexp(z - t, t - z) - np.log(2)).mean(axis=1),
    "quantile": quantile,
    "gaussian_nll": gaussian,
    "cosine_similarity": cosine,
}
PREDICTIONS = {
    "binary_crossentropy_logits": sigmoid,
    "categorical_crossentropy_logits": softmax,
    "sparse_categorical_crossentropy_logits": softmax,
    "weighted_binary_crossentropy_logits": sigmoid,
    "binary_focal_crossentropy_logits": sigmoid,
    "categorical_focal_crossentropy_logits": softmax,
    "sparse_categorical_focal_crossentropy_logits": softmax,
}
PROBABILITIES = {
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "poisson",
    "kl_divergence",
    "weighted_binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "sparse_categorical_focal_crossentropy",
}


def attributes(name):
    """Two settings of each loss: its plain form, and one with its attribute at work."""
    return {
        "": [()],
        "delta": [(1.0,), (0.3,)],
        "label_smoothing": [(0.0,), (0.1,)],
        "label_smoothing pos_weight[]": [(0.0, 1, 1.0), (0.1, 1, 2.5)],
        "label_smoothing gamma focal_alpha": [(0.0, 2.0, -1.0), (0.0, 0.0, 0.25), (0.1, 1.5, 0.25)],
        "label_smoothing gamma class_alpha[]": [(0.0, 2.0, 1, 0.25), (0.0, 0.0, 1, 1.0), (0.1, 1.5, 1, 0.5)],
        "quantile[]": [(1, 0.5), (1, 0.9)],
        "eps full log_variance": [(1e-6, 0, 1), (1e-6, 1, 0)],
    }[" ".join(LOSSES[name]["attributes"])]


def batch(name, rng, shape, dtype):
    """Predictions and targets from the loss's domain, away from kinks and clipping by more than a difference step."""
    rows, cols = shape
    if LOSSES[name]["target"] == "half":
        shape = rows, 2 * cols
    z = rng.normal(scale=2, size=shape)
    if name in PROBABILITIES:
        z = rng.uniform(0.05, 0.95, size=shape)
    if name.startswith("sparse"):
        t = rng.integers(0, cols, size=(rows, 1)).astype(float)
    elif name.startswith(("categorical_crossentropy", "categorical_focal")):
        t = rng.dirichlet(np.ones(cols), size=rows)
    elif name == "categorical_hinge":
        t = np.eye(cols)[rng.integers(0, cols, size=rows)]
    elif name in ("hinge", "perceptron", "squared_hinge"):
        t = rng.choice([-1.0, 1.0], size=shape)
        z = np.where(np.abs(1 - t * z) < 0.01, z + 0.1, z)
    elif name.startswith(("binary", "weighted_binary")):
        t = rng.integers(0, 2, size=shape).astype(float)
    elif name == "gaussian_nll":
        z, t = np.abs(z) + 0.2, rng.normal(size=(rows, cols))
    elif name == "mean_squared_logarithmic_error":
        z, t = np.abs(z) + 0.1, rng.uniform(0, 5, size=shape)
    elif name == "kl_divergence":
        t = rng.uniform(0.05, 0.95, size=shape)
    else:
        t = rng.normal(size=shape)
        z = np.where(np.abs(z - t) < 0.01, z + 0.1, z)
        z = np.abs(z) + 0.1 if name == "poisson" else z
    return z.astype(dtype), t.astype(dtype)


def formula(name, z, t, attr):
    return FORMULAS[name](z.astype(float), t.astype(float), *attr)


def assert_gradient(loss_of_rows, z, grad, rtol=1e-5, step=1e-5):
    """Central differences, one column at a time: rows do not see each other."""
    numeric = np.empty_like(z)
    for j in range(z.shape[1]):
        up, down = z.copy(), z.copy()
        up[:, j] += step
        down[:, j] -= step
        numeric[:, j] = (loss_of_rows(up) - loss_of_rows(down)) / (2 * step)
    np.testing.assert_allclose(grad, numeric, rtol=rtol, atol=1e-8 * max(1, np.abs(numeric).max()))


MISTAKES = {
    "sign": lambda grad: -grad,
    "factor": lambda grad: 2 * grad,
    "mean over one column too many": lambda grad: grad * grad.shape[1] / (grad.shape[1] + 1),
    "missing column": lambda grad: np.where(np.arange(grad.shape[1]) == np.abs(grad).max(axis=0).argmax(), 0, grad),
    "missing term": lambda grad: grad - 0.01 * np.abs(grad).max(),
    "transposed rows": lambda grad: grad[::-1],
}


def test_every_registered_loss_has_a_formula():
    assert FORMULAS.keys() == LOSSES.keys()
    assert {name for name in LOSSES if name.endswith("_logits")} == PREDICTIONS.keys()


@pytest.mark.parametrize("name", LOSSES)
def test_value(name, isa, dtype, rng):
    for shape in SHAPES:
        for attr in attributes(name):
            z, t = batch(name, rng, shape, dtype)
            loss, grad, pred = kernels.loss(name, z, t, attr=attr, isa=isa)
            assert loss.dtype == grad.dtype == dtype
            np.testing.assert_allclose(loss, formula(name, z, t, attr), **TOLERANCE[dtype.name], err_msg=f"{shape} {attr}")
            if name in PREDICTIONS:
                np.testing.assert_allclose(pred, PREDICTIONS[name](z.astype(float)), **TOLERANCE[dtype.name])
            else:
                assert pred is None


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_derivative_of_the_loss(name, isa, rng):
    for shape in SHAPES:
        for attr in attributes(name):
            z, t = batch(name, rng, shape, "float64")
            _, grad, _ = kernels.loss(name, z, t, attr=attr, isa=isa)
            assert_gradient(lambda z, t=t, attr=attr: kernels.loss(name, z, t, attr=attr, isa=isa)[0], z, grad)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_gradient_is_the_float64_gradient(name, isa, rng):
    for shape in SHAPES:
        for attr in attributes(name):
            z, t = batch(name, rng, shape, "float32")
            _, grad, _ = kernels.loss(name, z, t, attr=attr, isa=isa)
            _, exact, _ = kernels.loss(name, z.astype(float), t.astype(float), attr=attr, isa=isa)
            noise = 10 if name == "cosine_similarity" and shape[1] == 1 else np.abs(exact).max()  # there the slope is 0
            np.testing.assert_allclose(grad, exact, rtol=2e-5, atol=1e-6 * noise)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_check_catches_mistakes(name, mistake, rng):
    attr = attributes(name)[-1]
    z, t = batch(name, rng, (6, 5), "float64")
    _, grad, _ = kernels.loss(name, z, t, attr=attr)
    with pytest.raises(AssertionError):
        assert_gradient(lambda z: kernels.loss(name, z, t, attr=attr)[0], z, MISTAKES[mistake](grad))


@pytest.mark.parametrize("name", LOSSES)
def test_weights_multiply_the_loss_and_scale_the_gradient_alone(name, isa, dtype, rng):
    for shape in [(33, 1), (40, 10), (3, 100)]:
        attr = attributes(name)[0]
        z, t = batch(name, rng, shape, dtype)
        weight = rng.uniform(0, 2, size=shape[0]).astype(dtype)
        weight[0] = 0
        plain, slope, pred = kernels.loss(name, z, t, attr=attr, isa=isa)
        loss, grad, weighted_pred = kernels.loss(name, z, t, weight, 0.25, attr, isa)
        eps = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(loss, weight * plain, rtol=eps)
        np.testing.assert_allclose(grad, 0.25 * weight[:, None] * slope, rtol=eps, atol=eps * np.abs(slope).max())
        assert loss[0] == 0
        assert not grad[0].any()
        if pred is not None:
            np.testing.assert_array_equal(weighted_pred, pred)


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_does_not_depend_on_the_others(name, isa, dtype, rng):
    for shape in [(37, 1), (37, 10), (19, 33)]:
        attr = attributes(name)[-1]
        z, t = batch(name, rng, shape, dtype)
        weight = rng.uniform(0.5, 2, size=shape[0]).astype(dtype)
        whole = kernels.loss(name, z, t, weight, 0.1, attr, isa)
        for first, last in [(0, 1), (1, 4), (5, shape[0]), (3, 19)]:
            part = kernels.loss(name, z[first:last], t[first:last], weight[first:last], 0.1, attr, isa)
            for some, all_ in zip(part, whole, strict=True):
                if some is not None:
                    np.testing.assert_array_equal(some, all_[first:last])


@pytest.mark.parametrize("name", LOSSES)
def test_strided_rows_give_the_same_bits(name, isa, dtype, rng):
    for shape in [(33, 1), (7, 3), (9, 16), (5, 35)]:
        attr = attributes(name)[-1]
        z, t = batch(name, rng, shape, dtype)
        expected = kernels.loss(name, z, t, attr=attr, isa=isa)
        wide = np.full((shape[0], z.shape[1] + 5), np.nan, dtype)
        wide[:, : z.shape[1]] = z
        wide_t = np.full((t.shape[0], t.shape[1] + 3), np.nan, dtype)
        wide_t[:, : t.shape[1]] = t
        strided = kernels.loss(name, wide[:, : z.shape[1]], wide_t[:, : t.shape[1]], attr=attr, isa=isa)
        for some, all_ in zip(strided, expected, strict=True):
            if some is not None:
                np.testing.assert_array_equal(some, all_)


@pytest.mark.parametrize(
    "name", [name for name in LOSSES if LOSSES[name]["attributes"][-1:] and "[]" in LOSSES[name]["attributes"][-1]]
)
def test_attributes_of_each_column(name, isa, dtype, rng):
    """With its own attribute, a column has the gradient that it has where all columns have that attribute."""
    for shape in [(7, 3), (9, 16), (4, 35)]:
        *fixed, _, _ = attributes(name)[-1]
        values = rng.uniform(0.1, 0.9, shape[1])
        z, t = batch(name, rng, shape, dtype)
        loss, grad, _ = kernels.loss(name, z, t, attr=(*fixed, shape[1], *values), isa=isa)
        np.testing.assert_allclose(loss, formula(name, z, t, (*fixed, shape[1], values)), **TOLERANCE[dtype.name])
        if "categorical" not in name:
            for j, value in enumerate(values):
                np.testing.assert_array_equal(grad[:, j], kernels.loss(name, z, t, attr=(*fixed, 1, value), isa=isa)[1][:, j])
        elif dtype == np.float64:
            attr = (*fixed, shape[1], *values)
            assert_gradient(lambda z, t=t, attr=attr: kernels.loss(name, z, t, attr=attr, isa=isa)[0], z, grad)
        with pytest.raises(ValueError, match="one for each"):
            kernels.loss(name, z, t, attr=(*fixed, 2, 0.5, 0.5), isa=isa)


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name]["target"] == "index"])
def test_rows_without_a_class_cost_nothing(name, isa, dtype, rng):
    for shape in [(33, 2), (9, 10), (5, 40)]:
        attr = attributes(name)[-1]
        z, t = batch(name, rng, shape, dtype)
        weight = rng.uniform(0.5, 2, shape[0]).astype(dtype)
        expected = kernels.loss(name, z, t, weight, 0.5, attr, isa)
        t[1::3] = -1
        loss, grad, pred = kernels.loss(name, z, t, weight, 0.5, attr, isa)
        assert not loss[1::3].any()
        assert not grad[1::3].any()
        others = np.arange(shape[0]) % 3 != 1
        np.testing.assert_array_equal(loss[others], expected[0][others])
        np.testing.assert_array_equal(grad[others], expected[1][others])
        if pred is not None:
            np.testing.assert_array_equal(pred, expected[2])


def test_huge_logits_stay_finite(isa, dtype):
    z = np.array([[1000, -1000, 0], [-1000, 1000, 1000], [-1000, -1000, -1000], [1000, 1000, 1000]], dtype)
    t = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype)
    loss, grad, pred = kernels.loss("binary_crossentropy_logits", z, t, attr=(0,), isa=isa)
    np.testing.assert_allclose(loss, [(2000 + np.log(2)) / 3, 1000, 1000 / 3, 2000 / 3], rtol=1e-6)
    np.testing.assert_allclose(3 * grad, sigmoid(z) - t, atol=1e-6)
    np.testing.assert_allclose(pred, sigmoid(z), atol=1e-6)
    for name, target in [("categorical_crossentropy_logits", t), ("sparse_categorical_crossentropy_logits", t.argmax(1))]:
        loss, grad, pred = kernels.loss(name, z, target.astype(dtype), attr=(0,), isa=isa)
        np.testing.assert_allclose(loss, [2000, 2000 + np.log(2), np.log(3), np.log(3)], rtol=1e-6)
        np.testing.assert_allclose(grad, softmax(z) - t, atol=1e-6)
        np.testing.assert_allclose(pred, softmax(z), atol=1e-6)


def test_gradient_of_a_right_logit_keeps_its_digits(isa, dtype):
    """sigmoid(z) - 1 would be 0 or rounding noise here."""
    z = np.array([[12.0], [30.0]], dtype)
    _, grad, _ = kernels.loss("binary_crossentropy_logits", z, np.ones_like(z), attr=(0,), isa=isa)
    np.testing.assert_allclose(grad, -np.exp(-z.astype(float)) / (1 + np.exp(-z.astype(float))), rtol=20 * np.finfo(dtype).eps)


def test_a_class_that_is_ruled_out_costs_nothing_unless_it_is_the_target(isa, dtype):
    for cols in (3, 40):
        z = np.zeros((2, cols), dtype)
        z[:, 1] = -np.inf
        labels = np.array([0, 1], dtype)
        expected = [np.log(cols - 1), np.inf]
        for name, t in [
            ("categorical_crossentropy_logits", np.eye(cols, dtype=dtype)[:2]),
            ("sparse_categorical_crossentropy_logits", labels),
        ]:
            loss, grad, pred = kernels.loss(name, z, t, attr=(0,), isa=isa)
            np.testing.assert_allclose(loss, expected, rtol=1e-6)
            np.testing.assert_allclose(grad, pred - np.eye(cols)[:2], atol=1e-6)
            assert not pred[:, 1].any()
    z = np.array([[-np.inf], [np.inf], [np.inf], [-np.inf]], dtype)
    loss, grad, _ = kernels.loss("binary_crossentropy_logits", z, np.array([[0], [1], [0], [1]], dtype), attr=(0,), isa=isa)
    np.testing.assert_array_equal(loss, [0, 0, np.inf, np.inf])
    np.testing.assert_array_equal(grad[:, 0], [0, 0, 1, -1])


@pytest.mark.parametrize("name", LOSSES)
def test_nan_shows_in_its_row_and_in_no_other(name, isa, dtype, rng):
    for shape in [(20, 1), (6, 10), (4, 40)]:
        attr = attributes(name)[0]
        z, t = batch(name, rng, shape, dtype)
        expected = kernels.loss(name, z, t, attr=attr, isa=isa)
        z[2, -1] = np.nan
        loss, grad, _ = kernels.loss(name, z, t, attr=attr, isa=isa)
        assert np.isnan(loss[2])
        assert np.isnan(grad[2, -1])
        others = np.arange(shape[0]) != 2
        np.testing.assert_array_equal(loss[others], expected[0][others])
        np.testing.assert_array_equal(grad[others], expected[1][others])


def test_probabilities_at_the_ends_are_clipped_as_keras_does(isa):
    z, t = np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([[1.0], [0.0], [0.0], [1.0]])
    loss, grad, _ = kernels.loss("binary_crossentropy", z, t, attr=(0,), isa=isa)
    np.testing.assert_allclose(loss, [-np.log(EPS), -np.log(EPS), EPS, EPS], rtol=1e-6)
    np.testing.assert_allclose(grad[:, 0], [-1 / EPS, 1 / EPS, 1, -1], rtol=1e-6)  # the slope at the end of the range
    z, t = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    loss, grad, _ = kernels.loss("categorical_crossentropy", z, t, attr=(0,), isa=isa)
    np.testing.assert_allclose(loss, [-np.log(EPS), EPS], rtol=1e-6)
    assert not grad.any()  # the slope of the clipped function
    loss, grad, _ = kernels.loss("kl_divergence", z, t, isa=isa)
    np.testing.assert_allclose(loss, kl_divergence(z, t), rtol=1e-12)
    np.testing.assert_allclose(grad, [[0, -EPS], [0, -1]], rtol=1e-12)


def test_probabilities_need_not_sum_to_one(isa, dtype, rng):
    z, t = batch("categorical_crossentropy", rng, (5, 7), dtype)
    loss, _, _ = kernels.loss("categorical_crossentropy", z, t, attr=(0,), isa=isa)
    tripled, _, _ = kernels.loss("categorical_crossentropy", 3 * z, t, attr=(0,), isa=isa)
    np.testing.assert_allclose(tripled, loss, rtol=1e-5)


def test_perceptron_learns_from_a_zero_output(isa, dtype):
    z, t = np.array([[0.0], [2.0], [-2.0]], dtype), np.array([[1.0], [1.0], [1.0]], dtype)
    loss, grad, _ = kernels.loss("perceptron", z, t, isa=isa)
    np.testing.assert_array_equal(loss, [0, 0, 2])
    np.testing.assert_array_equal(grad[:, 0], [-1, 0, -1])


def test_kinks(isa, dtype):
    """At a kink the slope is one of the two sides', or 0 between them."""
    zero, one = np.zeros((1, 1), dtype), np.ones((1, 1), dtype)
    assert kernels.loss("mean_absolute_error", one, one, isa=isa)[1] == 0
    assert kernels.loss("mean_absolute_percentage_error", one, one, isa=isa)[1] == 0
    assert kernels.loss("hinge", one, one, isa=isa)[1] == 0
    np.testing.assert_allclose(kernels.loss("mean_absolute_percentage_error", one, zero, isa=isa)[0], 100 / EPS, rtol=1e-6)
    tied = np.array([[2.0, 5.0, 5.0]], dtype)
    _, grad, _ = kernels.loss("categorical_hinge", tied, np.array([[1.0, 0.0, 0.0]], dtype), isa=isa)
    np.testing.assert_array_equal(grad, [[-1, 1, 0]])


def test_torch_agrees(isa, dtype, rng):
    torch = pytest.importorskip("torch", reason="compares with torch.nn.functional")
    functional = torch.nn.functional

    def compare(name, loss_of, shape, attr=()):
        z, t = batch(name, rng, shape, dtype)
        tensor = torch.tensor(z, requires_grad=True)
        expected = loss_of(tensor, torch.tensor(t))
        expected.sum().backward()
        loss, grad, _ = kernels.loss(name, z, t, attr=attr, isa=isa)
        np.testing.assert_allclose(loss, expected.detach().numpy(), **TOLERANCE[dtype.name])
        np.testing.assert_allclose(grad, tensor.grad.numpy(), **TOLERANCE[dtype.name])

    for shape in SHAPES:
        compare("mean_squared_error", lambda z, t: functional.mse_loss(z, t, reduction="none").mean(1), shape)
        compare("mean_absolute_error", lambda z, t: functional.l1_loss(z, t, reduction="none").mean(1), shape)
        compare("huber", lambda z, t: functional.huber_loss(z, t, reduction="none", delta=0.7).mean(1), shape, (0.7,))
        compare("binary_crossentropy", lambda z, t: functional.binary_cross_entropy(z, t, reduction="none").mean(1), shape, (0,))
        compare(
            "binary_crossentropy_logits",
            lambda z, t: functional.binary_cross_entropy_with_logits(z, t, reduction="none").mean(1),
            shape,
            (0,),
        )
        for s in (0.0, 0.1):
            compare(
                "categorical_crossentropy_logits",
                lambda z, t, s=s: functional.cross_entropy(z, t, reduction="none", label_smoothing=s),
                shape,
                (s,),
            )
            compare(
                "sparse_categorical_crossentropy_logits",
                lambda z, t, s=s: functional.cross_entropy(z, t[:, 0].long(), reduction="none", label_smoothing=s),
                shape,
                (s,),
            )
