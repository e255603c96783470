"""Streams: one time step per call gives the bits of the whole sequence."""

import numpy as np
import pytest
from truth.recurrent_pairs import CELLS, F, H, N, T, pair

import nncore as nn
from nncore import _core


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_stream_gives_the_bits_of_the_whole_sequence(cell, sequences, dtype, rng):
    layer = pair(cell, 2, False, dtype, hidden=37, return_sequences=sequences, learn_initial_state=True)[0]
    model = nn.Sequential(layer, nn.Linear(37, 3), nn.Tanh(), seed=0, dtype=dtype).build((T, F))
    for value in model.parameters():
        value[...] = rng.normal(size=value.shape) * 0.4
    x = rng.normal(size=(N, T, F)).astype(dtype)
    whole = model.predict(x)
    for batch in (1, N):
        stream = model.stream(batch)
        for _ in range(2):
            stream.reset()
            steps = np.stack([stream.step(np.ascontiguousarray(x[:batch, t])).copy() for t in range(T)], 1)
            np.testing.assert_array_equal(steps if sequences else steps[:, -1], whole[:batch])
    allocations = _core.alloc_count()
    stream.step(np.ascontiguousarray(x[:, 0]))
    assert _core.alloc_count() == allocations
    with pytest.raises(nn.errors.ShapeError, match="one time step"):
        stream.step(x)
    with pytest.raises(nn.errors.ArgumentError, match="bidirectional"):
        nn.Sequential(nn.GRU(F, H, bidirectional=True)).build((T, F)).stream()


def test_a_stream_keeps_the_weights_that_it_began_with(rng):
    model = nn.Sequential(nn.Linear(F, 4), nn.GRU(4, H, return_sequences=True), nn.Linear(H, 1), seed=0).build((T, F))
    model.compile(loss="mse", optimizer="adam")
    x, before = rng.normal(size=(2, T, F)).astype(np.float32), model.state_dict()
    expected = model.predict(x)
    stream = model.stream(2)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(x[:, t]), expected[:, t])
        model.fit(x, np.ones((2, T, 1)), verbose=0)
    stream.reset()
    steps = np.stack([stream.step(x[:, t]).copy() for t in range(T)], 1)
    np.testing.assert_array_equal(steps, model.predict(x))
    assert all((value != before[name]).any() for name, value in model.state_dict().items())


def test_streams_of_graphs(rng):
    """Layers that models share, last states as the output; a state that comes from elsewhere is refused."""
    x, cell = nn.Input((T, F)), nn.LSTM(F, H, num_layers=2, return_sequences=True, return_state=True)
    output, (h, c) = cell(x)
    one, other = nn.Model(x, nn.Linear(H, 2)(output), seed=0), nn.Model(x, c)
    data = rng.normal(size=(3, T, F)).astype(np.float32)
    streams = one.stream(3), other.stream(3)
    for t in range(T):
        results = [stream.step(data[:, t]) for stream in streams]
        np.testing.assert_array_equal(results[0], one.predict(data)[:, t])
    np.testing.assert_array_equal(results[1], other.predict(data))
    again = nn.LSTM(F, H, num_layers=2)(x, (h, c))
    with pytest.raises(nn.errors.ArgumentError, match="has an initial state from other layers"):
        nn.Model(x, again).stream()
    with pytest.raises(nn.errors.ShapeError, match="mixes the time steps"):
        nn.Sequential(nn.GRU(F, H, return_sequences=True), nn.Flatten()).build((T, F)).stream()
