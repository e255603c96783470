"""Text that the docstrings of several classes have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T", bound=type)


def filled(**texts: str) -> Callable[[_T], _T]:
    """Return a decorator that fills in ``{name}`` in the docstring of a class: entries of parameters or attributes."""

    def fill(cls: _T) -> _T:
        text = cls.__doc__ or ""
        for name, entries in texts.items():
            text = text.replace(f"{{{name}}}", entries.replace("\n", "\n    "))
        cls.__doc__ = text
        return cls

    return fill
