"""Learning rates that change from update to update.

A schedule is a callable from the number of updates done so far (0 for the first) to a learning rate. It is called before the core
is called, for all steps of that call. It does not see the loss. Use a callback to adapt the rate to the loss, for example
``nn.callbacks.ReduceLROnPlateau``. The rate depends on the number of updates, so resumed training continues with the right rate.

Examples
--------
>>> import nncore as nn
>>> schedule = nn.schedules.Warmup(
...     nn.schedules.Cosine(3e-3, total_steps=1000), steps=50
... )
>>> nn.optim.Adam(lr=schedule).lr(1050)
0.0
"""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .base import LearningRateSchedule
    from .combined import Chained, Constant, Sequential
    from .cycle import Cyclic, OneCycle, PerEpoch, Warmup
    from .decay import Cosine, CosineRestarts, Exponential, InverseScaling, MultiStep, Polynomial, StepDecay
    from .rates import Schedule

__all__ = [
    "Chained",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "InverseScaling",
    "LearningRateSchedule",
    "MultiStep",
    "OneCycle",
    "PerEpoch",
    "Polynomial",
    "Schedule",
    "Sequential",
    "StepDecay",
    "Warmup",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        __all__,
        {
            "base": "LearningRateSchedule",
            "combined": "Chained Constant Sequential",
            "cycle": "Cyclic OneCycle PerEpoch Warmup",
            "decay": "Cosine CosineRestarts Exponential InverseScaling MultiStep Polynomial StepDecay",
            "rates": "Schedule",
        },
    )
