"""Losses and metrics written in Python: as their built-in twins, under every reduction and with weights."""

from typing import ClassVar

import numpy as np
import pytest
from own_parts import Huberish, Largest, LogLoss, Squared, data, distance, squared

import nncore as nn


def net(loss, metrics=(), outputs=2, seed=0, last=()):
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, outputs), *last, seed=seed, dtype="float64")
    model.compile(loss, nn.optim.Adam(lr=0.02), weighted_metrics=metrics)
    return model


def same_training(ours, theirs, x, y, **options):
    a, b = (m.fit(x, y, epochs=20, batch_size=16, verbose=0, **options).history for m in (ours, theirs))
    for name in b:
        if name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-9, err_msg=name)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("loss", [squared, Squared(), nn.losses.get(squared)], ids=["function", "object", "loss"])
@pytest.mark.parametrize("weighted", [False, True])
def test_as_the_built_in_twin(loss, weighted, rng):
    x, y = data(60)
    weight = rng.uniform(0, 2, 60) if weighted else None
    same_training(net(loss), net("mse"), x, y, sample_weight=weight, validation_data=(x[:20], y[:20]))


@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight"])
def test_reductions(reduction, rng):
    x, y = data(50)
    weight = rng.uniform(0, 2, 50)
    ours, theirs = Huberish(0.7, reduction), nn.losses.Huber(0.7, reduction)
    p = rng.normal(size=y.shape)
    assert ours(y, p, weight) == pytest.approx(theirs(y, p, weight), rel=1e-12)
    np.testing.assert_allclose(ours.gradient(y, p, weight), theirs.gradient(y, p, weight), rtol=1e-12)
    same_training(net(ours), net(theirs), x, y, sample_weight=weight)


def test_class_indices(rng):
    x, _ = data(60)
    y = rng.integers(0, 4, 60)
    theirs = nn.losses.SparseCategoricalCrossentropy()
    same_training(net(LogLoss(), outputs=4, last=[nn.Softmax()]), net(theirs, outputs=4, last=[nn.Softmax()]), x, y)


@pytest.mark.parametrize("class_weight", [{0: 0.5, 2: 3.0, 3: 0.0}, "balanced"])
def test_class_weights(class_weight, rng):
    x, y = data(60)[0], rng.integers(0, 4, 60)
    ours, theirs = (net(loss, outputs=4, last=[nn.Softmax()]) for loss in (LogLoss(), nn.losses.SparseCategoricalCrossentropy()))
    same_training(ours, theirs, x, y, class_weight=class_weight, sample_weight=rng.uniform(0, 2, 60))


def squared_steps(y_true, y_pred):
    """squared for samples of any number of lines."""
    error = y_pred - y_true
    return (error * error).mean(axis=-1), 2 * error / y_pred.shape[-1]


def sequences(rng, rows=40, steps=7):
    """Padded sequences whose padding is no number, and a net that follows them."""
    x, y, lengths = rng.normal(size=(rows, steps, 3)), rng.normal(size=(rows, steps, 2)), rng.integers(1, steps + 1, rows)
    beyond = np.arange(steps) >= lengths[:, None]
    x[beyond] = y[beyond] = np.nan

    def made(loss, metrics=()):
        model = nn.Sequential(nn.GRU(3, 5, return_sequences=True), nn.Linear(5, 2), seed=1, dtype="float64")
        model.compile(loss, nn.optim.Adam(lr=0.02), weighted_metrics=metrics)
        return model

    return x, y, lengths, made


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight"])
def test_padding(weighted, reduction, rng):
    x, y, lengths, made = sequences(rng)
    weight = rng.integers(0, 3, len(x)).astype(float) if weighted else None
    loss = nn.losses.get(squared_steps)
    loss.reduction = reduction
    same_training(
        made(loss),
        made(nn.losses.MeanSquaredError(reduction)),
        x,
        y,
        lengths=lengths,
        sample_weight=weight,
        validation_data=(x[:9], y[:9], None if weight is None else weight[:9] + 1, lengths[:9]),
    )


def test_any_number_of_threads_gives_the_same_bits():
    x, y = data(512, dtype=np.float32)
    states = []
    for threads in (1, 2):
        model = nn.Sequential(nn.Linear(3, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 2), seed=0)
        model.compile(squared, "adam", [distance])
        with nn.threads(threads):
            model.fit(x, y, epochs=3, batch_size=256, verbose=0)
            states.append([*model.get_weights(), model.evaluate(x, y)])
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda t, p: (((t - p) ** 2).mean(), p - t), r"losses of shape \(\); \(10,\) is needed, one per row"),
        (lambda t, p: (abs(t - p).sum(1), (p - t)[0]), r"gradients of shape \(2,\)"),
        (lambda t, p: abs(t - p).sum(1), "a pair"),
    ],
)
def test_what_does_not_fit_is_named(loss, message):
    x, y = data(10)
    model = net(loss)
    before = model.get_weights()
    with pytest.raises(nn.errors.NncoreError, match=message):
        model.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("where", ["loss", "metric"])
def test_what_is_raised_changes_no_parameter(where, threads):
    x, y = data(512, dtype=np.float32)
    armed = []

    def fails(y_true, y_pred):
        if armed:
            raise ZeroDivisionError("boom")
        return squared(y_true, y_pred) if where == "loss" else 0.0

    model = nn.Sequential(nn.Linear(3, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 2), seed=0)
    model.compile(fails if where == "loss" else "mse", "adam", [fails] if where == "metric" else [])
    with nn.threads(threads):
        model.fit(x, y, verbose=0, batch_size=128)
        armed.append(1)
        if where == "metric":  # it is called after an epoch, with all rows
            with pytest.raises(ZeroDivisionError, match="boom") as caught:
                model.fit(x, y, verbose=0)
            assert where in caught.value.__notes__[0]
        before, step = model.get_weights(), model.step
        calls = [lambda: model.fit(x, y, verbose=0)] if where == "loss" else []
        for call in (*calls, lambda: model.evaluate(x, y), lambda: model.train_on_batch(x, y)):
            with pytest.raises(ZeroDivisionError, match="boom") as caught:
                call()
            assert where in caught.value.__notes__[0]
        armed.clear()
        assert model.step == step
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)
        model.fit(x, y, verbose=0)


def test_metrics_of_rows_equal_the_built_in_ones(rng):
    x, y = data(100)
    weight = rng.uniform(0, 2, 100)
    model = net("mse", [distance, "mae", nn.metrics.PythonMetric(lambda t, p: float(len(p)), name="rows")])
    assert model.metrics_names == ["loss", "distance", "mae", "rows"]
    history = model.fit(x, y, epochs=3, batch_size=32, sample_weight=weight, validation_data=(x, y, weight), verbose=0).history
    np.testing.assert_allclose(history["distance"], history["mae"], rtol=1e-9)
    np.testing.assert_allclose(history["val_distance"], history["val_mae"], rtol=1e-9)
    assert history["rows"] == [100, 100, 100]  # of an epoch
    found = model.evaluate(x, y, sample_weight=weight, return_dict=True)
    assert found["distance"] == pytest.approx(nn.metrics.mae(y, model.predict(x), weight), rel=1e-9)
    assert model.train_on_batch(x, y, return_dict=True)["distance"] > 0
    assert nn.metrics.get(distance)(y, model.predict(x)) == pytest.approx(nn.metrics.mae(y, model.predict(x)))


def test_a_metric_that_keeps_its_own_account():
    x, y = data(1500)
    metric = Largest()
    model = net("mse", [metric])
    found = model.evaluate(x, y, return_dict=True)
    assert found["Largest"] == pytest.approx(abs(y - model.predict(x)).max(), rel=1e-12)
    history = model.fit(x, y, epochs=2, validation_data=(x[:100], y[:100]), verbose=0).history
    assert history["val_Largest"][-1] == pytest.approx(abs(y[:100] - model.predict(x[:100])).max(), rel=1e-12)
    assert metric.seen == []  # each epoch has a copy of its own


class Seen:
    """A metric that keeps what it is given."""

    given: ClassVar[list] = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        assert np.isfinite(y_true).all()
        self.given.append((y_true, y_pred, sample_weight))

    def result(self):
        return len(self.given)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_see_what_counts(weighted, rng):
    x, y, lengths, made = sequences(rng)
    weight = rng.integers(0, 3, len(x)).astype(float) if weighted else None

    def plain(y_true, y_pred):
        return float(len(y_pred))

    model = made("mse", [lambda t, p: ((t - p) ** 2).mean(axis=1), Seen(), plain, "mse"])
    Seen.given.clear()
    logs = model.evaluate(x, y, lengths=lengths, sample_weight=weight, return_dict=True)
    assert logs["<lambda>"] == pytest.approx(logs["mse"], rel=1e-12)
    counts = np.arange(7) < lengths[:, None]
    if weighted:
        counts &= weight[:, None] > 0
    predicted = model.predict(x, lengths=lengths)
    np.testing.assert_array_equal(np.concatenate([each[0] for each in Seen.given]), y[counts])
    np.testing.assert_array_equal(np.concatenate([each[1] for each in Seen.given]), predicted[counts])
    if weighted:
        expected = np.broadcast_to(weight[:, None], (len(x), 7))[counts]
        np.testing.assert_array_equal(np.concatenate([each[2] for each in Seen.given]), expected)
    history = model.fit(x, y, lengths=lengths, sample_weight=weight, batch_size=8, verbose=0).history
    np.testing.assert_allclose(history["<lambda>"], history["mse"], rtol=1e-9)
    assert history["plain"] == [counts.sum()]


def test_outputs_without_time_steps_are_seen_whole(rng):
    x, _, lengths, _ = sequences(rng)
    model = nn.Sequential(nn.GRU(3, 5), nn.Linear(5, 2), seed=1)
    model.compile("mse", "sgd", [lambda t, p: np.full(len(p), p.shape[1])])
    assert model.evaluate(x, np.zeros((40, 2)), lengths=lengths)[1] == 2


@pytest.mark.parametrize("all_rows", [False, True])
def test_functions_of_scikit_learn(all_rows, rng):
    """They are given the weights; and never rows without weight, of which their plain mean would be another."""
    sklearn = pytest.importorskip("sklearn.metrics")
    x, y = data(100)
    weight = rng.uniform(0.5, 2, 100) if all_rows else (rng.uniform(size=100) < 0.5).astype(float)

    def unweighted(y_true, y_pred):
        return ((y_true - y_pred) ** 2).mean()

    model = net("mse", [sklearn.r2_score, sklearn.mean_absolute_error, unweighted, "mae"])
    logs = model.evaluate(x, y, sample_weight=weight, return_dict=True)
    p = model.predict(x)
    assert logs["mae"] == pytest.approx(logs["mean_absolute_error"])
    assert logs["r2_score"] == pytest.approx(sklearn.r2_score(y, p, sample_weight=weight))
    rows = weight > 0
    assert logs["unweighted"] == pytest.approx(((y - p)[rows] ** 2).mean())
    assert model.fit(x, y, batch_size=None, class_weight=None, verbose=0).history["r2_score"][0] == pytest.approx(
        sklearn.r2_score(y, p)
    )


def test_a_metric_given_weights_returns_one_number(rng):
    def each(y_true, y_pred, sample_weight=None):
        return y_pred[:, 0]

    x, y = data(10)
    model = net("mse", [each])
    model.evaluate(x, y)
    with pytest.raises(nn.errors.ShapeError, match="a number is needed"):
        model.evaluate(x, y, sample_weight=np.ones(10))


def test_a_batch_without_weight_is_not_seen(rng):
    x, y = data(40)
    weight = np.r_[np.zeros(10), np.ones(30)]
    model = net("mse", [lambda t, p: t.max() - t.min()])
    history = model.fit(x, y, batch_size=10, shuffle=False, sample_weight=weight, verbose=0).history
    assert history["<lambda>"][0] == pytest.approx(np.ptp(y[10:]))


def test_initializer_schedule_and_callback_of_ones_own():
    seen = []

    class Looks(nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

    def halves(shape, rng):
        return np.full(shape, 0.5)

    x, y = data(64)
    model = nn.Sequential(nn.Linear(3, 2, weight_init=halves, bias=False), seed=0, dtype="float64")
    assert (model[0].weight == 0.5).all()
    model.compile("mse", nn.optim.SGD(lr=lambda step: 0.1 if step < 2 else 0.0))
    model.fit(x, y, epochs=1, batch_size=16, shuffle=False, callbacks=[Looks()], verbose=0)
    assert len(seen) == 4
    w = np.full((2, 3), 0.5)
    for rows in (slice(0, 16), slice(16, 32)):
        w -= 0.1 * ((x[rows] @ w.T - y[rows]).T @ x[rows]) / 16
    np.testing.assert_allclose(model[0].weight, w, rtol=1e-12)


def test_what_is_no_loss_or_metric():
    with pytest.raises(nn.errors.ArgumentError, match="PythonLoss"):
        net(3)
    with pytest.raises(nn.errors.ArgumentError, match="is a class"):
        net(Huberish)
    with pytest.raises(nn.errors.ArgumentError, match="update_state"):
        net("mse", [3])
