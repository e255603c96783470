"""Deep and wide networks: what it takes to build them grows with the number of layers, not with its square."""

import gc
import time

import numpy as np
import pytest

import nncore as nn

FEW, MANY = 1000, 8000


def chain(n):
    return nn.Sequential([nn.ReLU() for _ in range(n)]).build((4,))


def transparent(n):
    """Each layer looks for the activation behind all that follow."""
    return nn.Sequential([nn.BatchNorm1d(2, track_running_stats=False) for _ in range(n)]).build((2,))


def graph(n):
    x = h = nn.Input((2,))
    for _ in range(n):
        h = nn.Tanh()(h)
    return nn.Model(x, h)


def shared(n):
    """One chain of ops that share their parameters."""
    x = h = nn.Input((2,))
    layer = nn.Linear(2, 2)
    for _ in range(n):
        h = layer(h)
    return nn.Model(x, h)


def wide(n):
    """Half of the values live at once."""
    x = nn.Input((2,))
    left = [nn.Tanh()(x) for _ in range(n // 2)]
    while len(left) > 1:
        left = [nn.add(left[i : i + 2]) if i + 1 < len(left) else left[i] for i in range(0, len(left), 2)]
    return nn.Model(x, left[0])


def summarised(n):
    return chain(n).summary(show=False)


def took(build, n):
    best = float("inf")
    for _ in range(3):
        gc.collect()
        began = time.process_time()
        build(n)
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("build", [chain, transparent, graph, shared, wide, summarised])
def test_time_grows_with_the_layers(build):
    few, many = took(build, FEW), took(build, MANY)
    assert many < 3 * MANY / FEW * few, f"{FEW} layers took {few:.3f} s, {MANY} took {many:.3f} s"


def test_many_values_that_live_long(rng):
    """Each has memory of its own until it is read, whatever lies below it is handed out again."""
    x = nn.Input((5,))
    left = [nn.Rescaling(1.0, float(i))(x) for i in range(200)]
    order = rng.permutation(200)
    total = left[order[0]]
    for i in order[1:]:
        total = nn.add([total, nn.Rescaling(float(i))(left[i])])
    batch = rng.integers(-4, 5, (3, 5)).astype("float64")
    scales = np.where(np.arange(200) == order[0], 1, np.arange(200))
    wanted = sum(scale * (batch + i) for i, scale in enumerate(scales))
    np.testing.assert_array_equal(nn.Model(x, total, dtype="float64").predict(batch), wanted)
