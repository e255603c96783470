"""Steps, epochs and single batches: against NumPy and torch, and in which order rows come."""

import numpy as np
import pytest
from training.simple import assert_same, line, linear, weights

import nncore as nn
from nncore import errors
from nncore.data import split_rows


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
    rows, held_out = split_rows(40, 0.25, model.seed, None)
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
    _, held_out = split_rows(60, 0.2, 0, y)
    both = table[y] * w
    both[held_out] = w[held_out]
    two = models[1].fit(x, y, epochs=2, sample_weight=both, validation_split=0.2)
    assert one.history == two.history
    assert models[0].train_on_batch(x, y, class_weight={1: 2.0}) == models[1].train_on_batch(x, y, np.where(y == 1, 2.0, 1.0))


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
    fast, slow, fit, probe = (nn.Sequential(nn.Linear(4, 3), *[end() for end in ends], seed=0) for _ in range(4))
    for model in (fast, slow, fit, probe):
        model.compile(loss, "adam", [] if loss == "mse" else ["accuracy"])
    assert (probe._step(x, y, False) is not None) == (loss not in ("categorical_crossentropy", "hinge"))
    assert probe._step(np.asfortranarray(x), y, False) is None
    for _ in range(3):
        results = fast.train_on_batch(x, y), slow.train_on_batch(np.asfortranarray(x), y.tolist())
        assert results[0] == results[1]
        epoch = fit.fit(x, y)
        assert np.atleast_1d(results[0]).tolist() == [epoch.history[name][0] for name in fit.metrics_names]
    assert_same(fast, weights(slow))
    assert_same(fast, weights(fit))
    assert [*fast.train_on_batch(x, y, return_dict=True), "learning_rate"] == list(epoch.history)


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
