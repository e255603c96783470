"""ModelCheckpoint: save the model to a file during training."""

from __future__ import annotations

import os
import re
from string import Formatter
from typing import Any, Literal

from .._checks import every, flag, named, near, optional_real, path, verbosity
from ..errors import ArgumentError
from ..saving.declarations import require_savable
from ..saving.formats import check_name
from ..training.hooks import Logged, Logs
from .monitor import Mode, Monitor


class ModelCheckpoint(Monitor):
    """Save the model, or its weights, after every epoch or every few batches, exactly as Keras does.

    A file is replaced completely or not at all, see `Model.save`. ``nn.load`` reads it, and ``fit(resume=True)`` continues the
    training. This callback is called after the others, so that the file contains their current state.

    Parameters
    ----------
    filepath : str or path-like
        The file. It may contain fields: ``{epoch:02d}``, counted from 1; any key of the logs, such as ``{val_loss:.2f}``; and
        ``{batch}``, counted from 1, if ``save_freq`` is a number. Missing folders are created.
    monitor : str, default "val_loss"
        The key of the logs that ``save_best_only`` compares.
    verbose : int, default 0
        1 prints on stderr what is saved, or why nothing is saved.
    save_best_only : bool, default False
        Whether to save only if the monitored quantity is better than ever before, in this and earlier runs of the same model.
    save_weights_only : bool, default False
        Whether to save only the weights, as `Model.save_weights` does.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" uses the direction of the metric.
    save_freq : "epoch" or int
        Save after every epoch, or after this many batches, counted across epochs. With a number, each step is a separate call into
        the core. The logs are then those of the epoch so far, without validation.
    initial_value_threshold : float, optional
        With ``save_best_only``: only values better than this are saved.

    Attributes
    ----------
    best : float or None
        The best value so far.

    Examples
    --------
    >>> import os, tempfile
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep = nn.callbacks.ModelCheckpoint(
    ...         os.path.join(folder, "{epoch:02d}.safetensors")
    ...     )
    ...     _ = model.fit([[1.0], [2.0]], [[2.0], [4.0]], epochs=2, callbacks=[keep])
    ...     sorted(os.listdir(folder))
    ['01.safetensors', '02.safetensors']
    """

    saves_model = True
    only_first = True
    stateful = ("best", "_batches")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = _checked_path(filepath)
        self.verbose = verbosity("ModelCheckpoint", verbose)
        self.save_best_only = flag("ModelCheckpoint", "save_best_only", save_best_only)
        self.save_weights_only = flag("ModelCheckpoint", "save_weights_only", save_weights_only)
        self.save_freq = every("ModelCheckpoint", "save_freq", save_freq)
        self.initial_value_threshold = optional_real("ModelCheckpoint", "initial_value_threshold", initial_value_threshold)
        self.best = self.initial_value_threshold
        self._epoch = self._batches = 0
        if self.save_freq != "epoch":
            vars(self)["on_train_batch_end"] = self._count  # only if needed: a batch hook makes each step a call of its own

    def set_model(self, model: Any) -> None:
        if self.model is not None and self.model is not model:  # what another model has reached is no measure for this one
            self.best, self._batches = self.initial_value_threshold, 0
        super().set_model(model)

    def check_logged(self, logged: Logged) -> None:
        keys = logged.of_epochs if self.save_freq == "epoch" else logged.of_batches
        if self.save_best_only:
            self._require(self.monitor, keys, logged)
            self._direction()
        if not self.save_weights_only:
            require_savable(self.model._network)
        if os.path.isdir(self.filepath):
            raise ArgumentError(f"ModelCheckpoint: filepath {self.filepath!r} is a folder; pass the path of a file in it")
        known = [*keys, "epoch", *(["batch"] if self.save_freq != "epoch" else [])]
        for field in _fields(self.filepath):
            if field not in known and not logged.others_add:
                hint = f"; did you mean {named(similar)}?" if (similar := near(field, known)) else ""
                raise ArgumentError(
                    f"ModelCheckpoint: filepath {self.filepath!r} has a field {field!r}, which fit will not log. It logs "
                    f"{', '.join(known)}{hint}"
                )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _count(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        before = self.best
        if self.save_best_only and not self._improves(logs):
            return
        file = self._path(epoch, batch, logs)
        if folder := os.path.dirname(file):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(file)
        else:
            self.model.save(file)
        change = f"is {_short(self.best)}" if before is None else f"went from {_short(before)} to {_short(self.best)}"
        better = f"{self.monitor} {change}, " if self.save_best_only else ""
        self._report(epoch, f"{better}saved to {file}")

    def _improves(self, logs: Logs | None) -> bool:
        """Return whether the value is better than the best so far, and store it if so. NaN is never better."""
        current = self._watched(logs)
        if current is None:
            return False
        if not self._is_better(current, self.best):
            self._report(self._epoch, f"{self.monitor} is {_short(current)}, not better than {_short(self.best)}")
            return False
        self.best = current
        return True

    def _path(self, epoch: int, batch: int | None, logs: Logs | None) -> str:
        own = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1})}
        fields = {name: logs[name] for name in _fields(self.filepath) if logs and name in logs and name not in own} | own
        try:
            return self.filepath.format(**fields)
        except (LookupError, ValueError, TypeError) as error:
            raise ArgumentError(
                f"ModelCheckpoint: filepath {self.filepath!r} cannot be filled in ({type(error).__name__}: {error}); there are "
                f"{', '.join(sorted({*(logs or {}), *own}))}"
            ) from error

    def _report(self, epoch: int, what: str) -> None:
        if self.verbose:
            self._say(f"epoch {epoch + 1}: {what}")


def _short(value: float | None) -> str:
    return str(value) if value is None else f"{value:.6g}"


def _fields(filepath: str) -> list[str]:
    """Return the names of the fields of a path."""
    names = [name for _, name, _, _ in Formatter().parse(filepath) if name is not None]
    return [re.split(r"[.\[]", name)[0] for name in names]


def _checked_path(filepath: str | os.PathLike[str]) -> str:
    """Return the path, after checking its fields."""
    found = path("ModelCheckpoint", "filepath", filepath)
    check_name("ModelCheckpoint", found, "filepath")
    try:
        names = _fields(found)
        if not all(names):
            raise ValueError("a field needs a name")
        found.format(**dict.fromkeys(names, 1))
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ArgumentError(
            f"ModelCheckpoint: filepath must have fields such as {{epoch:02d}} and {{val_loss:.2f}}, not {found!r} ({error})"
        ) from None
    return found
