"""Prediction for many rows. It works in chunks, so that Ctrl-C and other threads are served between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.batches import read_samples
from ..data.bound import Data, in_batches
from ..errors import EmptyDataError, ShapeError
from ..records import Shape
from .inputs import bind_with_steps, gathered, ranks, steps_of_outputs

if TYPE_CHECKING:
    from .network import Network

#: Callbacks before a batch, with its number, and after it, with its number and outputs.
Before = Callable[[int], None]
After = Callable[[int, list[np.ndarray]], None]


def bind_rows(network: Network, x: Any, lengths: Any) -> Data:
    """Convert samples and their lengths. ``y`` is memory for the outputs."""
    with network.access.reading():
        arrays, steps = bind_with_steps(network, x, lengths, allow_empty=True, any_length=True)
        arrays, counted = gathered(network, arrays, steps), None if steps is None else steps.lengths
        data = Data(arrays, _room(network, arrays), None, counted, network.input_shapes)
        data.steps = None if steps is None or steps.mask is None else steps
        return data


def predict_rows(
    network: Network, data: Data, size: int | None = None, before: Before | None = None, after: After | None = None
) -> list[np.ndarray]:
    """Write the outputs of all rows into ``data.y`` and return them. Batches have ``size`` rows if there are callbacks."""
    for number, part in enumerate(in_batches(data, size, before is not None)):
        _predict(network, number, part, before, after)
    return data.y


def predict_batches(
    network: Network, batches: Iterable[Any], before: Before | None = None, after: After | None = None
) -> list[list[np.ndarray]]:
    """Return the outputs of each batch."""
    found: list[list[np.ndarray]] = []
    fields = 0
    for number, batch in enumerate(batches):
        given = read_samples(batch, ranks(network), fields)
        fields = len(batch) if isinstance(batch, list) and given.x is not batch else 0
        part = bind_rows(network, given.x, given.lengths)
        if found:
            _check_steps([each.shape for each in found[0]], [each.shape for each in part.y], number)
        _predict(network, number, part, before, after)
        found.append(part.y)
    return found


def _check_steps(first: list[Shape], now: list[Shape], number: int) -> None:
    """Raise ShapeError if the outputs of a batch have other numbers of time steps than those of the first one."""
    for one, other in zip(first, now, strict=True):
        if one[1:] != other[1:]:
            raise ShapeError(
                f"predict: the outputs of batch {number} have shape {other} and those of the first one {one}, so that they do not "
                "fit into one array; predict batches of other lengths one at a time"
            )


def joined(found: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Return the outputs for the rows of all batches; EmptyDataError where there are none."""
    if not found:
        raise EmptyDataError("predict: there are no batches")
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def _room(network: Network, x: list[np.ndarray]) -> list[np.ndarray]:
    """Return uninitialized arrays for the outputs of these rows."""
    return [np.empty((len(x[0]), *shape), network.dtype) for shape in network.output_shapes]


def _predict(network: Network, number: int, part: Data, before: Before | None, after: After | None) -> None:
    if before is not None:
        before(number)
    first = 0
    while first < part.rows:
        with network.access.reading():
            network.ensure_shapes(part.shapes)
            first = network.plan.predict(part.x, part.y, first, None if part.lengths is None else (part.lengths, None, None))
    if part.steps is not None:
        _put_back(network, part)
    if after is not None:
        after(number, part.y)


def _put_back(network: Network, part: Data) -> None:
    """Put the time steps of outputs into their places under a mask."""
    for y, own in zip(part.y, steps_of_outputs(network, part.steps), strict=True):
        if own is not None:
            y[...] = own.scattered(y)
