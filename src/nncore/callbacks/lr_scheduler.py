"""LearningRateScheduler: a learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._checks import function, is_number, real, shown, takes, verbosity
from ..errors import ArgumentError
from ..training.hooks import Callback, Logs
from .monitor import learning_rate


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of every epoch, exactly as Keras does.

    For a rate that changes with every step, pass a schedule to the optimizer: ``lr=lambda step: ...``. "learning_rate" is added to
    the logs.

    Parameters
    ----------
    schedule : callable
        ``(epoch, lr) -> lr`` or ``epoch -> lr``. Epochs are counted from 0.
    verbose : int, default 0
        1 prints the rate on stderr.

    Raises
    ------
    ArgumentError
        The value that the schedule returns is not a learning rate.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.5))
    >>> halve = nn.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)
    >>> model.fit([[0.0]], [[0.0]], epochs=3, callbacks=[halve]).history["learning_rate"]
    [0.25, 0.125, 0.0625]
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        self._takes_rate = callable(schedule) and takes(schedule, 2)
        arguments = 2 if self._takes_rate else 1
        self.schedule = function(
            "LearningRateScheduler", "schedule", schedule, arguments, "a function of epoch and lr, or of epoch"
        )
        self.verbose = verbosity("LearningRateScheduler", verbose)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        now = learning_rate("LearningRateScheduler", self.model)
        rate = self.schedule(epoch, now) if self._takes_rate else self.schedule(epoch)
        if not is_number(rate):
            raise ArgumentError(f"LearningRateScheduler: the schedule gave {shown(rate)} for epoch {epoch}, not a number")
        number = real("LearningRateScheduler", "what the schedule gave", rate, 0.0)
        self.model.optimizer.learning_rate = number
        if self.verbose:
            self._say(f"epoch {epoch + 1}: learning rate {number:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = learning_rate("LearningRateScheduler", self.model)
