"""Functions for callbacks that monitor a quantity or set the learning rate: read the quantity and find its direction."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from .._checks import choice
from ..errors import ArgumentError
from ..training.hooks import Logs

Mode = Literal["auto", "min", "max"]
MODES = ("auto", "min", "max")


def check_mode(owner: str, mode: str) -> str:
    """Return ``mode`` if it is valid."""
    found: str = choice(owner, "mode", mode, MODES)
    return found


def watched(owner: str, monitor: str, logs: Logs | None) -> Any:
    """Return the monitored quantity from the logs. If it is missing, warn and return None."""
    current = (logs or {}).get(monitor)
    unvalidated = not any(name.startswith("val_") for name in logs or {})
    if current is None:
        warnings.warn(
            f"{owner} monitors {monitor!r}, which is not among {', '.join(logs or {})}"
            + ("; pass validation_split or validation_data" if unvalidated and monitor.startswith("val_") else ""),
            stacklevel=3,
        )
    return current


def direction(owner: str, monitor: str, mode: str, model: Any) -> float:
    """Return 1 if larger is better, -1 if smaller is better. "auto" uses the direction of the metric."""
    if mode == "auto":
        name = monitor.removeprefix("val_")
        known = {metric.name: metric.direction for metric in getattr(model, "metrics", ())}
        mode = "min" if name == "loss" or name.endswith("_loss") else known.get(name, "")
    if not mode:
        raise ArgumentError(f"{owner}: is a larger {monitor!r} better? Pass mode='max' or mode='min'")
    return 1.0 if mode == "max" else -1.0


def learning_rate(owner: str, model: Any) -> float:
    """Return the learning rate of the model. Raise ArgumentError if it is a schedule."""
    rate = model.optimizer.learning_rate
    if callable(rate):
        raise ArgumentError(f"{owner} sets the learning rate, but the optimizer's lr is a schedule, {rate!r}; use one of the two")
    return float(rate)
