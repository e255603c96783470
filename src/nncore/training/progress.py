"""Where training stands within its epochs: what ``fit(resume=True)`` goes on from, besides weights, moments and the step counter.

The order of the rows is drawn from the seed and from the number of updates before the epoch, so a place in an epoch is that number
and how many updates there have been since. Losses and metrics of the epoch so far go with it, as callbacks that watch them decide
what comes next; so does what those callbacks have counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError

#: Of each callback, in order: the name of its class, and what its get_state returned.
States = Sequence[tuple[str, dict[str, Any]]]
_NONE = np.empty(0)  # made once, as an epoch may take some ten microseconds


class Progress:
    """A place in training; made anew for every epoch.

    Attributes
    ----------
    epoch : int
        The epoch that runs, or the next one.
    start : int
        Updates before its first step.
    batch_size, rows : int
        Of the epoch that runs; 0 where batches came ready-made.
    shuffle : bool
    losses : numpy.ndarray
        float64 [steps]: the loss of each step of the epoch. Those to come are undefined; those of a file, which has only their
        sums, are NaN and take no memory.
    sums : list of numpy.ndarray or None
        What the metrics of the epoch have accumulated, one per output, and then its losses.
    states : sequence of (str, dict) or None
        Of the callbacks; None: as they are now.
    ask : callable
        Returns the states of the callbacks as they are now.
    """

    __slots__ = ("ask", "batch_size", "epoch", "losses", "rows", "shuffle", "start", "states", "sums")

    def __init__(
        self,
        epoch: int,
        start: int,
        batch_size: int = 0,
        rows: int = 0,
        shuffle: bool = False,
        losses: np.ndarray = _NONE,
        sums: list[np.ndarray | None] | None = None,
        states: States | None = None,
        ask: Callable[[], States] = list,
    ) -> None:
        self.epoch, self.start = epoch, start
        self.batch_size, self.rows, self.shuffle = batch_size, rows, shuffle
        self.losses, self.sums = losses, [] if sums is None else sums
        self.states, self.ask = states, ask

    def done(self, step: int) -> int:
        """How many steps of the epoch are done; step: the updates so far."""
        return step - self.start

    def freeze(self, step: int) -> None:
        """Hold on to what callbacks have counted, and let go of the callbacks."""
        self.losses = self.losses[: max(self.done(step), 0)]
        if self.states is None:
            try:
                self.states = self.ask()
            except Exception:  # a callback that cannot tell its state is asked once
                self.states = []
                raise
        self.ask = list

    def copied(self, step: int) -> Progress:
        """An independent copy of the steps that are done."""
        done = max(self.done(step), 0)
        if done > len(self.losses):  # updates that no fit has made
            done = 0
        losses = self.losses[:done]
        losses = losses.copy() if losses.flags.owndata or losses.flags.writeable else losses
        sums = [None if each is None else each.copy() for each in self.sums] if done else []
        states = self.ask() if self.states is None else self.states
        place = (self.batch_size, self.rows, self.shuffle) if done else (0, 0, False)
        return Progress(self.epoch, self.start, *place, losses, sums, states)

    def check(self, step: int, batch_size: int, rows: int, shuffle: bool) -> int:
        """How many steps of the epoch are done; ArgumentError where it cannot go on with such data."""
        done = self.done(step)
        if done != len(self.losses):
            raise ArgumentError(
                f"fit(resume=True): {done} updates have been made since epoch {self.epoch + 1} began, but fit made "
                f"{len(self.losses)} of them; with resume=False an epoch begins"
            )
        if done and (batch_size, rows, shuffle) != (self.batch_size, self.rows, self.shuffle):
            then, now = _in_words(self.batch_size, self.rows, self.shuffle), _in_words(batch_size, rows, shuffle)
            raise ArgumentError(
                f"fit(resume=True): training stopped after {done} steps of an epoch of {then}, and now there are {now}; pass "
                "the same data, or begin an epoch with resume=False"
            )
        return done


def _in_words(batch_size: int, rows: int, shuffle: bool) -> str:
    return (
        f"{rows} rows in batches of {batch_size}, {'' if shuffle else 'not '}shuffled" if rows else "batches that come ready-made"
    )
