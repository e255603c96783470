"""XOR: a perceptron cannot separate these four points. A net with two hidden layers can.

    python examples/xor.py               (needs matplotlib for the picture)

The boundary of a perceptron is one straight line. No straight line has (0, 1) and (1, 0) on one side, and (0, 0) and (1, 1) on
the other. Hidden units bend the boundary. The labels are -1 and +1 for the perceptron, which learns only from its mistakes. They
are 0 and 1 for the net.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import nncore as nn

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([0, 1, 1, 0])
OUT = Path(__file__).resolve().parent.parent / "out"


def main() -> None:
    perceptron = nn.Sequential(nn.Linear(2, 1, bias_init=nn.init.Uniform(-1, 1)), seed=18)
    perceptron.compile(loss="perceptron", optimizer=nn.optim.SGD(lr=0.07))
    perceptron.fit(X, 2 * Y - 1, epochs=20, batch_size=1, verbose=0)

    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid(), seed=0)
    net.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=0.01))
    net.fit(X, Y, epochs=1000, batch_size=None, verbose=0)

    figure = Figure(figsize=(8, 4), layout="constrained")
    panels = (("perceptron", perceptron, 0.0), ("two hidden layers", net, 0.5))
    for axes, (title, model, threshold) in zip(figure.subplots(1, 2), panels, strict=True):
        said = model.predict(X)[:, 0]
        right = int(np.sum((said > threshold) == (Y == 1)))
        print(f"{title}: {right} of 4 right;", ", ".join(f"{a:.0f}, {b:.0f}: {s:+.2f}" for (a, b), s in zip(X, said, strict=True)))
        draw(axes, model, threshold, f"{title}: {right} of 4")
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / "xor.png", dpi=120)
    print("picture:", os.path.relpath(OUT / "xor.png"))


def draw(axes, model, threshold: float, title: str) -> None:
    """Draw where the output is above and below the threshold, and the line between."""
    grid = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    height = model.predict(points).reshape(201, 201) - threshold
    limit = float(np.abs(height).max())
    axes.pcolormesh(grid, grid, height, cmap="RdBu", vmin=-limit, vmax=limit, alpha=0.6)
    axes.contour(grid, grid, height, [0], colors="black")
    axes.scatter(*X.T, c=Y, cmap="RdBu", edgecolors="black", s=120)
    axes.set(title=title, xlabel="a", ylabel="b", aspect="equal")


if __name__ == "__main__":
    main()
