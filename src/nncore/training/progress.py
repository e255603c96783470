"""Progress: the position of training within its epochs. ``fit(resume=True)`` needs it besides weights, moments and the step
counter.

The order of the rows is drawn from the seed and the number of updates before the epoch. So that number and the number of updates
since then determine a position in an epoch. The losses and metrics of the epoch so far, and the states of the callbacks, are part
of the progress too, because later decisions depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError

#: For each callback, in order: the name of its class, and the result of its get_state.
States = Sequence[tuple[str, dict[str, Any]]]


class Progress:
    """A position in training. A new object is made for every epoch.

    Attributes
    ----------
    epoch : int
        The current epoch, or the next one.
    start : int
        Number of updates before its first step.
    batch_size, rows : int
        Those of the current epoch; 0 if the user made the batches.
    shuffle : bool
    accumulate : int
        Number of batches of a step.
    steps : int
        The most steps of the epoch that ``fit`` can have made so far. More updates since the start were made by others.
    sums : list of numpy.ndarray or None
        The sums of the metrics in this epoch, one per output, followed by the sums of the losses.
    states : sequence of (str, dict) or None
        The states of the callbacks. None means their current states.
    get_states : callable
        Returns the current states of the callbacks.
    """

    __slots__ = ("accumulate", "batch_size", "epoch", "get_states", "rows", "shuffle", "start", "states", "steps", "sums")

    def __init__(
        self,
        epoch: int,
        start: int,
        batch_size: int = 0,
        rows: int = 0,
        shuffle: bool = False,
        steps: int = 0,
        sums: list[np.ndarray | None] | None = None,
        states: States | None = None,
        get_states: Callable[[], States] = list,
        accumulate: int = 1,
    ) -> None:
        self.epoch, self.start = epoch, start
        self.batch_size, self.rows, self.shuffle = batch_size, rows, shuffle
        self.steps, self.sums = steps, [] if sums is None else sums
        self.states, self.get_states, self.accumulate = states, get_states, accumulate

    def steps_done(self, step: int) -> int:
        """Return the number of steps of the epoch that are done. step: the number of updates so far."""
        return step - self.start

    def detach(self, step: int) -> None:
        """Store the states of the callbacks, and release the callbacks."""
        self.steps = min(self.steps, max(self.steps_done(step), 0))
        if self.states is None:
            try:
                self.states = self.get_states()
            except Exception:  # do not get_states a second time after an error
                self.states = []
                raise
        self.get_states = list

    def snapshot(self, step: int) -> Progress:
        """Return an independent copy of the steps that are done."""
        done = max(self.steps_done(step), 0)
        if done > self.steps:  # updates were made outside of fit
            done = 0
        sums = [None if each is None else each.copy() for each in self.sums] if done else []
        states = self.get_states() if self.states is None else self.states
        place = (self.batch_size, self.rows, self.shuffle) if done else (0, 0, False)
        return Progress(self.epoch, self.start, *place, done, sums, states, accumulate=self.accumulate if done else 1)

    def check(self, step: int, batch_size: int, rows: int, shuffle: bool, accumulate: int) -> int:
        """Return the number of steps that are done. Raise ArgumentError if the epoch cannot continue with such data."""
        done = self.steps_done(step)
        if done != self.steps:
            raise ArgumentError(
                f"fit(resume=True): {done} updates have been made since epoch {self.epoch + 1} began, but fit made "
                f"{self.steps} of them; pass resume=False to start a new epoch"
            )
        was, now = (self.batch_size, self.rows, self.shuffle, self.accumulate), (batch_size, rows, shuffle, accumulate)
        if done and was != now:
            raise ArgumentError(
                f"fit(resume=True): training stopped after {done} steps of an epoch of {_in_words(*was)}, and now there are "
                f"{_in_words(*now)}; pass "
                "the same data, or resume=False to start a new epoch"
            )
        return done


def _in_words(batch_size: int, rows: int, shuffle: bool, accumulate: int) -> str:
    several = "" if accumulate == 1 else f", {accumulate} in a step"
    if not rows:
        return f"batches that come ready-made{several}"
    return f"{rows} rows in batches of {batch_size}{several}, {'' if shuffle else 'not '}shuffled"
