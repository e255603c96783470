"""Verdicts on a training that has taken place, from what `callbacks.Diagnostics` has recorded. Nothing is tried out."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np

from .case import Trial
from .course import gradients, units
from .report import in_order
from .verdict import Verdict

_LARGE, _TINY = 0.3, 1e-6  #: of the update of a weight matrix, relative to the matrix


class _Watched:
    """What the examinations of gradients and units read: the model, and its training as a trial."""

    def __init__(self, model: Any, found: Any) -> None:
        losses = np.array(model.history.history.get("loss", []), np.float64)
        before, after = (float(losses[0]), float(losses[-1])) if len(losses) else (float("nan"), float("nan"))
        self.start, self.plan = model, model._network.plan
        unknown = float("nan")
        self.first = Trial(model, losses, before, after, after, unknown, (), unknown, found)


def verdicts_of(found: Any) -> list[Verdict]:
    """Return the verdicts on the training that a `callbacks.Diagnostics` has recorded, the most serious first."""
    watched: Any = _Watched(found.model, found)
    return in_order([*gradients(watched), *units(watched), *_updates(watched.first)])


def _updates(trial: Trial) -> Iterator[Verdict]:
    """Steps that are far too long or too short for the weights, in the epoch with the longest."""
    ratios = {name: max(filter(isfinite, each), default=0.0) for name, each in trial.found.update_ratio.items() if "weight" in name}
    if not ratios:
        return
    largest = max(ratios, key=lambda name: ratios[name])
    if ratios[largest] > _LARGE or not isfinite(trial.after):
        yield Verdict(
            "lr_too_high",
            "serious" if not isfinite(trial.after) else "warning",
            largest,
            f"A step changes the weights by {ratios[largest]:.2g} times their norm.",
            "About a thousandth is usual. Such steps throw away what the steps before have learned.",
            "Lower the learning rate; nn.find_lr(model, X, y) shows which ones work:",
            "model.optimizer.lr = model.optimizer.lr / 10",
            {"update / weight": ratios[largest]},
        )
    elif max(ratios.values()) < _TINY:
        yield Verdict(
            "lr_too_low",
            "warning",
            largest,
            f"A step changes the weights by {ratios[largest]:.2g} times their norm, at most.",
            "About a thousandth is usual. With such steps the net hardly changes.",
            "Raise the learning rate; nn.find_lr(model, X, y) shows which ones work:",
            "model.optimizer.lr = 100 * model.optimizer.lr",
            {"update / weight": ratios[largest]},
        )
