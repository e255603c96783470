"""Checks of single arguments, so that every message reads the same: who, which argument, what it must be, what it was."""

from __future__ import annotations

import operator
from math import inf, isfinite
from typing import Any

from .errors import ArgumentError, DTypeError, SizeError
from .spec import Shape

_INT64_MAX = 2**63 - 1


def whole(owner: str, name: str, value: Any, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least`` that an int64 holds; bools are refused."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ArgumentError(f"{owner}: {name} must be a whole number of at least {least}, not {value!r}")
    if number > _INT64_MAX:
        raise SizeError(f"{owner}: {name} is {number}, more than a size can count ({_INT64_MAX})")
    return number


def real(owner: str, name: str, value: Any, low: float = -inf, high: float = inf, *, open_low: bool = False) -> float:
    """Return ``value`` as a finite float in [low, high], or in (low, high] with ``open_low``."""
    try:
        number = float(value) if not isinstance(value, str) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not isfinite(number) or not low <= number <= high or (open_low and number == low):
        bounds = "a finite number"
        if low > -inf:
            bounds += f" above {low:g}" if open_low else f" of at least {low:g}"
        if high < inf:
            bounds += f"{' and' if low > -inf else ' of'} at most {high:g}"
        raise ArgumentError(f"{owner}: {name} must be {bounds}, not {value!r}")
    return number


def flag(owner: str, name: str, value: Any) -> bool:
    """Return ``value`` as a bool; only a bool, 0 or 1 counts as one, so that a misplaced argument is noticed."""
    if getattr(value, "ndim", 0) == 0 and type(value).__name__ in ("bool", "bool_", "int") and value in (0, 1):
        return bool(value)
    raise ArgumentError(f"{owner}: {name} must be True or False, not {value!r}")


def choice(owner: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of the allowed strings."""
    if isinstance(value, str) and value in allowed:
        return value
    raise ArgumentError(f"{owner}: {name} must be {' or '.join(map(repr, allowed))}, not {value!r}")


def float_dtype(owner: str, value: Any) -> str:
    """Return "float32" or "float64" for anything NumPy understands as one of the two."""
    import numpy as np

    try:
        name = np.dtype(value).name if value is not None else "None"
    except TypeError:
        name = str(value)
    if name not in ("float32", "float64"):
        raise DTypeError(f'{owner}: dtype must be "float32" or "float64", not {value!r}')
    return name


def shape_text(shape: Shape) -> str:
    """Return the shape of a batch of such samples as messages write it: "[*, 3, 4]", the star being the batch."""
    return f"[{', '.join(('*', *map(str, shape)))}]"
