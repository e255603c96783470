"""BackupAndRestore: continue training after the program was interrupted."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Literal

from .._checks import every, flag
from .._checks import path as checked_path
from ..errors import ArgumentError
from ..saving.declarations import require_savable
from ..saving.formats import check_name
from ..training.hooks import Callback, Logged, Logs


class BackupAndRestore(Callback):
    """Keep the state of training in a file. When the same program is started again, training continues from it, as in Keras.

    If the file exists, ``fit`` restores the state and continues from there, as ``fit(resume=True)`` does. The result is bitwise
    equal to that of a program that was never interrupted. If the file does not exist, training starts from the beginning. The file
    is deleted when training ends.

    Parameters
    ----------
    path : str or path-like
        The file. If it is a folder that exists, the file "backup.safetensors" in it.
    save_freq : "epoch" or int
        Write after every epoch, or after this many batches. With a number, each step is a separate call into the core.
    delete_checkpoint : bool, default True
        Whether to delete the file when training ends normally or a callback ends it. After an error or Ctrl-C the file stays.
    backup_dir : str or path-like
        Keras's argument instead of ``path``: a folder for the file. It is made if it is missing.
    double_checkpoint : bool
        Keras's argument. It has no effect, because the file is always replaced completely or not at all.

    Raises
    ------
    ArgumentError
        The file belongs to a model with other layers or in another precision (``dtype``, ``compute``), or to another optimizer.

    Examples
    --------
    >>> import os, tempfile
    >>> import nncore as nn
    >>> def run(epochs, path):
    ...     model = nn.Sequential(nn.Linear(1, 1), seed=0)
    ...     model.compile(loss="mse", optimizer="adam")
    ...     keep = nn.callbacks.BackupAndRestore(path, delete_checkpoint=False)
    ...     return model.fit(
    ...         [[1.0], [2.0]], [[2.0], [4.0]], epochs=epochs, callbacks=[keep]
    ...     )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "backup.safetensors")
    ...     run(2, path).epoch, run(5, path).epoch
    ([0, 1], [2, 3, 4])
    """

    saves_model = True
    only_first = True

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        save_freq: Literal["epoch"] | int = "epoch",
        delete_checkpoint: bool = True,
        *,
        backup_dir: str | os.PathLike[str] | None = None,
        double_checkpoint: bool = False,
    ) -> None:
        if (path is None) == (backup_dir is None):
            raise ArgumentError("BackupAndRestore needs path, the file, or backup_dir, a folder for it; not both")
        self.path = checked_path("BackupAndRestore", "backup_dir" if path is None else "path", backup_dir if path is None else path)
        check_name("BackupAndRestore", self.path)
        if path is None or os.path.isdir(self.path):
            self.path = os.path.join(self.path, "backup.safetensors")
        flag("BackupAndRestore", "double_checkpoint", double_checkpoint)
        self.save_freq = every("BackupAndRestore", "save_freq", save_freq)
        self.delete_checkpoint = flag("BackupAndRestore", "delete_checkpoint", delete_checkpoint)
        if not isinstance(self.save_freq, str):
            vars(self)["on_train_batch_end"] = self._batch  # only if needed: a batch hook makes each step a call of its own

    def check_logged(self, logged: Logged) -> None:
        require_savable(self.model._network)

    def before_fit(self, model: Any) -> bool:
        if not os.path.exists(self.path):
            return False
        from ..saving.backup import restore_training_state

        restore_training_state(model._network, self.path)
        return True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save()

    def _batch(self, batch: int, logs: Logs | None = None) -> None:
        if not self.model.step % self.save_freq:
            self._save()

    def _save(self) -> None:
        if folder := os.path.dirname(self.path):
            os.makedirs(folder, exist_ok=True)
        self.model.save(self.path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
