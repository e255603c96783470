"""Sizes that are known only when the file runs: the number of time steps of a sequence that may be shorter than planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...records import Shape
from ..walk import Walk


class Size(int):
    """A whole number that is an expression in C.

    As a number it is the largest that is possible, which counts for memory. In an f-string it is the expression. What is computed
    from it is an expression too; ``int(size)`` is a plain number.
    """

    expression: str

    def __new__(cls, value: int, expression: str) -> Size:
        size = super().__new__(cls, value)
        size.expression = expression
        return size

    def __format__(self, spec: str) -> str:
        return self.expression

    def __mul__(self, other: Any) -> Any:
        return self._with(other, int.__mul__, "{0} * {1}", 1)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._with(other, int.__add__, "({0} + {1})", 0)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, int.__sub__, "({0} - {1})", 0)

    def __rsub__(self, other: Any) -> Any:
        return Size(int(other) - int(self), f"({other} - {self})") if isinstance(other, int) else NotImplemented

    def __floordiv__(self, other: Any) -> Any:
        return self._with(other, int.__floordiv__, "({0} / {1})", 1)

    def _with(self, other: Any, operation: Callable[[int, int], int], form: str, neutral: int) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if not isinstance(other, Size) and other == neutral:
            return self
        return Size(operation(int(self), int(other)), form.format(self, other))


def with_open_time(net: Walk, shapes: Sequence[Shape], name: str) -> list[Shape] | None:
    """Return the shapes of all values with an expression for the number of time steps, or None if a network takes no lengths.

    Neither does one that joins sequences in time: its results have other lengths.
    """
    timelines = [value.timeline for value in net.values]
    if net.timed is None or any(timeline not in (None, (1, 0)) for timeline in timelines):
        return None
    return [(Size(shape[0], name), *shape[1:]) if line else shape for shape, line in zip(shapes, timelines, strict=True)]
