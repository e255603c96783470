"""EarlyStopping: end training when a quantity stops improving."""

from __future__ import annotations

from typing import Any

from .._checks import flag, optional_real, real, verbosity, whole
from ..training.hooks import Logs
from .monitor import Mode, Monitor


class EarlyStopping(Monitor):
    """Stop training when the monitored quantity has stopped improving, exactly as Keras does.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A key of the logs of an epoch.
    min_delta : float, default 0
        A change smaller than this does not count as an improvement.
    patience : int, default 0
        Training stops after this many epochs in a row without improvement.
    verbose : int, default 0
        1 prints on stderr when training stops.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" uses the direction of the metric.
    baseline : float, optional
        Only an improvement beyond this value resets the counter of ``patience``.
    restore_best_weights : bool, default False
        Whether to restore the parameters of the best epoch when training ends, even if that epoch did not reach the baseline.
    start_from_epoch : int, default 0
        Epochs before this one are ignored.

    Attributes
    ----------
    stopped_epoch : int
        The epoch that ended training early; 0 if there was none.
    best, best_epoch
        The best value and its epoch.

    See Also
    --------
    ModelCheckpoint : keeps the best model in a file.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.callbacks.EarlyStopping(
    ...     monitor="val_accuracy", patience=5, restore_best_weights=True
    ... ).patience
    5
    """

    stateful = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        name = type(self).__name__
        super().__init__(monitor, mode)
        self.min_delta = abs(real(name, "min_delta", min_delta))
        self.patience = whole(name, "patience", patience, 0)
        self.verbose = verbosity(name, verbose)
        self.baseline = optional_real(name, "baseline", baseline)
        self.restore_best_weights = flag(name, "restore_best_weights", restore_best_weights)
        self.start_from_epoch = whole(name, "start_from_epoch", start_from_epoch, 0)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: Any = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        current = self._watched(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self._is_better(current, self.best, self.min_delta):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._keep(epoch)
            if self.baseline is None or self._is_better(current, self.baseline, self.min_delta):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.verbose and self.stopped_epoch:
            self._say(f"epoch {self.stopped_epoch + 1}: stopped early")
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_weights = [weight.copy() for weight in self.model.get_weights()]
        self.best_epoch = epoch
