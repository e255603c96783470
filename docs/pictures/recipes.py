"""The picture of docs/recipes.md: Monte-Carlo dropout on a curve."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, INK, ORANGE, plain
from matplotlib.figure import Figure

import nncore as nn


def dropout() -> Figure:
    """Mean and spread of 200 passes, with and without data nearby."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (150, 1))
    y = np.sin(2 * x) + rng.normal(scale=0.1, size=x.shape)
    layers = [nn.Linear(1, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 1)]
    model = nn.Sequential(*layers, seed=0)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=5e-3))
    model.fit(x, y, epochs=600, batch_size=50, verbose=0)
    at = np.linspace(-4, 4, 120)[:, None]
    passes = np.stack([model(at, training=True)[:, 0] for _ in range(200)])
    mean, spread = passes.mean(axis=0), passes.std(axis=0)
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    axes.fill_between(at[:, 0], mean - 2 * spread, mean + 2 * spread, color=(BLUE, 0.22), linewidth=0, label="mean ± 2 spreads")
    axes.plot(at, mean, color=BLUE, linewidth=2, label="mean of 200 passes")
    axes.plot(at, np.sin(2 * at), color=INK, linestyle=":", linewidth=1.5, label="truth")
    axes.plot(x[::2], y[::2], "o", color=ORANGE, markersize=3, label="training rows")
    axes.set(xlabel="input x", ylabel="output", xlim=(-4, 4))
    plain(axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure
