"""The picture of docs/functional.md: the graph at the top of the page."""

from __future__ import annotations

from drawing import BLUE, GREEN, INK, ORANGE, RED, arrow, box, canvas
from matplotlib.figure import Figure


def graph() -> Figure:
    """Two inputs, a residual connection, a gate and two outputs."""
    figure, axes = canvas(5.6, 4.5)
    left, right = 1.9, 4.4
    box(axes, left, 4.2, 1.1, 0.4, "x  [N, 8]", GREEN)
    box(axes, right, 4.2, 1.1, 0.4, "z  [N, 3]", GREEN)
    box(axes, left, 3.5, 1.9, 0.4, "concatenate  [N, 11]")
    box(axes, left, 2.85, 1.9, 0.4, "Linear, ReLU  [N, 16]", BLUE)
    box(axes, left, 2.2, 1.9, 0.4, "Linear, ReLU  [N, 16]", BLUE)
    box(axes, right, 2.85, 1.9, 0.4, "Linear, Sigmoid  [N, 16]", BLUE, fontsize=10.5)
    box(axes, left, 1.55, 0.9, 0.4, "add", ORANGE)
    box(axes, left, 0.95, 0.9, 0.4, "multiply", ORANGE)
    box(axes, 1.0, 0.28, 1.5, 0.4, '"price"  [N, 1]', RED)
    box(axes, 2.8, 0.28, 1.5, 0.4, '"kind"  [N, 4]', RED)
    for start, end in ((4.0, 3.7), (3.3, 3.05), (2.65, 2.4), (2.0, 1.75), (1.35, 1.15)):
        arrow(axes, (left, start), (left, end))
    arrow(axes, (right - 0.4, 4.0), (left + 0.95, 3.55))
    arrow(axes, (right, 4.0), (right, 3.05))
    for here, turn, end in ((right, 0.95, (left + 0.45, 0.95)),):
        axes.plot([here, here], [2.65, turn], color=INK, linewidth=1.4, solid_capstyle="butt")
        arrow(axes, (here, turn), end)
    axes.plot([left - 0.95, 0.6, 0.6], [2.85, 2.85, 1.55], color=INK, linewidth=1.4, solid_capstyle="butt")
    arrow(axes, (0.6, 1.55), (left - 0.45, 1.55))
    axes.text(0.5, 2.2, "residual", rotation=90, va="center", ha="right", fontsize=10.5)
    axes.text(right + 0.1, 1.8, "gate", va="center", fontsize=10.5)
    arrow(axes, (left - 0.15, 0.75), (1.2, 0.48))
    arrow(axes, (left + 0.15, 0.75), (2.6, 0.48))
    return figure
