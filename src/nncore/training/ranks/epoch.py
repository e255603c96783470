"""An epoch of several ranks: what they tell each other between steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trainer import ensure_ready
from . import averages, gathering

if TYPE_CHECKING:
    from ..configuration import Configuration, Sums
    from ..hooks import Learner
    from ..sources import ArraySource
    from .base import Ranks


class RanksOfFit:
    """What the ranks exchange in a `fit`, between two steps.

    Parameters
    ----------
    ranks : Ranks
    model : Model
    config : Configuration
    """

    def __init__(self, ranks: Ranks, model: Learner, config: Configuration) -> None:
        self.ranks, self.model, self.config = ranks, model, config
        self.plan = model._network.plan
        self._averages = averages.Averages(ranks, model._network)
        self._apart = ranks.sync_every > 1
        self._rows = 0  # those of this rank since the last average
        self._totals: np.ndarray | None = None

    def any_of(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any rank has it."""
        found = np.array(flags, np.float64)
        self.ranks.sum(found)
        return [bool(each) for each in found]

    def begin_epoch(self, source: ArraySource, *flags: bool) -> list[bool]:
        """Prepare the steps of an epoch. Return for each flag whether any rank has it."""
        data, own, config = source.data, source.own, self.config
        weighs = data.weight is not None or data.lengths is not None or any(loss.ignored is not None for loss in config.losses)
        *found, weighs = self.any_of(*flags, weighs)
        self._totals = None
        if weighs and own is not None:
            totals = np.zeros((source.steps, len(config.losses)))
            if own.own:
                with self.model._network.access.reading():
                    ensure_ready(self.model._network, config, data)
                    each = own.own_batch * source.accumulate
                    mine = self.plan.total_weights(data.x, data.y, data.weight, data.lengths, source.order, each)
                totals[: len(mine)] = mine
            if self.ranks.sync_every == 1:
                self.ranks.sum(totals)
            self._totals = totals
        return found

    def run(self, source: ArraySource, done: int, most: int, rates: np.ndarray, losses: np.ndarray, sums: Sums) -> int:
        """Do at most ``most`` steps after the ``done`` ones of an epoch. Return their number, which is the same on all ranks."""
        own, data, each, new = source.own, source.data, source.accumulate, 0
        assert own is not None
        if self._apart:
            most = min(most, self.ranks.sync_every - done % self.ranks.sync_every)
        while new < most and (self._apart or not new):
            share, row = own.share(done + new, each, self._totals), (done + new) * own.own_batch * each
            with self.model._network.access.training():
                ensure_ready(self.model._network, self.config, data)
                new += self.plan.train(
                    *(data.x, data.y, data.weight, source.order, own.own_batch, row, most - new),
                    *(rates[new:], losses[new:], sums, data.lengths, each),
                    share=share,
                )
        used = own.until(done + new, each) - own.until(done, each)
        self.after_step(losses[:new], used, done + new)
        return new

    def after_step(self, losses: np.ndarray, rows: int, done: int) -> None:
        """After steps: replace their losses on this rank by those of all rows. If any rank stops training, all do.

        rows: how many this rank has had in these steps, by which losses are weighed where each rank makes steps of its own. done:
        the steps of the epoch so far.
        """
        self._rows += rows
        told = np.empty(len(losses) + 2)
        told[:-2] = losses * rows if self._apart else losses
        told[-2:] = rows, bool(self.model.stop_training)
        self.ranks.sum(told)
        losses[:] = told[:-2] / max(told[-2], 1.0) if self._apart else told[:-2]
        self.model.stop_training = bool(told[-1])
        if self._apart and done % self.ranks.sync_every == 0:
            self._average()

    def _average(self) -> None:
        self._averages.all(self._rows)
        self._rows = 0

    def agree_to_stop(self) -> None:
        """Stop training if any rank does, after hooks that may have said so."""
        (self.model.stop_training,) = self.any_of(bool(self.model.stop_training))

    def end_epoch(self, sums: Sums) -> Sums:
        """Return the sums of all ranks. What each rank has changed for itself is averaged: parameters, running statistics."""
        if self._apart:
            if self.any_of(self._rows > 0)[0]:
                self._average()
        elif not self.ranks.joins_norms:
            self._averages.states(self._rows)
        self._rows = 0
        return self.total(sums)

    def total(self, sums: Sums) -> Sums:
        """Return the sums of all ranks; one's own are as before."""
        return gathering.total(self.ranks, self.config, sums)
