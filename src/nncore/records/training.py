"""Records of training: the options of parameters, losses, the update rule, and the sums for metrics.

The core checks them when a plan is compiled. Nothing is computed here.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class ParameterOptions(NamedTuple):
    """The training options of one parameter."""

    trainable: bool = True
    lr_scale: float = 1.0
    weight_decay: float | None = None  #: None: that of the optimizer
    l1: float | None = None  #: None: that of compile, for weight matrices
    l2: float | None = None
    max_norm: float = 0.0  #: limit for the norm of the weights into one unit; 0: off


class LossSpec(NamedTuple):
    """The loss of one output."""

    name: str  #: the name in the registry, without the suffix _logits
    from_logits: bool = False
    attributes: tuple[float, ...] = ()
    reduction: str = "mean"  #: "mean" (over the batch), "sum", or "mean_with_sample_weight"
    weight: float = 1.0
    part: Any = None  #: the loss object, if it is written in Python


class OptimizerSpec(NamedTuple):
    """The update rule. The learning rate is passed with every call."""

    name: str
    attributes: tuple[float, ...] = ()
    weight_decay: float = 0.0
    clip_norm: float = 0.0  #: limit for all gradients together; 0: off
    clip_value: float = 0.0  #: limit for each element; 0: off
    clip_norm_each: float = 0.0  #: limit for the gradient of each parameter; 0: off
    ema_momentum: float = 0.0  #: momentum of the moving average of the parameters; 0: no average


class StatisticSpec(NamedTuple):
    """The sums that the core accumulates for the metrics of one output."""

    kind: str  #: "none", "confusion" (float64 [classes, classes], rows are the true classes) or "residuals" (float64 [columns, 7])
    classes: int = 0
    threshold: float = 0.5  #: outputs with one column or several labels: positive above this
    target_threshold: float = 0.5  #: 0.5 for targets 0/1, 0.0 for targets -1/+1
    called: bool = False  #: whether metrics in Python see the output too
