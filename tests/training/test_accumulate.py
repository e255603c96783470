"""fit(accumulate=k): an update of k batches is that of one batch of all their rows.

The truth is PyTorch's step on those rows, and, for nets whose samples do not depend on each other, the large batch itself.
"""

import copy

import numpy as np
import pytest
from own_parts import PyLinear

import nncore as nn

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 4)), RNG.normal(size=(50, 2))
WEIGHTS = RNG.uniform(0, 3, size=50)


def net(*extra, dtype="float64"):
    return nn.Sequential(nn.Linear(4, 40), nn.Tanh(), *extra, nn.Linear(40, 2), seed=0, dtype=dtype)


def compiled(model, loss="mse", optimizer=None, **options):
    model.compile(loss=loss, optimizer=optimizer or nn.optim.Adam(lr=0.01), **options)
    return model


def assert_close(a, b, rtol=1e-10):
    for name, value in b.state_dict().items():
        np.testing.assert_allclose(a.state_dict()[name], value, rtol=rtol, atol=1e-13, err_msg=name)


LOSSES = {
    "mean": lambda: nn.losses.MeanSquaredError(),
    "sum": lambda: nn.losses.MeanSquaredError(reduction="sum"),
    "weighted mean": lambda: nn.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
}
OPTIMIZERS = {
    "sgd": lambda: nn.optim.SGD(lr=0.01, momentum=0.9),
    "clipped": lambda: nn.optim.Adam(lr=0.01, clip_norm=0.1),
    "each clipped": lambda: nn.optim.Adam(lr=0.01, clip_norm_each=0.05),
    "schedule": lambda: nn.optim.AdamW(lr=nn.schedules.Exponential(0.02, gamma=0.8), ema_momentum=0.9),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_is_the_step_of_a_large_batch(optimizer, loss, weighted, threads):
    """50 rows in batches of 6, four to an update: 24, 24 and 2 rows."""
    weights = WEIGHTS if weighted else None
    many, large = (compiled(net(), LOSSES[loss](), OPTIMIZERS[optimizer](), metrics=["mae"], l2=1e-3) for _ in range(2))
    with nn.threads(threads):
        found = many.fit(X, Y, sample_weight=weights, batch_size=6, accumulate=4, epochs=3, verbose=0)
    expected = large.fit(X, Y, sample_weight=weights, batch_size=24, epochs=3, verbose=0)
    assert many.step == large.step == 9
    assert_close(many, large, 1e-8)
    assert found.history.keys() == expected.history.keys()
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=1e-9)


def test_against_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 40), torch.nn.BatchNorm1d(40), torch.nn.Tanh(), torch.nn.Linear(40, 2)).double()
    ours = nn.Sequential(nn.Linear(4, 40), nn.BatchNorm1d(40), nn.Tanh(), nn.Linear(40, 2), dtype="float64")
    ours.load_state_dict(theirs.state_dict())
    compiled(ours, optimizer=nn.optim.Adam(lr=0.01, clip_norm=0.5))
    ours.fit(X, Y, batch_size=10, accumulate=3, shuffle=False, epochs=2, verbose=0)
    rule = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for _ in range(2):
        for group in ((0, 10, 20), (30, 40)):
            rule.zero_grad()
            for i in group:  # batch statistics are those of ten rows
                y = theirs(torch.tensor(X[i : i + 10]))
                (((y - torch.tensor(Y[i : i + 10])) ** 2).sum() / (20 * len(group))).backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            rule.step()
    assert ours.step == 4
    for name, value in theirs.state_dict().items():
        # Adam divides rounding by the root of a moment, which may be small: small weights are off by more than their own rounding.
        np.testing.assert_allclose(ours.state_dict()[name], value.numpy(), rtol=1e-8, atol=1e-9, err_msg=name)


def batches(sizes, weighted=False):
    at, found = 0, []
    for size in sizes:
        rows = slice(at, at + size)
        found.append((X[rows], Y[rows], WEIGHTS[rows]) if weighted else (X[rows], Y[rows]))
        at += size
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_batches_of_the_user(loss, weighted):
    """Of any sizes; the mean is over all rows of the update."""
    many, large = (compiled(net(), LOSSES[loss](), metrics=["mae"]) for _ in range(2))
    found = many.fit(batches([5, 9, 1, 20, 3, 5, 7], weighted), accumulate=3, epochs=2, verbose=0)
    expected = large.fit(batches([15, 28, 7], weighted), epochs=2, verbose=0)
    assert many.step == large.step == 6
    assert_close(many, large)
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=1e-10)


def test_steps_per_epoch_counts_batches():
    many, large = compiled(net()), compiled(net())
    many.fit(iter(batches([5] * 10)), accumulate=2, steps_per_epoch=5, epochs=2, verbose=0)  # 2 + 2 + 1, twice
    large.fit(iter(batches([10, 10, 5, 10, 10, 5])), steps_per_epoch=3, epochs=2, verbose=0)
    assert many.step == large.step == 6
    assert_close(many, large)


def test_sequences_of_several_lengths():
    parts = [
        (RNG.normal(size=(4, steps, 3)), RNG.normal(size=(4, 2)), None, RNG.integers(1, steps + 1, 4)) for steps in (5, 8, 5, 6)
    ]
    whole = np.zeros((16, 8, 3))
    for i, (x, *_) in enumerate(parts):
        whole[4 * i : 4 * i + 4, : x.shape[1]] = x
    y, lengths = np.concatenate([p[1] for p in parts]), np.concatenate([p[3] for p in parts])
    many, large = (compiled(nn.Sequential(nn.LSTM(3, 6), nn.Linear(6, 2), seed=0, dtype="float64").build((8, 3))) for _ in range(2))
    many.fit(parts, accumulate=4, epochs=2, verbose=0)
    large.fit(whole, y, lengths=lengths, batch_size=16, shuffle=False, epochs=2, verbose=0)
    assert many.step == large.step == 2
    assert_close(many, large)
    many.fit(whole, y, lengths=lengths, batch_size=3, accumulate=5, verbose=0)
    large.fit(whole, y, lengths=lengths, batch_size=15, verbose=0)
    assert_close(many, large)


def test_several_outputs_shared_layers_and_layers_in_python():
    def model():
        x = nn.Input((4,))
        shared = nn.Linear(4, 4)
        h = PyLinear(4)(shared(nn.Tanh()(shared(x))))
        outputs = {"a": nn.Linear(4, 2)(h), "b": nn.Softmax()(nn.Linear(4, 3)(h))}
        model = nn.Model(x, outputs, seed=1, dtype="float64")
        losses = {"a": "mse", "b": "sparse_categorical_crossentropy"}
        return compiled(model, losses, loss_weights={"a": 0.5, "b": 2.0}, metrics={"b": "accuracy"})

    y = {"a": Y, "b": np.arange(50) % 3}
    many, large = model(), model()
    weight = {"a": WEIGHTS, "b": None}
    found = many.fit(X, y, sample_weight=weight, batch_size=5, accumulate=5, epochs=2, verbose=0)
    expected = large.fit(X, y, sample_weight=weight, batch_size=25, epochs=2, verbose=0)
    assert_close(many, large)
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-10, err_msg=name)


def test_one_batch_per_update_is_the_same_bits():
    a, b = compiled(net(nn.Dropout(0.3))), compiled(net(nn.Dropout(0.3)))
    a.fit(X, Y, batch_size=7, epochs=2, verbose=0)
    b.fit(X, Y, batch_size=7, accumulate=1, epochs=2, verbose=0)
    for name, value in a.state_dict().items():
        np.testing.assert_array_equal(b.state_dict()[name], value)
    c, d = compiled(net()), compiled(net())
    c.fit(X, Y, batch_size=None, epochs=2, verbose=0)
    d.fit(X, Y, batch_size=64, accumulate=10**18, epochs=2, verbose=0)
    assert_close(c, d, 0)


def test_batches_of_an_update_have_masks_of_their_own():
    """y = dropout(x) w with x = w = 1: the gradient of w counts how many of each column survived, in all batches together."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(200, 1, bias=False, weight_init="zeros"), seed=3, dtype="float64")
    compiled(model, nn.losses.HalfSquaredError(reduction="sum"), nn.optim.SGD(lr=1.0))
    model.fit(np.ones((4, 200)), np.ones((4, 1)), batch_size=1, accumulate=4, shuffle=False, verbose=0)
    kept = model[1].weight[0] / 2  # of four batches; one and the same mask would give 0 and 4 alone
    assert set(np.unique(kept)) == {0, 1, 2, 3, 4}
    assert abs(kept.mean() - 2) < 5 * np.sqrt(1 / 200)


def test_hooks_and_history_count_updates():
    seen = []

    class Look(nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, self.model.step))

    model = compiled(net())
    history = model.fit(X, Y, batch_size=6, accumulate=4, epochs=2, callbacks=[Look()], verbose=0)
    assert seen == [(0, 1), (1, 2), (2, 3), (0, 4), (1, 5), (2, 6)]
    assert len(history.step_losses) == 6


class StopAfter(nn.callbacks.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.model.step == self.steps


@pytest.mark.parametrize("ready_made", [False, True])
def test_resuming_in_an_epoch(ready_made, tmp_path):
    data = (batches([5] * 10),) if ready_made else (X, Y)
    options = {"accumulate": 3, "epochs": 3, "verbose": 0, "batch_size": 5}
    straight, model = (compiled(net(nn.Dropout(0.2)), metrics=["mae"]) for _ in range(2))
    expected = straight.fit(*data, callbacks=[StopAfter(0)], **options)
    model.fit(*data, callbacks=[StopAfter(6)], **options)
    assert model.step == 6
    model.save(tmp_path / "m.safetensors")
    for again in (nn.load(tmp_path / "m.safetensors"), copy.deepcopy(model)):
        with pytest.raises(nn.errors.ArgumentError, match="3 in a step"):
            again.fit(*data, **{**options, "accumulate": 2}, resume=True)
        history = again.fit(*data, callbacks=[StopAfter(0)], resume=True, **options)
        assert history.history["mae"] == expected.history["mae"][1:]
        for name, value in straight.state_dict().items():
            np.testing.assert_array_equal(again.state_dict()[name], value)


@pytest.mark.parametrize("ready_made", [False, True])
def test_an_error_in_the_middle_of_an_update_leaves_the_model(ready_made):
    class Fragile(nn.PythonLayer):
        calls, fails_at = 0, 5

        def forward(self, x, training=False):
            self.__dict__["calls"] = self.calls + 1
            if self.calls == self.fails_at:
                raise KeyError("no")
            return x

        def backward(self, dy, x, y):
            return dy

    layer = Fragile()
    model, twin = (compiled(net(each), metrics=["mae"]) for each in (layer, nn.Identity()))
    data = (batches([5] * 10),) if ready_made else (X, Y)
    options = {"batch_size": 5, "accumulate": 3, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyError):
        model.fit(*data, **options)
    assert model.step == 1
    found = model.fit(*data, resume=True, **options)
    expected = twin.fit(*data, **options)
    assert_close(model, twin)
    np.testing.assert_allclose(found.history["mae"], expected.history["mae"], rtol=1e-12)


def test_refusals():
    with pytest.raises(nn.errors.ArgumentError, match="accumulate"):
        compiled(net()).fit(X, Y, accumulate=0)
    with pytest.raises(nn.errors.ArgumentError, match="accumulate"):
        compiled(net()).fit(X, Y, accumulate=2.5)
    with pytest.raises(nn.errors.ArgumentError, match="LBFGS"):
        compiled(net(), optimizer=nn.optim.LBFGS()).fit(X, Y, accumulate=2)
    stateful = compiled(nn.Sequential(nn.GRU(2, 3, stateful=True), nn.Linear(3, 2), seed=0).build((2, 2)))
    with pytest.raises(nn.errors.ArgumentError, match="stateful"):
        stateful.fit(X.reshape(50, 2, 2), Y, accumulate=2, shuffle=False)
