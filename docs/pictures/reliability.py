"""The picture of docs/reliability.md: which calls of two threads go together."""

from __future__ import annotations

from drawing import BLUE, GREEN, INK, ORANGE, RED, box, canvas
from matplotlib.figure import Figure

TOGETHER, WAITS, REFUSED = ("together", GREEN), ("waits", ORANGE), ("error", RED)
USES = ("read", "train", "copy", "change")
#: What happens to a call, by what another thread does meanwhile.
RULES = {
    "read": (TOGETHER, TOGETHER, TOGETHER, WAITS),
    "train": (TOGETHER, REFUSED, WAITS, WAITS),
    "copy": (TOGETHER, WAITS, TOGETHER, WAITS),
    "change": (WAITS, REFUSED, WAITS, WAITS),
}
EXAMPLES = {"read": "predict, evaluate", "train": "fit, train_on_batch", "copy": "save, deepcopy", "change": "compile, build"}


def threads() -> Figure:
    """A call against what another thread does with the same model."""
    figure, axes = canvas(5.6, 3.1)
    axes.text(3.62, 2.95, "while another thread is in", ha="center", va="center", fontsize=10.5)
    axes.text(0.1, 2.6, "a call of", va="center", fontsize=10.5)
    for column, use in enumerate(USES):
        axes.text(2.1 + 1.0 * column, 2.6, use, ha="center", va="center", fontsize=11, color=BLUE)
    for row, (use, answers) in enumerate(RULES.items()):
        y = 2.15 - 0.58 * row
        axes.text(0.1, y + 0.11, use, va="center", fontsize=11, color=BLUE)
        axes.text(0.1, y - 0.11, EXAMPLES[use], va="center", fontsize=9, color=INK)
        for column, (word, colour) in enumerate(answers):
            box(axes, 2.1 + 1.0 * column, y, 0.94, 0.5, word, colour, fontsize=10.5)
    return figure
