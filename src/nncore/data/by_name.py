"""Data, losses and gradients that are given by name in a dict, arranged in the order of the model's inputs or outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._checks import shown
from ..errors import ArgumentError, kind_of
from .refusals import refuse_object


def align_to_names(what: str, given: Any, names: Sequence[str]) -> list[Any]:
    """Return one entry per name, from a dict by name, or from a list if there are several names.

    Parameters
    ----------
    what : str
        The name of the argument in error messages.
    given : object
        A dict by name, a list or tuple in order, or the entry itself if there is only one name.
    names : sequence of str
        The names of the inputs or outputs.

    Raises
    ------
    ArgumentError
        A name is unknown or missing, or the list has the wrong length.
    """
    if type(given) is not np.ndarray and isinstance(given, Mapping):
        refuse_object(given, what)  # a sparse dok_matrix of SciPy is a dict
        unknown, missing = [key for key in given if key not in names], [name for name in names if name not in given]
        if unknown or missing:
            raise ArgumentError(f"{what}: the names are {list(names)}; missing are {missing}, unknown {shown(unknown)}")
        return [given[name] for name in names]
    if len(names) == 1:
        return [given]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        found = f"{len(given)} arrays" if isinstance(given, list | tuple) else kind_of(given)
        raise ArgumentError(f"{what}: pass a list of {len(names)} arrays, for {', '.join(names)}, or a dict by name; not {found}")
    return list(given)


def argument_labels(what: str, names: Sequence[str]) -> list[str]:
    """Return the name of each entry in error messages."""
    return [what] if len(names) == 1 else [f"{what}[{name!r}]" for name in names]
