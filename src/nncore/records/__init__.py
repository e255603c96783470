"""Records that Python passes to the core: ops, parameters, losses, optimizers and statistics. They contain no computation."""

from .._core.results import Int8Weight, Parameter, Shape
from .ops import Op
from .training import COMMON_SUMS, LossSpec, OptimizerSpec, OutputStatistics, ParameterOptions, StatisticSpec

__all__ = [
    "COMMON_SUMS",
    "Int8Weight",
    "LossSpec",
    "Op",
    "OptimizerSpec",
    "OutputStatistics",
    "Parameter",
    "ParameterOptions",
    "Shape",
    "StatisticSpec",
]
