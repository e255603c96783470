"""What Python tells the core: plain records of ops, parameters, losses, optimizers and statistics. They hold no arithmetic."""

from .._core.results import Parameter, Shape
from .ops import Op
from .training import LossSpec, OptimizerSpec, ParameterOptions, StatisticSpec

__all__ = ["LossSpec", "Op", "OptimizerSpec", "Parameter", "ParameterOptions", "Shape", "StatisticSpec"]
