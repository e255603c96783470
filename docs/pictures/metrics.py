"""The pictures of docs/metrics.md: the same predictions over all thresholds, and what each metric counts."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, GREEN, INK, ORANGE, RED, arrow, box, canvas, plain
from matplotlib.figure import Figure

import nncore as nn

STYLES = {
    "accuracy": (INK, ":"),
    "precision": (ORANGE, "-."),
    "recall": (BLUE, "--"),
    "specificity": (RED, (0, (6, 1, 1, 1, 1, 1))),
    "f1": (GREEN, "-"),
}


def threshold() -> Figure:
    """One net on two classes of which the positive one is a tenth."""
    rng = np.random.default_rng(0)
    y = (np.arange(6000) % 10 == 0).astype(int)
    x = rng.normal(size=(6000, 2)) + 1.5 * y[:, None]
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid(), seed=0)
    model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=0.01))
    model.fit(x[:3000], y[:3000], epochs=15, verbose=0)
    p = model.predict(x[3000:])[:, 0]
    at = np.linspace(0.02, 0.9, 60)
    figure, axes = plt.subplots(figsize=(5.6, 3.3), layout="constrained")
    for name, (colour, line) in STYLES.items():
        values = [getattr(nn.metrics, name)(y[3000:], (p > t).astype(int)) for t in at]
        axes.plot(at, values, color=colour, linestyle=line, linewidth=2, label=name)
    axes.set(xlabel="threshold: positive if the probability is above it", ylabel="value", xlim=(0, 1), ylim=(0, 1.02))
    plain(axes)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    return figure


def counts() -> Figure:
    """The four counts of a decision, and the row or column that each metric looks at."""
    figure, axes = canvas(5.6, 3.3)
    places = {"TP": (1.75, 1.95, GREEN), "FN": (2.95, 1.95, RED), "FP": (1.75, 1.15, RED), "TN": (2.95, 1.15, GREEN)}
    names = {"TP": "true positive", "FN": "missed", "FP": "false alarm", "TN": "true negative"}
    for key, (x, y, colour) in places.items():
        box(
            axes,
            x,
            y,
            1.16,
            0.72,
            f"{key}\n{names[key]}",
            colour,
            fontsize=9.5,
        )
    for x, word in ((1.75, "predicted\nyes"), (2.95, "predicted\nno")):
        axes.text(x, 2.62, word, ha="center", va="center", fontsize=10.5)
    for y, word in ((1.95, "truly\nyes"), (1.15, "truly\nno")):
        axes.text(0.62, y, word, ha="center", va="center", fontsize=10.5)
    for y, name, ratio in ((1.95, "recall", "TP / (TP + FN)"), (1.15, "specificity", "TN / (TN + FP)")):
        arrow(axes, (3.56, y), (3.9, y))
        axes.text(3.97, y, f"{name}\n{ratio}", va="center", fontsize=10.5, color=BLUE)
    arrow(axes, (1.75, 0.76), (1.75, 0.52))
    axes.text(1.75, 0.46, "precision\nTP / (TP + FP)", ha="center", va="top", fontsize=10.5, color=BLUE)
    axes.text(3.2, 0.46, "accuracy: TP + TN of all\nF1: precision and recall", va="top", fontsize=10.5, color=BLUE)
    axes.set_ylim(0, 3.0)
    figure.set_size_inches(5.6, 3.0)
    return figure
