"""ReduceLROnPlateau: lower the learning rate when a quantity stops improving."""

from __future__ import annotations

from .._checks import real, verbosity, whole
from ..training.hooks import Logged, Logs
from .monitor import Mode, Monitor, learning_rate


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by ``factor`` when the monitored quantity has stopped improving, exactly as Keras does.

    "learning_rate", the rate of the epoch, is added to the logs.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A key of the logs of an epoch.
    factor : float, default 0.1
        In [0, 1).
    patience : int, default 10
        The rate is lowered after this many epochs in a row without improvement.
    verbose : int, default 0
        1 prints on stderr when the rate is lowered.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" uses the direction of the metric.
    min_delta : float, default 1e-4
        A change of this size or smaller does not count as an improvement.
    cooldown : int, default 0
        Number of epochs after a reduction that are not counted.
    min_lr : float, default 0
        The smallest learning rate.

    Raises
    ------
    ArgumentError
        The optimizer's ``lr`` is a schedule. The two would conflict.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.5))
    >>> slower = nn.callbacks.ReduceLROnPlateau(
    ...     monitor="loss", factor=0.5, patience=1, min_delta=1e9
    ... )
    >>> history = model.fit([[0.0]], [[0.0]], epochs=4, callbacks=[slower])
    >>> history.history["learning_rate"]
    [0.5, 0.5, 0.25, 0.125]
    """

    stateful = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        name = type(self).__name__
        super().__init__(monitor, mode)
        self.factor = real(name, "factor", factor, 0.0, 1.0, open_high=True)
        self.patience = whole(name, "patience", patience, 0)
        self.verbose = verbosity(name, verbose)
        self.min_delta = abs(real(name, "min_delta", min_delta))
        self.cooldown = whole(name, "cooldown", cooldown, 0)
        self.min_lr = real(name, "min_lr", min_lr, 0.0)
        self._reset()

    def check_logged(self, logged: Logged) -> None:
        super().check_logged(logged)
        learning_rate("ReduceLROnPlateau", self.model)

    def _reset(self) -> None:
        self.best: float | None = None
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        learning_rate("ReduceLROnPlateau", self.model)
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        rate = learning_rate("ReduceLROnPlateau", self.model)
        if logs is not None:
            logs["learning_rate"] = rate
        current = self._watched(logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_better(current, self.best, self.min_delta):
            self.best = current
            self.wait = 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.cooldown_counter = self.cooldown
                self.wait = 0
                if self.verbose:
                    self._say(f"epoch {epoch + 1}: learning rate {rate:g} -> {self.model.optimizer.learning_rate:g}")
