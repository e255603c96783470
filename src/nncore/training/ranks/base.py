"""Ranks: the processes that train one model, seen from one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Ranks:
    """The processes that train one model together. Each calls the methods below in the same order; so they never wait forever.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    sharded : bool
        Whether each process is given rows of its own. If not, all are given the same rows, and each takes its part of every batch.
    joins_norms : bool
        Whether batch normalisation uses the statistics of the rows of all ranks.
    sync_every : int
        The number of steps after which the parameters are averaged; 1: the gradients of every step are summed instead.
    """

    rank: int = 0
    size: int = 1
    sharded: bool = False
    joins_norms: bool = False
    sync_every: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this rank prints and saves."""
        return self.rank == 0

    def sum(self, numbers: np.ndarray) -> None:
        """Replace numbers by their sums over all ranks."""
        raise NotImplementedError

    def gather(self, records: np.ndarray) -> None:
        """Fill in the rows of the others in an array [ranks, ...] of which each rank has set its own."""
        raise NotImplementedError

    def broadcast(self, numbers: np.ndarray) -> None:
        """Replace numbers by those of rank 0."""
        raise NotImplementedError

    def exchange(self, value: Any) -> list[Any]:
        """Return the values of all ranks."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Called with an error that training has raised on this rank. Return if all ranks have one, otherwise end all of them."""
        raise NotImplementedError

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Let an error within the block end all ranks, unless all raise one."""
        try:
            yield
        except BaseException as error:
            self.fail(error)
            raise

    def together(self, value: Any) -> Any:
        """Return the value of rank 0."""
        return self.exchange(value if self.is_first else None)[0]
