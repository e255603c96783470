"""The adding problem: a tanh network fails, and an LSTM succeeds (Hochreiter and Schmidhuber 1997).

    python examples/adding_problem.py            (needs matplotlib)

Each time step has a random number and a mark. Two numbers are marked: one in the first half of the sequence, and one in the
second half. The target is the sum of these two numbers. The constant answer 1 has a mean squared error of 1/6. Training always
uses new sequences, so a net cannot learn them by heart. The second row of the picture shows the norm of the gradient at each time
step after training, relative to the largest: that of the tanh network never reaches the first half.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import nncore as nn

OUT = Path(__file__).resolve().parent.parent / "out"
CELLS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
STEPS, HIDDEN, BATCH, ROWS, EPOCHS = (50, 100), 32, 32, 3200, 20


def sequences(n: int, steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = np.zeros((n, steps, 2), np.float32)
    x[..., 0] = rng.random((n, steps))
    rows, half = np.arange(n), steps // 2
    x[rows, rng.integers(0, half, n), 1] = 1
    x[rows, rng.integers(half, steps, n), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(1, keepdims=True)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, len(STEPS))
    for column, steps in enumerate(STEPS):
        test = sequences(2000, steps, np.random.default_rng(99))
        for name, cell in CELLS.items():
            rng = np.random.default_rng(0)
            model = nn.Sequential(cell(2, HIDDEN), nn.Linear(HIDDEN, 1), seed=0).build((steps, 2))
            model.compile(loss="mse", optimizer=nn.optim.Adam(lr=3e-3, clip_norm=1.0))
            errors = [model.evaluate(*test)]
            for _ in range(EPOCHS):
                model.fit(*sequences(ROWS, steps, rng), batch_size=BATCH, verbose=0)
                errors.append(model.evaluate(*test))
            axes[0, column].semilogy(np.arange(EPOCHS + 1) * ROWS // BATCH, errors, label=name)
            y = model.forward(test[0][:BATCH])
            model.backward(y - test[1][:BATCH])
            norms = model.step_gradient_norms()["0.0"]
            axes[1, column].semilogy(np.where(norms > 0, norms / norms.max(), np.nan), label=name)
            print(f"T = {steps:3}, {name:4}: mean squared error {errors[-1]:.5f} on unseen sequences (always 1: 0.16667)")
        axes[0, column].axhline(1 / 6, color="grey", linestyle=":")
        axes[0, column].set(title=f"T = {steps}", xlabel="updates", ylabel="error on unseen sequences")
        axes[1, column].set(xlabel="time step", ylabel="gradient / largest, trained")
        axes[0, column].legend()
    figure.savefig(OUT / "adding_problem.png", dpi=120)
    print(f"picture: {OUT / 'adding_problem.png'}")


if __name__ == "__main__":
    main()
