"""Checks of users' code: whether the gradients of a model, a layer or a loss are correct."""

from .gradients import GradientEntry, GradientReport, check_gradients

__all__ = ["GradientEntry", "GradientReport", "check_gradients"]
