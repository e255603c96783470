"""Records that Python passes to the core: ops, parameters, losses, optimizers and statistics. They contain no computation."""

from .._core.results import Parameter, Shape
from .ops import Op
from .training import LossSpec, OptimizerSpec, ParameterOptions, StatisticSpec

__all__ = ["LossSpec", "Op", "OptimizerSpec", "Parameter", "ParameterOptions", "Shape", "StatisticSpec"]
