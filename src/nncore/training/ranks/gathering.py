"""The sums of metrics over all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..configuration import Sums
    from .base import Ranks


def total(ranks: Ranks, sums: Sums) -> Sums:
    """Return the sums of all ranks, and for metrics that see the rows those of all ranks. One's own stay as they are."""
    arrays = [each for each in sums if each is not None]
    flat = np.concatenate([each.reshape(-1) for each in arrays]) if arrays else np.empty(0)
    if len(flat):
        ranks.sum(flat)
    found: list[np.ndarray | None] = []
    at = 0
    for each in sums:
        if each is None:
            found.append(None)
            continue
        found.append(flat[at : at + each.size].reshape(each.shape))
        at += each.size
    result = type(sums)(found, sums.watchers)
    if any(sums.watchers):
        rows = ranks.exchange([[watcher.kept() for watcher in own] for own in sums.watchers])
        result.watchers = [
            [watcher.with_rows([row for rank in rows for row in rank[i][j]]) for j, watcher in enumerate(own)]
            for i, own in enumerate(sums.watchers)
        ]
    return result


def of_evaluation(ranks: Ranks, loss: np.ndarray, rows: int, sums: Sums) -> tuple[np.ndarray, int, Sums]:
    """Return the sums of the losses, the number of rows and the sums of the metrics, of all ranks."""
    flat = np.append(loss, float(rows))
    ranks.sum(flat)
    return flat[:-1].reshape(loss.shape), int(flat[-1]), total(ranks, sums)
