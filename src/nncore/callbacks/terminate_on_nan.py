"""TerminateOnNaN: end training when the loss is not finite."""

from __future__ import annotations

import math

from ..training.hooks import Callback, Logs


class TerminateOnNaN(Callback):
    """Stop training when the loss becomes NaN or infinite.

    The loss is checked after every call into the core, that is at most about 50 ms later. The step is printed on stderr. The losses
    of single steps are in ``history.step_losses``.

    Examples
    --------
    >>> import nncore as nn
    >>> callback = nn.callbacks.TerminateOnNaN()
    """

    def on_train_chunk_end(self, step: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self._say(f"step {step} of the epoch: the loss is {loss}, training stops")
            self.model.stop_training = True
