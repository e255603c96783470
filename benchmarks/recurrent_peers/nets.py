"""The recurrent nets, their weights and their batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Net:
    """One layer, in one or both directions, and the batches that it sees."""

    name: str
    cell: str  #: "RNN" (tanh), "GRU" or "LSTM"
    inputs: int
    hidden: int
    steps: int
    batch: int
    bidirectional: bool = False
    batches: int = 4  #: distinct batches; contestants run through them in turn
    lr: float = 0.05

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def forward_flops(self) -> int:
        """Of the products of one forward pass; the first step has no state to multiply yet."""
        per_row = GATES[self.cell] * self.hidden * (self.steps * self.inputs + (self.steps - 1) * self.hidden)
        return 2 * self.batch * self.directions * per_row

    @property
    def flops(self) -> int:
        """Of a training step: forward, gradient of the weights, and of the states; the input needs none, the head counts little."""
        states = 2 * self.batch * self.directions * GATES[self.cell] * self.hidden**2 * (self.steps - 1)
        return 2 * self.forward_flops + states + 6 * self.batch * self.directions * self.hidden

    def parameters(self) -> dict[str, np.ndarray]:
        """Of the layer, float32, by PyTorch's names and in its shapes."""
        rng, rows, bound = np.random.default_rng(1), GATES[self.cell] * self.hidden, self.hidden**-0.5
        shapes = {"weight_ih": (rows, self.inputs), "weight_hh": (rows, self.hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
        return {
            f"{role}_l0{suffix}": rng.uniform(-bound, bound, shape).astype(np.float32)
            for suffix in ("", "_reverse")[: self.directions]
            for role, shape in shapes.items()
        }

    def head(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight [1, directions * hidden] and bias [1]."""
        width = self.directions * self.hidden
        weight = np.random.default_rng(2).uniform(-1, 1, (1, width)) * width**-0.5
        return weight.astype(np.float32), np.zeros(1, np.float32)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """x [batches * batch, steps, inputs] and what to learn of it [batches * batch, 1]: the mean of the last ten steps."""
        rng = np.random.default_rng(3)
        x = rng.standard_normal((self.batches * self.batch, self.steps, self.inputs), dtype=np.float32)
        return x, x[:, -10:].mean((1, 2))[:, None] * np.float32(self.inputs**0.5) + np.float32(1)


_CELLS = (("RNN", "RNN", False), ("bidirectional RNN", "RNN", True), ("GRU", "GRU", False), ("LSTM", "LSTM", False))

#: kind -> nets by name.
NETS = {
    kind: {net.name: net for net in nets}
    for kind, nets in {
        "recurrent": (
            Net("RNN i16 h32 T50 b32", "RNN", 16, 32, 50, 32, batches=32),
            *(Net(f"{title} i32 h128 T100 b32", cell, 32, 128, 100, 32, both) for title, cell, both in _CELLS[:2]),
            Net("RNN i32 h512 T50 b64", "RNN", 32, 512, 50, 64),
            *(Net(f"{title} i32 h128 T100 b32", cell, 32, 128, 100, 32, both) for title, cell, both in _CELLS[2:]),
        ),
        "forward": tuple(
            Net(f"{title} i32 h128 T100 b{batch}", cell, 32, 128, 100, batch, both, batches=1)
            for batch in (1, 32)
            for title, cell, both in _CELLS
        ),
        "stream": (Net("GRU i16 h64", "GRU", 16, 64, 20, 1, batches=1),),
    }.items()
}
