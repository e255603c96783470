"""Models learn what they can learn, and nothing else."""

import numpy as np
import pytest

import nncore as nn

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.float32)


def xor_accuracy(seed):
    sizes = (2, 10, 10, 10, 1)
    layers = [layer for i in range(4) for layer in (nn.Linear(*sizes[i : i + 2], weight_init="xavier_uniform"), nn.Sigmoid())]
    model = nn.Sequential(layers, seed=seed)
    model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=2e-2), metrics=["accuracy"])
    model.fit(*XOR, epochs=2000, batch_size=None)
    return model.evaluate(*XOR)[1]


def test_a_deep_sigmoid_net_learns_xor():
    assert sum(xor_accuracy(seed) == 1.0 for seed in range(20)) >= 18


@pytest.mark.parametrize("loss", ["perceptron", "hinge"])
def test_a_perceptron_cannot_learn_xor_but_learns_or(loss):
    x, xor = XOR
    accuracy = {}
    for name, y in (("xor", xor), ("or", x.max(1))):
        model = nn.Sequential(nn.Linear(2, 1), seed=0)
        model.compile(loss=loss, optimizer=nn.optim.SGD(lr=0.1), metrics=["accuracy"])
        history = model.fit(x, y, epochs=300, batch_size=1)
        accuracy[name] = history.history["accuracy"][-1]
    assert accuracy["xor"] <= 0.75
    assert accuracy["or"] == 1.0


def test_digits_are_classified():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(), seed=0)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=3e-3), metrics=["accuracy"])
    history = model.fit(x / 16, y, epochs=30, batch_size=32, validation_split=0.2)
    assert history.history["val_accuracy"][-1] > 0.95
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]
    one_hot = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(), seed=0)
    one_hot.compile(loss="categorical_crossentropy", optimizer=nn.optim.Adam(lr=3e-3), metrics=["accuracy"])
    same = one_hot.fit(x / 16, np.eye(10)[y], epochs=2, batch_size=32, validation_split=0.2)
    np.testing.assert_allclose(same.history["loss"], history.history["loss"][:2], rtol=1e-4)
    np.testing.assert_allclose(same.history["val_accuracy"], history.history["val_accuracy"][:2], atol=0.01)


def test_diabetes_is_regressed():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1), seed=0)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2), metrics=["r2", "rmse"])
    history = model.fit(x, y, epochs=20, validation_split=0.25)
    assert history.history["val_r2"][-1] > 0.35
    assert history.history["rmse"][-1] < history.history["rmse"][0]


def test_bfloat16_learns_as_well_as_float32():
    """Digits, over five seeds: the accuracies differ by less than those of float32 among themselves."""
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    found = {}
    for compute in ("float32", "bfloat16"):
        for seed in range(5):
            model = nn.Sequential(
                nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), seed=seed, compute=compute
            )
            model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), nn.optim.Adam(lr=2e-3))
            model.fit(x[:1200], y[:1200], epochs=12, batch_size=64, verbose=0)
            found.setdefault(compute, []).append((model.predict(x[1200:]).argmax(1) == y[1200:]).mean())
    full, low = (np.array(found[compute]) for compute in ("float32", "bfloat16"))
    assert full.mean() > 0.9
    assert abs(low.mean() - full.mean()) < max(full.std(), 0.005)
