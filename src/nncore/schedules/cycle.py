"""OneCycle, Cyclic and Warmup, which rise first, and PerEpoch, which counts epochs."""

from __future__ import annotations

from math import floor
from typing import Literal

from .._checks import choice, flag, optional_whole, real, whole
from ..errors import ArgumentError
from .base import LearningRateSchedule, inner
from .decay import between, power
from .rates import Schedule


class OneCycle(LearningRateSchedule):
    """Rise to ``max_lr``, then fall far below the start (Smith & Topin, 2018). PyTorch's OneCycleLR without the cycle of the
    momentum.

    Parameters
    ----------
    max_lr : float
        The highest rate.
    total_steps : int
        Updates of the cycle. After them the rate stays constant.
    pct_start : float, default 0.3
        Fraction of the cycle in which the rate rises.
    anneal_strategy : {"cos", "linear"}, default "cos"
        The form of rise and fall.
    div_factor : float, default 25
        The cycle starts at ``max_lr / div_factor``.
    final_div_factor : float, default 1e4
        The cycle ends at the first rate divided by ``final_div_factor``.
    three_phase : bool, default False
        Whether to fall in two phases: first back to the first rate, in as many steps as the rise, then to the last rate.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.OneCycle(1.0, total_steps=100)
    >>> round(rate(0), 6), round(rate(29), 6), round(rate(99), 6)
    (0.04, 1.0, 4e-06)
    """

    names = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase")
    max_lr: float
    total_steps: int
    pct_start: float
    anneal_strategy: Literal["cos", "linear"]
    div_factor: float
    final_div_factor: float
    three_phase: bool

    def __init__(
        self,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        max_lr = real("OneCycle", "max_lr", max_lr, 0.0)
        super().__init__(
            lr=max_lr,
            max_lr=max_lr,
            total_steps=whole("OneCycle", "total_steps", total_steps),
            pct_start=real("OneCycle", "pct_start", pct_start, 0.0, 1.0),
            anneal_strategy=choice("OneCycle", "anneal_strategy", anneal_strategy, ("cos", "linear")),
            div_factor=real("OneCycle", "div_factor", div_factor, 0.0, open_low=True),
            final_div_factor=real("OneCycle", "final_div_factor", final_div_factor, 0.0, open_low=True),
            three_phase=flag("OneCycle", "three_phase", three_phase),
        )

    def _phases(self) -> list[tuple[float, float]]:
        """Return the last step of each phase and the rate there."""
        first = self.max_lr / self.div_factor
        top, last = self.pct_start * self.total_steps - 1, (self.total_steps - 1.0, first / self.final_div_factor)
        if self.three_phase:
            return [(top, self.max_lr), (2 * top, first), last]
        return [(top, self.max_lr), last]

    def __call__(self, step: int) -> float:
        step, begin, start = min(step, self.total_steps - 1), 0.0, self.max_lr / self.div_factor
        for end, target in self._phases():
            if step <= end:
                part = (step - begin) / (end - begin) if end > begin else 1.0
                return between(start, target, part) if self.anneal_strategy == "cos" else start + (target - start) * part
            begin, start = end, target
        return start


class Cyclic(LearningRateSchedule):
    """Rise from ``base_lr`` to ``max_lr`` and fall back, again and again (Smith, 2017). PyTorch's CyclicLR without the cycle of the
    momentum.

    Parameters
    ----------
    base_lr, max_lr : float
        The lowest and the highest rate.
    step_size_up : int, default 2000
        Updates of a rise.
    step_size_down : int, optional
        Updates of a fall. Without it, as many as of the rise.
    mode : "triangular", "triangular2" or "exp_range"
        "triangular": all cycles have the same height. "triangular2": each cycle has half the height of the one before.
        "exp_range": the height is multiplied by ``gamma`` in each update.
    gamma : float, default 1
        For "exp_range".

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.Cyclic(0.1, 0.5, step_size_up=4, mode="triangular2")
    >>> [round(rate(step), 6) for step in (0, 2, 4, 8, 12)]
    [0.1, 0.3, 0.5, 0.1, 0.3]
    """

    names = ("base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma")
    base_lr: float
    max_lr: float
    step_size_up: int
    step_size_down: int | None
    mode: Literal["triangular", "triangular2", "exp_range"]
    gamma: float

    def __init__(
        self,
        base_lr: float,
        max_lr: float,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
    ) -> None:
        low, high = real("Cyclic", "base_lr", base_lr, 0.0), real("Cyclic", "max_lr", max_lr, 0.0)
        if low > high:
            raise ArgumentError(f"Cyclic: base_lr must not be above max_lr, but they are {low:g} and {high:g}")
        super().__init__(
            lr=low,
            base_lr=low,
            max_lr=high,
            step_size_up=whole("Cyclic", "step_size_up", step_size_up),
            step_size_down=optional_whole("Cyclic", "step_size_down", step_size_down),
            mode=choice("Cyclic", "mode", mode, ("triangular", "triangular2", "exp_range")),
            gamma=real("Cyclic", "gamma", gamma, 0.0),
        )

    def __call__(self, step: int) -> float:
        up = self.step_size_up
        whole_cycle = up + (self.step_size_down or up)
        cycle, at = floor(step / whole_cycle), step % whole_cycle
        height = (self.max_lr - self.base_lr) * (at / up if at <= up else (whole_cycle - at) / (whole_cycle - up))
        if self.mode == "triangular2":
            height /= 2.0 ** min(cycle, 1000)
        elif self.mode == "exp_range":
            height *= power(self.gamma, step)
        return self.base_lr + height


class Warmup(LearningRateSchedule):
    """Rise linearly to the first rate of another schedule, then follow that schedule. PyTorch's LinearLR before another schedule.

    Parameters
    ----------
    schedule : float or callable
        The schedule after the rise. Its steps are counted from the end of the rise.
    steps : int
        Updates of the rise.
    start_factor : float, default 1/3
        The first rate, relative to the first rate of ``schedule``.

    Examples
    --------
    >>> import nncore as nn
    >>> from nncore.schedules import Cosine
    >>> rate = nn.schedules.Warmup(
    ...     nn.schedules.Cosine(1.0, total_steps=90), steps=10, start_factor=0.1
    ... )
    >>> round(rate(0), 6), round(rate(5), 6), rate(10), rate(100)
    (0.1, 0.55, 1.0, 0.0)
    """

    names = ("schedule", "steps", "start_factor")
    schedule: float | Schedule
    steps: int
    start_factor: float

    def __init__(self, schedule: float | Schedule, steps: int, start_factor: float = 1 / 3) -> None:
        found, lr = inner("Warmup", schedule)
        super().__init__(
            lr=lr,
            schedule=found,
            steps=whole("Warmup", "steps", steps),
            start_factor=real("Warmup", "start_factor", start_factor, 0.0, 1.0),
        )

    def __call__(self, step: int) -> float:
        after, at = self.schedule, max(step - self.steps, 0)
        rate = after(at) if callable(after) else after
        return rate if step >= self.steps else rate * (self.start_factor + (1 - self.start_factor) * step / self.steps)


class PerEpoch(LearningRateSchedule):
    """A schedule in epochs: the rate is constant within an epoch.

    Parameters
    ----------
    schedule : callable
        From the epoch (the first is 0) to its learning rate. It is a schedule of ``nn.schedules`` that counts epochs as updates, or
        any function.
    steps_per_epoch : int
        Updates per epoch, ``ceil(rows / batch_size)``.

    Examples
    --------
    >>> import nncore as nn
    >>> from nncore.schedules import Exponential
    >>> rate = nn.schedules.PerEpoch(
    ...     nn.schedules.Exponential(1.0, gamma=0.5), steps_per_epoch=100
    ... )
    >>> rate(0), rate(99), rate(100)
    (1.0, 1.0, 0.5)
    """

    names = ("schedule", "steps_per_epoch")
    schedule: float | Schedule
    steps_per_epoch: int

    def __init__(self, schedule: float | Schedule, steps_per_epoch: int) -> None:
        found, lr = inner("PerEpoch", schedule)
        super().__init__(lr=lr, schedule=found, steps_per_epoch=whole("PerEpoch", "steps_per_epoch", steps_per_epoch))

    def __call__(self, step: int) -> float:
        return self.schedule(step // self.steps_per_epoch) if callable(self.schedule) else self.schedule
