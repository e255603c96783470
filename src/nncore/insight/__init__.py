"""Insight: why a net learns or does not."""

from .diagnosis import diagnose
from .one_batch import OneBatch, overfit_one_batch
from .rates import RateTest, find_lr
from .report import Report
from .verdict import CODES, Verdict

__all__ = ["CODES", "OneBatch", "RateTest", "Report", "Verdict", "diagnose", "find_lr", "overfit_one_batch"]
