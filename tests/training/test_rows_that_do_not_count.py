"""Weights of which all are 0, and batches without rows."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors


@pytest.mark.parametrize("reduction", ["mean", "mean_with_sample_weight", "sum"])
@pytest.mark.parametrize(
    ("loss", "end", "metrics"),
    [
        (nn.losses.BinaryCrossentropy, nn.Sigmoid, ["accuracy", "f1"]),
        (nn.losses.MeanSquaredError, nn.Identity, ["mae", "rmse"]),
        (nn.losses.MeanSquaredError, nn.Identity, []),
    ],
)
def test_weights_of_zero_are_a_loss_of_zero(rng, loss, end, metrics, reduction):
    """Keras's value for a mean over nothing; the weights do not move."""
    x, y, w = rng.normal(size=(7, 3)), rng.integers(0, 2, 7), np.zeros(7)
    model = nn.Sequential(nn.Linear(3, 1), end(), seed=0)
    model.compile(loss(reduction=reduction), "sgd", metrics)
    before = model[0].weight.copy()
    plan = {"epochs": 2, "verbose": 0}
    logs = [
        model.fit(x, y, sample_weight=w, batch_size=3, validation_data=(x, y, w), **plan).history,
        model.fit([(x, y, w)], validation_data=[(x, y, w)], **plan).history,
        model.fit(x, y, sample_weight=w, validation_split=0.3, **plan).history,
    ]
    if end is nn.Sigmoid:
        logs.append(model.fit(x, y, class_weight={0: 0.0, 1: 0.0}, **plan).history)
    for history in logs:
        assert history["loss"] == [0.0, 0.0]
        assert history.get("val_loss", [0.0, 0.0]) == [0.0, 0.0]
    results = [
        model.evaluate(x, y, sample_weight=w, return_dict=True),
        model.evaluate([(x, y, w)], return_dict=True),
        model.train_on_batch(x, y, w, return_dict=True),
        model.test_on_batch(x, y, w, return_dict=True),
    ]
    for result in results:
        assert result["loss"] == 0.0
        assert np.isfinite([*result.values()]).all()
    np.testing.assert_array_equal(model[0].weight, before)


def test_one_output_of_two_may_not_count(rng):
    x = nn.Input((3,))
    model = nn.Model(x, {"a": nn.Linear(3, 1)(x), "b": nn.Linear(3, 1)(x)}, seed=0, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.0))
    given, y = rng.normal(size=(6, 3)), np.zeros(6)
    b = (model.predict(given)["b"] ** 2).mean()
    found = model.fit(given, {"a": y, "b": y}, sample_weight={"a": np.zeros(6)}, verbose=0).history
    assert found["a_loss"] == [0.0]
    assert found["loss"] == found["b_loss"] == [pytest.approx(b)]


def test_steps_of_weight_zero(rng):
    x, y = rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 5, 1))
    model = nn.Sequential(nn.GRU(3, 2, return_sequences=True), nn.Linear(2, 1), seed=0)
    for reduction in ("mean", "mean_with_sample_weight"):
        model.compile(nn.losses.MeanSquaredError(reduction=reduction), "sgd")
        assert model.train_on_batch(x, y, np.zeros((4, 5))) == 0.0
        assert model.evaluate(x, y, sample_weight=np.zeros((4, 5)), lengths=[1, 2, 3, 4]) == 0.0


LAYERS = {
    "Linear": (lambda: nn.Linear(3, 2), (3,)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (3,)),
    "LayerNorm": (lambda: nn.LayerNorm(3), (3,)),
    "Dropout": (lambda: nn.Dropout(0.5), (3,)),
    "GaussianNoise": (lambda: nn.GaussianNoise(0.5), (3,)),
    "Flatten": (lambda: nn.Flatten(), (2, 3)),
    "Reshape": (lambda: nn.Reshape(3, 2), (6,)),
    "Embedding": (lambda: nn.Embedding(4, 2), (5,)),
    "Maxout": (lambda: nn.Maxout(3, 2, 2), (3,)),
    "PReLU": (lambda: nn.PReLU(), (3,)),
    "Softmax": (lambda: nn.Softmax(), (3,)),
    "Tanh": (lambda: nn.Tanh(), (3,)),
    "Lambda": (lambda: nn.Lambda(lambda x: 2 * x), (3,)),
    "RNN": (lambda: nn.RNN(3, 4), (5, 3)),
    "GRU": (lambda: nn.GRU(3, 4, return_sequences=True), (5, 3)),
    "LSTM": (lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True), (5, 3)),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_by_themselves_take_no_rows(name, training):
    make, shape = LAYERS[name]
    layer = make()
    dtype = np.int64 if name == "Embedding" else np.float32
    empty, full = ([*flat(layer(np.zeros((rows, *shape), dtype), training=training))] for rows in (0, 11))
    assert [each.shape for each in empty] == [tuple(0 if d == 11 else d for d in each.shape) for each in full]


def flat(found):
    for part in found if isinstance(found, tuple) else (found,):
        yield from flat(part) if isinstance(part, tuple) else (part,)


@pytest.mark.parametrize(("options", "x"), [({}, (0, 5, 3)), ({"batch_first": False}, (5, 0, 3))])
def test_states_of_no_sequences(options, x):
    torch = pytest.importorskip("torch")
    output, (h, c) = nn.LSTM(3, 4, num_layers=2, bidirectional=True, **options)(np.zeros(x), lengths=[])
    theirs = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, **{"batch_first": True, **options})
    expected, (h_n, c_n) = theirs(torch.zeros(x))
    assert (output.shape, h.shape, c.shape) == (tuple(expected.shape), tuple(h_n.shape), tuple(c_n.shape))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        (lambda: [nn.Linear(3, 2)], (3,)),
        (lambda: [nn.GRU(3, 4), nn.Linear(4, 2)], (5, 3)),
        (lambda: [nn.Flatten(), nn.Linear(15, 2)], (5, 3)),
        (lambda: [nn.Linear(3, 2), nn.Lambda(lambda x: 2 * x)], (3,)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
def test_models_predict_no_rows(layers, shape, dtype):
    x = np.zeros((0, *shape), dtype)
    for call in (
        lambda m: m(x),
        lambda m: m.predict(x),
        lambda m: m.predict_on_batch(x),
        lambda m: m.predict([(x,), (x,)]),
        lambda m: m.predict(iter([x])),
    ):
        found = call(nn.Sequential(*layers()))
        assert found.shape == (0, 2)
        assert found.dtype == np.float32
    assert nn.Sequential(*layers()).predict(iter([x, np.ones((2, *shape)), x])).shape == (2, 2)


def test_training_needs_rows():
    model = nn.Sequential(nn.Linear(3, 2))
    model.compile("mse", "sgd")
    x, y = np.zeros((0, 3)), np.zeros((0, 2))
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(errors.EmptyDataError, match="no rows"):
            call(x, y)
