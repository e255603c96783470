"""Inputs and outputs by name: data, losses and gradients given as a dict, brought into the order of the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._checks import shown
from ..errors import ArgumentError


def in_order(what: str, given: Any, names: Sequence[str]) -> list[Any]:
    """Return one entry per name, from a dict by name, or from a list where there are several.

    Parameters
    ----------
    what : str
        How errors call it.
    given : object
        A dict by name; a list or tuple in order; where there is one name, the entry itself.
    names : sequence of str
        Of the inputs or outputs.

    Raises
    ------
    ArgumentError
        A name is not among them, one is missing, or the list has another length.
    """
    if isinstance(given, Mapping):
        unknown, missing = [key for key in given if key not in names], [name for name in names if name not in given]
        if unknown or missing:
            raise ArgumentError(f"{what}: the names are {list(names)}; missing are {missing}, unknown {shown(unknown)}")
        return [given[name] for name in names]
    if len(names) == 1:
        return [given]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        found = f"{len(given)} arrays" if isinstance(given, list | tuple) else type(given).__name__
        raise ArgumentError(f"{what}: pass a list of {len(names)} arrays, for {', '.join(names)}, or a dict by name; not {found}")
    return list(given)


def names_of(what: str, names: Sequence[str]) -> list[str]:
    """Return how errors call each entry."""
    return [what] if len(names) == 1 else [f"{what}[{name!r}]" for name in names]
