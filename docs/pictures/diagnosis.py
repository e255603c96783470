"""The pictures of README.md and of docs/diagnosis.md."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from drawing import FAINT, GREEN, INK, RED, write_text
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import nncore as nn

DEPTH = 10


def _report(layer: Callable[[], list[nn.Layer]]) -> nn.insight.Report:
    """Diagnose a net of ten such layers on digits."""
    x, y = load_digits(return_X_y=True)
    layers = [part for _ in range(DEPTH) for part in layer()]
    model = nn.Sequential(*layers, nn.Linear(64, 10), nn.Softmax(), seed=0)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=1e-3))
    return nn.diagnose(model, x / 16, y)


def verdict() -> Figure:
    """The first verdict on a net of ten sigmoid layers, and what becomes of the net that follows its advice."""
    before = _report(lambda: [nn.Linear(64, 64), nn.Sigmoid()])
    after = _report(lambda: [nn.Linear(64, 64, weight_init="he_normal"), nn.BatchNorm1d(64), nn.ReLU()])
    first = before.verdicts[0]
    figure = plt.figure(figsize=(8, 5.8))
    top = write_text(
        figure,
        [
            (">>> ", "print(nn.diagnose(model, X, y))", INK),
            ("", f"1. {first.severity} [{first.code}] {first.where}", RED),
            ("   ", first.text, INK),
            ("   why: ", first.reason, INK),
            ("   do:  ", first.advice, INK),
            ("        ", first.code_line, GREEN),
        ],
        top=5.65,
    )
    share = (top - 0.95) / 5.8
    gradients, losses = (figure.add_axes((left, 0.1, 0.4, share)) for left in (0.09, 0.58))
    for report, colour, shape, label in ((before, RED, "o", "as it was"), (after, GREEN, "s", "as advised")):
        norms = [report.gradients[name] for name in report.gradients][:: 1 if report is before else 2]
        gradients.plot(range(1, DEPTH + 2), norms, shape, color=colour, markersize=5)
        smooth = np.convolve(report.losses, np.full(20, 1 / 20), "valid")
        losses.plot(np.arange(20, len(report.losses) + 1), smooth, color=colour, linewidth=1.8, label=label)
    gradients.set(title="gradient that reaches each layer", xlabel="layer", ylabel="norm", yscale="log", xticks=range(1, DEPTH + 2))
    losses.axhline(before.chance, color=INK, linewidth=1, linestyle=":")
    losses.text(len(before.losses), before.chance + 0.04, "a constant answer", ha="right", fontsize=9)
    losses.set(title="loss", xlabel="step", ylim=(0, 2.7))
    losses.legend(frameon=False, loc="center right")
    for axes in (gradients, losses):
        axes.grid(color=FAINT, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(11)
    return figure
