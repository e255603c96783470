"""Checks of single arguments, so that all messages have the same form: owner, argument, what it must be, what it was.

NumPy's scalars count as numbers. Bools, text, bytes and arrays do not.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Sequence
from math import inf, isfinite
from typing import Any

from .errors import ArgumentError, DTypeError, SizeError, kind_of
from .errors import shown as shown
from .records import Shape

_INT64_MAX = 2**63 - 1
_ADDRESSABLE = 2**47  # bytes of address space on current 64-bit machines


def near(name: Any, known: Iterable[str]) -> list[str]:
    """Return at most three known names that are spelt similarly."""
    from difflib import get_close_matches  # imported here because it is rarely needed

    known = list(known)
    lower = {each.lower(): each for each in reversed(known)}
    return [lower[each] for each in get_close_matches(str(name).lower(), list(lower), n=3)]


def named(names: Iterable[str]) -> str:
    """Return names as text for messages: 'a' or 'b'."""
    return " or ".join(map(repr, names))


def _kind(value: Any) -> str:
    """Return the kind of a value: "bool", "number" (one real number), or "other"."""
    if type(value) is float or type(value) is int:
        return "number"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str | bytes | bytearray | complex | type):
        return "other"
    dtype = getattr(value, "dtype", None)  # a scalar or an array without dimensions, of NumPy or PyTorch
    if dtype is None:
        return "number" if hasattr(value, "__float__") or hasattr(value, "__index__") else "other"
    if getattr(value, "ndim", 0) != 0:
        return "other"
    kind = getattr(dtype, "kind", None)
    if kind is None:
        text = str(dtype)
        kind = "b" if text.endswith("bool") else "c" if "complex" in text else "f"
    return "bool" if kind == "b" else "number" if kind in "fiu" else "other"


def is_number(value: Any) -> bool:
    """Return whether a value is one real number, of Python or NumPy. A bool is not."""
    return _kind(value) == "number"


def whole(owner: str, name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Return ``value`` as an int of at least ``least`` that fits in an int64. A bool raises an error."""
    if type(value) is int and least <= value <= (_INT64_MAX if most is None else most):  # nearly always
        return value
    try:
        number = operator.index(value) if _kind(value) == "number" else None
    except (TypeError, ValueError, RuntimeError):
        number = None
    if number is None or number < least or (most is not None and number > most):
        limit = f"at least {least}" if most is None else f"{least} to {most}"
        raise ArgumentError(f"{owner}: {name} must be a whole number of {limit}, not {shown(value)}")
    if number > _INT64_MAX:
        raise SizeError(f"{owner}: {name} is {shown(number)}, more than a size can count ({_INT64_MAX})")
    return number


def optional_whole(owner: str, name: str, value: Any, least: int = 1) -> int | None:
    """Return ``value`` as `whole` does, or None."""
    return None if value is None else whole(owner, name, value, least)


def addressable(owner: str, name: str, count: int, each: int) -> None:
    """Raise SizeError if ``count`` items of ``each`` bytes are more than any process can address."""
    if count * max(each, 1) > _ADDRESSABLE:
        raise SizeError(f"{owner}: {name}={count} takes {count * max(each, 1)} bytes, more than a process can address")


def progress_shown(owner: str, value: Any) -> Any:
    """Return the argument ``verbose`` of `fit`: "auto", or a value that `verbosity` accepts."""
    if isinstance(value, str) and value == "auto":
        return value
    try:
        return verbosity(owner, value)
    except ArgumentError:
        raise ArgumentError(f"{owner}: verbose must be 'auto', 0, 1 or 2, not {shown(value)}") from None


def integer(owner: str, name: str, value: Any) -> int:
    """Return ``value`` as an int, positive or negative, that fits in an int32: a dimension, counted from the start or the end."""
    try:
        return whole(owner, name, value, -(2**31), 2**31 - 1)
    except ArgumentError:
        raise ArgumentError(f"{owner}: {name} must be a whole number, not {shown(value)}") from None


def real(
    owner: str,
    name: str,
    value: Any,
    low: float = -inf,
    high: float = inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return ``value`` as a finite float in [low, high]. An open bound is excluded."""
    if type(value) is float and low < value < high:  # nearly always
        return value
    try:
        number = float(value) if _kind(value) == "number" else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = None
    outside = number is None or not isfinite(number) or not low <= number <= high
    if outside or (open_low and number == low) or (open_high and number == high):
        bounds = "a finite number"
        if low > -inf:
            bounds += f" above {low:g}" if open_low else f" of at least {low:g}"
        if high < inf:
            bounds += f"{' and' if low > -inf else ' of'} {'below' if open_high else 'at most'} {high:g}"
        raise ArgumentError(f"{owner}: {name} must be {bounds}, not {shown(value)}")
    assert number is not None
    return number


def optional_real(owner: str, name: str, value: Any, low: float = -inf, high: float = inf, **bounds: bool) -> float | None:
    """Return ``value`` as `real` does, or None."""
    return None if value is None else real(owner, name, value, low, high, **bounds)


def pair(owner: str, name: str, value: Any) -> tuple[Any, Any]:
    """Return the two elements of a tuple, a list or an array of length 2."""
    is_array = getattr(value, "shape", None) == (2,)
    if not is_array and not (isinstance(value, list | tuple) and len(value) == 2):
        raise ArgumentError(f"{owner}: {name} must be a pair of numbers, not {shown(value)}")
    return value[0], value[1]


def no_state_dict(given: Any) -> ArgumentError:
    """Return the error of ``load_state_dict`` for what is no mapping."""
    hint = ""
    if isinstance(given, str | os.PathLike):
        hint = "; model.load_weights reads a file"
    elif callable(getattr(given, "state_dict", None)):
        hint = "; pass its state_dict()"
    return ArgumentError(f"load_state_dict takes a mapping from names to arrays, not {kind_of(given)}{hint}")


def warn(message: str) -> None:
    """Warn at the line of the user's program, which is the first that is not in nncore."""
    import sys
    import warnings

    folder, level, frame = os.path.dirname(__file__) + os.sep, 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(folder):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def not_foreign(argument: str, value: Any, family: str) -> None:
    """Raise ArgumentError if a value is of another library. The message says what ``nn.<family>`` has instead."""
    from .foreign import objects

    if said := objects.refusal(value, family):
        raise ArgumentError(f"{argument}: {said}")


def flag(owner: str, name: str, value: Any) -> bool:
    """Return ``value`` as a bool. Only bools, 0 and 1 are accepted, so that a misplaced argument is noticed."""
    if value is True or value is False:
        return value
    if _kind(value) == "bool" or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ArgumentError(f"{owner}: {name} must be True or False, not {shown(value)}")


def choice(owner: str, name: str, value: Any, allowed: tuple[str | None, ...]) -> Any:
    """Return ``value`` if it is one of the allowed strings, or None if that is allowed."""
    if (isinstance(value, str) or value is None) and value in allowed:
        return value
    raise ArgumentError(f"{owner}: {name} must be {' or '.join(map(repr, allowed))}, not {shown(value)}")


def text(owner: str, name: str, value: Any) -> str:
    """Return ``value`` if it is a string that is not empty."""
    if isinstance(value, str) and value:
        return str(value)
    raise ArgumentError(f"{owner}: {name} must be a string that is not empty, not {shown(value)}")


def path(owner: str, name: str, value: Any) -> str:
    """Return a file's path as a string."""
    given = type(value).__fspath__(value) if hasattr(type(value), "__fspath__") else value  # errors of a user's class pass
    found = os.fsdecode(given) if isinstance(given, str | bytes) else ""
    if not found or "\0" in found:
        raise ArgumentError(f"{owner}: {name} must be the path of a file, a string or a pathlib.Path, not {shown(value)}")
    return found


def may_write(owner: str, file: Any, overwrite: Any) -> None:
    """Raise FileExistsError if a file exists and must not be overwritten."""
    if not flag(owner, "overwrite", overwrite) and os.path.exists(path(owner, "path", file)):
        raise FileExistsError(f"{owner}: {shown(os.fsdecode(file))} exists; pass overwrite=True, or another path")


def every(owner: str, name: str, value: Any, words: tuple[str, ...] = ("epoch",)) -> Any:
    """Return a frequency: one of the words, or a number of batches."""
    if isinstance(value, str) and value in words:
        return value
    try:
        return whole(owner, name, value)
    except ArgumentError:
        allowed = ", ".join(map(repr, words))
        raise ArgumentError(f"{owner}: {name} must be {allowed} or a number of batches, at least 1, not {shown(value)}") from None


def verbosity(owner: str, value: Any) -> int:
    """Return the argument ``verbose`` of a callback: 0, 1 or 2, or a bool."""
    if _kind(value) == "bool":
        return int(value)
    return whole(owner, "verbose", value, 0, 2)


def function(owner: str, name: str, value: Any, arguments: int, what: str) -> Callable[..., Any]:
    """Return ``value`` if it is a function, or another callable object, that accepts this number of arguments.

    A class is not accepted. The user probably meant an object of the class; calling the class would make one from the arguments.
    """
    if isinstance(value, type):
        raise ArgumentError(f"{owner}: {name} is the class {value.__name__}; pass an object, {value.__name__}(...)")
    if not callable(value):
        raise ArgumentError(f"{owner}: {name} must be {what}, not {shown(value)}")
    if not takes(value, arguments):
        raise ArgumentError(f"{owner}: {name} must be {what}; {shown(value)} cannot be called like that")
    return value  # type: ignore[no-any-return]


def takes(value: Callable[..., Any], arguments: int) -> bool:
    """Return whether a function accepts this number of arguments. If its signature is unknown, return True."""
    import inspect  # imported here because it is rarely needed

    try:
        inspect.signature(value).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # a function implemented in C without a signature
        return True
    return True


def float_dtype(owner: str, value: Any) -> str:
    """Return "float32" or "float64" for any value that NumPy converts to one of these dtypes."""
    if type(value) is str and value in ("float32", "float64"):
        return value
    import numpy as np

    try:
        name = np.dtype(value).name if value is not None else "None"
    except (TypeError, ValueError, SyntaxError, OverflowError, RuntimeError):
        name = "no dtype"
    if name not in ("float32", "float64"):
        raise DTypeError(f'{owner}: dtype must be "float32" or "float64", not {shown(value)}')
    return name


#: What products can be computed in, for messages.
COMPUTES = ("float32", "bfloat16", "auto")


def compute_type(owner: str, value: Any, dtype: str) -> str:
    """Return in what a model of this dtype computes its products: "bfloat16", "auto" or the dtype itself.

    "float32", the default, stands for the dtype: a model in float64 computes all in float64.
    """
    name = value if isinstance(value, str) else str(getattr(value, "name", None) or value).removeprefix("torch.")
    if isinstance(value, type):
        name = value.__name__  # numpy.float32, ml_dtypes.bfloat16
    if name == dtype or name == "float32":
        return dtype
    if name not in COMPUTES:
        raise ArgumentError(f"{owner}: compute must be {named(COMPUTES)}, not {shown(value)}")
    if dtype == "float64" and name == "bfloat16":
        raise DTypeError(f'{owner}: compute="bfloat16" needs dtype="float32", not "float64"; leave out one of the two')
    return dtype if dtype == "float64" else COMPUTES[COMPUTES.index(name)]  # the core takes no subclass of str


def shape_of_sample(owner: str, name: str, value: Any) -> Shape:
    """Return the shape of one sample as a tuple of whole numbers. () means a single number."""
    if not isinstance(value, list | tuple):
        raise ArgumentError(f"{owner}: {name} is a tuple, the shape of one sample such as (8,), not {shown(value)}")
    return tuple(whole(owner, f"each dimension of {name}", d) for d in value)


def shape_text(shape: Sequence[int | None]) -> str:
    """Return the shape of a batch of such samples as text for messages: "[*, 3, 4]". The star is the batch; None is time."""
    return f"[{', '.join(('*', *('time' if size is None else str(size) for size in shape)))}]"
