"""The picture of docs/deploying.md: the five files of a model, and where they run."""

from __future__ import annotations

from drawing import BLUE, GREEN, INK, ORANGE, RED, arrow, box, canvas
from matplotlib.figure import Figure

WAYS = (
    ('save("m.safetensors")', "nncore; to train on", BLUE),
    ('quantize("int8")', "nncore, in less memory", BLUE),
    ('to_onnx("m.onnx")', "servers, phones, browsers", GREEN),
    ('to_numpy("m.py")', "wherever NumPy is", ORANGE),
    ('to_c("m.c")', "microcontrollers, any language", RED),
)


def ways() -> Figure:
    """One model, five ways out, and what each is for."""
    figure, axes = canvas(5.6, 2.9)
    box(axes, 0.55, 1.45, 0.86, 0.6, "model", INK)
    axes.plot([0.98, 1.14, 1.14, 1.14], [1.45, 1.45, 2.57, 0.33], color=INK, linewidth=1.4)
    for row, (call, where, colour) in enumerate(WAYS):
        y = 2.57 - 0.56 * row
        arrow(axes, (1.14, y), (1.4, y))
        box(axes, 2.32, y, 1.8, 0.42, call, colour, family="monospace", fontsize=9)
        axes.text(3.32, y, where, va="center", fontsize=10)
    return figure
