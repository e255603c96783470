"""The headline as a picture, docs/benchmarks.svg: how long each peer takes for a step or a row, with nncore's time as the unit."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from picture import save
from rows import best, describe, least, named

#: Colours that the colour-blind can tell apart (Okabe and Ito), and a shape for each, too.
PEERS = {
    "NumPy": ("#0072B2", "s"),
    "PyTorch": ("#D55E00", "o"),
    "PyTorch compiled": ("#E69F00", "P"),
    "JAX": ("#009E73", "^"),
    "JAX scan": ("#56B4E9", "v"),
    "scikit-learn": ("#CC79A7", "D"),
    "onnxruntime": ("#000000", "X"),
}
TICKS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
#: Text stays text, and the same figures give the same file.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "nncore", "font.family": "sans-serif", "font.size": 9}


def draw(results: dict, path: Path) -> None:
    """One row for each workload; each peer in its better thread count."""
    rows = [(describe(name), times, "nncore fit") for name, times in results["training"].items()]
    rows += [(f"one row through {name}", times, "nncore model(x)") for name, times in results["inference"].items()]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9.5, 0.8 + 0.48 * len(rows)), layout="constrained")
        axes.axvline(1, color="#B00020", linewidth=1.5, zorder=1)
        for y, (_, times, ours) in enumerate(rows):
            unit = best(times, named(ours))
            for peer, (colour, shape) in PEERS.items():
                if unit and (theirs := best(times, named(peer))):
                    x = theirs["min"] / unit["min"]
                    axes.plot(x, y, shape, color=colour, markersize=7, markeredgecolor="white", markeredgewidth=0.6, zorder=3)
        labels = [f"{text}\nnncore: {least(best(times, named(ours)))}" for text, times, ours in rows]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
        axes.set_xlabel("time, with nncore's as the unit: to the right of the red line nncore is faster")
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        present = [peer for peer in PEERS if any(best(times, named(peer)) for _, times, _ in rows)]
        marks = [plt.Line2D([], [], linestyle="", marker=PEERS[p][1], color=PEERS[p][0], markersize=7) for p in present]
        figure.legend(marks, present, loc="outside upper center", ncols=len(present), frameon=False)
        save(figure, path)
