"""A constant rate, and schedules made of other schedules: one after another, or multiplied."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from .._checks import real, shown, whole
from ..errors import ArgumentError
from .base import LearningRateSchedule, inner
from .rates import Schedule


class Constant(LearningRateSchedule):
    """``lr`` for all updates; or ``lr * factor`` for the first ``total_steps`` updates and then ``lr``: PyTorch's ConstantLR.

    Parameters
    ----------
    lr : float
        The learning rate.
    factor : float, default 1
        The rates of the first updates, relative to ``lr``.
    total_steps : int, default 0
        The number of these updates.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.schedules.Constant(0.5)(1000)
    0.5
    >>> rate = nn.schedules.Constant(1.0, factor=0.25, total_steps=10)
    >>> rate(9), rate(10)
    (0.25, 1.0)
    """

    names = ("lr", "factor", "total_steps")
    factor: float
    total_steps: int

    def __init__(self, lr: float, factor: float = 1.0, total_steps: int = 0) -> None:
        factor, total_steps = real("Constant", "factor", factor, 0.0), whole("Constant", "total_steps", total_steps, 0)
        if factor != 1.0 and not total_steps:
            raise ArgumentError(f"Constant: factor={factor:g} has no effect without total_steps, the number of updates it is for")
        super().__init__(lr=real("Constant", "lr", lr, 0.0), factor=factor, total_steps=total_steps)

    def __call__(self, step: int) -> float:
        return self.lr * self.factor if step < self.total_steps else self.lr


class Sequential(LearningRateSchedule):
    """Schedules one after another: PyTorch's SequentialLR. Each counts its updates from its own start.

    Parameters
    ----------
    schedules : sequence of schedules
        Each is a schedule of ``nn.schedules``, a function ``step -> lr``, or a constant rate.
    milestones : sequence of int
        The number of updates after which the next schedule begins; increasing, one fewer than schedules.

    Examples
    --------
    >>> import nncore as nn
    >>> from nncore.schedules import Exponential
    >>> rate = nn.schedules.Sequential(
    ...     [0.1, nn.schedules.Exponential(1.0, gamma=0.5)], milestones=[10]
    ... )
    >>> rate(9), rate(10), rate(11)
    (0.1, 1.0, 0.5)
    """

    names = ("schedules", "milestones")
    schedules: tuple[float | Schedule, ...]
    milestones: tuple[int, ...]

    def __init__(self, schedules: Sequence[float | Schedule], milestones: Sequence[int]) -> None:
        found, lr = _several("Sequential", schedules)
        if isinstance(milestones, str | bytes) or not (isinstance(milestones, Sequence) or getattr(milestones, "ndim", 0) == 1):
            raise ArgumentError(f"Sequential: milestones must be a list of numbers of updates, not {shown(milestones)}")
        starts = tuple(whole("Sequential", "each of milestones", milestone, 0) for milestone in milestones)
        if len(starts) != len(found) - 1:
            raise ArgumentError(
                f"Sequential: milestones must be {len(found) - 1} for {len(found)} schedules, one before each but the first, "
                f"not {len(starts)}"
            )
        if list(starts) != sorted(starts):
            raise ArgumentError(f"Sequential: milestones must increase, not {shown(milestones)}")
        super().__init__(lr=lr, schedules=found, milestones=starts)

    def __call__(self, step: int) -> float:
        number = bisect_right(self.milestones, step)
        schedule = self.schedules[number]
        return schedule(step - self.milestones[number - 1] if number else step) if callable(schedule) else schedule


class Chained(LearningRateSchedule):
    """The first schedule, multiplied by the relative rates of the others: PyTorch's ChainedScheduler.

    The relative rate of a schedule of ``nn.schedules`` is its rate divided by its first argument ``lr`` (or ``max_lr``,
    ``base_lr``). A function of your own, also one in a `PerEpoch`, gives the factor itself.

    Parameters
    ----------
    schedules : sequence of schedules
        Each is a schedule of ``nn.schedules`` or a function of the number of updates. The first may be a constant rate.

    Examples
    --------
    >>> import nncore as nn
    >>> warmup = nn.schedules.Constant(1.0, factor=0.1, total_steps=2)
    >>> rate = nn.schedules.Chained([nn.schedules.Exponential(1.0, gamma=0.5), warmup])
    >>> [rate(step) for step in range(4)]
    [0.1, 0.05, 0.25, 0.125]
    """

    names = ("schedules",)
    schedules: tuple[float | Schedule, ...]

    def __init__(self, schedules: Sequence[float | Schedule]) -> None:
        found, lr = _several("Chained", schedules)
        for i, each in enumerate(found[1:], 1):
            if not callable(each):
                raise ArgumentError(f"Chained: schedules[{i}] is the number {each:g}; only the first may be a constant rate")
        super().__init__(lr=lr, schedules=found)

    def __call__(self, step: int) -> float:
        first, *others = self.schedules
        rate = first(step) if callable(first) else first
        for each in others:
            if callable(each):
                base = each.lr if isinstance(each, LearningRateSchedule) else 0.0
                rate *= each(step) / base if base else each(step)
        return rate


def _several(owner: str, schedules: Any) -> tuple[tuple[float | Schedule, ...], float]:
    """Check a list of schedules. Return it, and the rate of the first to which the rates of parameter groups are relative."""
    if not isinstance(schedules, list | tuple) or not schedules:
        raise ArgumentError(f"{owner}: schedules must be a list of schedules, not {shown(schedules)}")
    found = [inner(owner, each, f"schedules[{i}]") for i, each in enumerate(schedules)]
    return tuple(each for each, _ in found), found[0][1]
