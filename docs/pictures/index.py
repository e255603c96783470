"""The picture of the first page, index.md."""

from __future__ import annotations

from drawing import figures_of
from matplotlib.figure import Figure


def history() -> Figure:
    """What the lines of the page draw."""
    (figure,) = figures_of("../index.md")
    figure.set_size_inches(7.2, 2.8)
    return figure
