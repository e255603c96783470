"""ProgressBar: show the progress of training on stderr, or in a notebook."""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from functools import cache
from typing import Any

from .._checks import flag
from .hooks import Callback, Logs
from .logs import LazyLogs

_INTERVAL = 0.1  # seconds between two looks at the logs; tqdm redraws as often

_SPARE = 6  # columns by which a bar may be shorter than the 10 that it has where the width is not known

#: What a bar shows, in the order in which it is tried: the metrics stay as long as there is room for them.
_FORMS = (
    "{l_bar}{bar}{r_bar}",
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",  # without the rate
    "{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}",
    "{l_bar}{bar}|{postfix}",
    "{desc}{percentage:3.0f}%{postfix}",
)
_OPEN_FORMS = ("{desc}{n_fmt} [{elapsed}, {rate_fmt}{postfix}]", "{desc}{n_fmt} [{elapsed}{postfix}]", "{desc}{n_fmt}{postfix}")


class ProgressBar(Callback):
    """Show a bar with the current loss and metrics if tqdm is installed, else print one line per epoch.

    In a notebook the bar is a widget, if ipywidgets is installed. In a narrow terminal the bar leaves out the rate first, then the
    times, and then itself, but keeps the metrics. Where even these are too long, the last ones are left out, and "…" says so.
    Metrics that need all rows of an epoch appear at its end.

    Parameters
    ----------
    lines : bool, default False
        Whether to print one line per epoch, with its time, even if tqdm is installed (``fit(verbose=2)``).

    Examples
    --------
    >>> import nncore as nn
    >>> callback = nn.callbacks.ProgressBar()
    """

    only_first = True

    def __init__(self, lines: bool = False) -> None:
        self.lines = flag("ProgressBar", "lines", lines)
        self._bar: Any = None
        self._logs: Logs = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._epoch, self._step, self._shown = self.params.get("initial_epoch", 0), 0, 0.0
        if self.lines:
            return
        bar = _bar_class()
        if bar is not None:
            total = (self.params["epochs"] - self._epoch) * self.params["steps"]
            self._bar = bar(total=total or None, unit="step")  # no total if the number of batches is unknown

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch, self._step, self._start = epoch, 0, time.monotonic()
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch + 1}/{self.params['epochs']}", refresh=False)

    def on_train_chunk_end(self, step: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._show(logs)
            self._bar.update(step - self._step)
            self._step = step

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._logs = dict(logs or {})
            self._show(self._logs)
        else:
            seconds = _time(time.monotonic() - self._start)
            print(f"epoch {epoch + 1}/{self.params['epochs']}  {_line(logs)}  {seconds}", file=sys.stderr)

    def _show(self, logs: Logs | None) -> None:
        """Set the metrics of the bar, at most ten times a second."""
        now = time.monotonic()
        if now - self._shown >= _INTERVAL:
            self._shown = now
            self._bar.set_postfix_str(_line(logs), refresh=False)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Close the bar and leave it on the screen."""
        if self._bar is not None:
            if self._logs:
                self._bar.set_postfix_str(_line(self._logs), refresh=False)
            self._bar.close()
            self._bar, self._logs = None, {}


def in_notebook() -> bool:
    """Return whether this is the kernel of a notebook. IPython is not imported for it."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get() if callable(get) else None
    if shell is None:
        return False
    names = {cls.__name__ for cls in type(shell).__mro__}
    return "ZMQInteractiveShell" in names or "IPKernelApp" in (getattr(shell, "config", None) or ())


def _bar_class() -> Any:
    """Return a class of tqdm, or None if it is not installed."""
    try:
        if not in_notebook():
            return _narrowing(importlib.import_module("tqdm").tqdm)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without ipywidgets, the bar is text
            found = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        return None
    return found if any(cls.__module__ == "tqdm.notebook" for cls in found.__mro__) else _narrowing(found)


@cache
def _narrowing(tqdm: Any) -> Any:
    """Return a class of bars of text that leave out what is less important than the metrics where the terminal is narrow."""
    width: Any = importlib.import_module("tqdm.utils").disp_len

    class Bar(tqdm):  # type: ignore[misc]
        @staticmethod
        def format_meter(n: Any, total: Any, elapsed: Any, ncols: Any = None, **options: Any) -> Any:
            text = ""
            for form in _FORMS if total else _OPEN_FORMS:
                options["bar_format"] = form
                text = tqdm.format_meter(n, total, elapsed, **options)
                if not ncols or width(text) - (_SPARE if "{bar}" in form else 0) <= ncols:
                    return tqdm.format_meter(n, total, elapsed, ncols=ncols, **options) if ncols else text
            entries = (options.get("postfix") or "").split("  ")
            while entries and width(text) > ncols:  # a number that is cut would read as another number
                entries.pop()
                options["postfix"] = "  ".join([*entries, "…"])
                text = tqdm.format_meter(n, total, elapsed, **options)
            return text if width(text) <= ncols else text[: max(ncols - 1, 0)] + "…"

    return Bar


def _line(logs: Logs | None) -> str:
    """Return ``loss 0.1234  accuracy 0.9``. Values that are not single numbers are left out."""
    items = logs.cheap() if isinstance(logs, LazyLogs) else (logs or {}).items()
    return "  ".join(f"{name} {value:.4g}" for name, value in items if isinstance(value, int | float))


def _time(seconds: float) -> str:
    """Return ``0.12 s``, ``12 s`` or ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d} min"
