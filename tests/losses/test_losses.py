"""Losses: the table against the registry, values and gradients against NumPy, targets of every wrong form."""

import numpy as np
import pytest

from nncore import _core, errors, losses
from nncore.records import LossSpec

CLASSES = sorted(set(losses.LOSSES.values()), key=lambda cls: cls.name)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def focal(p, t):
    """Keras's binary_focal_crossentropy with its defaults."""
    return ((1 - (t * p + (1 - t) * (1 - p))) ** 2 * -(t * np.log(p) + (1 - t) * np.log(1 - p))).mean(1)


def class_focal(p, t):
    """Keras's categorical_focal_crossentropy with its defaults."""
    return (0.25 * (1 - p) ** 2 * -t * np.log(p)).sum(1)


def gaussian(z, t):
    mean, log_variance = np.split(z, 2, axis=1)
    return (0.5 * (log_variance + (mean - t) ** 2 / np.exp(log_variance))).mean(1)


def cosine(z, t):
    return -(z * t).sum(1) / np.linalg.norm(z, axis=1) / np.linalg.norm(t, axis=1)


# name -> loss of each row from predictions z and targets t, in float64
REFERENCE = {
    "mean_squared_error": lambda z, t: ((z - t) ** 2).mean(1),
    "half_squared_error": lambda z, t: 0.5 * ((z - t) ** 2).sum(1),
    "mean_absolute_error": lambda z, t: np.abs(z - t).mean(1),
    "mean_absolute_percentage_error": lambda z, t: 100 * (np.abs(z - t) / np.maximum(np.abs(t), 1e-7)).mean(1),
    "huber": lambda z, t: np.where(np.abs(z - t) <= 1, 0.5 * (z - t) ** 2, np.abs(z - t) - 0.5).mean(1),
    "binary_crossentropy": lambda z, t: -(t * np.log(z) + (1 - t) * np.log(1 - z)).mean(1),
    "categorical_crossentropy": lambda z, t: -(t * np.log(z)).sum(1),
    "sparse_categorical_crossentropy": lambda z, t: -np.log(z[np.arange(len(z)), t]),
    "hinge": lambda z, t: np.maximum(0, 1 - t * z).mean(1),
    "categorical_hinge": lambda z, t: np.maximum(0, 1 + ((1 - t) * z).max(1) - (t * z).sum(1)),
    "perceptron": lambda z, t: np.maximum(0, -t * z).mean(1),
    "poisson": lambda z, t: (z - t * np.log(z + 1e-7)).mean(1),
    "kl_divergence": lambda z, t: (t * np.log(t / z)).sum(1),
    "binary_focal_crossentropy": focal,
    "categorical_focal_crossentropy": class_focal,
    "sparse_categorical_focal_crossentropy": lambda z, t: class_focal(z, np.eye(z.shape[1])[t]),
    "squared_hinge": lambda z, t: (np.maximum(0, 1 - t * z) ** 2).mean(1),
    "mean_squared_logarithmic_error": lambda z, t: ((np.log1p(z) - np.log1p(np.maximum(t, 1e-7))) ** 2).mean(1),
    "log_cosh": lambda z, t: np.log(np.cosh(z - t)).mean(1),
    "quantile": lambda z, t: 0.5 * np.abs(z - t).mean(1),
    "gaussian_nll": gaussian,
    "cosine_similarity": cosine,
}


def example(cls, rng, rows=9, columns=4):
    """Predictions and targets that suit the loss."""
    z = rng.normal(size=(rows, columns))
    if cls.targets == "probabilities":
        return 1 / (1 + np.exp(-z)), rng.random((rows, columns))
    if cls.targets == "signs":
        return z, np.where(rng.random((rows, columns)) < 0.5, -1.0, 1.0)
    if cls.targets == "classes":
        return softmax(z), rng.integers(columns, size=rows)
    if cls.name == "categorical_hinge":
        return z, np.eye(columns)[rng.integers(columns, size=rows)]
    if cls.targets == "one_hot":
        return softmax(z), softmax(rng.normal(size=(rows, columns)))
    if cls.targets == "halved":
        return z, rng.normal(size=(rows, columns // 2))
    rates = cls.name in ("poisson", "mean_squared_logarithmic_error")
    return (np.exp(z), rng.poisson(2, size=z.shape).astype(float)) if rates else (z, rng.normal(size=z.shape))


def test_the_table_has_every_loss_of_the_registry_and_no_other():
    registry = {op["name"]: op for op in _core.OPS["loss"]}
    kernels = {cls()._kernel() for cls in CLASSES} | {losses.BinaryCrossentropy(pos_weight=2)._kernel()}
    assert kernels == {name for name in registry if not name.endswith("_logits")}
    for cls in CLASSES:
        fixed = [name for name in registry[cls.name]["attributes"] if not name.endswith("[]")]
        given = cls()._attributes()
        assert len(given) == len(fixed) + (0 if len(fixed) == len(registry[cls.name]["attributes"]) else 1 + int(given[len(fixed)]))
        assert (cls.targets == "classes") == (registry[cls.name]["target"] == "index")
        assert issubclass(cls, losses.Crossentropy) == (f"{cls.name}_logits" in registry)


@pytest.mark.parametrize("cls", CLASSES)
def test_values_equal_numpy(cls, rng, dtype):
    z, t = example(cls, rng)
    z = z.astype(dtype).astype(np.float64)
    t = t if cls.targets == "classes" else t.astype(dtype).astype(np.float64)
    weight = rng.random(len(z)).astype(dtype).astype(np.float64)
    rows = REFERENCE[cls.name](z, t)
    tolerance = {"rtol": 1e-9 if dtype == np.float64 else 3e-5, "atol": 1e-9 if dtype == np.float64 else 1e-5}
    z = z.astype(dtype)
    assert cls()(t, z) == pytest.approx(rows.mean(), rel=tolerance["rtol"])
    assert cls(reduction="sum_over_batch_size")(t, z, weight) == pytest.approx((weight * rows).mean(), rel=tolerance["rtol"])
    assert cls(reduction="sum")(t, z, weight) == pytest.approx((weight * rows).sum(), rel=tolerance["rtol"])
    mean = np.average(rows, weights=weight)
    assert cls(reduction="mean_with_sample_weight")(t, z, weight) == pytest.approx(mean, rel=tolerance["rtol"])
    np.testing.assert_allclose(cls(reduction="none")(t, z), rows, **tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("cls", CLASSES)
def test_gradients_equal_finite_differences(cls, reduction, rng):
    z, t = example(cls, rng, rows=3)
    weight = rng.random(3) + 0.5
    loss = cls(reduction=reduction)
    numeric = np.zeros_like(z)
    for i in np.ndindex(*z.shape):
        step = np.zeros_like(z)
        step[i] = 1e-6
        numeric[i] = (loss(t, z + step, weight) - loss(t, z - step, weight)) / 2e-6
    np.testing.assert_allclose(loss.gradient(t, z, weight), numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_logits_and_label_smoothing(name, rng):
    cls = losses.LOSSES[name]
    _, t = example(cls, rng)
    z = rng.normal(size=(9, 4))
    p = 1 / (1 + np.exp(-z)) if name == "binary_crossentropy" else softmax(z)
    assert cls(from_logits=True)(t, z) == pytest.approx(cls()(t, p))
    dense = np.eye(4)[t] if cls.targets == "classes" else t
    smooth = dense * 0.9 + (0.05 if name == "binary_crossentropy" else 0.1 / 4)
    rows = REFERENCE[name if cls.targets != "classes" else "categorical_crossentropy"](p, smooth)
    assert cls(label_smoothing=0.1)(t, p) == pytest.approx(rows.mean())


def test_one_column_and_sign_targets_have_every_usual_form():
    z = np.array([0.2, 0.9])
    assert losses.BinaryCrossentropy()([0, 1], z) == losses.BinaryCrossentropy()([[False], [True]], z[:, None])
    assert losses.Hinge()([0, 1], z) == losses.Hinge()([-1, 1], z) == losses.Hinge()(np.array([False, True]), z)
    assert losses.Hinge().gradient([0, 1], z).shape == (2,)


def test_names_aliases_and_objects():
    assert isinstance(losses.get("mse"), losses.MeanSquaredError)
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    huber = losses.Huber(delta=2)
    assert losses.get(huber) is huber
    assert huber.spec(0.5) == LossSpec("huber", False, (2.0,), "mean", 0.5)
    assert losses.BinaryCrossentropy(from_logits=True).spec().from_logits
    assert repr(losses.BinaryCrossentropy()) == "BinaryCrossentropy(from_logits=False, label_smoothing=0.0, reduction='mean')"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: losses.get("mean_square_error"), "did you mean 'mean_squared_error'"),
        (lambda: losses.get(3), "or one of your own"),
        (lambda: losses.get(losses.Huber), r"pass an object, Huber\(\)"),
        (lambda: losses.Huber(delta=0), "delta must be a finite number above 0"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=1.0), "label_smoothing"),
        (lambda: losses.Poisson(reduction="average"), "Poisson: reduction must be 'mean' or .*, not 'average'"),
    ],
)
def test_what_makes_no_sense_is_refused(call, text):
    with pytest.raises(errors.NncoreError, match=text):
        call()
