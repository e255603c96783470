"""The pictures of docs/training.md: the hooks of a fit as they were called, and where windows of a series lie."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, GREEN, INK, ORANGE, RED, plain
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import nncore as nn

LEVELS = {"train": BLUE, "epoch": GREEN, "train_batch": ORANGE, "test": RED, "test_batch": ORANGE}


def _called() -> list[tuple[str, int | None]]:
    """Train two epochs of three batches, with two batches for validation, and return the hooks in the order of their calls."""
    calls: list[tuple[str, int | None]] = []

    def hook(name: str) -> Callable[..., None]:
        return lambda *arguments: calls.append((name, arguments[0] if len(arguments) > 1 else None))

    names = ["train_chunk_end", *(f"{level}_{end}" for level in LEVELS for end in ("begin", "end"))]
    watching = nn.callbacks.LambdaCallback()
    for name in names:
        setattr(watching, f"on_{name}", hook(name))
    model = nn.Sequential(nn.Linear(1, 1), seed=0)
    model.compile(loss="mse", optimizer="sgd")
    x = np.zeros((12, 1))
    model.fit(x, x, epochs=2, batch_size=4, validation_data=(x[:8], x[:8]), callbacks=[watching], verbose=0)
    return calls


def hooks() -> Figure:
    """Each pair of hooks as a bar from its begin to its end."""
    figure, axes = plt.subplots(figsize=(5.6, 2.9), layout="constrained")
    began: dict[str, tuple[int, int | None]] = {}
    rows = list(LEVELS)
    for time, (name, number) in enumerate(_called()):
        level, _, end = name.rpartition("_")
        if name == "train_chunk_end":
            axes.plot(time, rows.index("train_batch"), "D", color=INK, markersize=4)
        elif end == "begin":
            began[level] = (time, number)
        else:
            start, number = began[level]
            row = rows.index(level)
            axes.barh(
                row, time - start, left=start, height=0.62, facecolor=(LEVELS[level], 0.22), edgecolor=LEVELS[level], linewidth=1.3
            )
            label = {"train": "the whole fit", "epoch": f"epoch={number}", "test": ""}.get(level, str(number))
            axes.text((start + time) / 2, row, label, ha="center", va="center", fontsize=9.5 if "batch" in level else 10.5)
    axes.plot([], [], "D", color=INK, markersize=4, label="on_train_chunk_end")
    axes.set_yticks(range(len(rows)), [f"on_{level}_…" + "\n(validation)" * (level == "test") for level in rows])
    axes.set(xlabel="time: each bar from its …_begin to its …_end", xticks=[], ylim=(4.55, -0.55))
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), frameon=False, fontsize=10, handletextpad=0.2)
    return figure


def _bars(axes: Axes, windows: np.ndarray, validates: np.ndarray, first: int = 0) -> int:
    for row, (window, held_out) in enumerate(zip(windows, validates, strict=True), first):
        colour = RED if held_out else BLUE
        axes.plot([window[0] - 0.4, window[-1] + 0.4], [row, row], color=colour, linewidth=3.2, solid_capstyle="butt")
        axes.plot(window[-1] + 1, row, "o" if held_out else "s", color=colour, markersize=3.6)
    return first + len(windows)


def windows() -> Figure:
    """Windows for training and for validation, split at random, at the end, and after the series is cut."""
    figure, panels = plt.subplots(1, 3, figsize=(5.6, 2.9), layout="constrained", sharex=True)
    series = np.arange(30)[:, None]
    cut, _ = nn.make_windows(series, 6, horizon=1)
    cut = cut[:, :, 0]
    chosen = np.zeros(len(cut), bool)
    chosen[np.random.default_rng(4).permutation(len(cut))[:6]] = True
    _bars(panels[0], cut, chosen)
    _bars(panels[1], cut, np.arange(len(cut)) >= len(cut) - 6)
    parts = [nn.make_windows(part, 6, horizon=1)[0][:, :, 0] for part in nn.split_series(series, validation=12)]
    row = _bars(panels[2], parts[0], np.zeros(len(parts[0]), bool))
    _bars(panels[2], parts[1], np.ones(len(parts[1]), bool), row)
    for axes, title in zip(panels, ("at random: leaks", 'validation="last"', "split_series"), strict=True):
        axes.set(title=title, xlabel="time step", ylim=(24.5, -1), yticks=[], xticks=[0, 10, 20, 30])
        plain(axes, grid="x")
        axes.title.set_fontsize(10.5)
    panels[0].set_ylabel("window")
    lines = [
        plt.Line2D([], [], color=colour, linewidth=3.2, marker=mark, label=label)
        for colour, mark, label in ((BLUE, "s", "training"), (RED, "o", "validation"))
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure
