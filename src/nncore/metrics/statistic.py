"""Selection of the sums that the core accumulates for the metrics of an output, and the way back from sums to metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..records import COMMON_SUMS, OutputStatistics, StatisticSpec
from .base import Metric
from .counts import Counts
from .task import Task

_DETAIL = ("right", "each", "pairs")  # each contains the ones before it


class Reader:
    """Computes a metric from the sums of its output.

    Parameters
    ----------
    metric : Metric
    task : Task
    needed : tuple of StatisticSpec
        What the metric needs. If there are two, they have the thresholds of 0/1 and of -1/+1 targets.
    places : list of (slice, StatisticSpec)
        Where they lie in the array, and what is accumulated there, which may be more.
    """

    def __init__(self, metric: Metric, task: Task, needed: tuple[StatisticSpec, ...], places: list[tuple[slice, StatisticSpec]]):
        self.metric, self.task, self.needed, self.places = metric, task, needed, places

    def __call__(self, sums: np.ndarray) -> Any:
        """Return the metric."""
        where, spec = self.places[0]
        if spec.kind == "residuals":
            return self.metric.compute(sums[where])
        if len(self.places) > 1 and self._are_signs(sums[where]):
            where, spec = self.places[1]
        own = sums[where]
        if spec.kind == "decisions" and own[3] > 0 and own[4] > 0:  # targets 0/1 in one batch and -1/+1 in another
            own = np.r_[np.nan, own[1:]]
        return self.metric.compute(self._counts(own, spec) if self.metric.kind == "counts" else own)

    def _are_signs(self, sums: np.ndarray) -> bool:
        negative, zero = sums[3:5].tolist()
        return negative > 0 or (not zero and self.task.is_odd)

    def _counts(self, sums: np.ndarray, spec: StatisticSpec) -> Counts:
        if spec.counted == "pairs" and self.needed[0].counted == "each":
            pairs = Counts(sums, "classes").pairs
            each = np.stack([np.diagonal(pairs), pairs.sum(axis=1), pairs.sum(axis=0)], axis=1)
            sums = np.concatenate([sums[:COMMON_SUMS], each.reshape(-1)])
        return Counts(sums, self.task.meaning)


def statistics(metrics: Iterable[Metric], task: Task, unweighted: int = 0) -> tuple[OutputStatistics, list[Reader | None]]:
    """Return what the core accumulates for the metrics of one output, and the way back: None for a metric that sees the rows.
    The first ``unweighted`` metrics do not use the weights of the rows.

    Raises
    ------
    ArgumentError, LabelError
        A metric is not defined for this output.
    """
    metrics = list(metrics)
    if not metrics:
        return OutputStatistics(), []
    needs = [tuple(spec._replace(weighted=i >= unweighted) for spec in m.statistics(task)) for i, m in enumerate(metrics)]
    found: dict[Any, StatisticSpec] = {}
    for spec in (spec for each in needs for spec in each):
        before = found.get(_key(spec))
        if before is None or (spec.counted in _DETAIL and _DETAIL.index(spec.counted) > _DETAIL.index(before.counted)):
            found[_key(spec)] = spec
    places, end = {}, 0
    for key, spec in found.items():
        start, end = end, end + spec.size(task.columns)
        places[key] = slice(start, end), spec
    readers = [
        None if m.kind == "python" else Reader(m, task, own, [places[_key(spec)] for spec in own])
        for m, own in zip(metrics, needs, strict=True)
    ]
    return OutputStatistics(tuple(found.values()), any(m.kind == "python" for m in metrics)), readers


def _key(spec: StatisticSpec) -> Any:
    """What metrics have in common if they can share sums."""
    return (spec.kind, spec.threshold, spec.weighted) if spec.counted in _DETAIL and spec.kind in ("classes", "decisions") else spec


def from_old_sums(old: np.ndarray, wanted: OutputStatistics, task: Task) -> np.ndarray | None:
    """Return the sums that a file of an older version holds in another form, or None if it is none of them.

    It was a confusion matrix, with one of yes and no for all columns together; or [columns, 7] sums of residuals.
    """
    parts = [_from_old(old, spec, task) for spec in wanted.of]
    if any(part is None for part in parts):
        return None
    return np.concatenate(parts)  # type: ignore[arg-type]


def _from_old(old: np.ndarray, spec: StatisticSpec, task: Task) -> np.ndarray | None:
    common = np.zeros(COMMON_SUMS)
    if spec.kind == "residuals":
        if old.shape != (task.columns, 7):
            return None
        common[2] = old[0, 0]
        return np.concatenate([common, old.reshape(-1)])
    classes = 3 if spec.kind == "decisions" and task.columns == 2 else task.classes
    if spec.kind not in ("classes", "decisions") or spec.counted not in _DETAIL or old.shape != (classes, classes):
        return None
    matrix = old[: task.classes, : task.classes]
    common[:3] = matrix.sum(), matrix.trace(), matrix.sum() / (task.columns if task.meaning == "labels" else 1)
    each = np.stack([np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)], axis=1)
    if task.meaning == "decision":
        each = each[1:]
    if task.meaning == "labels" and spec.counted == "each":  # the columns cannot be told apart any more
        common[0], each = np.nan, np.zeros((task.columns, 3))
    rest = {"right": np.empty(0), "each": each, "pairs": matrix}[spec.counted]
    return np.concatenate([common, rest.reshape(-1)])
