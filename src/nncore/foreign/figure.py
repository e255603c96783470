"""Figures in the style of the project. It is imported only to draw, because it needs matplotlib.

Colours are those of Okabe and Ito (2008), "Color Universal Design", which people of any colour vision can tell apart.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, "#f0e442")
_STYLE: Any = {
    "axes.prop_cycle": cycler(linestyle=("-", "--", ":", "-.")) * cycler(color=COLOURS),  # the ninth line is a dashed blue one
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.max_open_warning": 0,
    "font.size": 11.0,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
}


class NotebookFigure(Figure):
    """A figure of matplotlib that notebooks show even if pyplot has not been imported."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def style() -> AbstractContextManager[None]:
    """Return the context in which axes are made and drawn on."""
    found: AbstractContextManager[None] = mpl.rc_context(_STYLE)
    return found


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of so many inches. ``plt.show()`` shows it in a script, and a notebook as the result of a cell, once."""
    if "inline" in mpl.get_backend().lower():  # which would show a figure of pyplot at the end of the cell once more
        return NotebookFigure(figsize=(width, height), layout="constrained")
    from matplotlib import pyplot as plt

    made: Figure = plt.figure(figsize=(width, height), layout="constrained", FigureClass=NotebookFigure)
    return made


def of_classes(count: int) -> ListedColormap:
    """Return the colours of so many classes, the same as those of lines and points."""
    return ListedColormap([COLOURS[k % len(COLOURS)] for k in range(count)])


def of_two_classes() -> LinearSegmentedColormap:
    """Return colours from the first class's over white to the second one's."""
    return LinearSegmentedColormap.from_list("two classes", [BLUE, "white", ORANGE])


def whole_numbers(axes: Any) -> None:
    """Let the horizontal axis have ticks at whole numbers only: epochs and steps."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
