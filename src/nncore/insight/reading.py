"""What the user gives, as a compiled model and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

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
        try:
            found[name] = np.asarray(each)
        except ValueError:
            raise ArgumentError(
                f"{caller}: {what}: the rows of {name!r} have different lengths; pad them, and pass lengths"
            ) from None
    for name, value in found.items():
        if value.ndim == 0 or value.dtype.kind not in "fiub":
            raise ArgumentError(f"{caller}: {what}: {name!r} must be an array of numbers with one entry per row, not {value.dtype}")
    return found


def _collected(caller: str, batches: Any) -> tuple[Any, Any, Any]:
    """Return the rows of the first batches of a loader."""
    if isinstance(batches, np.ndarray) or not hasattr(batches, "__iter__"):
        raise ArgumentError(f"{caller}: pass y, or batches (x, y) as x")
    found = [tuple(batch) for batch in islice(iter(batches), _MOST_BATCHES)]
    if not found or min(map(len, found)) < 2:
        raise ArgumentError(f"{caller}: pass y, or batches (x, y) as x")

    def joined(parts: list[Any]) -> Any:
        if isinstance(parts[0], list | tuple):
            return [np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(len(parts[0]))]
        return np.concatenate([np.asarray(part) for part in parts])

    lengths = [batch[3] for batch in found] if all(len(batch) > 3 and batch[3] is not None for batch in found) else None
    return joined([b[0] for b in found]), joined([b[1] for b in found]), None if lengths is None else np.concatenate(lengths)
