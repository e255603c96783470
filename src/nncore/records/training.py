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
    ignored: float | None = None  #: the class index of the rows that do not count


class OptimizerSpec(NamedTuple):
    """The update rule. The learning rate is passed with every call."""

    name: str
    attributes: tuple[float, ...] = ()
    weight_decay: float = 0.0
    clip_norm: float = 0.0  #: limit for all gradients together; 0: off
    clip_value: float = 0.0  #: limit for each element; 0: off
    clip_norm_each: float = 0.0  #: limit for the gradient of each parameter; 0: off
    ema_momentum: float = 0.0  #: momentum of the moving average of the parameters; 0: no average
    divides_penalties: bool = False  #: whether the penalties of a step are divided as the loss of its first output is


#: How many sums all counts have in common: weight of the decisions (NaN if one cannot be made), of the right ones, and of the rows;
#: the number of targets below 0, and that of the others that are no 1.
COMMON_SUMS = 5


class StatisticSpec(NamedTuple):
    """One kind of sums that the core accumulates for the metrics of an output: float64 [size]."""

    kind: str  #: "classes" or "decisions" (one per column), which are counted; "residuals"; or "loss"
    counted: str = "right"  #: what is counted: "right", "each", "pairs", "top", "whole", as csrc/ops/kernels.h describes
    k: int = 1  #: for "top"
    threshold: float = 0.5  #: decisions: positive above this
    loss: LossSpec | None = None  #: for "loss"; it takes the targets of the output
    weighted: bool = True  #: whether the rows count with their weights

    def size(self, columns: int) -> int:
        """Return the number of sums for an output of this width."""
        if self.kind == "loss":
            return 2
        if self.kind == "residuals":
            return COMMON_SUMS + 7 * columns
        return COMMON_SUMS + {"each": 3 * columns, "pairs": columns * columns}.get(self.counted, 0)


class OutputStatistics(NamedTuple):
    """What the core accumulates for one output. The sums lie one after the other in one array."""

    of: tuple[StatisticSpec, ...] = ()
    called: bool = False  #: whether metrics in Python see the output too

    def size(self, columns: int) -> int:
        """Return the number of all sums for an output of this width."""
        return sum(each.size(columns) for each in self.of)
