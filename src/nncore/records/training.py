"""How a network is trained, as plain records: options of parameters, losses, the update rule, and what metrics need to be summed.

The core checks them when a plan is compiled. Nothing here computes.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class ParameterOptions(NamedTuple):
    """How one parameter is trained."""

    trainable: bool = True
    lr_scale: float = 1.0
    weight_decay: float | None = None  #: None: the optimizer's
    l1: float | None = None  #: None: what compile says, for matrices
    l2: float | None = None
    max_norm: float = 0.0  #: of what goes into one unit; 0: off


class LossSpec(NamedTuple):
    """The loss of one output."""

    name: str  #: its name in the registry, without the suffix _logits
    from_logits: bool = False
    attributes: tuple[float, ...] = ()
    reduction: str = "mean"  #: "mean" (over the batch), "sum", or "mean_with_sample_weight"
    weight: float = 1.0
    part: Any = None  #: the loss itself, where it is Python's


class OptimizerSpec(NamedTuple):
    """The update rule; the learning rate comes with every call."""

    name: str
    attributes: tuple[float, ...] = ()
    weight_decay: float = 0.0
    clip_norm: float = 0.0  #: of all gradients together; 0: off
    clip_value: float = 0.0  #: 0: off
    clip_norm_each: float = 0.0  #: of the gradient of each parameter; 0: off
    ema_momentum: float = 0.0  #: of the moving average of the parameters; 0: none is kept


class StatisticSpec(NamedTuple):
    """What a metric needs of one output: sums that the core accumulates while it runs."""

    kind: str  #: "none", "confusion" (float64 [classes, classes], rows are the truth) or "residuals" (float64 [columns, 7])
    classes: int = 0
    threshold: float = 0.5  #: single-column and multi-label outputs: positive above this
    target_threshold: float = 0.5  #: 0.5 for targets 0/1, 0.0 for targets -1/+1
    called: bool = False  #: metrics in Python watch the output, too
