"""The moving average of the parameters, which the core keeps beside them, put in their place."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Self, cast

from ._core import AveragedWeights
from .predicting import Predicting


class Averaging(Predicting):
    """The part of a model that evaluates the average of its parameters.

    Examples
    --------
    >>> import nncore as nn
    >>> hasattr(nn.Sequential(nn.Linear(2, 1)), "averaged_weights")
    True
    """

    def averaged_weights(self) -> AbstractContextManager[Self]:
        """Put the moving average of the parameters in their place, for as long as the ``with`` block lasts.

        The optimizer keeps that average where it has ``ema_momentum``. Inside, `evaluate`, `predict`, `save` and the like see the
        average; training is refused. Running statistics are those of training.

        Raises
        ------
        ArgumentError
            The optimizer keeps no average.
        ConcurrentUseError
            Another thread trains the model.

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
        return cast("AbstractContextManager[Self]", AveragedWeights(self))
