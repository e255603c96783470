"""Recurrent layers: initial states that are learned, bits, copies, padding, diagnosis, what is refused."""

import copy
import pickle

import numpy as np
import pytest
from truth.recurrent_pairs import CELLS, F, H, N, T, pair, some_lengths, torch, with_head

import nncore as nn


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_sequence_is_as_if_alone(cell, bidirectional, rng):
    model = with_head(cell, 2, bidirectional, "float32", True)[0]
    x, lengths = rng.normal(size=(N, T, F)).astype(np.float32), some_lengths(rng)
    together = model.predict(x, lengths=lengths)
    for i, n in enumerate(lengths):
        own = copy.deepcopy(model).build((int(n), F))
        np.testing.assert_array_equal(own.predict(x[i : i + 1, :n])[0], together[i, :n])


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_same_bits_for_any_number_of_threads(cell, bidirectional, rng):
    runs = []
    x, y = rng.normal(size=(70, 40, F)).astype(np.float32), rng.normal(size=(70, 2)).astype(np.float32)
    lengths = rng.integers(1, 41, 70)
    for threads in (1, 2, 3):
        with nn.threads(threads):
            layer = pair(cell, 2, bidirectional, "float32", hidden=37, learn_initial_state=True)[0]
            model = nn.Sequential(layer, nn.Linear(37 * (1 + bidirectional), 2), seed=1).build((40, F))
            model.compile(loss="mse", optimizer="adam")
            losses = model.fit(x, y, epochs=3, batch_size=35, lengths=lengths, verbose=0).step_losses
            runs.append((losses, model.predict(x), model.state_dict()))
    for losses, predicted, state in runs[1:]:
        np.testing.assert_array_equal(losses, runs[0][0])
        np.testing.assert_array_equal(predicted, runs[0][1])
        for key, value in state.items():
            np.testing.assert_array_equal(value, runs[0][2][key])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_learned_initial_states_by_finite_differences(cell, bidirectional, rng):
    layer = pair(cell, 1, bidirectional, "float64", learn_initial_state=True)[0]
    model = nn.Sequential(layer, seed=0, dtype="float64").build((T, F))
    for name, value in model.named_parameters():
        value[...] = rng.normal(size=value.shape) * (0.3 if "weight" in name else 0.5)
    x, lengths = rng.normal(size=(N, T, F)), some_lengths(rng)
    dy = rng.normal(size=(N, H * (1 + bidirectional)))
    model.forward(x, training=True, lengths=lengths)
    model.backward(dy)
    gradients = {name: g.copy() for name, g in model.gradients.items()}
    for name, value in model.named_parameters():
        for index in list(np.ndindex(value.shape))[:: max(1, value.size // 7)]:
            before, sums = value[index], []
            for step in (1e-6, -1e-6):
                value[index] = before + step
                sums.append((model.predict(x, lengths=lengths) * dy).sum())
            value[index] = before
            assert gradients[name][index] == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("cell", CELLS)
def test_files_copies_and_pickles(cell, tmp_path, rng):
    layer = pair(cell, 2, True, "float32", dropout=0.3, learn_initial_state=True, return_sequences=True)[0]
    model = nn.Sequential(layer, nn.Linear(2 * H, 1), seed=0).build((T, F))
    x, y, lengths = rng.normal(size=(N, T, F)), rng.normal(size=(N, T, 1)), some_lengths(rng)
    model.compile(loss="mse", optimizer="adam")
    model.fit(x, y, epochs=2, batch_size=4, lengths=lengths, verbose=0)
    model.save(tmp_path / "m.nncore")
    others = [nn.load(tmp_path / "m.nncore"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    expected = model.fit(x, y, epochs=2, batch_size=4, lengths=lengths, verbose=0).step_losses
    for other in others:
        np.testing.assert_array_equal(other.fit(x, y, epochs=2, batch_size=4, lengths=lengths, verbose=0).step_losses, expected)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_gradient_norms_per_step(rng):
    model, rnn, head = with_head("tanh", 1, False, "float64", False)
    x = rng.normal(size=(N, T, F))
    model.forward(x)
    model.backward(np.ones((N, 2)))
    weights = {k: p.detach().numpy() for k, p in rnn.named_parameters()}
    h, states = np.zeros((N, H)), []
    for t in range(T):
        h = np.tanh(
            x[:, t] @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        )
        states.append(h)
    dh, expected = np.ones((N, 2)) @ head.weight.detach().numpy(), []
    for h in reversed(states):
        dz = dh * (1 - h * h)
        expected.append(np.linalg.norm(dz))
        dh = dz @ weights["weight_hh_l0"]
    np.testing.assert_allclose(model.step_gradient_norms()["0.0"], expected[::-1], rtol=1e-10)


def test_batch_first_false_and_single_sequences(rng):
    ours, theirs = pair("lstm", 1, True, "float32")
    ours.load_state_dict(theirs.state_dict())
    x = rng.normal(size=(T, F)).astype(np.float32)
    output, (h, c) = ours(x)
    expected, (h_n, c_n) = theirs(torch.from_numpy(x))
    np.testing.assert_allclose(output, expected.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h, h_n.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c, c_n.detach(), rtol=1e-5, atol=1e-6)
    turned = nn.LSTM(F, H, bidirectional=True, batch_first=False)
    turned.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(turned(np.stack([x, x], 1))[0][:, 1], output)
    with pytest.raises(nn.errors.ArgumentError, match="batch_first"):
        nn.Sequential(turned, nn.Linear(2 * H, 1)).build((T, F))


REFUSED = [
    (lambda m, x, y: m.predict(x, lengths=[0] + [1] * (N - 1)), "between 1 and 9"),
    (lambda m, x, y: m.predict(x, lengths=[10] + [1] * (N - 1)), "between 1 and 9"),
    (lambda m, x, y: m.predict(x, lengths=[1, 2]), r"lengths has shape \(2,\)"),
    (lambda m, x, y: m.predict(x[..., :2]), r"takes \(N, 9, 3\)"),
    (lambda m, x, y: m.predict(x[:, 0]), "layer 0"),
    (lambda m, x, y: m[0](x, np.zeros((2, N, H))), r"h_0 has shape \(2, 11, 5\), but \(1, 11, 5\)"),
    (lambda m, x, y: m[0](x[..., :2]), r"\[N, time, 3\]"),
    (
        lambda m, x, y: nn.Sequential(nn.RNN(F, H), nn.RNN(H, H)).build((T, F)),
        r"layer 1 \(RNN\).*time, 5\].*return_sequences",
    ),
    (lambda m, x, y: nn.Sequential(nn.RNN(F, H), nn.Linear(H + 1, 1)).build((T, F)), r"layer 1 \(Linear\)"),
    (
        lambda m, x, y: nn.Sequential(nn.Flatten(), nn.Linear(T * F, 1)).build((T, F)).predict(x, lengths=[3] * N),
        r"lengths: layer 0 \(Flatten\) mixes the time steps",
    ),
]


@pytest.mark.parametrize(("action", "message"), REFUSED)
def test_refusals(action, message, rng):
    model = with_head("gru", 1, False, "float32", False)[0]
    with pytest.raises(nn.errors.ShapeError, match=message):
        action(model, rng.normal(size=(N, T, F)), None)


def test_indices_over_time(rng):
    """Behind an embedding: lengths, padding that is no index, other lengths, streams."""
    model = nn.Sequential(nn.Embedding(7, F), nn.GRU(F, H, return_sequences=True, bidirectional=True), nn.Linear(2 * H, 2), seed=0)
    x, lengths = rng.integers(0, 7, (N, T)), some_lengths(rng)
    padding = np.arange(T) >= lengths[:, None]
    model.compile(loss="mse", optimizer="sgd")
    whole = model.predict(np.where(padding, 3, x), lengths=lengths)
    np.testing.assert_array_equal(model.predict(np.where(padding, -1, x), lengths=lengths), whole)
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(model.predict(x[i : i + 1, :n])[0], whole[i, :n])
    y = rng.normal(size=(N, T, 2))
    losses = [copy.deepcopy(model).fit(np.where(padding, i, x), y, lengths=lengths, verbose=0).history for i in (0, 3, -1, 99)]
    assert all(each == losses[0] for each in losses)
    with pytest.raises(nn.errors.IndexRangeError, match="-1"):
        model.predict(np.where(padding, -1, x))
    single = nn.Sequential(nn.Embedding(7, F), nn.GRU(F, H, return_sequences=True), seed=0).build((T,))
    stream = single.stream(N)
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]).copy() for t in range(T)], 1), single.predict(x))
    with pytest.raises(nn.errors.IndexRangeError, match="9"):
        stream.step(np.full(N, 9))
    with pytest.raises(nn.errors.ShapeError, match=r"\(11,\)"):
        stream.step(x[:2, 0])


def test_metrics_in_python_see_the_steps_that_count(rng):
    model = nn.Sequential(nn.GRU(F, H, return_sequences=True), nn.Linear(H, 2), seed=0, dtype="float64").build((T, F))
    x, y, lengths, weight = rng.normal(size=(N, T, F)), rng.normal(size=(N, T, 2)), some_lengths(rng), rng.uniform(0.1, 2, N)
    y[np.arange(T) >= lengths[:, None]] = np.nan
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0), metrics=["mae", lambda a, b: np.abs(a - b)])
    for options in ({}, {"sample_weight": weight}):
        _, own, theirs = model.evaluate(x, y, lengths=lengths, **options)
        assert own == pytest.approx(theirs, rel=1e-12)
        history = model.fit(x, y, batch_size=4, lengths=lengths, verbose=0, **options).history
        assert history["mae"][0] == pytest.approx(own, rel=1e-12)
        assert history["<lambda>"][0] == pytest.approx(own, rel=1e-12)


def test_dense_layers_before_a_recurrent_one(rng):
    """What comes first may be made before the number of steps is known."""
    model = nn.Sequential(nn.Linear(F, 4), nn.Tanh(), nn.GRU(4, H), nn.Linear(H, 1), seed=0)
    assert not model.built
    assert model.predict(rng.normal(size=(N, T, F))).shape == (N, 1)


def test_summary_counts_the_states_that_training_keeps():
    kept = [nn.Sequential(nn.LSTM(3, 64)).build((t, 3)).summary(show=False).training_bytes for t in (50, 100, 150)]
    assert kept[1] - kept[0] == pytest.approx(kept[2] - kept[1], rel=0.01)
    assert kept[1] - kept[0] > 50 * 4 * 64 * 6
