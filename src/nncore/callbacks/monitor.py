"""What callbacks share that watch a quantity or set the learning rate: whether it is there, and which way is better."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from .._checks import choice
from ..errors import ArgumentError
from ..training.hooks import Logs

Mode = Literal["auto", "min", "max"]
MODES = ("auto", "min", "max")


def check_mode(owner: str, mode: str) -> str:
    """Return ``mode`` if it is one."""
    found: str = choice(owner, "mode", mode, MODES)
    return found


def watched(owner: str, monitor: str, logs: Logs | None) -> Any:
    """Return what the logs say of the quantity; None, with a warning, where they say nothing."""
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
    """Return 1 where larger is better, -1 where smaller is; "auto" asks the metric."""
    if mode == "auto":
        name = monitor.removeprefix("val_")
        known = {metric.name: metric.direction for metric in getattr(model, "metrics", ())}
        mode = "min" if name == "loss" or name.endswith("_loss") else known.get(name, "")
    if not mode:
        raise ArgumentError(f"{owner}: is a larger {monitor!r} better? Pass mode='max' or mode='min'")
    return 1.0 if mode == "max" else -1.0


def learning_rate(owner: str, model: Any) -> float:
    """Return the learning rate of the model, which must be a number."""
    rate = model.optimizer.learning_rate
    if callable(rate):
        raise ArgumentError(f"{owner} sets the learning rate, but the optimizer's lr is a schedule, {rate!r}; use one of the two")
    return float(rate)
