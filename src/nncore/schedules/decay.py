"""Schedules that fall: stepwise, exponentially, as a polynomial, as a power of the step, or as half a cosine."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import cos, inf, pi

from .._checks import real, shown, whole
from ..errors import ArgumentError
from .base import LearningRateSchedule


class StepDecay(LearningRateSchedule):
    """``lr * gamma ** (step // step_size)``: PyTorch's StepLR.

    Parameters
    ----------
    lr : float
        The first learning rate.
    step_size : int
        Updates between two reductions.
    gamma : float, default 0.1
        The factor.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.StepDecay(1.0, step_size=10, gamma=0.5)
    >>> rate(9), rate(10), rate(25)
    (1.0, 0.5, 0.25)
    """

    names = ("lr", "step_size", "gamma")
    step_size: int
    gamma: float

    def __init__(self, lr: float, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(
            lr=real("StepDecay", "lr", lr, 0.0),
            step_size=whole("StepDecay", "step_size", step_size),
            gamma=real("StepDecay", "gamma", gamma, 0.0),
        )

    def __call__(self, step: int) -> float:
        return self.lr * power(self.gamma, step // self.step_size)


class MultiStep(LearningRateSchedule):
    """``lr`` times ``gamma`` for each milestone that has been reached: PyTorch's MultiStepLR.

    Parameters
    ----------
    lr : float
        The first learning rate.
    milestones : sequence of int
        Numbers of updates, increasing.
    gamma : float, default 0.1
        The factor.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.MultiStep(1.0, milestones=[10, 30], gamma=0.5)
    >>> rate(9), rate(10), rate(30)
    (1.0, 0.5, 0.25)
    """

    names = ("lr", "milestones", "gamma")
    milestones: tuple[int, ...]
    gamma: float

    def __init__(self, lr: float, milestones: Sequence[int], gamma: float = 0.1) -> None:
        if isinstance(milestones, str | bytes) or not (isinstance(milestones, Sequence) or getattr(milestones, "ndim", 0) == 1):
            raise ArgumentError(f"MultiStep: milestones must be a list of numbers of updates, not {shown(milestones)}")
        found = tuple(whole("MultiStep", "each of milestones", milestone, 0) for milestone in milestones)
        if list(found) != sorted(found):
            raise ArgumentError(f"MultiStep: milestones must increase, not {shown(milestones)}")
        super().__init__(lr=real("MultiStep", "lr", lr, 0.0), milestones=found, gamma=real("MultiStep", "gamma", gamma, 0.0))

    def __call__(self, step: int) -> float:
        return self.lr * power(self.gamma, bisect_right(self.milestones, step))


class Exponential(LearningRateSchedule):
    """``lr * gamma ** (step / steps)``: PyTorch's ExponentialLR with ``steps=1``, else Keras's ExponentialDecay.

    Parameters
    ----------
    lr : float
        The first learning rate.
    gamma : float
        The factor.
    steps : int, default 1
        Updates over which the rate falls by ``gamma``.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.schedules.Exponential(1.0, gamma=0.25, steps=10)(5)
    0.5
    """

    names = ("lr", "gamma", "steps")
    gamma: float
    steps: int

    def __init__(self, lr: float, gamma: float, steps: int = 1) -> None:
        super().__init__(
            lr=real("Exponential", "lr", lr, 0.0),
            gamma=real("Exponential", "gamma", gamma, 0.0),
            steps=whole("Exponential", "steps", steps),
        )

    def __call__(self, step: int) -> float:
        return self.lr * power(self.gamma, step / self.steps)


class Polynomial(LearningRateSchedule):
    """``(lr - end_lr) * (1 - step / total_steps) ** power + end_lr``, then constantly ``end_lr``: PyTorch's PolynomialLR.

    Parameters
    ----------
    lr : float
        The first learning rate.
    total_steps : int
        Updates until ``end_lr`` is reached.
    power : float, default 1
        1 is a straight line.
    end_lr : float, default 0
        The last rate.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.Polynomial(1.0, total_steps=10, power=2)
    >>> rate(5), rate(10), rate(99)
    (0.25, 0.0, 0.0)
    """

    names = ("lr", "total_steps", "power", "end_lr")
    total_steps: int
    power: float
    end_lr: float

    def __init__(self, lr: float, total_steps: int, power: float = 1.0, end_lr: float = 0.0) -> None:
        super().__init__(
            lr=real("Polynomial", "lr", lr, 0.0),
            total_steps=whole("Polynomial", "total_steps", total_steps),
            power=real("Polynomial", "power", power, 0.0),
            end_lr=real("Polynomial", "end_lr", end_lr, 0.0),
        )

    def __call__(self, step: int) -> float:
        if step >= self.total_steps:
            return self.end_lr
        return float((self.lr - self.end_lr) * (1 - step / self.total_steps) ** self.power + self.end_lr)


class InverseScaling(LearningRateSchedule):
    """``lr / (step + 1) ** power``: scikit-learn's "invscaling", counted in updates.

    Parameters
    ----------
    lr : float
        The first learning rate.
    power : float, default 0.5
        The exponent.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.schedules.InverseScaling(0.5)(3)
    0.25
    """

    names = ("lr", "power")
    power: float

    def __init__(self, lr: float, power: float = 0.5) -> None:
        super().__init__(lr=real("InverseScaling", "lr", lr, 0.0), power=real("InverseScaling", "power", power, 0.0))

    def __call__(self, step: int) -> float:
        return self.lr / power(step + 1, self.power)


class Cosine(LearningRateSchedule):
    """Half a cosine from ``lr`` to ``min_lr`` (Loshchilov & Hutter, 2017): PyTorch's CosineAnnealingLR.

    Parameters
    ----------
    lr : float
        The first learning rate.
    total_steps : int
        Updates until ``min_lr`` is reached. The rate then stays constant, as in Keras; in PyTorch it rises again.
    min_lr : float, default 0
        The last rate.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.Cosine(1.0, total_steps=10)
    >>> rate(0), round(rate(5), 6), rate(10), rate(15)
    (1.0, 0.5, 0.0, 0.0)
    """

    names = ("lr", "total_steps", "min_lr")
    total_steps: int
    min_lr: float

    def __init__(self, lr: float, total_steps: int, min_lr: float = 0.0) -> None:
        super().__init__(
            lr=real("Cosine", "lr", lr, 0.0),
            total_steps=whole("Cosine", "total_steps", total_steps),
            min_lr=real("Cosine", "min_lr", min_lr, 0.0),
        )

    def __call__(self, step: int) -> float:
        return between(self.lr, self.min_lr, min(step / self.total_steps, 1.0))


class CosineRestarts(LearningRateSchedule):
    """A cosine from ``lr`` to ``min_lr`` that starts again (SGDR): PyTorch's CosineAnnealingWarmRestarts.

    Parameters
    ----------
    lr : float
        The learning rate of the first update of each period.
    period : int
        Updates of the first period.
    factor : int, default 1
        The length of each period relative to the previous one.
    min_lr : float, default 0
        The last rate.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.CosineRestarts(1.0, period=10, factor=2)
    >>> [round(rate(step), 6) for step in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    names = ("lr", "period", "factor", "min_lr")
    period: int
    factor: int
    min_lr: float

    def __init__(self, lr: float, period: int, factor: int = 1, min_lr: float = 0.0) -> None:
        super().__init__(
            lr=real("CosineRestarts", "lr", lr, 0.0),
            period=whole("CosineRestarts", "period", period),
            factor=whole("CosineRestarts", "factor", factor),
            min_lr=real("CosineRestarts", "min_lr", min_lr, 0.0),
        )

    def __call__(self, step: int) -> float:
        period = self.period
        if self.factor == 1:
            step %= period
        while step >= period:
            step -= period
            period *= self.factor
        return between(self.lr, self.min_lr, step / period)


def power(base: float, exponent: float) -> float:
    """Return ``base ** exponent``, or infinity if a float cannot hold it. An infinite rate raises an error later."""
    try:
        return float(float(base) ** exponent)
    except OverflowError:
        return inf


def between(start: float, end: float, part: float) -> float:
    """Return the value at this fraction of a half cosine from start to end."""
    return end if part == 1 else end + (start - end) * (1 + cos(pi * part)) / 2
