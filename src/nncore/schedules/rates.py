"""Check and evaluate learning rates: compute the rates of all steps of one C call from a number or a schedule.

A schedule is a callable from the step (updates done so far, 0 for the first) to a learning rate. It is called before the C call,
for all its steps. It does not see the loss. Use a callback to adapt the rate to the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np

from .._checks import function, is_number, not_foreign, real, shown
from ..errors import ArgumentError

#: A function from the number of updates done so far to a learning rate.
Schedule = Callable[[int], float]


def check(lr: float | Schedule, owner: str = "optimizer") -> float | Schedule:
    """Return ``lr`` as a float, or unchanged if it is a schedule. Raise ArgumentError if it cannot be a learning rate."""
    if type(lr) is float and 0 <= lr < inf:  # nearly always
        return lr
    not_foreign(f"{owner}: lr", lr, "schedules")
    if callable(lr):
        return function(owner, "lr", lr, 1, "a learning rate or a function step -> lr")
    try:
        return real(owner, "lr", lr, 0.0)
    except ArgumentError:
        raise ArgumentError(f"{owner}: lr must be a finite number >= 0 or a callable step -> lr, not {shown(lr)}") from None


def learning_rates(lr: float | Schedule, step: int, count: int) -> np.ndarray:
    """Return the learning rates of ``count`` steps, starting after ``step`` updates.

    Parameters
    ----------
    lr : float or callable
        A constant, or a schedule ``step -> lr``.
    step : int
        Updates done so far.
    count : int
        Number of rates.

    Returns
    -------
    numpy.ndarray
        float64 [count].

    Raises
    ------
    ArgumentError
        A schedule returned a negative rate, an infinity or NaN.

    Examples
    --------
    >>> learning_rates(lambda step: 0.1 * 0.5**step, 0, 3)
    array([0.1  , 0.05 , 0.025])
    """
    if not callable(lr):
        constant = np.empty(count)
        constant.fill(lr)  # np.full takes longer than a step of a small network
        return constant
    given = [lr(i) for i in range(step, step + count)]
    try:
        rates = np.array(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        rates = np.empty(0)
    if rates.shape != (count,):
        wrong = next((rate for rate in given if not is_number(rate)), given)
        raise ArgumentError(f"the schedule {shown(lr)} gave {shown(wrong)}; a number is needed for each step") from None
    bad = np.flatnonzero(~(np.isfinite(rates) & (rates >= 0)))
    if bad.size:
        raise ArgumentError(
            f"the schedule {shown(lr)} gave lr={rates[bad[0]]} for step {step + int(bad[0])}; it must be finite and >= 0"
        )
    return rates
