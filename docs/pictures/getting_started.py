"""The pictures of docs/getting-started.md: what its lines draw, in the width of the page."""

from __future__ import annotations

from functools import cache

from drawing import figures_of
from matplotlib.figure import Figure


@cache
def _figures() -> list[Figure]:
    first, second, confusion = figures_of("getting-started.md")
    for figure in (first, second):
        figure.set_size_inches(7.2, 2.8)
    confusion.set_size_inches(3.8, 3.2)
    return [first, second, confusion]


def first() -> Figure:
    return _figures()[0]


def second() -> Figure:
    return _figures()[1]


def confusion() -> Figure:
    return _figures()[2]
