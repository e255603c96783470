"""compile, fit, evaluate, predict: against NumPy, torch and scikit-learn, and whatever a user may do wrong."""

import copy
import signal
import sys
import time

import numpy as np
import pytest

import nncore as nn
from nncore import errors

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.float32)


def linear(inputs=3, outputs=1, loss="mse", optimizer=None, metrics=(), dtype="float64", **options):
    model = nn.Sequential(nn.Linear(inputs, outputs), seed=1, dtype=dtype)
    model.compile(loss=loss, optimizer=optimizer or nn.optim.SGD(lr=0.1), metrics=metrics, **options)
    return model


def line(rng, rows, inputs=3):
    x = rng.normal(size=(rows, inputs))
    return x, x @ np.arange(1.0, inputs + 1)[:, None] + 0.5


def weights(model):
    return [w.copy() for w in model.get_weights()]


def assert_same(model, kept):
    for now, then in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(now, then)


# Steps ---------------------------------------------------------------------------------------------------------------------------


def by_hand(model, x, y, batch, epochs, lr, weight=None, reduction="mean"):
    """Gradient descent on squared errors in NumPy; step losses and epoch losses."""
    w, b = (a.astype(np.float64).copy() for a in weights(model))
    steps, losses = [], []
    weight = np.ones(len(x)) if weight is None else weight
    for _ in range(epochs):
        rows, counts = [], []
        for i in range(0, len(x), batch):
            xb, yb, wb = x[i : i + batch], y[i : i + batch], weight[i : i + batch]
            e = xb @ w.T + b - yb
            divisor = {"mean": len(xb), "sum": 1.0, "mean_with_sample_weight": wb.sum()}[reduction]
            steps.append((wb * (e**2).mean(1)).sum() / divisor)
            rows.append(steps[-1] * divisor)
            counts.append(divisor)
            g = 2 * e * wb[:, None] / divisor / y.shape[1]
            w, b = w - lr * g.T @ xb, b - lr * g.sum(0)
        losses.append(sum(rows) / (1.0 if reduction == "sum" else sum(counts)))
    return w, b, np.array(steps), np.array(losses)


@pytest.mark.parametrize("batch_size", [1, 4, 10, 99, None])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
def test_steps_and_epoch_losses_equal_numpy(batch_size, weighted, reduction, rng):
    x, y = line(rng, 10)  # 10 rows: with batches of 4 the last has 2
    weight = rng.random(10) + 0.1 if weighted else None
    model = linear(loss=nn.losses.MeanSquaredError(reduction=reduction), optimizer=nn.optim.SGD(lr=0.01))
    w, b, steps, losses = by_hand(model, x, y, batch_size or 10, 3, 0.01, weight, reduction)
    history = model.fit(x, y, epochs=3, batch_size=batch_size, shuffle=False, sample_weight=weight)
    np.testing.assert_allclose(history.step_losses, steps)
    np.testing.assert_allclose(history.history["loss"], losses)
    np.testing.assert_allclose(model[0].weight, w)
    np.testing.assert_allclose(model[0].bias, b)
    assert model.step == len(steps)


OPTIMIZERS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.2}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
]


@pytest.mark.parametrize("clip", [None, "norm", "value"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_training_equals_torch(name, options, clip, rng):
    torch = pytest.importorskip("torch")
    x, y = line(rng, 24)
    model = linear(optimizer=getattr(nn.optim, name)(**options, **({f"clip_{clip}": 0.7} if clip else {})))
    peer = torch.nn.Linear(3, 1, dtype=torch.float64)
    peer.load_state_dict({"weight": torch.tensor(model[0].weight), "bias": torch.tensor(model[0].bias)})
    theirs = getattr(torch.optim, name)(peer.parameters(), **options)
    losses = []
    for _ in range(5):
        for i in range(0, 24, 8):
            theirs.zero_grad()
            loss = torch.nn.functional.mse_loss(peer(torch.tensor(x[i : i + 8])), torch.tensor(y[i : i + 8]))
            loss.backward()
            if clip == "norm":
                torch.nn.utils.clip_grad_norm_(peer.parameters(), 0.7)
            elif clip == "value":
                torch.nn.utils.clip_grad_value_(peer.parameters(), 0.7)
            theirs.step()
            losses.append(loss.item())
    history = model.fit(x, y, epochs=5, batch_size=8, shuffle=False)
    np.testing.assert_allclose(history.step_losses, losses, rtol=1e-6)
    np.testing.assert_allclose(model[0].weight, peer.weight.detach(), rtol=1e-6)


def test_batches_without_weight_do_nothing(rng):
    x, y = line(rng, 8)
    for reduction in ("mean", "mean_with_sample_weight"):
        model = linear(loss=nn.losses.MeanSquaredError(reduction=reduction))
        kept = weights(model)
        assert model.train_on_batch(x, y, np.zeros(8)) == 0.0
        assert_same(model, kept)
        history = model.fit(x, y, batch_size=4, shuffle=False, sample_weight=[0.0] * 4 + [1.0] * 4)
        assert history.step_losses[0] == 0.0
        assert history.history["loss"][0] == pytest.approx(history.step_losses[1] / (2 if reduction == "mean" else 1))


def test_a_schedule_is_asked_for_every_step(rng):
    x, y = line(rng, 10)
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.1 / (1 + step)

    model, constant = linear(optimizer=nn.optim.SGD(lr=schedule)), linear()
    model.fit(x, y, epochs=2, batch_size=4, shuffle=False)
    model.train_on_batch(x, y)
    assert sorted(set(asked)) == list(range(7))
    for epoch in range(2):
        for i, rows in enumerate((slice(0, 4), slice(4, 8), slice(8, 10))):
            constant.optimizer.lr = 0.1 / (1 + 3 * epoch + i)
            constant.train_on_batch(x[rows], y[rows])
    constant.optimizer.lr = 0.1 / 7
    constant.train_on_batch(x, y)
    np.testing.assert_allclose(model[0].weight, constant[0].weight)


# Learning ------------------------------------------------------------------------------------------------------------------------


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


# Metrics and evaluation ----------------------------------------------------------------------------------------------------------


def test_evaluate_equals_numpy(rng):
    x, y = line(rng, 50)
    w = rng.random(50)
    model = linear(metrics=["mae", "rmse", "r2"])
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
        model.compile(nn.losses.BinaryCrossentropy(from_logits=from_logits), "sgd", names)
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
    rows, held_out = nn.data.split_rows(20, 0.25, 0, None)  # several labels per sample: drawn without regard to them
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
    model = linear(metrics=["mae"])
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


def test_data_of_any_kind_train_alike(rng, tmp_path):
    x, y = np.round(rng.normal(size=(30, 3)) * 5), rng.integers(2, size=30)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    mapped[:] = x
    wide = np.zeros((60, 8), np.int16)
    wide[::2, 2:5] = x
    results = []
    for data in (x, x.tolist(), mapped, x.astype(np.int8), wide[::2, 2:5], np.asfortranarray(x), x.astype(np.float16)):
        model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), seed=0)
        model.compile("binary_crossentropy", "adam", ["accuracy"])
        results.append(model.fit(data, y, epochs=3, batch_size=7, validation_split=0.2).history)
    assert all(result == results[0] for result in results)


def test_overlapping_windows_need_no_copy(rng):
    series = np.cumsum(rng.normal(size=500)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], 8)
    one, two = linear(8, dtype="float32"), linear(8, dtype="float32")
    one.fit(windows, series[8:], epochs=2)
    two.fit(windows.copy(), series[8:], epochs=2)
    np.testing.assert_array_equal(one[0].weight, two[0].weight)


def test_batches_of_an_iterable(rng):
    x, y = line(rng, 10)
    w = rng.random(10)
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    plain, model = linear(metrics=["mae"]), linear(metrics=["mae"])
    expected = plain.fit(x, y, epochs=2, batch_size=4, shuffle=False, sample_weight=w, validation_data=(x, y, w))
    history = model.fit([(x[p], y[p], w[p]) for p in parts], epochs=2, validation_data=[x, y, w])
    assert list(history.history) == list(expected.history)
    for key, values in expected.history.items():
        np.testing.assert_allclose(history.history[key], values)
    generator = ((x[p].tolist(), y[p]) for p in parts)
    assert len(model.fit(generator).step_losses) == 3
    with pytest.raises(errors.ArgumentError, match="lasts for one epoch"):
        model.fit(((x, y) for _ in range(3)), epochs=2)
    with pytest.raises(errors.EmptyDataError, match="no batches"):
        model.fit([])
    with pytest.raises(errors.ArgumentError, match="not ndarray; or pass y"):
        model.fit([x])
    with pytest.raises(errors.ArgumentError, match="fit: pass y"):
        model.fit(x)


# Order ---------------------------------------------------------------------------------------------------------------------------


def test_every_epoch_takes_every_row_once_in_a_new_order(rng):
    x, y = line(rng, 50)
    model = linear(optimizer=nn.optim.SGD(lr=0.0))  # then the loss of a step tells its row
    rows = np.sort(nn.losses.MeanSquaredError(reduction="none")(y, model.predict(x)))
    orders = [model.fit(x, y, epochs=1, batch_size=1).step_losses for _ in range(2)]
    orders += np.split(model.fit(x, y, epochs=3, batch_size=1).step_losses, 3)
    for order in orders:
        np.testing.assert_allclose(np.sort(order), rows)
    for i in range(5):
        for j in range(i):
            assert not np.array_equal(orders[i], orders[j])
    again = linear(optimizer=nn.optim.SGD(lr=0.0)).fit(x, y, epochs=5, batch_size=1).step_losses
    np.testing.assert_array_equal(again, np.concatenate(orders))  # the same seed and the same number of steps: the same order


def test_training_on_is_the_same_as_not_stopping(rng):
    x, y = line(rng, 40)
    whole, parts = linear(optimizer="adam"), linear(optimizer="adam")
    one = whole.fit(x, y, epochs=5, batch_size=7, validation_split=0.25)
    two = [parts.fit(x, y, initial_epoch=i, epochs=j, batch_size=7, validation_split=0.25) for i, j in ((0, 2), (2, 5))]
    assert one.epoch == two[0].epoch + two[1].epoch == list(range(5))
    for key, values in one.history.items():
        assert values == two[0].history[key] + two[1].history[key]
    assert_same(whole, weights(parts))


def test_validation_split(rng):
    x, y = line(rng, 40)
    model = linear(metrics=["mae"])
    history = model.fit(x, y, validation_split=0.25, shuffle=False)
    assert history.history["val_loss"][0] == pytest.approx(model.evaluate(x[30:], y[30:])[0])
    assert len(history.step_losses) == 1
    rows, held_out = nn.data.split_rows(40, 0.25, model.seed, None)
    history = model.fit(x, y, validation_split=0.25)
    assert history.history["val_mae"][0] == pytest.approx(model.evaluate(x[held_out], y[held_out])[1])
    twin = linear(metrics=["mae"])
    twin.fit(x, y, validation_split=0.25, shuffle=False)
    other = x.copy()
    other[held_out] = 1e6  # rows that validate do not train
    twin.fit(other, y, validation_split=0.25)
    assert_same(model, weights(twin))
    assert len(rows) == 30


def test_class_weight_is_a_sample_weight_of_the_rows_that_train(rng):
    x, y = rng.normal(size=(60, 2)), rng.integers(3, size=60)
    table, w = np.array([1.0, 5.0, 0.5]), rng.random(60)
    models = [nn.Sequential(nn.Linear(2, 3), nn.Softmax(), seed=0) for _ in range(2)]
    for model in models:
        model.compile("sparse_categorical_crossentropy", "adam")
    one = models[0].fit(x, y, epochs=2, class_weight={1: 5.0, 2: 0.5}, sample_weight=w, validation_split=0.2)
    _, held_out = nn.data.split_rows(60, 0.2, 0, y)
    both = table[y] * w
    both[held_out] = w[held_out]
    two = models[1].fit(x, y, epochs=2, sample_weight=both, validation_split=0.2)
    assert one.history == two.history
    assert models[0].train_on_batch(x, y, class_weight={1: 2.0}) == models[1].train_on_batch(x, y, np.where(y == 1, 2.0, 1.0))


# One batch -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "ends", "target"),
    [
        ("mse", [], lambda rng: rng.normal(size=(8, 3))),
        ("binary_crossentropy", [nn.Sigmoid], lambda rng: rng.random((8, 3))),
        ("sparse_categorical_crossentropy", [nn.Softmax], lambda rng: rng.integers(3, size=8)),
        ("categorical_crossentropy", [nn.Softmax], lambda rng: np.eye(3)[rng.integers(3, size=8)]),
        ("hinge", [], lambda rng: rng.integers(2, size=(8, 3))),
    ],
)
def test_train_on_batch_takes_fast_and_slow_data_alike(loss, ends, target, rng):
    x, y = rng.normal(size=(8, 4)).astype(np.float32), target(rng)
    y = y if y.dtype == np.int64 else y.astype(np.float32)
    fast, slow, fit = (nn.Sequential(nn.Linear(4, 3), *[end() for end in ends], seed=0) for _ in range(3))
    for model in (fast, slow, fit):
        model.compile(loss, "adam", [] if loss == "mse" else ["accuracy"])
    assert fast._batch.takes(x, y) == (loss not in ("categorical_crossentropy", "hinge"))
    assert not slow._batch.takes(np.asfortranarray(x), y)
    for _ in range(3):
        results = fast.train_on_batch(x, y), slow.train_on_batch(np.asfortranarray(x), y.tolist())
        assert results[0] == results[1]
        epoch = fit.fit(x, y)
        assert np.atleast_1d(results[0]).tolist() == [values[0] for values in epoch.history.values()]
    assert_same(fast, weights(slow))
    assert_same(fast, weights(fit))
    assert fast.train_on_batch(x, y, return_dict=True).keys() == epoch.history.keys()


@pytest.mark.parametrize("bad", [3, -1, 2**40, -(2**40)])
def test_train_on_batch_checks_labels(bad, rng):
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam")
    x, y = rng.normal(size=(8, 4)).astype(np.float32), rng.integers(3, size=8)
    y[5] = bad
    kept = weights(model)
    with pytest.raises(errors.LabelError, match=f"y is {bad} at row 5"):
        model.train_on_batch(x, y)
    assert_same(model, kept)
    assert model.step == 0


# Compiling -----------------------------------------------------------------------------------------------------------------------


def test_a_model_of_open_shape_compiles_when_it_sees_data(rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0)
    model.compile("mse", "sgd", ["mae"])
    assert not model.built
    x = rng.normal(size=(10, 2, 3))
    assert len(model.fit(x, x.sum((1, 2))).epoch) == 1
    other = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0)
    other.compile("mse", "sgd")
    other.backward(np.ones_like(other.forward(x)))
    other.apply_gradients()
    assert other.step == 1
    assert nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0).predict(x).shape == (10, 1)
    batch = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0)
    batch.compile("mse", "sgd")
    assert batch.train_on_batch(x, np.ones(10)) > 0


def test_compiling_again_starts_the_optimizer_anew_and_keeps_the_weights(rng):
    x, y = line(rng, 20)
    model = linear(optimizer="adam")
    model.fit(x, y)
    kept = weights(model)
    model.compile("mae", "sgd")
    assert model.step == 0
    assert_same(model, kept)
    with pytest.raises(errors.UnknownNameError):
        model.compile("maee", "sgd")
    assert model.evaluate(x, y) == pytest.approx(np.abs(model.predict(x) - y).mean())  # still compiled as before


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("mean_square_error", "sgd"), errors.UnknownNameError, "unknown loss .* did you mean 'mean_squared_error'"),
        (("mse", "sdg"), errors.UnknownNameError, "unknown optimizer .* did you mean 'sgd'"),
        (("mse", "sgd", ["acuracy"]), errors.UnknownNameError, "unknown metric .* did you mean 'accuracy'"),
        (("adam", "mse"), errors.UnknownNameError, "'adam' is an optimizer, not a loss"),
        (("mse", "sgd", ["mae", "mae"]), errors.ArgumentError, "two metrics are called 'mae'"),
        (("mse", "sgd", ["mae", "accuracy"]), errors.ArgumentError, "cannot both be kept"),
        ((["mse", "mae"], "sgd"), errors.ArgumentError, "2 losses for 1 outputs"),
        ((nn.losses.Huber(reduction="none"), "sgd"), errors.ArgumentError, "reduction other than 'none'"),
        (("sparse_categorical_crossentropy", "sgd"), errors.ShapeError, "one output per class, but the model has 1"),
        (("categorical_crossentropy", "sgd"), errors.ShapeError, "several outputs, but the model has 1"),
        ((lambda y, z: 0.0, "sgd"), errors.ArgumentError, "Losses of your own"),
    ],
)
def test_compile_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        nn.Sequential(nn.Linear(3, 1)).compile(*arguments)


@pytest.mark.parametrize(
    ("loss", "end", "text"),
    [
        ("binary_crossentropy", [], "takes probabilities, but the model ends in a linear layer; add Sigmoid"),
        ("sparse_categorical_crossentropy", [nn.ReLU()], "ends in relu; add Softmax"),
        (nn.losses.CategoricalCrossentropy(from_logits=True), [nn.Softmax()], "takes logits, but the model ends in softmax"),
    ],
)
def test_compile_warns_of_a_loss_that_does_not_suit_the_activation(loss, end, text):
    with pytest.warns(UserWarning, match=text) as seen:
        nn.Sequential(nn.Linear(3, 2), *end).compile(loss, "sgd")
    assert seen[0].filename == __file__


# Errors --------------------------------------------------------------------------------------------------------------------------

X, Y = np.ones((6, 3)), np.ones(6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: m.fit(X[:, :2], Y), errors.ShapeError, r"x has shape \(6, 2\), but layer 0 \(Linear\) takes \(N, 3\)"),
        (lambda m: m.fit(X, Y[:5]), errors.ShapeError, "y has 5 rows and x has 6"),
        (lambda m: m.fit(X, np.ones((6, 2))), errors.ShapeError, r"shape \(6, 2\), but the output of the model has shape \(6, 1\)"),
        (lambda m: m.fit(X[:0], Y[:0]), errors.EmptyDataError, "no rows"),
        (lambda m: m.evaluate(X[:0], Y[:0]), errors.EmptyDataError, "no rows"),
        (lambda m: m.fit(X, Y, epochs=-1), errors.ArgumentError, "epochs"),
        (lambda m: m.fit(X, Y, epochs=1.5), errors.ArgumentError, "epochs"),
        (lambda m: m.fit(X, Y, batch_size=0), errors.ArgumentError, "batch_size"),
        (lambda m: m.fit(X, Y, validation_split=1.5), errors.ArgumentError, "validation_split"),
        (lambda m: m.fit(X, Y, validation_split=1e-17), errors.EmptyDataError, "no row for validation"),
        (lambda m: m.fit(X, Y, validation_split=0.5, validation_data=(X, Y)), errors.ArgumentError, "not both"),
        (lambda m: m.fit(X, Y, validation_data=X), errors.ArgumentError, r"\(x, y\)"),
        (lambda m: m.fit(X, Y, validation_data=(X, Y[:2])), errors.ShapeError, "y has 2 rows"),
        (lambda m: m.fit(X, Y, verbose=3), errors.ArgumentError, "verbose"),
        (lambda m: m.fit(X, Y, sample_weight=[1.0]), errors.ShapeError, "one weight per row"),
        (lambda m: m.fit(X, Y, sample_weight=np.zeros(6)), errors.ArgumentError, "all weights are 0"),
        (lambda m: m.fit(X, Y, class_weight="balanced"), errors.LabelError, "use sample_weight instead"),
        (lambda m: m.fit([(X, Y)], class_weight="balanced"), errors.ArgumentError, "batches carry their own weights"),
        (lambda m: m.predict(X.astype(complex)), errors.DTypeError, "complex128"),
    ],
)
def test_data_that_do_not_fit_leave_the_model_as_it_was(call, error, text):
    model = linear()
    kept = weights(model)
    with pytest.raises(error, match=text):
        call(model)
    assert_same(model, kept)
    assert model.step == 0
    model.fit(X, Y)


def test_before_compile():
    model = nn.Sequential(nn.Linear(3, 1))
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(errors.NotCompiledError, match="call model.compile"):
            call(X, Y)
    assert model.optimizer is None
    assert model.metrics_names == []
    assert model.predict(X).shape == (6, 1)


def test_check_finite():
    x = X.copy()
    x[4, 1] = np.nan
    assert np.isnan(linear().evaluate(x, Y))
    model = linear(check_finite=True)
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(errors.NonFiniteError, match="x is nan at row 4, column 1"):
            call(x, Y)
    with pytest.raises(errors.NonFiniteError, match="y is inf at row 1"):
        model.fit(X, np.array([1, np.inf, 1, 1, 1, 1]))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
def test_an_interrupt_ends_training_within_100_ms(rng):
    x, y = rng.normal(size=(20000, 64)).astype(np.float32), rng.integers(10, size=20000)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam")
    kept = weights(model)
    delays = []

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for run in (
            lambda: model.fit(x, y, epochs=1000, batch_size=32),
            lambda: model.fit(x, y, epochs=1000, batch_size=None),
            lambda: model.evaluate(np.broadcast_to(x[0], (10**7, 64)), np.broadcast_to(y[:1], 10**7)),
        ):
            for _ in range(4):  # other processes may delay this one
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                due = time.perf_counter() + 0.3
                with pytest.raises(KeyboardInterrupt):
                    run()
                delays.append(time.perf_counter() - due)
                if delays[-1] < 0.1:
                    break
            assert delays[-1] < 0.1, delays
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert any(not np.array_equal(now, then) for now, then in zip(model.get_weights(), kept, strict=True))
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x[:64], y[:64])
    assert copy.deepcopy(model).predict(x[:3]).shape == (3, 10)


# History -------------------------------------------------------------------------------------------------------------------------


def test_history(rng):
    x, y = line(rng, 20)
    model = linear(metrics=["mae"])
    history = model.fit(x, y, epochs=3, initial_epoch=1, validation_split=0.25)
    assert history is model.history
    assert history.epoch == [1, 2]
    assert {key: len(values) for key, values in history.history.items()} == {"loss": 2, "mae": 2, "val_loss": 2, "val_mae": 2}
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert len(history.step_losses) == 2
    assert repr(history).startswith("History(2 epochs: loss=")
    assert model.fit(x, y, epochs=0).history == {}


def test_plot(rng):
    matplotlib = pytest.importorskip("matplotlib")
    x, y = line(rng, 20)
    model = linear(metrics=["mae"])
    figure = model.fit(x, y, epochs=3, validation_split=0.25).plot()
    assert isinstance(figure, matplotlib.figure.Figure)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "mae"]
    for axes in figure.axes:
        assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
        assert [line.get_label() for line in axes.lines] == ["training", "validation"]
    with pytest.raises(errors.EmptyDataError, match="no epoch"):
        nn.History().plot()


def test_plot_without_matplotlib_names_the_extra(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    history = linear().fit(*line(rng, 20))
    with pytest.raises(errors.MissingExtraError, match=r"nncore\[plot\]"):
        history.plot()
