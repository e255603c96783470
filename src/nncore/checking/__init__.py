"""Checks of what users write: whether the gradients of a model, a layer or a loss are those of the function that it computes."""

from .gradients import GradientEntry, GradientReport, check_gradients

__all__ = ["GradientEntry", "GradientReport", "check_gradients"]
