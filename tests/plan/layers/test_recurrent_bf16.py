"""The bits of recurrent layers with compute="bfloat16": they depend neither on threads, nor on the batch, calls or instruction set.

What they are is tested in tests/truth/test_bf16_recurrent.py.
"""

import functools
import hashlib

import numpy as np
import pytest
from instruction_sets import printed

import nncore as nn
from nncore import _core

T, H = 19, 40
#: Cells, and inputs: the products of few inputs stay float32.
LAYERS = {
    "tanh": ("RNN", 20, {}),
    "relu": ("RNN", 33, {"nonlinearity": "relu"}),
    "gru": ("GRU", 20, {}),
    "gru of 3": ("GRU", 3, {}),
    "gru_before": ("GRU", 20, {"reset_after": False}),
    "gru_before of 3": ("GRU", 3, {"reset_after": False}),
    "lstm": ("LSTM", 20, {}),
    "lstm of 1": ("LSTM", 1, {}),
}


def network(name, hidden=H, seed=0, steps=T, **options):
    cell, features, own = LAYERS[name]
    layer = getattr(nn, cell)(features, hidden, **own, **options)
    width = hidden * (1 + options.get("bidirectional", False))
    return nn.Sequential(layer, nn.Linear(width, 20), nn.Tanh(), nn.Linear(20, 2), seed=seed, compute="bfloat16").build(
        (steps, features)
    )


def drawn(name, n, rng, steps=T):
    return rng.normal(size=(n, steps, LAYERS[name][1])).astype(np.float32)


@pytest.fixture
def forced():
    yield _core.force_threads
    _core.force_threads(0)


@pytest.mark.parametrize("n", [1, 31, 33, 48, 64])
@pytest.mark.parametrize("name", LAYERS)
def test_any_number_of_threads(name, n, forced):
    """Outputs and all gradients of a pass by hand, of sequences of several lengths; 3 and 7 threads take halves of groups."""
    found = []
    for threads in (1, 2, 3, 7):
        rng = np.random.default_rng(1)
        forced(threads)
        model = network(name, bidirectional=True, num_layers=2, recurrent_dropout=0.2)
        x, lengths = drawn(name, n, rng), rng.integers(1, T + 1, n)
        y = np.array(model.forward(x, training=True, lengths=lengths))
        dx = np.array(model.backward(rng.normal(size=y.shape).astype(np.float32)))
        found.append({"y": y, "dx": dx, **{name: np.array(g) for name, g in model.gradients.items()}})
    for other in found[1:]:
        for key, value in found[0].items():
            np.testing.assert_array_equal(other[key], value, err_msg=key)
    assert all(np.abs(value).max() > 0 for value in found[0].values())


@pytest.mark.parametrize("name", LAYERS)
def test_each_sequence_is_as_if_alone(name, rng):
    model = network(name, bidirectional=True, return_sequences=True)
    x, lengths = drawn(name, 33, rng), rng.integers(1, T + 1, 33)
    together = model.predict(x, lengths=lengths)
    np.testing.assert_array_equal(model.forward(x, training=True, lengths=lengths), together)
    np.testing.assert_array_equal(model.predict(x[:31], lengths=lengths[:31]), together[:31])
    for i in (0, 15, 16, 32):
        np.testing.assert_array_equal(model.predict(x[i : i + 1], lengths=lengths[i : i + 1])[0], together[i])
        own = network(name, bidirectional=True, return_sequences=True, steps=int(lengths[i]))
        np.testing.assert_array_equal(own.predict(x[i : i + 1, : lengths[i]])[0], together[i, : lengths[i]])


@pytest.mark.parametrize("kind", ["left", "holes"])
@pytest.mark.parametrize("name", ["tanh", "gru of 3", "lstm"])
def test_masked_steps_do_not_count(name, kind, rng):
    model = network(name, return_sequences=True)
    x = drawn(name, 5, rng)
    mask = rng.random((5, T)) < 0.6 if kind == "holes" else np.arange(T) >= np.array([0, 3, 9, 17, 18])[:, None]
    mask[:, -1] = True
    x[~mask] = np.nan
    y = model.predict(x, mask=mask)
    for i in range(5):
        np.testing.assert_array_equal(y[i, mask[i]], model.predict(x[i : i + 1, mask[i]])[0])


@pytest.mark.parametrize("name", LAYERS)
def test_streams_give_the_bits_of_the_whole_sequence(name, rng):
    model = network(name, num_layers=2, return_sequences=True, learn_initial_state=True)
    for value in model.parameters():
        value[...] += rng.normal(size=value.shape) * 0.1
    x = drawn(name, 35, rng)
    whole = model.predict(x)
    for n in (1, 35):
        stream = model.stream(n)
        steps = np.stack([stream.step(np.ascontiguousarray(x[:n, t])).copy() for t in range(T)], 1)
        np.testing.assert_array_equal(steps, whole[:n])


@pytest.mark.parametrize("name", LAYERS)
def test_states_are_carried_on(name, rng):
    """A stateful layer over the halves of sequences gives what another one gives over the whole."""
    cut = 9
    x = drawn(name, 6, rng)
    whole = np.array(network(name, return_sequences=True).forward(x, training=True))
    model = network(name, return_sequences=True, stateful=True)
    model.compile(loss="mse", optimizer="sgd")
    model.reset_states()
    parts = [np.array(model.forward(part, training=True)) for part in (x[:, :cut], x[:, cut : 2 * cut])]
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole[:, : 2 * cut])


@pytest.mark.parametrize("name", LAYERS)
def test_resuming(name, rng, tmp_path):
    x, y = drawn(name, 33, rng), rng.normal(size=(33, 2)).astype(np.float32)
    at_once, before = (network(name, bidirectional=True) for _ in range(2))
    for model, epochs in ((at_once, 2), (before, 1)):
        model.compile(loss="mse", optimizer="adam")
        model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
    before.save(tmp_path / "model.safetensors")
    after = nn.load(tmp_path / "model.safetensors")
    assert after.compute == "bfloat16"
    after.fit(x, y, batch_size=16, epochs=2, initial_epoch=1, verbose=0)
    for key, value in at_once.state_dict().items():
        np.testing.assert_array_equal(after.state_dict()[key], value, err_msg=key)


@functools.cache
def learned(isa):
    code = "from plan.layers.test_recurrent_bf16 import LAYERS, digest\nfor name in LAYERS: print(name, digest(name), sep=': ')"
    return dict(line.split(": ") for line in printed(code, isa).splitlines())


def digest(name):
    """Of all parameters and predictions after a training with short last batches and lengths."""
    rng = np.random.default_rng(3)
    x, y, lengths = drawn(name, 40, rng), rng.normal(size=(40, 2)).astype(np.float32), rng.integers(1, T + 1, 40)
    model = network(name, bidirectional=True)
    model.compile(loss="mse", optimizer="adam")
    model.fit(x, y, lengths=lengths, batch_size=33, epochs=2, verbose=0)
    numbers = [*model.state_dict().values(), model.predict(x), model.predict(x[:1])]
    return hashlib.sha256(b"".join(np.ascontiguousarray(value).tobytes() for value in numbers)).hexdigest()


@pytest.mark.parametrize("isa", [isa for isa in _core.isas()[:-1] if isa != "amx"])
@pytest.mark.parametrize("name", LAYERS)
def test_any_instruction_set(name, isa):
    assert learned(isa)[name] == learned(_core.isas()[-1])[name]


@pytest.mark.parametrize("name", ["tanh", "gru of 3", "lstm"])
def test_learns_what_float32_learns(name):
    """Whether the first step of a sequence and its fourth have the same sign: both models learn it, to losses near each other."""
    losses = {}
    for compute in ("float32", "bfloat16"):
        rng = np.random.default_rng(5)
        x = drawn(name, 256, rng, steps=6)
        y = (x[:, 0, 0] > 0) == (x[:, 3, 0] > 0)
        cell, features, own = LAYERS[name]
        layers = (getattr(nn, cell)(features, 32, **own), nn.Linear(32, 1), nn.Sigmoid())
        model = nn.Sequential(*layers, seed=0, compute=compute)
        model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=1e-2))
        history = model.fit(x, y.astype(np.float32), epochs=40, batch_size=32, verbose=0).history["loss"]
        losses[compute] = np.array(history)
    assert losses["float32"][-1] < 0.3 * losses["float32"][0]
    assert losses["bfloat16"][-1] < 0.3 * losses["bfloat16"][0]
    np.testing.assert_allclose(losses["bfloat16"][:5], losses["float32"][:5], rtol=0.02)
    assert (losses["bfloat16"] != losses["float32"]).any()


@pytest.mark.parametrize("name", LAYERS)
def test_norms_of_the_gradients_of_steps(name, rng):
    x, dy = drawn(name, 35, rng), rng.normal(size=(35, 2)).astype(np.float32)
    found = []
    for compute in ("float32", "bfloat16"):
        model = nn.Sequential(*network(name, bidirectional=True), seed=0, compute=compute)
        model.forward(x, training=True)
        model.backward(dy)
        found += model.step_gradient_norms().values()
    np.testing.assert_allclose(found[1], found[0], rtol=0.05)


def shared(compute):
    x, layer = nn.Input((11, 18)), nn.LSTM(18, 18, return_sequences=True)
    middle = nn.LayerNorm(18)(layer(layer(x)))
    model = nn.Model(x, nn.Linear(20, 3)(nn.LSTM(18, 20)(middle)), seed=0, compute=compute)
    return model, nn.optim.Adam(lr=1e-3, clip_norm=1.0)


def embedded(compute):
    layers = nn.Embedding(30, 24), nn.GRU(24, 33, bidirectional=True, num_layers=2, dropout=0.2), nn.Linear(66, 3)
    return nn.Sequential(*layers, seed=0, compute=compute).build((11,)), nn.optim.AdamW(lr=1e-3)


def frozen(compute):
    layers = nn.RNN(18, 40, return_sequences=True), nn.GRU(40, 17), nn.Linear(17, 3)
    model = nn.Sequential(*layers, seed=0, compute=compute).build((11, 18))
    model[0].trainable = False
    return model, nn.optim.SGD(lr=1e-2)


@pytest.mark.parametrize("build", [shared, embedded, frozen])
def test_among_other_layers(build, forced):
    """The losses are near those of float32, and parameters the same for any number of threads."""
    found, losses = [], []
    for threads, compute in ((1, "float32"), (1, "bfloat16"), (2, "bfloat16"), (3, "bfloat16")):
        forced(threads)
        rng = np.random.default_rng(2)
        model, optimizer = build(compute)
        model.compile(loss="mse", optimizer=optimizer)
        x = rng.integers(0, 30, (50, 11)) if build is embedded else rng.normal(size=(50, 11, 18)).astype(np.float32)
        losses.append(model.fit(x, rng.normal(size=(50, 3)), batch_size=48, epochs=2, verbose=0).history["loss"])
        found.append(model.state_dict())
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
    for other in found[2:]:
        for key, value in found[1].items():
            np.testing.assert_array_equal(other[key], value, err_msg=key)
