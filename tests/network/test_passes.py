"""Forward passes in training mode between two updates: each draws its own masks and noise, again and again the same ones.

The truth: Philox in NumPy for the masks, and the distribution that the layers promise.
"""

import copy
import pickle

import numpy as np
import pytest
from ops.random.test_random import philox

import nncore as nn

ONES = np.ones((6, 40), np.float32)
M = 2**64 - 1


def mixed(x):
    """The finalizer of MurmurHash3."""
    x = ((x ^ x >> 33) * 0xFF51AFD7ED558CCD) & M
    x = ((x ^ x >> 33) * 0xC4CEB9FE1A85EC53) & M
    return x ^ x >> 33


def mask(seed, step, number, op, rows, cols, p):
    key = seed ^ mixed(number)
    words = philox(
        (np.arange(cols // 4)[None, :], np.arange(rows)[:, None], step, op), (key & 0xFFFFFFFF, key >> 32)
    )  # the first one of a step has the key of the seed
    return np.moveaxis(words, 0, 2).reshape(rows, -1) >= np.ceil(p * 2**32)


def random_layers():
    return {
        "dropout": nn.Sequential(nn.Dropout(0.5), seed=3),
        "noise": nn.Sequential(nn.GaussianNoise(0.5), seed=3),
        "between recurrent layers": nn.Sequential(nn.Reshape((4, 10)), nn.GRU(10, 6, num_layers=2, dropout=0.5), seed=3).build(
            (40,)
        ),
        "graph": _graph(),
    }


def _graph():
    x = nn.Input((40,))
    return nn.Model(x, nn.Linear(40, 2)(nn.Dropout(0.3)(x) + nn.GaussianNoise(0.1)(x)), seed=3)


NAMES = list(random_layers())


def passes(model, count, x=ONES):
    return [model.forward(x, training=True).copy() for _ in range(count)]


def assert_differ(found):
    for i in range(len(found)):
        for j in range(i):
            assert not np.array_equal(found[i], found[j]), (i, j)


def test_masks_are_philox_of_seed_step_and_pass():
    seed, p = 0x7EDCBA9876543210, 0.3
    model = nn.Sequential(nn.Dropout(p), seed=seed)
    model.compile(loss="mse", optimizer="sgd")
    for step in range(3):
        for number in range(4):
            got = model.forward(ONES, training=True) != 0
            np.testing.assert_array_equal(got, mask(seed, step, number, 0, 6, 40, p))
        model.apply_gradients()


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_is_a_new_draw_and_the_sequence_repeats(name):
    model, twin = random_layers()[name], random_layers()[name]
    found = passes(model, 5)
    assert_differ(found)
    for a, b in zip(found, passes(twin, 5), strict=True):
        np.testing.assert_array_equal(a, b)
    model.seed = 3  # starts the sequence again
    np.testing.assert_array_equal(model.forward(ONES, training=True), found[0])
    model.step = 0
    np.testing.assert_array_equal(model.forward(ONES, training=True), found[0])


@pytest.mark.parametrize("name", NAMES)
def test_passes_at_inference_draw_nothing(name):
    model, twin = random_layers()[name], random_layers()[name]
    model.forward(ONES, training=True)
    twin.forward(ONES, training=True)
    for _ in range(3):
        np.testing.assert_array_equal(model.forward(ONES), model(ONES))
        model.predict(ONES)
    np.testing.assert_array_equal(model.forward(ONES, training=True), twin.forward(ONES, training=True))


def test_layers_called_alone_draw_anew():
    sequences = np.ones((3, 7, 5), np.float32)
    longer = np.ones((3, 9, 5), np.float32)
    for layer, x in ((nn.Dropout(0.5), ONES), (nn.GaussianNoise(1.0), ONES), (nn.Dropout(0.5), ONES[0])):
        assert_differ([layer(x, training=True).copy() for _ in range(5)])
        assert np.array_equal(layer(x), layer(x))
    rnn = nn.LSTM(5, 4, num_layers=2, dropout=0.5)
    several = (sequences, sequences, longer, sequences, longer)  # other lengths do not start again
    assert_differ([rnn(x, training=True)[0][:, :7].copy() for x in several])
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(40, 1), seed=0)
    assert_differ([model[0](ONES, training=True).copy() for _ in range(3)])


def test_monte_carlo_dropout_has_the_variance_of_the_masks():
    """y = sum_i m_i w_i x_i / (1 - p) with independent m_i: the mean is w x, the variance p / (1 - p) sum (w_i x_i)^2."""
    rng, p, count = np.random.default_rng(0), 0.4, 4000
    model = nn.Sequential(nn.Dropout(p), nn.Linear(8, 1, bias=False), seed=1, dtype="float64")
    x, w = rng.normal(size=(3, 8)), model[1].weight[0]
    draws = np.stack([model(x, training=True).copy() for _ in range(count)])[..., 0]
    variance = p / (1 - p) * ((w * x) ** 2).sum(axis=1)
    np.testing.assert_allclose(draws.mean(axis=0), x @ w, atol=5 * np.sqrt(variance.max() / count))
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.15)
    lags = draws - draws.mean(axis=0)
    correlation = (lags[1:] * lags[:-1]).mean(axis=0) / variance
    assert (abs(correlation) < 5 / np.sqrt(count)).all()  # passes are independent


def test_calls_in_training_mode():
    model, twin = random_layers()["dropout"], random_layers()["dropout"]
    np.testing.assert_array_equal(model(ONES, training=True), twin.forward(ONES, training=True))
    np.testing.assert_array_equal(model(ONES.tolist(), True), twin.forward(ONES, training=True))
    np.testing.assert_array_equal(model(ONES, training=False), ONES)
    np.testing.assert_array_equal(model(ONES, training=np.False_), ONES)
    with pytest.raises(nn.errors.ArgumentError, match="training"):
        model(ONES, training="yes")
    with pytest.raises(nn.errors.ArgumentError, match="out"):
        model(ONES, training=True, out=np.empty_like(ONES))


def test_backward_uses_the_masks_of_its_forward():
    model = nn.Sequential(nn.Dropout(0.5), seed=0).build((40,))
    model.compile(loss="mse", optimizer="sgd")
    for _ in range(4):
        kept = model.forward(ONES, training=True) != 0
        np.testing.assert_array_equal(model.backward(ONES) != 0, kept)
    kept = model.forward(ONES, training=True) != 0
    model.apply_gradients()  # also where an update comes in between
    np.testing.assert_array_equal(model.backward(ONES) != 0, kept)


def test_passes_do_not_change_what_training_draws():
    """Steps of fit and train_on_batch draw what they drew before there were passes; so does a step by hand."""
    x, y = np.random.default_rng(0).normal(size=(12, 40)), np.zeros((12, 2))
    results = []
    for extra in (0, 3):
        model = _graph()
        model.compile(loss="half_squared_error", optimizer=nn.optim.SGD(lr=0.01))
        for _ in range(3):
            passes(model, extra)
            model.train_on_batch(x, y)
        passes(model, extra)
        model.fit(x, y, epochs=2, batch_size=5, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def trained():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(40, 2), seed=5)
    model.compile(loss="mse", optimizer="adam")
    model.train_on_batch(ONES, np.zeros((6, 2)))
    return model


def by_file(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    return nn.load(tmp_path / "m.safetensors")


def by_backup(model, tmp_path):
    model.save(tmp_path / "b.safetensors")
    other = trained()
    from nncore.saving.backup import restore_training_state

    restore_training_state(other._network, str(tmp_path / "b.safetensors"))
    return other


WAYS = {
    "copy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "file": by_file,
    "backup": by_backup,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_sequence_goes_on_in_copies_and_files(way, tmp_path):
    model = trained()
    first = passes(model, 3)
    again = WAYS[way](model, tmp_path)
    rest, expected = passes(again, 3), passes(model, 3)
    for a, b in zip(rest, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert_differ([*first, *rest])


def test_a_pass_that_fails_is_not_counted():
    class Failing(nn.PythonLayer):
        fails = True

        def forward(self, x, training=False):
            if self.fails:
                raise KeyError("no")
            return x

    layer = Failing()
    model, twin = nn.Sequential(nn.Dropout(0.5), layer, seed=0).build((40,)), nn.Sequential(nn.Dropout(0.5), seed=0)
    with pytest.raises(KeyError):
        model.forward(ONES, training=True)
    layer.fails = False
    np.testing.assert_array_equal(model.forward(ONES, training=True), twin.forward(ONES, training=True))


def test_gradients_are_checked_with_one_mask():
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh(), nn.Linear(6, 1), nn.GaussianNoise(0.1), seed=0)
    assert nn.check_gradients(model, np.random.default_rng(0).normal(size=(5, 4)))


def test_a_pass_of_another_length_between_forward_and_backward(rng):
    """Predictions use other plans; the pass stays with its own."""
    model = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1), seed=0, dtype="float64").build((5, 2))
    x, grad = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 1))
    model.forward(x, training=True)
    right = model.backward(grad)
    gradients = {name: value.copy() for name, value in model.gradients.items()}
    norms = model.step_gradient_norms()
    for others in ([3], [3, 7, 5], [7, 3, 7]):
        model.forward(x, training=True)
        for steps in others:
            model.predict(np.ones((4, steps, 2)))
        np.testing.assert_array_equal(model.backward(grad), right)
        for name, value in model.gradients.items():
            np.testing.assert_array_equal(value, gradients[name])
        model.predict(np.ones((1, 2, 2)))
        for name, value in model.step_gradient_norms().items():
            np.testing.assert_array_equal(value, norms[name])


def test_a_training_step_of_another_length_ends_the_pass(rng):
    model = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1), seed=0).build((5, 2))
    model.compile("mse", "sgd")
    model.forward(rng.normal(size=(4, 5, 2)), training=True)
    model.train_on_batch(rng.normal(size=(4, 3, 2)), np.ones((4, 1)))
    with pytest.raises(nn.errors.NotBuiltError, match="nothing to go back from"):
        model.backward(np.ones((4, 1)))


def test_a_call_in_training_mode_leaves_nothing_to_go_back_from(rng):
    model = nn.Sequential(nn.Linear(3, 1), seed=0)
    model.forward(rng.normal(size=(8, 3)), training=True)
    model(rng.normal(size=(8, 3)), training=True)
    with pytest.raises(nn.errors.NotBuiltError, match="call forward"):
        model.backward(np.ones((8, 1)))


@pytest.mark.parametrize("training", [True, False])
def test_training_of_a_call_in_a_network_is_refused(training):
    x, series = nn.Input((5,)), nn.Input((4, 5))
    base = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), seed=0)
    for call in (nn.Dropout(0.5), nn.BatchNorm1d(5), base, nn.Model(x, nn.Linear(5, 1)(x))):
        with pytest.raises(nn.errors.ArgumentError, match="training = False"):
            call(x, training=training)
    with pytest.raises(nn.errors.ArgumentError, match="training = False"):
        nn.GRU(5, 2)(series, training=training)
    base.training = False
    model = nn.Model(x, nn.Linear(8, 1)(base(x)), seed=1)
    model.compile("mse", "sgd")
    model.fit(np.ones((6, 5)), np.zeros(6), verbose=0)
    assert not base.state_dict()["1.running_mean"].any()
