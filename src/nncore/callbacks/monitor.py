"""Monitor: the base of callbacks that monitor a quantity. Also the reading of the learning rate, for those that set it."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from .._checks import choice, named, near, shown, text, warn
from ..errors import ArgumentError
from ..training.hooks import Callback, Logged, Logs

Mode = Literal["auto", "min", "max"]
MODES = ("auto", "min", "max")


class Monitor(Callback):
    """Base of callbacks that monitor a quantity of the logs.

    Parameters
    ----------
    monitor : str
        A key of the logs.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" uses the direction of the metric.
    """

    def __init__(self, monitor: str, mode: Mode) -> None:
        name = type(self).__name__
        self.monitor = text(name, "monitor", monitor)
        self.mode: str = choice(name, "mode", mode, MODES)

    def check_logged(self, logged: Logged) -> None:
        """Raise an error if `fit` will not log the quantity, or if its direction is not known."""
        self._require(self.monitor, logged.of_epochs, logged)
        self._direction()

    def _require(self, monitor: str, keys: list[str], logged: Logged) -> None:
        owner = type(self).__name__
        if monitor in logged.arrays:
            raise ArgumentError(f"{owner}: {monitor!r} is an array; monitor one number, such as 'loss'")
        if monitor in keys or monitor == "learning_rate" or logged.others_add:
            return
        hint = "; pass validation_split or validation_data" if monitor.startswith("val_") and not logged.validates else ""
        if monitor.removeprefix("val_") not in keys and (similar := near(monitor, keys) or _completed(monitor, keys)):
            hint += f"; did you mean {named(similar)}?"
        raise ArgumentError(f"{owner} monitors {monitor!r}, which fit will not log. It logs {', '.join(keys)}{hint}")

    def _watched(self, logs: Logs | None) -> Any:
        """Return the monitored quantity from the logs. If it is missing, warn and return None."""
        current = (logs or {}).get(self.monitor)
        if current is None and self.monitor == "learning_rate":
            plan = self.model._network.plan
            current = plan.trainer.rate(max(plan.step - 1, 0))
        if current is None:
            if self.monitor.startswith("val_") and getattr(self, "params", {}).get("do_validation"):
                return None  # an epoch without validation, see validation_freq
            warn(
                f"{type(self).__name__} monitors {self.monitor!r}, which is not among {', '.join(logs or {})}"
                + ("; pass validation_split or validation_data" if self.monitor.startswith("val_") else "")
            )
        elif np.ndim(current):
            raise ArgumentError(f"{type(self).__name__}: {self.monitor!r} is {shown(current)}; one number is needed")
        return current

    def _direction(self) -> float:
        """Return 1 if larger is better, -1 if smaller is better."""
        mode, name = self.mode, self.monitor.removeprefix("val_")
        if mode == "auto":
            trainer = getattr(self.model, "_trainer", None)
            known = {metric.name: metric.direction for metric in getattr(self.model, "metrics", ())}
            known |= {} if trainer is None else trainer.config.directions
            mode = "min" if name == "loss" or (name.endswith("_loss") and name not in known) else known.get(name, "")
        if not mode:
            raise ArgumentError(f"{type(self).__name__}: is a larger {self.monitor!r} better? Pass mode='max' or mode='min'")
        return 1.0 if mode == "max" else -1.0

    def _is_better(self, value: float, best: float | None, min_delta: float = 0.0) -> bool:
        """Return whether a value is better than the best so far by more than ``min_delta``. As in Keras, any first value is, also
        an infinite one; but NaN never is."""
        sign = self._direction()
        return not math.isnan(value) if best is None else sign * value - min_delta > sign * best


def _completed(monitor: str, keys: list[str]) -> list[str]:
    """Return the keys of which a name is the beginning, as "acc" is of "accuracy"."""
    return [key for key in keys if key.startswith(monitor)]


def learning_rate(owner: str, model: Any) -> float:
    """Return the learning rate of the model. Raise ArgumentError if it is a schedule."""
    rate = model.optimizer.learning_rate
    if callable(rate):
        raise ArgumentError(f"{owner} sets the learning rate, but the optimizer's lr is a schedule, {rate!r}; use one of the two")
    return float(rate)
