"""What the user gives, as a compiled model and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from .._checks import shown
from ..data.arrays import as_array, to_array
from ..data.by_name import align_to_names
from ..data.sequences import bind_lengths
from ..errors import ArgumentError, EmptyDataError, NotCompiledError, ShapeError
from .case import Rows

_MOST_BATCHES = 256  #: that are taken from a loader


def require_compiled(caller: str, model: Any) -> None:
    """Raise NotCompiledError if a model has no loss and no optimizer."""
    if getattr(model, "_trainer", None) is None:
        raise NotCompiledError(f"{caller}: compile the model first, so that its loss and its optimizer are known")


def rows_of(caller: str, model: Any, x: Any, y: Any, lengths: Any) -> Rows:
    """Return the data as arrays by name."""
    if y is None:
        x, y, lengths = _collected(caller, x)
    inputs, targets = _named(caller, "x", x, model.input_names), _named(caller, "y", y, model.output_names)
    count = len(next(iter(inputs.values())))
    for name, value in {**inputs, **targets}.items():
        if len(value) != count:
            raise ShapeError(f"{caller}: x has {count} rows, but {name!r} has {len(value)}")
    if count == 0:
        raise EmptyDataError(f"{caller}: there are no rows")
    if lengths is None:
        return Rows(inputs, targets)
    steps = next((value.shape[1] for value in inputs.values() if value.ndim > 1), 0)
    return Rows(inputs, targets, bind_lengths(lengths, count, steps))


def _named(caller: str, what: str, given: Any, names: list[str]) -> dict[str, np.ndarray]:
    """Return arrays by the names of inputs or outputs."""
    if isinstance(given, Mapping) and not hasattr(given, "columns"):
        given = align_to_names(f"{caller}: {what}", given, names)
    elif len(names) == 1:
        given = [given]
    if len(given) != len(names):
        raise ArgumentError(f"{caller}: {what} has {len(given)} entries for {len(names)} of the model: {names}")
    found = {}
    for name, each in zip(names, given, strict=True):
        value = np.asarray(each) if hasattr(each, "to_numpy") else np.empty(0, object)
        if value.dtype.kind not in "fiub":  # NaN in a frame becomes a verdict, and no error
            value = as_array(each, f"{caller}: {what}: {name!r}", np.dtype(np.float64))
        if value.ndim == 0:
            raise ArgumentError(f"{caller}: {what}: {name!r} must be an array with one entry per row, not {shown(each)}")
        found[name] = value
    return found


def _collected(caller: str, batches: Any) -> tuple[Any, Any, Any]:
    """Return the rows of the first batches of a loader."""
    if isinstance(batches, np.ndarray) or not hasattr(batches, "__iter__"):
        raise ArgumentError(f"{caller}: pass y, or batches (x, y) as x")
    found = list(islice(iter(batches), _MOST_BATCHES))
    if not found or not all(isinstance(batch, list | tuple) and len(batch) > 1 for batch in found):
        raise ArgumentError(f"{caller}: pass y, or batches (x, y) as x")
    try:
        lengths = None if any(len(batch) < 4 or batch[3] is None for batch in found) else _joined([b[3] for b in found])
        return _joined([b[0] for b in found]), _joined([b[1] for b in found]), lengths
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ArgumentError(f"{caller}: the batches do not have one form: {error}") from None


def _joined(parts: list[Any]) -> Any:
    """Return the rows of the batches as one array; of several inputs or outputs as a list or a dict of arrays."""
    if isinstance(parts[0], Mapping):
        return {name: _joined([part[name] for part in parts]) for name in parts[0]}
    if isinstance(parts[0], list | tuple) and np.ndim(parts[0][0]):
        return [_joined([part[i] for part in parts]) for i in range(len(parts[0]))]
    return np.concatenate([to_array(part) for part in parts])
