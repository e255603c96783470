"""How L2 and the number of hidden units change a decision boundary: two interleaved half-moons, nine nets, one picture.

    python examples/decision_boundary.py (needs matplotlib)

The rows of the picture have 3, 6 and 20 hidden units. The columns have an L2 penalty of 0.001, 0.01 and 0.1. The penalty is
defined as in PyTorch: half of this number times the square of each parameter. With a weak penalty, the boundary follows the
moons. With a strong penalty, it is a straight line for any number of units. In between, more units bend it with smaller weights,
so the penalty is lower.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import nncore as nn

OUT = Path(__file__).resolve().parent.parent / "out"
HIDDEN, STRENGTHS = (3, 6, 20), (0.001, 0.01, 0.1)


def moons(n: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n points on two half circles of radius 2, with noise, and the number of the half circle (0 or 1) of each point."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    x = np.stack([np.cos(angle) + y, np.where(y, 0.5 - np.sin(angle), np.sin(angle))], axis=1)
    return (2 * (x - [0.5, 0.25] + rng.normal(0, noise, x.shape))).astype(np.float32), y.astype(np.float32)


def train(x: np.ndarray, y: np.ndarray, hidden: int, l2: float) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1), nn.Sigmoid(), seed=1)
    model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=0.02, weight_decay=l2), metrics=["accuracy"])
    model.fit(x, y, epochs=500, batch_size=50, verbose=0)
    return model


def main() -> None:
    x, y = moons(200, 0.25, 0)
    x_test, y_test = moons(2000, 0.25, 1)
    low, high = x.min(0) - 0.5, x.max(0) + 0.5  # every point lies inside
    across, up = np.meshgrid(*(np.linspace(a, b, 200) for a, b in zip(low, high, strict=True)))
    grid = np.stack([across.ravel(), up.ravel()], axis=1)
    figure = Figure(figsize=(10, 8), layout="constrained")
    print("hidden     L2   right on training / new points   sum of squares of the weights")
    panels = figure.subplots(3, 3, sharex=True, sharey=True)
    for row, hidden in zip(panels, HIDDEN, strict=True):
        for axes, l2 in zip(row, STRENGTHS, strict=True):
            model = train(x, y, hidden, l2)
            seen, new = (model.evaluate(*data, return_dict=True)["accuracy"] for data in ((x, y), (x_test, y_test)))
            squares = sum(float((w * w).sum()) for name, w in model.named_parameters() if name.endswith("weight"))
            print(f"{hidden:6d}{l2:7g}{seen:20.1%} / {new:.1%}{squares:25.2f}")
            axes.contourf(
                across, up, model.predict(grid).reshape(across.shape), levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6
            )
            axes.contour(across, up, model.predict(grid).reshape(across.shape), levels=[0.5], colors="k")
            axes.scatter(*x.T, c=y, cmap="RdBu", s=16, edgecolors="w", linewidths=0.5)
            axes.set_title(f"{hidden} units, L2 {l2:g}: {new:.0%} of new points", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("x1")
    for axes in panels[:, 0]:
        axes.set_ylabel("x2")
    OUT.mkdir(exist_ok=True)
    path = OUT / "decision-boundary.png"
    figure.savefig(path, dpi=120)
    print(f"\npicture: {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
