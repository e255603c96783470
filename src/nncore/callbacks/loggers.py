"""Callbacks that record losses and metrics: CSVLogger in a file, TensorBoard with a SummaryWriter."""

from __future__ import annotations

import os
from typing import Any, Literal, TextIO

import numpy as np

from .._checks import every, flag, path, shown
from ..errors import ArgumentError
from ..training.hooks import Callback, Logs


class CSVLogger(Callback):
    """Write the logs of every epoch as a line of a CSV file, as Keras does.

    The columns are "epoch", counted from 0, and the keys of the logs in alphabetical order. A missing value is written as "NA", for
    example validation with ``validation_freq`` > 1. Each line is on disk before the next epoch starts.

    Parameters
    ----------
    filename : str or path-like
        The file. A folder that does not exist is made.
    separator : str, default ","
        One character.
    append : bool, default False
        Whether to append to the file, for resumed training. The header is written only if the file is empty.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.25))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     _ = model.fit(
    ...         [[1.0]], [[3.0]], epochs=2, callbacks=[nn.callbacks.CSVLogger(path)]
    ...     )
    ...     print(path.read_text(), end="")
    epoch,loss
    0,4.0
    1,0.0
    """

    only_first = True

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1 or separator in '\r\n"\0 ':
            raise ArgumentError(f"CSVLogger: separator must be one character, such as ',' or a tab, not {shown(separator)}")
        self.filename = path("CSVLogger", "filename", filename)
        self.separator = separator
        self.append = flag("CSVLogger", "append", append)
        self._file: TextIO | None = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._keys: list[str] = []
        if folder := os.path.dirname(self.filename):
            os.makedirs(folder, exist_ok=True)
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115 - see close
        import csv  # imported here because it is rarely needed

        self._writer = csv.writer(self._file, delimiter=self.separator, lineterminator="\n")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._file is None:
            return
        logs = logs or {}
        if not self._keys:
            keys = {*logs}
            if self.params.get("do_validation") and not any(key.startswith("val_") for key in keys):
                keys |= {f"val_{key}" for key in getattr(self.model, "metrics_names", ())}
            self._keys = sorted(keys)
            if not self._file.tell():
                self._writer.writerow(["epoch", *self._keys])
        self._writer.writerow([epoch, *(_text(logs.get(key, "NA")) for key in self._keys)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _text(value: Any) -> Any:
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic) else value


class TensorBoard(Callback):
    """Pass losses, metrics and the learning rate to a SummaryWriter: PyTorch's, tensorboardX's, or any object with ``add_scalar``.

    The tags are "loss/train", "loss/validation" and so on, so that TensorBoard shows both in one group. The step is the number of
    the epoch or, with ``update_freq``, of the batch. The writer is flushed at the end of each epoch. It is not closed.

    Parameters
    ----------
    writer : object
        An object with ``add_scalar(tag, value, step)``.
    update_freq : "epoch", "batch" or int
        "epoch": write after every epoch only. "batch" or a number: also write "loss/batch" after every batch or after this many
        batches. Each step is then a separate call into the core.

    Examples
    --------
    >>> import nncore as nn
    >>> class Writer:
    ...     def add_scalar(self, tag, value, step):
    ...         print(tag, value, step)
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.25))
    >>> _ = model.fit([[1.0]], [[3.0]], callbacks=[nn.callbacks.TensorBoard(Writer())])
    loss/train 4.0 0
    learning_rate 0.25 0
    """

    only_first = True

    def __init__(self, writer: Any, update_freq: Literal["epoch", "batch"] | int = "epoch") -> None:
        if isinstance(writer, type) or not callable(getattr(writer, "add_scalar", None)):
            raise ArgumentError(
                "TensorBoard: writer is a SummaryWriter, something with add_scalar(tag, value, step), "
                f"not {shown(writer)}; for a folder: "
                "torch.utils.tensorboard.SummaryWriter(folder)"
            )
        self.writer = writer
        self.update_freq = every("TensorBoard", "update_freq", update_freq, ("epoch", "batch"))
        if self.update_freq != "epoch":
            self._every = 1 if isinstance(self.update_freq, str) else self.update_freq
            vars(self)["on_train_batch_end"] = self._batch  # only if needed: a batch hook makes each step a call of its own

    def _batch(self, batch: int, logs: Logs | None = None) -> None:
        step = self.model.step
        if step % self._every == 0:
            self._write({f"{name}/batch": value for name, value in (logs or {}).items()}, step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        tags = {}
        for name, value in (logs or {}).items():
            key = name.removeprefix("val_")
            tags[name if name == "learning_rate" else f"{key}/train" if key == name else f"{key}/validation"] = value
        rate = self.model.optimizer.learning_rate
        tags.setdefault("learning_rate", rate(self.model.step) if callable(rate) else rate)
        self._write(tags, epoch)
        if hasattr(self.writer, "flush"):
            self.writer.flush()

    def _write(self, tags: Logs, step: int) -> None:
        for tag, value in tags.items():
            if np.ndim(value) == 0:
                self.writer.add_scalar(tag, value, step)
