"""Recurrent layers with compute="bfloat16" against NumPy that rounds where the core rounds: outputs, states, all gradients."""

import numpy as np
import pytest
from truth.bf16_recurrent import directions

import nncore as nn

CELLS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "gru_before": ("GRU", {"reset_after": False}),
}
#: Rows, steps, inputs, units: a group and a short one; more steps than are processed at once; a float32 input; whole blocks; a
#: layer that stays float32.
SHAPES = [(5, 4, 20, 20), (35, 3, 17, 33), (3, 37, 16, 16), (4, 18, 3, 20), (33, 2, 32, 64), (3, 4, 20, 15)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def layer_of(cell, features, hidden, **options):
    name, own = CELLS[cell]
    return getattr(nn, name)(features, hidden, **own, **options)


def made(cell, shape, rng, **options):
    """A network of one layer, with all parameters drawn."""
    _, steps, features, hidden = shape
    model = nn.Sequential(layer_of(cell, features, hidden, **options), seed=0, compute="bfloat16").build((steps, features))
    draw(model, rng, hidden)
    return model


def draw(model, rng, hidden):
    for name, value in model.named_parameters():
        value[...] = rng.uniform(-1, 1, value.shape) * (1.2 / np.sqrt(hidden) if "weight" in name else 0.3)


def close(ours, expected, name):
    """Within float32's rounding, relative to the largest.

    Next to a tie, a value may round to its other neighbour. What follows from it then differs by up to some thousandths, in a few
    elements.
    """
    ours, expected = np.asarray(ours, np.float64), np.asarray(expected)
    off = np.abs(ours - expected) / max(np.abs(expected).max(), 1e-3)
    assert off.max() < 4e-3, f"{name}: {off.max()}"
    assert np.median(off) < 1e-5, f"{name}: {np.median(off)}"


def compare_gradients(model, found, d, layer=0, prefix="0."):
    suffix = ("", "_reverse")[d]
    for own, kind in (("w_ih", "weight_ih"), ("w_hh", "weight_hh"), ("b_ih", "bias_ih"), ("b_hh", "bias_hh")):
        name = f"{prefix}{kind}_l{layer}{suffix}"
        if name in model.gradients:
            close(model.gradients[name], found[own], name)


def some_lengths(rng, n, steps):
    lengths = rng.integers(1, steps + 1, n)
    lengths[:2] = steps, 1
    return lengths


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_sequences(cell, shape, bidirectional, padded, rng):
    n, steps, features, hidden = shape
    model = made(cell, shape, rng, bidirectional=bidirectional, return_sequences=True)
    x = rng.normal(size=(n, steps, features)).astype(np.float32)
    lengths = some_lengths(rng, n, steps) if padded else None
    dy = rng.normal(size=(n, steps, hidden * (1 + bidirectional))).astype(np.float32)
    y = np.array(model.forward(x, training=True, lengths=lengths))
    dx = np.array(model.backward(dy))
    expected = 0
    for d, direction in enumerate(directions(cell, model.state_dict(), bidirectional=bidirectional)):
        own = slice(d * hidden, (d + 1) * hidden)
        close(y[..., own], direction.forward(x, lengths)[0], f"y {d}")
        counts = dy[..., own] * (1 if lengths is None else (np.arange(steps) < lengths[:, None])[..., None])
        found = direction.backward(counts)
        compare_gradients(model, found, d)
        expected = expected + found["x"]
    close(dx, expected, "dx")
    np.testing.assert_array_equal(model.predict(x, lengths=lengths), y)


@pytest.mark.parametrize("cell", CELLS)
def test_last_states_of_layers_that_start_from_learned_states(cell, rng):
    """Two layers in both directions: the gradient enters at the last states and leaves at the learned ones."""
    n, steps, features, hidden = shape = (6, 5, 18, 20)
    model = made(cell, shape, rng, bidirectional=True, num_layers=2, learn_initial_state=True)
    x = rng.normal(size=(n, steps, features)).astype(np.float32)
    lengths = some_lengths(rng, n, steps)
    dy = rng.normal(size=(n, 2 * hidden)).astype(np.float32)
    y = np.array(model.forward(x, training=True, lengths=lengths))
    dx = np.array(model.backward(dy))
    state = model.state_dict()
    layers = [directions(cell, state, layer, True) for layer in range(2)]
    value, ends = x, None
    for layer, both in enumerate(layers):
        start = [
            [
                np.repeat(state[f"0.{kind}_0_l{layer}"][d : d + 1], n, 0) if f"0.{kind}_0_l{layer}" in state else None
                for kind in "hc"
            ]
            for d in range(2)
        ]
        parts = [direction.forward(value, lengths, *start[d]) for d, direction in enumerate(both)]
        value, ends = np.concatenate([part[0] for part in parts], 2), np.concatenate([part[1] for part in parts], 1)
    close(y, ends, "y")
    entering, last = np.zeros((n, steps, 2 * hidden)), dy
    for layer in (1, 0):
        found = [
            direction.backward(entering[..., d * hidden :][..., :hidden], last[:, d * hidden :][:, :hidden] if layer else None)
            for d, direction in enumerate(layers[layer])
        ]
        for d in range(2):
            compare_gradients(model, found[d], d, layer)
            for kind in "hc"[: 1 + (cell == "lstm")]:
                close(model.gradients[f"0.{kind}_0_l{layer}"][d], found[d][f"{kind}0"].sum(0), f"{kind}_0_l{layer}")
        entering = found[0]["x"] + found[1]["x"]
        entering *= (np.arange(steps) < lengths[:, None])[..., None]
    close(dx, entering, "dx")


@pytest.mark.parametrize("cell", CELLS)
def test_states_that_come_and_go(cell, rng):
    """Initial states are inputs of the network, last states are outputs, beside the sequence."""
    n, steps, features, hidden = 4, 18, 16, 24
    count = 1 + (cell == "lstm")
    layer = layer_of(cell, features, hidden, return_sequences=True, return_state=True, name="cell")
    x, starts = nn.Input((steps, features)), [nn.Input((hidden,)) for _ in range(count)]
    output, last = layer(x, tuple(starts) if count == 2 else starts[0])
    model = nn.Model([x, *starts], [output, *(last if count == 2 else [last])], seed=0, compute="bfloat16")
    draw(model, rng, hidden)
    given = [rng.normal(size=shape).astype(np.float32) for shape in ((n, steps, features), *[(n, hidden)] * count)]
    results = [np.array(value) for value in model.forward(given, training=True)]
    (direction,) = directions(cell, model.state_dict(), prefix="cell.")
    expected = direction.forward(given[0], None, *given[1:])
    for ours, theirs in zip(results, expected, strict=False):
        close(ours, theirs, "output")
    entering = [rng.normal(size=value.shape).astype(np.float32) for value in results]
    leaving = model.backward(entering)
    found = direction.backward(*entering)
    compare_gradients(model, found, 0, prefix="cell.")
    for ours, name in zip(leaving, ("x", "h0", "c0"), strict=False):
        close(ours, found[name], name)


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm", "gru_before"])
def test_truncated_gradients(cell, rng):
    n, steps, features, hidden = shape = (4, 21, 16, 20)
    model = made(cell, shape, rng, return_sequences=True, truncate=5)
    x, dy = (rng.normal(size=(n, steps, size)).astype(np.float32) for size in (features, hidden))
    lengths = some_lengths(rng, n, steps)
    model.forward(x, training=True, lengths=lengths)
    dx = np.array(model.backward(dy))
    (direction,) = directions(cell, model.state_dict(), truncate=5)
    direction.forward(x, lengths)
    found = direction.backward(dy * (np.arange(steps) < lengths[:, None])[..., None])
    compare_gradients(model, found, 0)
    close(dx, found["x"], "dx")


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm", "gru_before"])
def test_recurrent_dropout(cell, rng):
    """The mask of the first pass depends on the seed alone, and can be read off a ReLU network that stays float32."""
    n, steps, features, hidden = shape = (35, 4, 16, 18)
    options = {"return_sequences": True, "recurrent_dropout": 0.4}
    probe = nn.Sequential(layer_of("relu", features, hidden, **options), seed=0).build((steps, features))
    for name, value in probe.named_parameters():
        value[...] = 2 * np.eye(hidden) if "weight_hh" in name else name.endswith("bias_ih_l0")
    mask = (np.array(probe.forward(np.zeros((n, steps, features)), training=True))[:, 1] - 1) / 2
    assert 0.3 < (mask == 0).mean() < 0.5
    model = made(cell, shape, rng, **options)
    x, dy = (rng.normal(size=(n, steps, size)).astype(np.float32) for size in (features, hidden))
    y = np.array(model.forward(x, training=True))
    dx = np.array(model.backward(dy))
    (direction,) = directions(cell, model.state_dict())
    close(y, direction.forward(x, mask=mask)[0], "y")
    found = direction.backward(dy)
    compare_gradients(model, found, 0)
    close(dx, found["x"], "dx")


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias(cell, rng):
    n, steps, features, hidden = shape = (3, 4, 16, 20)
    model = made(cell, shape, rng, bias=False, return_sequences=True)
    x, dy = (rng.normal(size=(n, steps, size)).astype(np.float32) for size in (features, hidden))
    y = np.array(model.forward(x, training=True))
    model.backward(dy)
    (direction,) = directions(cell, model.state_dict())
    close(y, direction.forward(x)[0], "y")
    compare_gradients(model, direction.backward(dy), 0)
