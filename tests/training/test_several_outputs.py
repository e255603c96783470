"""A model with two outputs: a list of targets, a loss and metrics for each, one sum of losses."""

import numpy as np
import pytest
from training.simple import assert_same, weights

import nncore as nn
from nncore import errors


def fork(seed):
    """The same input goes through a Linear layer each, the second followed by a Softmax."""
    x = nn.Input((3,))
    return nn.Model(x, [nn.Linear(3, 1)(x), nn.Softmax()(nn.Linear(3, 4)(x))], seed=seed, dtype="float64")


def compiled(**options):
    model = fork(0)
    model.compile(["mse", "sparse_categorical_crossentropy"], nn.optim.SGD(lr=0.1), [["mae"], ["accuracy"]], **options)
    return model


def data(rng, rows=30):
    return rng.normal(size=(rows, 3)), [rng.normal(size=rows), rng.integers(4, size=rows)]


def test_evaluate_and_predict(rng):
    x, y = data(rng)
    model = compiled(loss_weights=[2.0, 0.5])
    numbers, p = model.predict(x)
    e = numbers[:, 0] - y[0]
    expected = {
        "loss": 2 * (e**2).mean() - 0.5 * np.log(p[np.arange(30), y[1]]).mean(),
        "linear_loss": (e**2).mean(),
        "softmax_loss": -np.log(p[np.arange(30), y[1]]).mean(),
        "linear_mae": np.abs(e).mean(),
        "softmax_accuracy": (p.argmax(1) == y[1]).mean(),
    }
    result = model.evaluate(x, y, return_dict=True)
    assert list(result) == list(expected) == model.metrics_names
    np.testing.assert_allclose(list(result.values()), list(expected.values()))
    history = model.fit(x, y, batch_size=None, validation_data=(x, y))
    assert list(history.history) == [*expected, *(f"val_{name}" for name in expected), "learning_rate"]
    np.testing.assert_allclose([history.history[name][0] for name in expected], list(expected.values()))
    np.testing.assert_allclose([history.history[f"val_{name}"][0] for name in expected], model.evaluate(x, y))


def test_each_output_trains_as_if_alone(rng):
    x, y = data(rng)
    model, alone = (
        compiled(),
        [nn.Sequential(nn.Linear(3, 1), dtype="float64"), nn.Sequential(nn.Linear(3, 4), nn.Softmax(), dtype="float64")],
    )
    for i, (single, loss) in enumerate(zip(alone, ["mse", "sparse_categorical_crossentropy"], strict=True)):
        single.set_weights(model.get_weights()[2 * i : 2 * i + 2])
        single.compile(loss, nn.optim.SGD(lr=0.1))
    histories = [single.fit(x, y[i], epochs=3, batch_size=8, shuffle=False) for i, single in enumerate(alone)]
    both = model.fit(x, y, epochs=3, batch_size=8, shuffle=False)
    np.testing.assert_allclose(both.history["loss"], np.add(histories[0].history["loss"], histories[1].history["loss"]))
    for now, then in zip(model.get_weights(), [*weights(alone[0]), *weights(alone[1])], strict=True):
        np.testing.assert_allclose(now, then)
    assert model.train_on_batch(x, y)[0] == pytest.approx(sum(single.train_on_batch(x, y[i]) for i, single in enumerate(alone)))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m, x, y: m.fit(x, y[0]), "pass a list of 2 arrays"),
        (lambda m, x, y: m.fit(x, [y[1] + 0.5, y[0]]), r"y\['softmax'\] is .* takes whole numbers"),
        (lambda m, x, y: m.fit(x, y, class_weight="balanced"), "class_weight: the model has 2 outputs; say by name"),
        (lambda m, x, y: m.compile(["mse"], "sgd"), "1 losses for 2 outputs"),
        (lambda m, x, y: m.compile("mse", "sgd", loss_weights=[1.0]), "1 loss_weights for 2 outputs"),
        (lambda m, x, y: m.compile("mse", "sgd", [["mae"]]), "metrics has 1 entries for 2 outputs, .*, or a dict by name"),
        (lambda m, x, y: m.compile(["mse", nn.losses.Huber(reduction="sum")], "sgd"), "one and the same reduction"),
    ],
)
def test_what_does_not_fit_is_refused(call, text, rng):
    x, y = data(rng)
    model = compiled()
    kept = weights(model)
    with pytest.raises(errors.NncoreError, match=text):
        call(model, x, y)
    assert_same(model, kept)
