"""evaluate, predict and the metrics of fit equal what NumPy makes of the predictions."""

import numpy as np
import pytest
from training.simple import line, linear

import nncore as nn
from nncore import errors
from nncore.data import split_rows


def test_evaluate_equals_numpy(rng):
    x, y = line(rng, 50)
    w = rng.random(50)
    model = linear(weighted_metrics=["mae", "rmse", "r2"])
    e = model.predict(x) - y
    expected = [np.mean(e**2), np.abs(e).mean(), np.sqrt(np.mean(e**2)), 1 - (e**2).sum() / ((y - y.mean()) ** 2).sum()]
    np.testing.assert_allclose(model.evaluate(x, y), expected)
    np.testing.assert_allclose(model.evaluate(x, y, sample_weight=w)[0], np.mean(w * e[:, 0] ** 2))
    np.testing.assert_allclose(model.evaluate(x, y, sample_weight=w)[1], np.average(np.abs(e[:, 0]), weights=w))
    assert list(model.evaluate(x, y, return_dict=True)) == model.metrics_names == ["loss", "mae", "rmse", "r2"]
    assert model.test_on_batch(x, y) == model.evaluate(x, y)
    model.compile(loss=nn.losses.MeanSquaredError(reduction="mean_with_sample_weight"), optimizer="sgd")
    assert model.evaluate(x, y, sample_weight=w) == pytest.approx(np.average(e[:, 0] ** 2, weights=w))
    model.compile(loss=nn.losses.MeanSquaredError(reduction="sum"), optimizer="sgd")
    assert model.evaluate(x, y) == pytest.approx((e**2).sum())
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0), loss_weights=[3.0])
    assert model.evaluate(x, y) == pytest.approx(3 * np.mean(e**2))
    assert model.fit(x, y).history["loss"][0] == pytest.approx(3 * np.mean(e**2))


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_metrics_of_classes_equal_those_of_the_predictions(classes, rng):
    x, y = rng.normal(size=(200, 5)), rng.integers(classes, size=200)
    model = nn.Sequential(nn.Linear(5, classes), nn.Softmax(), seed=0)
    macro = nn.metrics.F1(average="macro")
    model.compile("sparse_categorical_crossentropy", "sgd", ["accuracy", macro, "confusion_matrix"])
    loss, accuracy, f1, confusion = model.evaluate(x, y)
    p = model.predict(x)
    assert loss == pytest.approx(-np.log(p[np.arange(200), y]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(1) == y).mean())
    assert f1 == pytest.approx(nn.metrics.f1(y, p, average="macro"))
    np.testing.assert_array_equal(confusion, nn.metrics.confusion_matrix(y, p))
    history = model.fit(x, y, epochs=1, batch_size=None)  # before the only step, the same
    assert history.history["accuracy"] == [accuracy]
    np.testing.assert_array_equal(history.history["confusion_matrix"][0], confusion)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_metrics_of_yes_or_no(columns, rng):
    x, y = rng.normal(size=(90, 4)), rng.integers(2, size=(90, columns))
    z = None
    for from_logits in (False, True):
        model = nn.Sequential(nn.Linear(4, columns), *([] if from_logits else [nn.Sigmoid()]), seed=0)
        names = ["accuracy", "precision", "recall", "f1", "specificity"]
        model.compile(nn.losses.BinaryCrossentropy(from_logits=from_logits), "sgd", weighted_metrics=names)
        p = model.predict(x)
        guess = (p > (0 if from_logits else 0.5)).ravel()
        result = model.evaluate(x, y)
        expected = [getattr(nn.metrics, name)(y.ravel(), guess) for name in names]
        np.testing.assert_allclose(result[1:], expected)
        assert z is None or np.isclose(result[0], z, rtol=1e-5)
        z = result[0]
        w = rng.random(90)
        expected = [getattr(nn.metrics, name)(y.ravel(), guess, np.repeat(w, columns)) for name in names]
        np.testing.assert_allclose(model.evaluate(x, y, sample_weight=w)[1:], expected, rtol=1e-6)


def test_samples_of_several_lines(rng):
    x, y = rng.normal(size=(20, 5, 4)), rng.integers(3, size=(20, 5))
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(), seed=0, dtype="float64").build((5, 4))
    model.compile("sparse_categorical_crossentropy", nn.optim.SGD(lr=0.0), ["accuracy"])
    p = model.predict(x)
    expected = [-np.log(np.take_along_axis(p, y[..., None], 2)).mean(), (p.argmax(2) == y).mean()]
    np.testing.assert_allclose(model.evaluate(x, y), expected)
    history = model.fit(x, y, batch_size=8, validation_split=0.25)
    rows, held_out = split_rows(20, 0.25, 0, None)  # several labels per sample: drawn without regard to them
    np.testing.assert_allclose(history.history["loss"][0], model.evaluate(x[rows], y[rows])[0])
    np.testing.assert_allclose(history.history["val_loss"][0], model.evaluate(x[held_out], y[held_out])[0])
    one_hot = nn.Sequential(nn.Linear(4, 3), nn.Softmax(), seed=0, dtype="float64").build((5, 4))
    one_hot.compile("categorical_crossentropy", "sgd", ["accuracy"])
    np.testing.assert_allclose(one_hot.evaluate(x, np.eye(3)[y]), expected)
    line = nn.Sequential(nn.Linear(4, 1), seed=0, dtype="float64").build((5, 4))
    line.compile("mse", "sgd", ["mae"])
    t = rng.normal(size=(20, 5))
    e = line.predict(x)[..., 0] - t
    for target in (t, t[..., None]):
        np.testing.assert_allclose(line.evaluate(x, target), [(e**2).mean(), np.abs(e).mean()])
    with pytest.raises(errors.ShapeError, match=r"class indices of shape \(20, 5\)"):
        model.fit(x, y[:, 0])


@pytest.mark.filterwarnings("ignore:Step passes no gradient", "ignore:hinge takes scores of both signs")
@pytest.mark.parametrize(
    ("activation", "loss"), [(nn.Identity, "hinge"), (nn.Tanh, "mse"), (nn.Step, "mse"), (nn.Sigmoid, "hinge")]
)
def test_the_line_between_no_and_yes_follows_the_activation(activation, loss, rng):
    x = rng.normal(size=(60, 2))
    model = nn.Sequential(nn.Linear(2, 1), activation(), seed=3)
    signed = activation is nn.Tanh or loss == "hinge"
    yes = nn.Sequential(model[0].__class__(2, 1), seed=3).predict(x)[:, 0] > 0  # the same seed draws the same weights
    model.compile(loss, "sgd", ["accuracy"])
    assert model.evaluate(x, np.where(yes, 1, -1 if signed else 0))[1] == 1.0


def test_sample_weights_weigh_metrics(rng):
    x, y = line(rng, 40)
    w = rng.random(40)
    model = linear(weighted_metrics=["mae"])
    e = np.abs(model.predict(x) - y)[:, 0]
    history = model.fit(x, y, batch_size=None, sample_weight=w)
    assert history.history["mae"][0] == pytest.approx(np.average(e, weights=w))


def test_predict(rng):
    x = rng.normal(size=(1000, 3))
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), seed=0)
    y = model.predict(x)
    np.testing.assert_allclose(y, np.tanh(x @ model[0].weight.T + model[0].bias), rtol=1e-4, atol=1e-6)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, model(x))
    np.testing.assert_array_equal(y[:5], model.predict_on_batch(x[:5]))
    assert model.predict(x[:0]).shape == (0, 2)
    np.testing.assert_array_equal(y[::-1], model.predict(x[::-1]))
    np.testing.assert_array_equal(y[::3], model.predict(x[::3]))
