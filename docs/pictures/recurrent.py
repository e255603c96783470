"""The pictures of docs/recurrent.md: what a recurrent layer passes on, and what lengths leave out."""

from __future__ import annotations

from itertools import pairwise

from drawing import BLUE, FAINT, GREEN, INK, ORANGE, RED, arrow, box, canvas
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def _chain(axes: Axes, left: float, y: float, colour: str, backward: bool = False) -> list[tuple[float, float]]:
    places = [(left + 0.5 * step, y) for step in range(3)]
    for x, _ in places:
        box(axes, x, y, 0.32, 0.3, "h", colour)
    for (x0, _), (x1, _) in pairwise(places):
        start, end = (x1 - 0.16, x0 + 0.16) if backward else (x0 + 0.16, x1 - 0.16)
        arrow(axes, (start, y), (end, y), colour)
    return places


def _ends(axes: Axes, places: list[tuple[float, float]], below: float, above: float, steps: range) -> None:
    for step, (x, _) in enumerate(places):
        axes.text(x, below - 0.2, f"$x_{step + 1}$", ha="center", va="center", fontsize=12)
        arrow(axes, (x, below - 0.06), (x, below + 0.15))
        if step in steps:
            axes.text(x, above + 0.45, f"$y_{step + 1}$", ha="center", va="center", fontsize=12)
            arrow(axes, (x, above + 0.15), (x, above + 0.34))


def forms() -> Figure:
    """The last state, every step, and both directions."""
    figure, axes = canvas(5.6, 2.7)
    for left, title in (
        (0.4, "by default:\nthe last state"),
        (2.3, "return_sequences:\nevery step"),
        (4.35, "bidirectional:\nboth last states"),
    ):
        axes.text(left + 0.5, 2.4, title, ha="center", va="center", fontsize=10.5, linespacing=1.3)
    _ends(axes, _chain(axes, 0.4, 0.9, BLUE), 0.75 - 0.15, 0.9, range(2, 3))
    _ends(axes, _chain(axes, 2.3, 0.9, BLUE), 0.75 - 0.15, 0.9, range(3))
    forward, back = _chain(axes, 4.35, 1.2, BLUE), _chain(axes, 4.35, 0.2, ORANGE, backward=True)
    for step, ((x, top), (_, bottom)) in enumerate(zip(forward, back, strict=True), 1):
        axes.text(x, 0.7, f"$x_{step}$", ha="center", va="center", fontsize=12)
        arrow(axes, (x, 0.82), (x, top - 0.15))
        arrow(axes, (x, 0.58), (x, bottom + 0.15))
    arrow(axes, (5.35, 1.35), (5.35, 1.63))
    axes.plot([4.19, 4.0, 4.0], [0.2, 0.2, 1.8], color=INK, linewidth=1.4)
    arrow(axes, (4.0, 1.8), (5.13, 1.8))
    axes.text(5.35, 1.78, "$y$", ha="center", va="center", fontsize=12)
    return figure


def lengths() -> Figure:
    """Three padded sequences: which steps count, and where each direction ends."""
    figure, axes = canvas(5.6, 2.4)
    for row, length in enumerate((5, 3, 1)):
        y = 1.75 - 0.55 * row
        axes.text(0.15, y, f"length {length}", va="center", fontsize=10.5)
        for step in range(6):
            valid = step < length
            x = 1.35 + 0.5 * step
            box(axes, x, y, 0.44, 0.4, f"$x_{step + 1}$" if valid else "pad", BLUE if valid else FAINT, fontsize=11 if valid else 9)
        last = 1.35 + 0.5 * (length - 1)
        axes.plot(last, y + 0.2, "v", color=GREEN, markersize=9)
        axes.plot(1.35, y - 0.2, "^", color=RED, markersize=9)
    axes.plot(4.55, 1.75, "v", color=GREEN, markersize=9)
    axes.text(4.68, 1.75, "last state,\nforward", va="center", fontsize=10)
    axes.plot(4.55, 1.1, "^", color=RED, markersize=9)
    axes.text(4.68, 1.1, "last state,\nreverse", va="center", fontsize=10)
    axes.text(1.1, 0.18, "time →", va="center", fontsize=10.5, color=INK)
    axes.text(2.3, 0.18, "padding changes no result", va="center", fontsize=10.5, color=INK)
    return figure
