"""Nested loops over arrays: as few as the strides of all arrays allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from ...records import Shape
from .program import Body

COUNTERS = "ijklmnop"  #: the names of the loops' counters, from outside to inside


def nest(b: Body, shape: Shape, strides: Sequence[Sequence[int]], statement: Callable[..., str]) -> None:
    """Add loops over all elements of a shape.

    Parameters
    ----------
    b : Body
        Where they are added.
    shape : tuple of int
        The sizes.
    strides : list of list of int
        For each array how far apart elements are, for each dimension; 0 where all share one.
    statement : callable
        Returns the statement within the loops from the indices of all arrays.
    """
    sizes, steps = _merged(shape, strides)
    for counter, size in zip(COUNTERS, sizes, strict=False):
        b.line(f"for (int {counter} = 0; {counter} < {size}; {counter}++) {{")
    b.line(statement(*(_index(each) for each in steps)))
    for _ in sizes:
        b.line("}")


def contiguous(shape: Shape) -> list[int]:
    """Return the strides of an array without gaps."""
    return [prod(shape[d + 1 :]) for d in range(len(shape))]


def broadcast(shape: Shape, to: Shape) -> list[int]:
    """Return the strides of an array that is repeated along dimensions of 1, or that it does not have."""
    missing = len(to) - len(shape)
    own = contiguous(shape)
    return [0] * missing + [0 if size == 1 else stride for size, stride in zip(shape, own, strict=True)]


def _merged(shape: Shape, strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Leave out dimensions of 1, and join neighbours that are one row in all arrays."""
    kept = [d for d, size in enumerate(shape) if size != 1]
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for d in kept:
        if sizes and all(own[-1] == each[d] * shape[d] for own, each in zip(steps, strides, strict=True)):
            sizes[-1] *= shape[d]
            for own, each in zip(steps, strides, strict=True):
                own[-1] = each[d]
        else:
            sizes.append(shape[d])
            for own, each in zip(steps, strides, strict=True):
                own.append(each[d])
    return sizes, steps


def _index(strides: Sequence[int]) -> str:
    terms = [c if s == 1 else f"{s} * {c}" for c, s in zip(COUNTERS, strides, strict=False) if s]
    return " + ".join(terms) or "0"
