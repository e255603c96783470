"""The names of the columns of frames. A model remembers those that it was trained with, and takes no others.

As for scikit-learn's ``feature_names_in_``: an array has no names and passes, and so does a frame whose columns are only numbered.
Columns are never reordered, because the caller knows best what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, shown

#: The names of the columns of one input, or None if they are not known.
Names = tuple[str, ...] | None

_LISTED = 5  # names in a message


def column_names(value: Any) -> Names:
    """Return the names of the columns of a frame (pandas, polars, Arrow). Return None for anything else."""
    if type(value) is np.ndarray or isinstance(value, list | tuple):
        return None
    if hasattr(value, "collect") and not hasattr(value, "shape"):  # a LazyFrame, which would have to compute its names
        return None
    columns = getattr(value, "column_names", None)  # of Arrow, whose ``columns`` are the data
    if columns is None:
        columns = getattr(value, "columns", None)
    if columns is None or callable(columns):
        return None
    try:
        names = list(columns)
    except TypeError:
        return None
    has_text = any(isinstance(part, str) for name in names for part in (name if isinstance(name, tuple) else (name,)))
    return tuple(map(str, names)) if has_text else None


def takes_names(value: Any) -> bool:
    """Return whether ``value[names]`` selects columns: they are all named by different texts, and it is no table of Arrow."""
    if hasattr(value, "column_names"):
        return False
    columns = list(getattr(value, "columns", ()))
    return all(isinstance(each, str) for each in columns) and len(set(columns)) == len(columns)


def check_names(found: Names, known: Names, name: str, attribute: str, selects: bool = True) -> None:
    """Raise ArgumentError if a frame has other columns than those that the model knows, or has them in another order.

    Parameters
    ----------
    found, known : tuple of str or None
        The names of the frame and those that the model knows. None fits everything.
    name : str
        The name of the frame in error messages.
    attribute : str
        An expression for the names that the model knows.
    selects : bool
        Whether a list of names selects columns of the frame.
    """
    if found is None or known is None or found == known:
        return
    missing, new = [each for each in known if each not in found], [each for each in found if each not in known]
    if missing or new or len(found) != len(known):
        differing = [f"{what} {_listed(names)}" for what, names in (("missing are", missing), ("new are", new)) if names]
        select = f"pass {name}[{attribute}]" if selects and not missing else "pass the columns of training"
        differing = differing or [f"{len(found)} columns, and not {len(known)}"]
        raise ArgumentError(
            f"{name}: its columns are not those of training: {', '.join(differing)}; rename them, {select}, "
            "or forget the names by model.feature_names = None"
        )
    how = f"pass {name}[{attribute}]" if selects else f"put them into the order of {attribute}"
    place = next(i for i, (one, other) in enumerate(zip(found, known, strict=True)) if one != other)
    raise ArgumentError(
        f"{name}: its columns are in another order than in training: column {place} is {shown(found[place])} and was "
        f"{shown(known[place])}; {how}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(shown, names[:_LISTED])) + more
