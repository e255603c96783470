"""The picture of docs/distributed.md: a step of four ranks."""

from __future__ import annotations

from drawing import BLUE, GREEN, INK, ORANGE, RED, arrow, box, canvas
from matplotlib.figure import Figure

COLOURS = (BLUE, ORANGE, GREEN, RED)


def step() -> Figure:
    """Rows of a batch go to the ranks, their gradients into one sum, and all make the same step."""
    figure, axes = canvas(5.6, 4.2)
    axes.text(2.8, 4.05, "one batch of 64 rows, in the order that the seed draws", ha="center", va="center", fontsize=10.5)
    box(axes, 2.8, 2.05, 5.2, 0.42, "sum of all gradients (Allreduce)")
    for rank, colour in enumerate(COLOURS):
        x = 0.85 + 1.3 * rank
        box(axes, x, 3.65, 1.26, 0.36, f"rows {16 * rank} to {16 * rank + 15}", colour)
        arrow(axes, (x, 3.45), (x, 3.28))
        box(axes, x, 2.9, 1.16, 0.7, f"rank {rank}\nforward,\nbackward", colour, fontsize=10)
        arrow(axes, (x, 2.53), (x, 2.28))
        arrow(axes, (x, 1.82), (x, 1.56))
        box(axes, x, 1.2, 1.16, 0.66, "the same\nupdate", colour, fontsize=10)
        arrow(axes, (x, 0.85), (x, 0.62))
    axes.text(2.8, 0.42, "the same parameters on every rank, bit for bit", ha="center", va="center", fontsize=10.5, color=INK)
    axes.set_ylim(0.25, 4.2)
    figure.set_size_inches(5.6, 3.95)
    return figure
