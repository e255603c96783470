"""The base class of schedules: constant arguments, repr, equality, and the config that is saved in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .._checks import function, is_number, real, shown
from .._declarations import DeclarationType, reject_unknown, visible
from ..errors import ArgumentError
from .rates import Schedule


class LearningRateSchedule(metaclass=DeclarationType):
    """Base of the schedules: functions from the number of updates done so far to the learning rate of the next update.

    A schedule of your own can be a plain function, or any callable with ``config()``. A file does not contain its code, only its
    name. Pass it when loading: ``nn.load(path, custom_objects={"my_rate": my_rate})``.

    Examples
    --------
    >>> import nncore as nn
    >>> rate = nn.schedules.Exponential(0.1, gamma=0.5)
    >>> [rate(step) for step in range(3)]
    [0.1, 0.05, 0.025]
    >>> rate.config()
    {'lr': 0.1, 'gamma': 0.5, 'steps': 1}
    """

    names: ClassVar[tuple[str, ...]] = ()  #: names of the constructor's arguments

    _family: ClassVar[str] = "nncore.schedules"

    lr: float

    def __init__(self, **arguments: Any) -> None:
        if type(self).__init__ is LearningRateSchedule.__init__:
            reject_unknown(type(self), arguments)
        vars(self).update(arguments)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the update that follows ``step`` other updates."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is computed")

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {name: vars(self)[name] for name in self.names}

    if not TYPE_CHECKING:  # type checkers know the attributes themselves

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(f"{type(self).__name__}.{name} is fixed; make a new schedule and set the optimizer's lr to it")

    __dir__ = visible

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *map(str, vars(self).values())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={vars(self)[name]!r}' for name in self.names)})"


def inner(owner: str, schedule: float | Schedule, name: str = "schedule") -> tuple[float | Schedule, float]:
    """Check the inner schedule of a schedule. Return it and the rate to which the rates of parameter groups are relative."""
    what = "a learning rate >= 0 or a callable step -> lr"
    if callable(schedule):
        base = getattr(function(owner, name, schedule, 1, what), "lr", 0.0)
        return schedule, float(base) if is_number(base) else 0.0
    try:
        value = real(owner, name, schedule, 0.0)
    except ArgumentError:
        raise ArgumentError(f"{owner}: {name} must be {what}, not {shown(schedule)}") from None
    return value, value
