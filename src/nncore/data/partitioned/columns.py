"""Which columns of a table are the inputs, the targets and the weights, and how those of a chunk become arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..._checks import shown
from ...errors import ArgumentError, NncoreError, ShapeError
from ..names import Names
from .origin import Chunk, Form

#: A column, which keeps its shape, or several that form a matrix.
Group = str | list[str]
#: Returns the array of a column.
Get = Callable[[str], np.ndarray]

_LISTED = 8  # names in a message
_ROWS = 1 << 10  # rows of a matrix that are filled at a time, so that they stay in the cache


class Columns(NamedTuple):
    """The columns of each input and output, of the weights and of the lengths; and the values of columns that are categories."""

    x: list[Group]
    y: list[Group]
    weight: str | None
    lengths: str | None
    forms: tuple[Form, Form]
    categories: Mapping[str, Sequence[Any]]

    @property
    def needed(self) -> list[str]:
        """The names of all columns that are read, each once."""
        groups = [*self.x, *self.y, *(each for each in (self.weight, self.lengths) if each is not None)]
        return list(dict.fromkeys(name for group in groups for name in ([group] if isinstance(group, str) else group)))

    def names(self, wide: Callable[[str], bool] = lambda name: False) -> list[Names]:
        """Return the names of the columns of each input. wide: whether a column has several numbers per row."""
        return [None if isinstance(group, str) or any(map(wide, group)) else tuple(group) for group in self.x]

    def chunk(self, get: Get, dtype: np.dtype[Any], where: str, first: int = 0) -> Chunk:
        """Return rows as arrays. dtype: that of the network."""
        with naming(where):
            x, y = ([_array(group, get, dtype) for group in groups] for groups in (self.x, self.y))
            weight, lengths = (None if name is None else get(name) for name in (self.weight, self.lengths))
            return Chunk(x, y, weight, lengths, where, first)


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Let errors say which part of the data they are about."""
    try:
        yield
    except NncoreError as error:
        if where and error.args and not str(error).startswith(where):
            error.args = (f"{where}: {error.args[0]}", *error.args[1:])
        raise


def choose(
    who: str,
    available: Sequence[str],
    features: Any,
    target: Any,
    weight: Any,
    lengths: Any,
    categories: Mapping[str, Sequence[Any]] | None,
) -> Columns:
    """Return the columns, after a check that they exist. Without ``features`` they are all that are not used otherwise."""
    y, y_form = _groups(who, "target", target)
    for name, value in (("sample_weight", weight), ("lengths", lengths)):
        if value is not None and not isinstance(value, str):
            raise ArgumentError(f"{who}: {name} must be the name of a column, not {shown(value)}")
    categories = {} if categories is None else categories
    if not isinstance(categories, Mapping):
        raise ArgumentError(f"{who}: categories must be a dict from columns to lists of their values, not {shown(categories)}")
    x, x_form = _groups(who, "features", features)
    taken = {weight, lengths} | {name for group in y for name in ([group] if isinstance(group, str) else group)}
    if features is None:
        x = [[name for name in available if name not in taken]]
    found = Columns(x, y, weight, lengths, (x_form, y_form), categories)
    for name in (*found.needed, *categories):
        if available.count(name) != 1:
            known = ", ".join(map(shown, available[:_LISTED])) + (", ..." if len(available) > _LISTED else "")
            what = "several columns are" if name in available else "there is no column"
            raise ArgumentError(f"{who}: {what} called {shown(name)}; the columns are {known}")
    both = [name for group in x for name in ([group] if isinstance(group, str) else group) if name in taken]
    if both:
        raise ArgumentError(f"{who}: column {both[0]!r} is both a feature and a target, a weight or a length; leave out one")
    if not all(x) or not x:
        raise ArgumentError(f"{who}: no column is left for the features")
    return found


def _groups(who: str, argument: str, given: Any) -> tuple[list[Group], Form]:
    """Return the groups of columns: one; several in order, from a list of lists; or several by name, from a dict."""
    if given is None:
        return [], False
    if isinstance(given, Mapping):
        return [_group(who, argument, each) for each in given.values()], tuple(map(str, given))
    if isinstance(given, list | tuple) and given and any(isinstance(each, list | tuple) for each in given):
        return [_group(who, argument, each) for each in given], True
    return [_group(who, argument, given)], False


def _group(who: str, argument: str, given: Any) -> Group:
    if isinstance(given, str):
        return given
    try:
        names = list(given)
    except TypeError:
        names = []
    if not names or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"{who}: {argument} must be the name of a column, or a list of names, not {shown(given)}")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ArgumentError(f"{who}: {argument} has {shown(twice)} twice")
    return names


def _array(group: Group, get: Get, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the column of a group, or its columns side by side."""
    if isinstance(group, str):
        return get(group)
    columns = [get(name) for name in group]
    if len(columns) == 1 and columns[0].ndim > 1:
        return columns[0]
    deep = next((name for name, column in zip(group, columns, strict=True) if column.ndim > 2), None)
    if deep is not None:
        raise ShapeError(f"column {deep!r} has an array in each row, so it must be an input of its own: features={deep!r}")
    kinds = {column.dtype for column in columns}
    kind = kinds.pop() if len(kinds) == 1 else np.result_type(*kinds) if all(each.kind in "iub" for each in kinds) else dtype
    kind = dtype if kind.kind == "f" and kind.itemsize > dtype.itemsize else kind
    columns = [column[:, None] if column.ndim == 1 else column for column in columns]
    return _side_by_side(columns, kind)


def _side_by_side(columns: list[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    rows, width = len(columns[0]), sum(column.shape[1] for column in columns)
    matrix = np.empty((rows, width), dtype)
    with np.errstate(over="ignore"):  # the core converts without a warning, too
        for start in range(0, rows, _ROWS):
            part, place = matrix[start : start + _ROWS], 0
            for column in columns:
                part[:, place : place + column.shape[1]] = column[start : start + _ROWS]
                place += column.shape[1]
    return matrix
