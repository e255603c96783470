"""The recurrent kernels, one direction over all steps, in both dtypes, forward (training) and backward, and training steps of a
tanh layer with its head, against NumPy."""

from itertools import cycle, islice

import numpy as np
import pytest
from recurrent_peers import NETS, NncoreTrainer

import nncore as nn
from nncore._core import kernels

#: (rows, steps, hidden): the headline nets' recurrent part, one sequence alone, and one streaming step.
SHAPES = [(1, 1, 64), (1, 100, 128), (32, 50, 32), (32, 100, 128)]
GATES = {"tanh": (1, 1), "relu": (1, 1), "gru": (4, 3), "lstm": (4, 4)}
DTYPES = [pytest.param(np.float32, id="f32"), pytest.param(np.float64, id="f64")]


class Direction:
    """One direction of a layer with its buffers. A call uses up its gates, so each begins with a copy, as the input
    product would write it."""

    def __init__(self, cell, shape, dtype):
        rows, steps, hidden = shape
        columns, products = GATES[cell]
        rng = np.random.default_rng(0)
        self.cell, self.hidden = cell, hidden
        self.w = (rng.standard_normal((hidden, products * hidden)) * hidden**-0.5).astype(dtype)
        self.a = np.zeros((steps, rows, columns * hidden), dtype)
        self.a[...] = rng.standard_normal(self.a.shape)
        self.dy = rng.standard_normal((rows, steps, hidden)).astype(dtype)
        self.gates, self.dgates = np.empty_like(self.a).transpose(1, 0, 2), np.empty_like(self.a).transpose(1, 0, 2)
        self.y = np.empty((rows, steps, hidden), dtype)
        names = ("h", "c") if cell == "lstm" else ("h",)
        self.saved = {name: np.empty((steps + 1, rows, hidden), dtype).transpose(1, 0, 2) for name in names}
        size = kernels.recurrent_packed_size(cell, hidden)
        self.packed = np.empty(size, dtype), np.empty(size, dtype)
        kernels.recurrent_pack(cell, *self.packed, self.w)
        kernels.recurrent_pack_bias(cell, self.packed[0], None, hidden)

    def forward(self):
        self.gates[...] = self.a.transpose(1, 0, 2)
        kernels.recurrent_forward(self.cell, self.gates, self.packed[0], y=self.y, **self.saved)
        return self.y

    def backward(self):
        kernels.recurrent_backward(self.cell, self.gates, self.packed[1], dy=self.dy, dgates=self.dgates, **self.saved)
        return self.dgates

    def twin(self):
        h, c = np.zeros_like(self.dy[:, 0]), np.zeros_like(self.dy[:, 0])
        y = np.empty_like(self.y)
        for t, a in enumerate(self.a):
            h, c = TWINS[self.cell](a, h @ self.w, h, c)
            y[:, t] = h
        return y


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gru(a, product, h, c):
    hidden = h.shape[1]
    r, z = np.split(_sigmoid(a[:, : 2 * hidden] + product[:, : 2 * hidden]), 2, 1)
    n = np.tanh(a[:, 2 * hidden : 3 * hidden] + r * product[:, 2 * hidden :])
    return n + z * (h - n), c


def _lstm(a, product, h, c):
    i, f, g, o = np.split(a + product, 4, 1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


#: (input product, recurrent product, h, c) of a step -> (h, c)
TWINS = {
    "tanh": lambda a, product, h, c: (np.tanh(a + product), c),
    "relu": lambda a, product, h, c: (np.maximum(a + product, 0), c),
    "gru": _gru,
    "lstm": _lstm,
}


class NumpyTrainer:
    """A tanh layer, a linear head on its last state, squared error and SGD, written out; time comes first inside."""

    def __init__(self, net):
        p = net.parameters()
        self.w, self.u, self.b = p["weight_ih_l0"], p["weight_hh_l0"], p["bias_ih_l0"] + p["bias_hh_l0"]
        self.net, (self.v, self.c) = net, net.head()
        x, y = net.data()
        self.data = list(zip(np.split(x, net.batches), np.split(y, net.batches), strict=True))

    def step(self, x, y):
        hidden, lr = self.net.hidden, self.net.lr
        x = np.ascontiguousarray(x.transpose(1, 0, 2))
        a = x @ self.w.T + self.b
        h = np.zeros((len(x) + 1, len(y), hidden), x.dtype)
        for t in range(len(x)):
            h[t + 1] = np.tanh(a[t] + h[t] @ self.u.T)
        error = h[-1] @ self.v.T + self.c - y
        d = 2 / error.size * error
        dh, da = d @ self.v, np.empty_like(a)
        for t in reversed(range(len(x))):
            da[t] = dh * (1 - h[t + 1] ** 2)
            dh = da[t] @ self.u
        self.v, self.c = self.v - lr * (d.T @ h[-1]), self.c - lr * d.sum(0)
        flat = da.reshape(-1, hidden)
        self.w = self.w - lr * (flat.T @ x.reshape(len(flat), -1))
        self.u = self.u - lr * (flat.T @ h[:-1].reshape(len(flat), -1))
        self.b = self.b - 2 * lr * flat.sum(0)  # of two biases
        return (error**2).mean()

    def losses(self, steps):
        return np.array([self.step(x, y) for x, y in islice(cycle(self.data), steps)])

    def run(self, steps):
        for x, y in islice(cycle(self.data), steps):
            self.step(x, y)
        return steps


@pytest.mark.parametrize("name", ["RNN i16 h32 T50 b32", "RNN i32 h128 T100 b32"])
def bench_recurrent_step(versus, name):
    net = NETS["recurrent"][name]
    ours, theirs = NncoreTrainer(net, 1, fit=True), NumpyTrainer(net)
    np.testing.assert_allclose(ours.losses(net.batches), theirs.losses(net.batches), rtol=1e-4)
    versus(lambda: ours.run(net.batches), lambda: theirs.run(net.batches))


@pytest.mark.parametrize("lengths", [(20, 20), (20, 21), tuple(range(5, 37))], ids=["one", "two", "32"])
@pytest.mark.parametrize("call", ["train_on_batch", "predict"])
def bench_alternating_lengths(versus, call, lengths):
    """A small GRU whose batches have another number of time steps each time; "one" is the cost without a change."""
    model = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 1), seed=0).build((lengths[0], 2))
    model.compile(loss="mse", optimizer="sgd")
    batches = [(np.ones((1, steps, 2), np.float32), np.ones((1, 1), np.float32)) for steps in lengths]
    given = [batch if call == "train_on_batch" else batch[:1] for batch in batches]
    turn = cycle(given)
    for batch in given:
        getattr(model, call)(*batch)
    versus(lambda: getattr(model, call)(*next(turn)), None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("cell", GATES)
def bench_recurrent_forward(versus, cell, shape, dtype):
    direction = Direction(cell, shape, dtype)
    versus(direction.forward, direction.twin, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("cell", GATES)
def bench_recurrent_backward(versus, cell, shape, dtype):
    direction = Direction(cell, shape, dtype)
    direction.forward()
    versus(direction.backward, None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
def bench_recurrent_pack(versus, cell, dtype):
    direction = Direction(cell, (1, 1, 128), dtype)
    versus(lambda: kernels.recurrent_pack(cell, *direction.packed, direction.w), None)
