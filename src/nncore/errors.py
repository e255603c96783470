"""The exceptions of nncore, and the two helpers that raise the commonest of them.

Each error is an `NncoreError` and also the built-in exception that fits, so ``except ValueError`` keeps working. A message names
the layer or argument, says what was found and what was expected, and what to do. An error leaves the model as it was.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = [
    "ArgumentError",
    "ConcurrentUseError",
    "DTypeError",
    "EmptyDataError",
    "FileFormatError",
    "FileKindError",
    "GradientError",
    "IndexRangeError",
    "LabelError",
    "MissingExtraError",
    "NncoreError",
    "NonFiniteError",
    "NotBuiltError",
    "NotCompiledError",
    "ShapeError",
    "SizeError",
    "StateDictError",
    "UnknownNameError",
]

_T = TypeVar("_T")

_SHOWN = 100  # characters of a value in a message


class NncoreError(Exception):
    """Base of every error that nncore raises on purpose.

    Examples
    --------
    >>> import nncore as nn
    >>> try:
    ...     nn.Linear(0, 3)
    ... except nn.errors.NncoreError as error:
    ...     print(error)
    Linear: in_features must be a whole number of at least 1, not 0
    """


class ArgumentError(NncoreError, ValueError, TypeError):
    """An argument has the wrong type or lies outside its range (both built-ins, as scikit-learn has it)."""


class ShapeError(NncoreError, ValueError):
    """An array or a layer does not fit what stands before it; the message has both shapes."""


class SizeError(NncoreError, OverflowError):
    """A size is too large to be counted, or for all the memory of this machine; what finds no room now is a `MemoryError`."""


class DTypeError(NncoreError, TypeError):
    """An array has a type of element that cannot be used here."""


class LabelError(NncoreError, ValueError):
    """The targets do not have the form that the loss expects; the message names a loss that fits them."""


class NonFiniteError(NncoreError, ValueError):
    """NaN or infinity where only finite numbers are meaningful."""


class EmptyDataError(NncoreError, ValueError):
    """No rows to work on."""


class StateDictError(NncoreError, ValueError):
    """The keys of a state dict are not those of the model; the message lists the missing and the unexpected ones."""


class UnknownNameError(NncoreError, ValueError):
    """A name (of a loss, an optimizer, ...) that is not in its table; the message offers the nearest names."""


class IndexRangeError(NncoreError, IndexError, ValueError):
    """An index is out of range: of a layer, or in an input of an Embedding, which takes indices into its table."""


class NotCompiledError(NncoreError, RuntimeError):
    """The model needs a loss and an optimizer for this: call ``compile`` first."""


class NotBuiltError(NncoreError, RuntimeError):
    """Parameters do not exist yet: the layer belongs to no model, or the model does not know its input shape."""


class ConcurrentUseError(NncoreError, RuntimeError):
    """Two threads train or evaluate one model at once."""


class FileFormatError(NncoreError, ValueError):
    """A file is not what it should be: damaged, of another kind or of a newer version; the message names file and field."""


class FileKindError(NncoreError, OSError):
    """A path names a pipe, a device or a socket where a file is needed: nothing has been read from it or written to it."""


class GradientError(NncoreError, AssertionError):
    """Gradients are not what differences say they should be; the message has the report of `check_gradients`."""


class MissingExtraError(NncoreError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


def shown(value: Any) -> str:
    """Return what messages show of a value: its repr, unless that is long, or fails."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, str | bytes | bytearray) and len(value) > _SHOWN:
        return f"{value[: _SHOWN // 2]!r}..."
    if isinstance(value, list | tuple | dict | set | frozenset) and len(value) > _SHOWN:
        return f"a {type(value).__name__} of {len(value)}"
    try:
        text = repr(value)
    except Exception:
        return f"an object of {type(value).__name__}"
    return text if len(text) <= 4 * _SHOWN else f"{text[:_SHOWN]}..."


def lookup(kind: str, name: str, table: Mapping[str, _T]) -> _T:
    """Return ``table[name]``, or raise an error that offers the nearest names.

    Parameters
    ----------
    kind : str
        What the table holds, in the singular; it opens the message.
    name : str
        The name to look up.
    table : mapping
        From name to value.

    Returns
    -------
    object
        The value in the table.

    Raises
    ------
    UnknownNameError
        If the table has no such name.

    Examples
    --------
    >>> from nncore.errors import lookup
    >>> lookup("optimizer", "adam", {"adam": 1, "sgd": 2})
    1
    >>> lookup("optimizer", "adan", {"adam": 1, "sgd": 2})
    Traceback (most recent call last):
        ...
    nncore.errors.UnknownNameError: unknown optimizer 'adan'; did you mean 'adam'? Known: adam, sgd
    """
    try:
        return table[name]
    except (KeyError, TypeError):
        pass
    import difflib

    near = difflib.get_close_matches(name[:_SHOWN].lower(), list(table), n=3) if isinstance(name, str) else []
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    raise UnknownNameError(f"unknown {kind} {shown(name)}{hint} Known: {', '.join(sorted(table))}")


def require(module: str, extra: str, purpose: str) -> Any:
    """Import and return an optional module, or raise an error that names the extra to install.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of nncore that brings it.
    purpose : str
        What needs it; it opens the message.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        If it is not installed.

    Examples
    --------
    >>> from nncore.errors import require
    >>> require("no_such_module", "plot", "History.plot")
    Traceback (most recent call last):
        ...
    nncore.errors.MissingExtraError: History.plot needs no_such_module, which is not installed: pip install "nncore[plot]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f'{purpose} needs {package}, which is not installed: pip install "nncore[{extra}]"', name=package
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
