"""The warning of a loss that is not finite: once in a `fit`, with the step, and with what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .._checks import warn


class Alarm:
    """Warns of the first loss of a `fit` that is NaN or infinite, unless a TerminateOnNaN is among the callbacks.

    Parameters
    ----------
    callbacks : iterable
    check_finite : bool
        Whether the data are known to be finite.
    """

    def __init__(self, callbacks: Iterable[Any], check_finite: bool) -> None:
        self.is_set = True
        self._callbacks = callbacks
        self._check_finite = check_finite

    def watch(self, loss: float, epoch: int, done: int, losses: np.ndarray) -> None:
        """Warn of a loss of the last step, or of the epoch so far, that is not finite. losses: the last ones of ``done`` steps."""
        if not self.is_set:
            return
        self.is_set = False
        if any(cls.__name__ == "TerminateOnNaN" for each in self._callbacks for cls in type(each).__mro__):  # also Keras's
            return
        if any(getattr(each, "minds_nan", False) for each in self._callbacks):
            return
        bad = np.flatnonzero(~np.isfinite(losses))
        where, what = "", loss
        if len(bad):
            where, what = f"step {done - len(losses) + int(bad[0]) + 1} of ", float(losses[bad[0]])
        data = "" if self._check_finite else "compile(check_finite=True) finds such values in the data, and "
        warn(f"fit: the loss is {what} in {where}epoch {epoch + 1}; {data}nn.callbacks.TerminateOnNaN() stops training")
