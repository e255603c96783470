"""What the schedules share: arguments that do not change, a repr, equality, and the way into a file."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import ArgumentError
from .rates import Schedule


class LearningRateSchedule:
    """Base of the schedules: a function from the number of updates done so far to the learning rate of the next one.

    To write another one, a plain function will do, or any callable with ``config()``. A file holds no code, but the name by which
    to find it: ``nn.load(path, custom_objects={"my_rate": my_rate})``.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.Exponential(0.1, gamma=0.5)
    >>> [rate(step) for step in range(3)]
    [0.1, 0.05, 0.025]
    """

    names: ClassVar[tuple[str, ...]] = ()  #: of the constructor's arguments

    lr: float

    def __init__(self, **arguments: Any) -> None:
        vars(self).update(arguments)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the update that comes after ``step`` others."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: vars(self)[name] for name in self.names}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is fixed; make a new schedule and set the optimizer's lr to it")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *map(str, vars(self).values())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={vars(self)[name]!r}' for name in self.names)})"


def inner(owner: str, schedule: float | Schedule) -> tuple[float | Schedule, float]:
    """Check what a schedule wraps, a number or another schedule; return it and the rate that parameter groups are relative to."""
    if callable(schedule):
        return schedule, float(getattr(schedule, "lr", 0.0))
    try:
        value = float(schedule)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentError(f"{owner}: schedule must be a learning rate >= 0 or a callable step -> lr, not {schedule!r}")
    return value, value
