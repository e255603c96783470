"""Sparse samples as batches that are dense one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class SparseBatches:
    """Batches of a CSR matrix for `Model.fit`. Each iteration is an epoch.

    Parameters
    ----------
    X : sparse matrix
    y : numpy.ndarray
    weight : numpy.ndarray or None
    size : int
        Rows of a batch.
    generator : numpy.random.RandomState or None
        Draws a new order for each epoch.

    Attributes
    ----------
    shares : list of float
        The part of each batch in the mean over all rows, without shuffling. L-BFGS asks for it.
    """

    def __init__(self, X: Any, y: np.ndarray, weight: np.ndarray | None, size: int, generator: Any = None) -> None:
        self.X, self.y, self.weight, self.size, self.generator = X, y, weight, size, generator
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
            batch = self.X[rows].toarray(), self.y[rows]
            yield batch if self.weight is None else (*batch, self.weight[rows])
