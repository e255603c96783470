"""The recurrent kernels, one direction over all steps, in both dtypes, forward (training) and backward, against NumPy."""

import numpy as np
import pytest

from nncore import _core

#: (rows, steps, hidden): the headline nets' recurrent part, and one streaming step.
SHAPES = [(1, 1, 64), (32, 50, 32), (32, 100, 128)]
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
        size = _core.recurrent_packed_size(cell, hidden)
        self.packed = np.empty(size, dtype), np.empty(size, dtype)
        _core.recurrent_pack(cell, *self.packed, self.w)
        _core.recurrent_pack_bias(cell, self.packed[0], None, hidden)

    def forward(self):
        self.gates[...] = self.a.transpose(1, 0, 2)
        _core.recurrent_forward(self.cell, self.gates, self.packed[0], y=self.y, **self.saved)
        return self.y

    def backward(self):
        _core.recurrent_backward(self.cell, self.gates, self.packed[1], dy=self.dy, dgates=self.dgates, **self.saved)
        return self.dgates

    def twin(self):
        """tanh alone: what NumPy needs for the same."""
        h = np.zeros_like(self.dy[:, 0])
        y = np.empty_like(self.y)
        for t, a in enumerate(self.a):
            h = np.tanh(a + h @ self.w)
            y[:, t] = h
        return y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("cell", GATES)
def bench_recurrent_forward(versus, cell, shape, dtype):
    direction = Direction(cell, shape, dtype)
    versus(direction.forward, direction.twin if cell == "tanh" else None, rtol=1e-3, atol=1e-3)


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
    versus(lambda: _core.recurrent_pack(cell, *direction.packed, direction.w), None)
