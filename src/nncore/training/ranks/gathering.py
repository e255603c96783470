"""The sums of metrics over all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...records import COMMON_SUMS

if TYPE_CHECKING:
    from ..configuration import Configuration, Sums
    from .base import Ranks


def total(ranks: Ranks, config: Configuration, sums: Sums) -> Sums:
    """Return the sums of all ranks, and for metrics that see the rows those of all ranks. One's own stay as they are."""
    arrays = [each for each in sums if each is not None]
    flat = np.concatenate([each.reshape(-1) for each in arrays]) if arrays else np.empty(0)
    _shift_alike(ranks, flat, _columns(config, sums))
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


def _columns(config: Configuration, sums: Sums) -> np.ndarray:
    """Return where the sums of each column begin in those of residuals, in all sums one after the other."""
    found, at = [], 0
    for needed, columns, each in zip(config.statistics, config.columns, sums, strict=False):
        if each is None:
            continue
        for spec in needed.of:
            if spec.kind == "residuals":
                found.append(at + COMMON_SUMS + 7 * np.arange(columns))
            at += spec.size(columns)
    return np.concatenate(found) if found else np.empty(0, np.intp)


def _shift_alike(ranks: Ranks, sums: np.ndarray, columns: np.ndarray) -> None:
    """Let the sums of targets count from the same number on all ranks: each counts from its first target."""
    if not len(columns):
        return
    weight, first, shift = sums[columns], sums[columns + 4], sums[columns + 6]
    told = np.array([weight * shift, weight])
    ranks.sum(told)
    common = told[0] / np.where(told[1] == 0, 1, told[1])
    apart = shift - common
    sums[columns + 5] += apart * (2 * first + weight * apart)
    sums[columns + 4] += weight * apart
    sums[columns + 6] = common / ranks.size


def of_evaluation(ranks: Ranks, config: Configuration, loss: np.ndarray, rows: int, sums: Sums) -> tuple[np.ndarray, int, Sums]:
    """Return the sums of the losses, the number of rows and the sums of the metrics, of all ranks."""
    flat = np.append(loss, float(rows))
    ranks.sum(flat)
    return flat[:-1].reshape(loss.shape), int(flat[-1]), total(ranks, config, sums)
