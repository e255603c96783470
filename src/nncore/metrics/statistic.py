"""Selection of the sums that the core accumulates for the metrics of an output, and of the decision threshold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import ArgumentError
from ..records import StatisticSpec
from .base import Metric

_UNIT = ("sigmoid", "softmax", "step")
_ODD = ("tanh", "softsign", "hardtanh")


def statistic(metrics: Iterable[Metric], targets: str, from_logits: bool, columns: int, activation: str) -> StatisticSpec:
    """Return the record of the sums that the core accumulates for the metrics of one output.

    Parameters
    ----------
    metrics : iterable of Metric
    targets : str
        The form of the targets that the loss takes; see data/targets.py.
    from_logits : bool
        Whether the output holds logits.
    columns : int
        Width of the output.
    activation : str
        The activation that computes the output. The default threshold depends on it.

    Raises
    ------
    ArgumentError
        The metrics do not fit together, or not with the loss.
    """
    metrics = list(metrics)
    called = [m for m in metrics if m.kind == "python"]
    if called:
        rest = [m for m in metrics if m.kind != "python"]
        return statistic(rest, targets, from_logits, columns, activation)._replace(called=True)
    kinds = {m.kind: m.name for m in metrics}
    if not kinds:
        return StatisticSpec("none")
    if len(kinds) > 1:
        raise ArgumentError(
            f"metrics {kinds['confusion']!r} (of classes) and {kinds['residuals']!r} (of numbers) cannot both be kept of one "
            "output; compute one of them from model.predict(x), for example nn.metrics.mae(y, model.predict(x))"
        )
    if "residuals" in kinds:
        if targets == "classes":
            raise ArgumentError(
                f"metric {kinds['residuals']!r} compares numbers, but the targets are class indices; use 'accuracy'"
            )
        return StatisticSpec("residuals")
    many = targets in ("classes", "one_hot") or (targets == "values" and columns > 1)
    for metric in metrics:
        metric.check(columns if many else 2)
    if many:
        return StatisticSpec("confusion", columns)
    odd = targets == "signs" or activation in _ODD
    zero = from_logits or (odd and activation not in _UNIT)
    thresholds = {m.threshold for m in metrics if m.threshold is not None} or {0.0 if zero else 0.5}
    if len(thresholds) > 1:
        raise ArgumentError(f"the metrics of one output must share one threshold, not {sorted(thresholds)}")
    # Two columns with two classes would mean one class per row. A third class, which is never counted, marks each column as a
    # yes/no decision.
    return StatisticSpec("confusion", 3 if columns == 2 else 2, thresholds.pop(), 0.0 if odd else 0.5)


def counted(spec: StatisticSpec, columns: int, sums: np.ndarray) -> np.ndarray:
    """Return the part of the sums from which the metrics are computed."""
    return sums[:2, :2] if spec.kind == "confusion" and spec.classes > columns > 1 else sums
