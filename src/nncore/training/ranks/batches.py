"""Steps on batches that each rank has made: the rows of all ranks together are the batch of a step."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trainer import ensure_ready
from . import gathering, rows, start
from .averages import Averages

if TYPE_CHECKING:
    from ...data.bound import Data
    from ...network.network import Network
    from ..configuration import Configuration, Sums
    from ..trainer import Trainer
    from .base import Ranks


class BatchesOfRanks:
    """Steps of all ranks on batches of their own. A rank that has none left takes part without rows.

    Parameters
    ----------
    ranks : Ranks
    network : Network
    config : Configuration
    accumulate : int
        The most batches of a step on a rank.
    """

    def __init__(self, ranks: Ranks, network: Network, config: Configuration, accumulate: int = 1) -> None:
        self.ranks, self.network, self.config, self.accumulate = ranks, network, config, accumulate
        self._empty: Data | None = None  # a batch without rows

    def align(self, group: list[Data]) -> tuple[list[Data], np.ndarray] | None:
        """Return as many batches as the rank with most has for this step, and the rows of each, [ranks, batches]. Return None if no
        rank has any."""
        ranks = self.ranks
        if group and self._empty is None:
            self._empty = group[0].take(slice(0, 0))
        told = np.zeros((ranks.size, 2 + self.accumulate), np.int64)
        told[ranks.rank, :2] = len(group), self._empty is not None
        told[ranks.rank, 2 : 2 + len(group)] = [each.rows for each in group]
        ranks.gather(told)
        most = int(told[:, 0].max())
        if not most:
            return None
        if not told[:, 1].all():
            self._empty = self._empty or next(each for each in ranks.exchange(self._empty) if each is not None)
        assert self._empty is not None
        return [*group, *repeat(self._empty, most - len(group))], told[:, 2 : 2 + most]

    def step(self, group: list[Data], counts: np.ndarray, rates: np.ndarray, loss: np.ndarray, sums: Sums) -> None:
        """Do a step on the batches of all ranks, as if their rows were one batch. The caller holds the network's lock."""
        network, config, plan = self.network, self.config, self.network.plan
        totals = np.zeros(len(config.losses))
        for batch in group:
            ensure_ready(network, config, batch)
            totals += plan.total_weights(batch.x, batch.y, batch.weight, batch.lengths)
        if self.ranks.sync_every == 1:
            self.ranks.sum(totals)
        if config.reduction == "sum":
            totals[:] = 1
        own, whole = np.empty(1), 0.0
        for i, batch in enumerate(group):
            ensure_ready(network, config, batch)
            share = rows.of_batch(counts[:, i], totals, self.ranks.joins_norms)
            part = None if len(group) == 1 else (i, i == len(group) - 1, totals)
            place = (None, max(batch.rows, 1), 0, 1)
            plan.train(batch.x, batch.y, batch.weight, *place, rates, own, sums, batch.lengths, part=part, share=share)
            whole += float(own[0])
        loss[0] = whole


def step(trainer: Trainer, network: Network, data: Data, return_dict: bool) -> Any:
    """Do one step on the batches of all ranks, and return the result of train_on_batch, which is the same for all."""
    config, ranks = trainer.config, trainer.config.ranks
    assert ranks is not None
    begin(trainer, network)
    sums, loss, rates = trainer.reset_sums(), np.empty(1), np.array([trainer.rate(network.plan.step)])
    batches = BatchesOfRanks(ranks, network, config)
    aligned = batches.align([data])
    assert aligned is not None
    batches.step(*aligned, rates, loss, sums)
    told = np.array([loss[0] * (data.rows if ranks.sync_every > 1 else 1), data.rows])
    ranks.sum(told)
    average(trainer, network, data.rows)
    value = told[0] / max(told[1], 1) if ranks.sync_every > 1 else told[0]
    return trainer.batch_result(float(value), gathering.total(ranks, config, sums), return_dict)


def sum_gradients(trainer: Trainer, network: Network) -> None:
    """Sum the gradients over all ranks, before an update by hand. With ``sync_every``, each rank makes the update with its own."""
    ranks = trainer.config.ranks
    assert ranks is not None
    begin(trainer, network)
    if ranks.sync_every == 1:
        ranks.sum(network.plan.buffers()["gradients"])


def average(trainer: Trainer, network: Network, own: int) -> None:
    """Average the parameters after steps that each rank has made for itself, if it is time."""
    ranks = trainer.config.ranks
    assert ranks is not None
    trainer.rows_apart += own
    if ranks.sync_every > 1 and network.plan.step % ranks.sync_every == 0:
        Averages(ranks, network).all(trainer.rows_apart)
        trainer.rows_apart = 0


def begin(trainer: Trainer, network: Network) -> None:
    """Before the first step that is not in a `fit`: compare the models, and give all ranks the numbers of rank 0."""
    ranks = trainer.config.ranks
    if ranks is None or trainer.has_start:
        return
    start.same_seed(ranks, network)
    start.agree(ranks, None, start.described(network, trainer.config, ranks))
    start.broadcast(ranks, network, trainer.config)
    trainer.has_start = True
