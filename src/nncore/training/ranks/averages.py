"""Averages over ranks: of the parameters, the optimizer's moments, and running statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...network.network import Network
    from .base import Ranks


class Averages:
    """The averages of a network's numbers, weighed by the rows that each rank has used.

    Parameters
    ----------
    ranks : Ranks
    network : Network
    """

    def __init__(self, ranks: Ranks, network: Network) -> None:
        self.ranks, self.network = ranks, network

    def all(self, rows: int) -> None:
        """Average parameters, moments, the moving average and running statistics, so that all ranks have the same."""
        plan, weight = self.network.plan, self._weight(rows)
        with self.network.access.training():
            values = plan.values()
            for each in (values, *moments(self.network)):
                each *= weight
                self.ranks.sum(each)
            plan.set_values(values)
        self.states(rows, weight)

    def states(self, rows: int, weight: float | None = None) -> None:
        """Average the running statistics."""
        states = [p.value for p in self.network.plan.states()]
        if not states:
            return
        flat = np.concatenate([each.reshape(-1) for each in states]).astype(np.float64)
        flat *= self._weight(rows) if weight is None else weight
        self.ranks.sum(flat)
        put(states, flat)
        for state in self.network.plan.states():
            if state.role == "num_batches_tracked":
                state.value[...] = np.rint(state.value)

    def _weight(self, rows: int) -> float:
        all_rows = np.array([float(rows)])
        self.ranks.sum(all_rows)
        return rows / all_rows[0] if all_rows[0] else 1 / self.ranks.size


def moments(network: Network) -> list[np.ndarray]:
    """Return the optimizer's buffers."""
    return [each for key, each in network.plan.buffers().items() if key.startswith("moment") or key == "average"]


def put(views: list[np.ndarray], flat: np.ndarray) -> None:
    """Copy numbers into arrays, one after the other."""
    at = 0
    for each in views:
        each[...] = flat[at : at + each.size].reshape(each.shape)
        at += each.size
