"""Insight: why a net learns or does not."""

from .diagnosis import diagnose
from .one_batch import OneBatch, overfit_one_batch
from .plots import plot_activation, plot_decision_boundary, plot_sequence_gradient
from .rates import RateTest, find_lr
from .report import Report
from .verdict import CODES, Verdict

__all__ = [
    "CODES",
    "OneBatch",
    "RateTest",
    "Report",
    "Verdict",
    "diagnose",
    "find_lr",
    "overfit_one_batch",
    "plot_activation",
    "plot_decision_boundary",
    "plot_sequence_gradient",
]
