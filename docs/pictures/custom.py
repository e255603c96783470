"""The picture of docs/custom.md: what goes into a layer in Python and what comes out of it."""

from __future__ import annotations

from drawing import BLUE, GREEN, RED, arrow, box, canvas
from matplotlib.figure import Figure


def layer() -> Figure:
    """forward and backward of a layer between two others."""
    figure, axes = canvas(5.6, 2.5)
    box(axes, 0.6, 1.35, 0.9, 1.5, "layer\nbefore")
    box(axes, 5.0, 1.35, 0.9, 1.5, "layer\nafter")
    box(axes, 2.8, 1.85, 2.0, 0.5, "forward(x)", BLUE, family="monospace")
    box(axes, 2.8, 0.85, 2.0, 0.5, "backward(dy, x, y)", RED, family="monospace", fontsize=10)
    for y, start, end, words, colour in (
        (1.85, 1.05, 1.8, "x", BLUE),
        (1.85, 3.8, 4.55, "y", BLUE),
        (0.85, 4.55, 3.8, "dy", RED),
        (0.85, 1.8, 1.05, "dx", RED),
    ):
        arrow(axes, (start, y), (end, y), colour)
        axes.text((start + end) / 2, y + 0.14, words, ha="center", va="center", fontsize=11, color=colour)
    arrow(axes, (2.8, 1.6), (2.8, 1.1), BLUE, linestyle=(0, (4, 2)))
    axes.text(2.9, 1.36, "x and y are kept", va="center", fontsize=10, color=BLUE)
    arrow(axes, (2.8, 0.6), (2.8, 0.36), GREEN)
    axes.text(2.8, 0.22, "self.grads, for the optimizer", ha="center", va="center", fontsize=10.5, color=GREEN)
    axes.text(2.8, 2.33, "your layer", ha="center", va="center", fontsize=10.5)
    return figure
