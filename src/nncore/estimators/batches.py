"""Sparse samples as batches that are dense one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class SparseBatches:
    """Batches of a CSR matrix for `Model.fit`. Each iteration is an epoch.

    Parameters
    ----------
    X : sparse matrix
    y : numpy.ndarray, or a list of them
    weight : numpy.ndarray or None
    size : int
        Rows of a batch.
    generator : numpy.random.RandomState, numpy.random.Generator or None
        Draws a new order for each epoch.
    deal : callable, optional
        Returns what the network gets of dense rows.

    Attributes
    ----------
    shares : list of float
        The part of each batch in the mean over all rows, without shuffling. L-BFGS asks for it.
    """

    def __init__(
        self, X: Any, y: Any, weight: np.ndarray | None, size: int, generator: Any = None, deal: Callable[[Any], Any] | None = None
    ) -> None:
        self.X, self.y, self.weight, self.size, self.generator, self.deal = X, y, weight, size, generator, deal
        self.order = np.arange(X.shape[0])
        starts = range(0, len(self.order), size)
        sums = [min(size, len(self.order) - at) if weight is None else weight[at : at + size].sum() for at in starts]
        self.shares = [float(each / sum(sums)) for each in sums]

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self.generator is not None:
            self.generator.shuffle(self.order)
        for at in range(0, len(self.order), self.size):
            rows = slice(at, at + self.size) if self.generator is None else self.order[at : at + self.size]
            x = self.X[rows].toarray()
            y = [each[rows] for each in self.y] if isinstance(self.y, list) else self.y[rows]
            batch = x if self.deal is None else self.deal(x), y
            yield batch if self.weight is None else (*batch, self.weight[rows])
