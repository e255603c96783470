"""The moving average of the parameters, which the core keeps beside them, put in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from .errors import ArgumentError
from .predicting import Predicting


class Averaging(Predicting):
    """The part of a model that evaluates the average of its parameters.

    Examples
    --------
    >>> import nncore as nn
    >>> hasattr(nn.Sequential(nn.Linear(2, 1)), "averaged_weights")
    True
    """

    @contextmanager
    def averaged_weights(self) -> Iterator[Self]:
        """Put the moving average of the parameters in their place, for as long as the ``with`` block lasts.

        The optimizer keeps that average where it has ``ema_momentum``. Inside, `evaluate`, `predict`, `save` and the like see the
        average; training is refused. Running statistics are those of training.

        Raises
        ------
        ArgumentError
            The optimizer keeps no average.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="zeros"))
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.125, ema_momentum=0.5))
        >>> _ = model.fit([[1.0]], [[1.0]], epochs=2)
        >>> with model.averaged_weights():
        ...     model.predict([[0.0]])
        array([[0.3125]], dtype=float32)
        >>> model.predict([[0.0]])
        array([[0.375]], dtype=float32)
        """
        self._require_compiled("averaged_weights")
        if self._averaged or "average" not in self._buffers():
            why = "they are in place already" if self._averaged else "compile with an optimizer that has ema_momentum, such as 0.99"
            raise ArgumentError(f"averaged_weights: {why}")
        if self.step == 0:  # nothing to average yet
            yield self
            return
        buffers = self._buffers()
        kept = buffers["parameters"].copy()
        buffers["parameters"][...] = buffers["average"]
        self._averaged = True
        self._restart_batches()
        try:
            yield self
        finally:
            buffers["parameters"][...] = kept
            self._averaged = False
            self._restart_batches()
