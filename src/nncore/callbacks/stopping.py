"""Callbacks that end training: at a target value, after some time, or when the loss stops falling.

See also `EarlyStopping` (patience) and `TerminateOnNaN`.
"""

from __future__ import annotations

import time

from .._checks import real, whole
from ..training.hooks import Callback, Logs
from .monitor import Mode, Monitor


class StopAtTarget(Monitor):
    """Stop training at the end of the epoch in which a quantity reaches a target.

    Parameters
    ----------
    monitor : str
        A key of the logs of an epoch, such as "val_accuracy".
    target : float
        The value to reach.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" uses the direction of the metric.

    Attributes
    ----------
    stopped_epoch : int or None
        The epoch that reached the target.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    >>> enough = nn.callbacks.StopAtTarget("loss", 1e-3)
    >>> history = model.fit([[0.0], [1.0]], [[1.0], [3.0]], epochs=1000, callbacks=[enough])
    >>> history.history["loss"][-1] <= 1e-3 < history.history["loss"][-2]
    True
    """

    def __init__(self, monitor: str, target: float, mode: Mode = "auto") -> None:
        super().__init__(monitor, mode)
        self.target = real("StopAtTarget", "target", target)
        self.stopped_epoch: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.stopped_epoch = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        current = self._watched(logs)
        if current is None:
            return
        sign = self._direction()
        if sign * current >= sign * self.target:
            self.stopped_epoch = epoch
            self.model.stop_training = True


class TimeLimit(Callback):
    """Stop training after some time.

    The time is checked after every call into the core, between two steps. Training therefore ends up to 50 ms late, or up to one
    step late if a step takes longer. A last validation follows. An incomplete epoch counts as an epoch in the history;
    ``fit(resume=True)`` continues it.

    Parameters
    ----------
    seconds : float
        Seconds since the start of training.

    Attributes
    ----------
    stopped : bool
        Whether the time limit was reached.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> limit = nn.callbacks.TimeLimit(0.05)
    >>> history = model.fit([[0.0], [1.0]], [[1.0], [3.0]], epochs=10**9, callbacks=[limit])
    >>> limit.stopped
    True
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = real("TimeLimit", "seconds", seconds, 0.0)
        self.stopped = False
        self._end = float("inf")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.stopped = False
        self._end = time.monotonic() + self.seconds

    def on_train_chunk_end(self, step: int, logs: Logs | None = None) -> None:
        self._look()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._look()

    def _look(self) -> None:
        if time.monotonic() >= self._end:
            self.stopped = True
            self.model.stop_training = True


class LossTolerance(Monitor):
    """Stop training when the loss falls by less than ``tol`` for more than ``n_iter_no_change`` epochs in a row.

    This is the rule of scikit-learn's ``MLPClassifier`` and ``MLPRegressor``, with their names and defaults.

    Parameters
    ----------
    tol : float, default 1e-4
        An epoch counts as an improvement if it is better than the best so far by at least this.
    n_iter_no_change : int, default 10
        The number of epochs in a row that may pass without improvement.
    monitor : str, default "loss"
        A key of the logs of an epoch.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" uses the direction of the metric.

    Attributes
    ----------
    best : float or None
        The best value so far.
    stopped_epoch : int or None
        The epoch that ended training.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    >>> still = nn.callbacks.LossTolerance(tol=1e-3, n_iter_no_change=2)
    >>> history = model.fit([[0.0], [1.0]], [[1.0], [3.0]], epochs=1000, callbacks=[still])
    >>> still.stopped_epoch == history.epoch[-1] < 999
    True
    """

    stateful = ("best", "no_improvement_count")

    def __init__(self, tol: float = 1e-4, n_iter_no_change: int = 10, monitor: str = "loss", mode: Mode = "auto") -> None:
        self.tol = real("LossTolerance", "tol", tol, 0.0)
        self.n_iter_no_change = whole("LossTolerance", "n_iter_no_change", n_iter_no_change)
        super().__init__(monitor, mode)
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.no_improvement_count = 0
        self.stopped_epoch: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        current = self._watched(logs)
        if current is None:
            return
        sign = self._direction()
        best = -float("inf") if self.best is None else sign * self.best
        self.no_improvement_count = 0 if sign * current >= best + self.tol else self.no_improvement_count + 1
        if sign * current > best:
            self.best = current
        if self.no_improvement_count > self.n_iter_no_change:
            self.stopped_epoch = epoch
            self.model.stop_training = True
