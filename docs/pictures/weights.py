"""The picture of docs/weights.md: where the gates of a GRU and an LSTM lie in the weights."""

from __future__ import annotations

from drawing import BLUE, GREEN, INK, ORANGE, RED, box, canvas
from matplotlib.figure import Figure

GATES = {"r": BLUE, "z": ORANGE, "n": GREEN, "h": GREEN, "i": BLUE, "f": ORANGE, "g": GREEN, "c": GREEN, "o": RED}


def gates() -> Figure:
    """Rows of gates in nncore and PyTorch, columns of them in Keras."""
    figure, axes = canvas(5.6, 3.5)
    for x, word in ((1.75, "nncore, PyTorch\nweight_ih  [gates * units, in]"), (4.35, "Keras\nkernel  [in, gates * units]")):
        axes.text(x, 3.2, word, ha="center", va="center", fontsize=10.5, linespacing=1.35)
    for name, y, ours, theirs in (("GRU", 2.2, "rzn", "zrh"), ("LSTM", 0.75, "ifgo", "ifco")):
        axes.text(0.15, y, name, va="center", fontsize=12, color=INK)
        size = 1.15 / len(ours)
        for place, gate in enumerate(ours):
            box(axes, 1.75, y + 0.575 - size * (place + 0.5), 0.85, size - 0.04, gate, GATES[gate], fontsize=12)
        size = 1.9 / len(theirs)
        for place, gate in enumerate(theirs):
            box(axes, 3.4 + size * (place + 0.5), y, size - 0.04, 0.85, gate, GATES[gate], fontsize=12)
    return figure
