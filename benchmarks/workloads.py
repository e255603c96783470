"""What is measured: nets, data and initial weights that every contestant gets alike.

Weights are [in, out] float32 and the data are float32 batches, all drawn from one seed, so that two processes that import this file
hold the same numbers. Nothing here trains or times anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A multilayer perceptron and how it is trained. One output: sigmoid, binary cross-entropy. More: softmax."""

    name: str
    sizes: tuple[int, ...]
    activation: str  #: of the hidden layers: "sigmoid" or "relu"
    batch: int
    optimizer: str  #: "sgd" or "adam"
    lr: float
    batches: int  #: distinct batches; contestants run through them in turn
    batch_norm: bool = False  #: between each hidden product and its activation
    dropout: float = 0.0  #: after each hidden activation

    @property
    def binary(self) -> bool:
        return self.sizes[-1] == 1

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products of one step; the first layer needs no gradient of its input."""
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def parameters(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weight [in, out] and bias [out] of each layer."""
        rng = np.random.default_rng(1)
        gain = 2.0 if self.activation == "relu" else 1.0
        return [
            (
                rng.normal(0, np.sqrt(gain / fan_in), (fan_in, fan_out)).astype(np.float32),
                rng.normal(0, 0.1, fan_out).astype(np.float32),
            )
            for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False)
        ]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """All rows x [batches * batch, in] and their labels: int64 [rows], which a random linear teacher gave."""
        rng = np.random.default_rng(2)
        x = rng.standard_normal((self.batches * self.batch, self.sizes[0]), dtype=np.float32)
        teacher = rng.standard_normal((self.sizes[0], max(self.sizes[-1], 2)), dtype=np.float32)
        return x, (x @ teacher).argmax(1)


WORKLOADS = {
    w.name: w
    for w in (
        Workload("2-10-10-10-1", (2, 10, 10, 10, 1), "sigmoid", 32, "sgd", 1.0, 256),
        Workload("64-128-64-10", (64, 128, 64, 10), "relu", 64, "adam", 1e-3, 32),
        Workload("784-512-256-10", (784, 512, 256, 10), "relu", 128, "adam", 1e-3, 32),
        Workload("784-512-256-10 regularised", (784, 512, 256, 10), "relu", 128, "adam", 1e-3, 32, batch_norm=True, dropout=0.5),
        Workload("1024-2048-2048-100", (1024, 2048, 2048, 100), "relu", 256, "adam", 1e-4, 8),
    )
}
INFERENCE = ("2-10-10-10-1", "64-128-64-10", "784-512-256-10")  #: one row at a time
