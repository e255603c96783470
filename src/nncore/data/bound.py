"""Bound data: arrays that the core can read, checked against the model for which they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..records import Shape
from .sequences import Steps


class Data:
    """Bound data: an array per input, an array per output, weights per output or None, lengths [N] or None.

    Weights are [N], or [N, steps] if the time steps have their own weights; None means that all are 1. ``shapes`` are the input
    shapes of the model for which the data were checked. ``timelines`` tells how many steps of each output are valid, as
    ``Plan.timelines`` does. Both are () if they are not needed. ``steps`` is set for predictions under a mask, whose outputs have
    to be put back into their places.
    """

    steps: Steps | None = None

    def __init__(
        self,
        x: list[np.ndarray],
        y: list[np.ndarray],
        weight: list[np.ndarray | None] | None,
        lengths: np.ndarray | None = None,
        shapes: Sequence[Shape] = (),
        timelines: Sequence[tuple[int, int] | None] = (),
    ) -> None:
        self.x, self.y, self.weight, self.lengths, self.shapes, self.timelines = x, y, weight, lengths, shapes, timelines

    @property
    def rows(self) -> int:
        """The number of samples, N."""
        return len(self.x[0])

    def take(self, rows: Any) -> Data:
        """Return these rows: views for a slice, copies for indices."""
        weight = None if self.weight is None else [None if each is None else each[rows] for each in self.weight]
        lengths = None if self.lengths is None else self.lengths[rows]
        taken = Data([a[rows] for a in self.x], [a[rows] for a in self.y], weight, lengths, self.shapes, self.timelines)
        taken.steps = None if self.steps is None else self.steps.take(rows)
        return taken

    @property
    def row_bytes(self) -> int:
        """The size of one row in bytes."""
        return sum(a[:1].nbytes for a in (*self.x, *self.y))

    def scaled(self, output: int, scale: np.ndarray, rows: np.ndarray | None) -> Data:
        """Return the data with the weights of one output multiplied by ``scale``, [rows] or [rows, steps]. rows: None means all."""
        weights: list[np.ndarray | None] = [None] * len(self.y) if self.weight is None else [*self.weight]
        before = weights[output]
        before = np.ones(self.rows) if before is None else before
        rank = max(before.ndim, scale.ndim)
        wide = np.broadcast_to(_widened(before, rank), (self.rows, *np.broadcast_shapes(before.shape[1:], scale.shape[1:]))).copy()
        wide[slice(None) if rows is None else rows] *= _widened(scale, rank)
        weights[output] = wide
        return Data(self.x, self.y, weights, self.lengths, self.shapes, self.timelines)


def _widened(array: np.ndarray, rank: int) -> np.ndarray:
    """Return the array with dimensions of size 1 appended, so that it has ``rank`` dimensions."""
    return array.reshape(array.shape + (1,) * (rank - array.ndim))


def in_batches(data: Data, batch_size: int | None, split: bool) -> Iterable[Data]:
    """Return all rows at once, or in batches if a callback needs them."""
    size = batch_size or 32
    return (data.take(slice(i, i + size)) for i in range(0, data.rows, size)) if split else (data,)
