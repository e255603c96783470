"""ProgressBar: show the progress of training on stderr."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .._checks import flag
from .hooks import Callback, Logs


class ProgressBar(Callback):
    """Show a bar with the current loss and metrics if tqdm is installed, else print one line per epoch.

    Parameters
    ----------
    lines : bool, default False
        Whether to print one line per epoch even if tqdm is installed (``fit(verbose=2)``).

    Examples
    --------
    >>> callback = ProgressBar()
    """

    def __init__(self, lines: bool = False) -> None:
        self.lines = flag("ProgressBar", "lines", lines)
        self._bar: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._epoch, self._step = self.params.get("initial_epoch", 0), 0
        if self.lines:
            return
        try:
            tqdm = importlib.import_module("tqdm")
        except ImportError:
            return
        total = (self.params["epochs"] - self._epoch) * self.params["steps"]
        self._bar = tqdm.tqdm(total=total or None, unit="step")  # no total if the number of batches is unknown

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch, self._step = epoch, 0
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch + 1}/{self.params['epochs']}", refresh=False)

    def on_train_chunk_end(self, step: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(_line(logs), refresh=False)
            self._bar.update(step - self._step)
            self._step = step

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(_line(logs), refresh=epoch + 1 == self.params["epochs"])
        else:
            print(f"epoch {epoch + 1}/{self.params['epochs']}  {_line(logs)}", file=sys.stderr)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Close the bar and leave it on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _line(logs: Logs | None) -> str:
    """Return ``loss 0.1234  accuracy 0.9``. Values that are not single numbers are left out."""
    return "  ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items() if isinstance(value, int | float))
