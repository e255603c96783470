"""The exceptions of nncore, and two helper functions that raise the most common ones.

Each error is an `NncoreError` and also the matching built-in exception, so ``except ValueError`` works. A message names the layer
or argument, states what was found and what was expected, and suggests a solution. The model is unchanged after an error.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = [
    "ArgumentError",
    "CompilerError",
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
    "RanksError",
    "ShapeError",
    "SizeError",
    "StateDictError",
    "UnknownAttributeError",
    "UnknownNameError",
]

_T = TypeVar("_T")

_SHOWN = 100  # the largest number of characters of a value in a message


class NncoreError(Exception):
    """Base of every error that nncore raises.

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
    """An argument has the wrong type or is out of range. It derives from both built-in errors, as in scikit-learn."""


class ShapeError(NncoreError, ValueError):
    """The shape of an array or a layer does not fit the preceding layer. The message has both shapes."""


class SizeError(NncoreError, OverflowError):
    """A size is too large for its integer type, or for the memory of this machine. If memory is only short now, it is a
    `MemoryError`."""


class DTypeError(NncoreError, TypeError):
    """An array has an element type that cannot be used here."""


class LabelError(NncoreError, ValueError):
    """The targets do not have the form that the loss expects. The message names a loss that fits them."""


class NonFiniteError(NncoreError, ValueError):
    """An array contains NaN or infinity, but must be finite."""


class EmptyDataError(NncoreError, ValueError):
    """The data have no rows."""


class StateDictError(NncoreError, ValueError):
    """The keys of a state dict are not those of the model. The message lists the missing and the unexpected keys."""


class UnknownNameError(NncoreError, ValueError):
    """A name (of a loss, an optimizer, ...) is unknown. The message lists the known names, or says what to use instead."""


class UnknownAttributeError(NncoreError, AttributeError):
    """A module, a model or a layer has nothing of this name. If it is a name of PyTorch, Keras or scikit-learn, the message says
    what to use instead."""


class IndexRangeError(NncoreError, IndexError, ValueError):
    """An index is out of range: the number of a layer, or an index in the input of an Embedding."""


class NotCompiledError(NncoreError, RuntimeError):
    """The model needs a loss and an optimizer for this operation. Call ``compile`` first."""


class NotBuiltError(NncoreError, RuntimeError):
    """The parameters do not exist yet. The layer belongs to no model, or the input shape of the model is not known."""


class ConcurrentUseError(NncoreError, RuntimeError):
    """Two threads train or evaluate the same model at the same time."""


class RanksError(NncoreError, RuntimeError):
    """The processes of a distributed training do not have the same model or arguments, or one of them has failed."""


class FileFormatError(NncoreError, ValueError):
    """A file is damaged, of another kind, or of a newer version. The message names the file and the field."""


class FileKindError(NncoreError, OSError):
    """A path is a pipe, a device or a socket, but must be a file. Nothing has been read or written."""


class GradientError(NncoreError, AssertionError):
    """Gradients differ from finite differences. The message contains the report of `check_gradients`."""


class CompilerError(NncoreError, RuntimeError):
    """A compiler or an emulator is missing, or a program that was exported does not compile or run. The message has its words."""


class MissingExtraError(NncoreError, ImportError):
    """An optional package is not installed. The message names the extra that installs it."""


def shown(value: Any) -> str:
    """Return a value as text for messages: its repr, or a short description if the repr is long or raises an error."""
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


def kind_of(value: Any) -> str:
    """Return the name of a value's type for messages, or "None"."""
    return "None" if value is None else type(value).__name__


def lookup(kind: str, name: str, table: Mapping[str, _T]) -> _T:
    """Return ``table[name]``, or raise an error that lists similar names.

    Parameters
    ----------
    kind : str
        The kind of the entries, in the singular. The message begins with it.
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
        The table has no such name.

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
    raise unknown_name(kind, name, table)


def unknown_name(kind: str, name: object, table: Mapping[str, Any]) -> UnknownNameError:
    """Return the error for a name that the table does not have. Of several names for one value the message has the first."""
    from .foreign import words

    if isinstance(name, str) and (here := words.hint(kind, name[:_SHOWN])):
        return UnknownNameError(f"unknown {kind} {shown(name)}; here it is {here}")
    import difflib

    first: dict[int, str] = {}
    for each, value in table.items():
        first.setdefault(id(each if value is None else value), each)
    lower = {each.lower(): first[id(each if value is None else value)] for each, value in table.items()}
    close = difflib.get_close_matches(name[:_SHOWN].lower(), list(lower), n=6) if isinstance(name, str) else []
    near = list(dict.fromkeys(lower[each] for each in close))[:3]
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    return UnknownNameError(f"unknown {kind} {shown(name)}{hint} Known: {', '.join(sorted(first.values()))}")


def require(module: str, extra: str, purpose: str) -> Any:
    """Import and return an optional module, or raise an error that names the extra to install.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of nncore that installs it.
    purpose : str
        What needs the module. The message begins with it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        The module is not installed.

    Examples
    --------
    >>> from nncore.errors import require
    >>> require("no_such_module", "plot", "History.plot")
    Traceback (most recent call last):
        ...
    nncore.errors.MissingExtraError: History.plot needs no_such_module, which is not installed: pip install "nncore[plot]"
    """
    try:
        found = importlib.import_module(module)
        if found.__spec__ is not None and found.__spec__.origin is None:  # a folder of that name beside the program
            raise ImportError(f"{module} is a folder without code")
        return found
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f'{purpose} needs {package}, which is not installed: pip install "nncore[{extra}]"', name=package
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
