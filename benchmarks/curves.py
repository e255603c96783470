"""Learning curves in float32 and in bfloat16 as a picture, docs/precision.svg: test accuracy after each epoch, of all seeds."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from chart import STYLE
from picture import save

#: Colour and line of each precision; those of Okabe and Ito again. A band goes from the worst to the best seed.
WAYS = {
    "float32": ("#0072B2", "-"),
    "bfloat16": ("#D55E00", "--"),
    "PyTorch autocast": ("#009E73", ":"),
    "PyTorch, weights in bfloat16": ("#666666", "-."),
}
COLUMNS = 3


def draw(found: dict, path: Path) -> None:
    """One panel for each task."""
    tasks = found["tasks"]
    lines = -(-len(tasks) // COLUMNS)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(lines, COLUMNS, figsize=(9.5, 0.6 + 2.5 * lines), layout="constrained", squeeze=False)
        panels = grid.ravel()
        for axes, (name, task) in zip(panels, tasks.items(), strict=False):
            for way, (colour, line) in WAYS.items():
                if way in task:
                    curve = task[way]["curve"]
                    epochs = range(1, len(curve["mean"]) + 1)
                    axes.fill_between(epochs, curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
                    axes.plot(epochs, curve["mean"], line, color=colour, linewidth=1.4)
            axes.set_title(name, fontsize=9)
            axes.grid(color="#DDDDDD", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_xlabel("epoch")
        for axes in grid[:, 0]:
            axes.set_ylabel("test accuracy")
        for axes in panels[len(tasks) :]:
            axes.set_visible(False)
        present = [way for way in WAYS if any(way in task for task in tasks.values())]
        marks = [plt.Line2D([], [], linestyle=WAYS[way][1], color=WAYS[way][0]) for way in present]
        labels = [f"nncore {way}" if way in ("float32", "bfloat16") else way for way in present]
        figure.legend(marks, labels, loc="outside upper center", ncols=len(present), frameon=False)
        save(figure, path)
