"""The pictures of docs/loops.md: a step by hand, and what learns in a part of a net."""

from __future__ import annotations

from drawing import BLUE, GREEN, INK, RED, arrow, box, canvas
from matplotlib.figure import Figure

#: The state of a part, and what its weights, running statistics and dropout do in a step of training.
STATES = {
    "as made": (True, True, True),
    "trainable = False": (False, False, True),
    "training = False": (True, False, False),
    "both False": (False, False, False),
}


def step() -> Figure:
    """The three calls of a step, and what each reads and writes."""
    figure, axes = canvas(5.6, 2.2)
    for x, call, colour in ((0.95, "forward", BLUE), (2.8, "backward", RED), (4.65, "apply_gradients", GREEN)):
        box(axes, x, 1.3, 1.56, 0.5, call, colour, family="monospace", fontsize=10)
    for x, word in ((0.95, "rows x"), (2.8, "d loss / d output"), (4.65, "optimizer")):
        axes.text(x, 1.98, word, ha="center", va="center", fontsize=10.5)
        arrow(axes, (x, 1.83), (x, 1.56))
    arrow(axes, (1.74, 1.3), (2.01, 1.3))
    arrow(axes, (3.59, 1.3), (3.86, 1.3))
    for x, word in ((0.95, "outputs"), (2.8, "model.gradients"), (4.65, "new weights")):
        arrow(axes, (x, 1.04), (x, 0.77))
        axes.text(x, 0.63, word, ha="center", va="center", fontsize=10.5)
    axes.plot([4.65, 4.65, 0.1, 0.1], [0.48, 0.2, 0.2, 1.3], color=INK, linewidth=1.4)
    arrow(axes, (0.1, 1.3), (0.17, 1.3), mutation_scale=8)
    axes.text(2.4, 0.3, "the next rows", ha="center", va="center", fontsize=10.5)
    return figure


def frozen() -> Figure:
    """What moves in each state."""
    figure, axes = canvas(5.6, 2.7)
    for column, word in enumerate(("its weights\nlearn", "its BatchNorm\nadapts", "its dropout\ndrops")):
        axes.text(2.35 + 1.25 * column, 2.4, word, ha="center", va="center", fontsize=10.5, linespacing=1.3)
    for row, (state, moves) in enumerate(STATES.items()):
        y = 1.9 - 0.52 * row
        axes.text(0.1, y, state, va="center", fontsize=10, family="monospace" if "=" in state else "sans-serif")
        for column, does in enumerate(moves):
            box(axes, 2.35 + 1.25 * column, y, 1.15, 0.42, "yes" if does else "no", GREEN if does else RED)
    return figure
