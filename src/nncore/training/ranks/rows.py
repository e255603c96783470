"""Which rows of a batch belong to which rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ArgumentError

if TYPE_CHECKING:
    from .base import Ranks

#: What the core gets: the rows of each rank, how many of them are in a batch, the number of the first batch, the divisors of the
#: steps, and the smallest number of rows of which statistics are computed.
Share = tuple[np.ndarray, np.ndarray, int, np.ndarray | None, int]


def parts(n: int, ranks: int) -> np.ndarray:
    """Return how many of n rows each rank takes: the first ones take one more if they cannot be divided."""
    found = np.full(ranks, n // ranks, np.int64)
    found[: n % ranks] += 1
    return found


class Rows:
    """The rows of all ranks in an epoch, and the order of one's own.

    Parameters
    ----------
    ranks : Ranks
    n : int
        The number of rows that this rank has been given: all of them, or its own.
    batch_size : int or None
        Rows of a batch, of all ranks together.
    in_place : bool
        Whether a row of a batch always goes to the same rank, as stateful layers need it, and not so that each gets its part of a
        smaller last batch.
    """

    def __init__(self, ranks: Ranks, n: int, batch_size: int | None, in_place: bool) -> None:
        self.ranks = ranks
        given = np.array(ranks.exchange(n), np.int64)
        self.total = int(given.sum()) if ranks.sharded else n
        self.batch_size = self.total if batch_size is None else min(batch_size, self.total)
        self.batch = given if ranks.sharded and batch_size is None else parts(self.batch_size, ranks.size)
        self.rows = given
        if not ranks.sharded:
            whole, rest = divmod(n, max(self.batch_size, 1))
            starts = np.cumsum(self.batch) - self.batch
            self.last = np.clip(rest - starts, 0, self.batch) if in_place else parts(rest, ranks.size)
            self.rows = whole * self.batch + self.last
        elif (self.rows[self.batch == 0] > 0).any():
            raise ArgumentError(f"fit: batch_size is {batch_size}, but each of the {ranks.size} ranks needs a row of a batch")
        self.least = self.smallest()

    @property
    def own(self) -> int:
        """The number of rows of this rank."""
        return int(self.rows[self.ranks.rank])

    @property
    def own_batch(self) -> int:
        """How many of them are in a batch; at least 1, as if there were any."""
        return max(int(self.batch[self.ranks.rank]), 1)

    def until(self, step: int, accumulate: int) -> int:
        """Return the number of rows of this rank before a step."""
        return min(step * accumulate * int(self.batch[self.ranks.rank]), self.own)

    def steps(self, accumulate: int) -> int:
        """Return the number of steps of an epoch, which is that of the rank that has most."""
        each = np.maximum(self.batch * accumulate, 1)
        return int((-(-self.rows // each)).max())

    def smallest(self) -> int:
        """Return the smallest number of rows of a batch of which batch normalisation takes statistics."""
        steps = range(self.steps(1))
        if not len(steps):
            return 0
        every = np.clip(self.rows - np.multiply.outer([*{0, *steps[-1:]}, *self._ends()], self.batch), 0, self.batch)
        sizes = every.sum(axis=1) if self.ranks.joins_norms else every
        return int(min(sizes[sizes > 0], default=0))

    def _ends(self) -> list[int]:
        """Return the last batch of each rank."""
        return [int(-(-own // each)) - 1 for own, each in zip(self.rows, self.batch, strict=True) if own and each]

    def order(self, order: np.ndarray | None) -> np.ndarray:
        """Return the rows of this rank, batch by batch. order: that of all rows that this rank has been given; None: as given."""
        if self.ranks.sharded:
            return np.arange(self.own) if order is None else order
        order = np.arange(self.total) if order is None else order
        rank, size = self.ranks.rank, max(self.batch_size, 1)
        whole = len(order) // size
        first, at = int(self.batch[:rank].sum()), whole * size + int(self.last[:rank].sum())
        taken = order[: whole * size].reshape(whole, size)[:, first : first + int(self.batch[rank])]
        return np.concatenate([taken.reshape(-1), order[at : at + int(self.last[rank])]])

    def share(self, step: int, accumulate: int, totals: np.ndarray | None) -> Share:
        """Return what the core needs for the steps from ``step`` on. totals: the divisors of all steps of the epoch."""
        rest = None if totals is None else np.ascontiguousarray(totals[step:])
        return self.rows, np.maximum(self.batch, 1), step * accumulate, rest, self.least


def of_batch(counts: Any, totals: np.ndarray, joins_norms: bool) -> Share:
    """Return the same for a single batch with so many rows on each rank."""
    rows = np.array(counts, np.int64)
    least = rows.sum() if joins_norms else min(rows[rows > 0], default=0)
    return rows, np.maximum(rows, 1), 0, totals, int(least)


def has_no_rows(x: Any) -> bool:
    """Return whether an array, or each of several, has no rows."""
    parts = list(x.values()) if isinstance(x, dict) else x if isinstance(x, list | tuple) else [x]
    return all(getattr(each, "shape", (1,))[:1] == (0,) for each in parts) if len(parts) else True
