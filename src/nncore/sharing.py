"""Models that share layers, and so their weights: a model on top of others, an encoder taken out of an autoencoder.

The numbers of such models lie in one pool, and each model's buffers are a stretch of it. A model that takes layers of others joins
their pools: theirs are put one behind the other, their stretches with them, and what is new comes last; its own stretch is all of
that, with its parameters wherever they are. So nobody copies weights back and forth: what one trains, the others have.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _core
from .errors import ArgumentError
from .spec import Parameter

if TYPE_CHECKING:
    from .layers.base import Layer
    from .model import Model

_LINE = 16  # elements: a whole number of cache lines for either type


class Stretch(NamedTuple):
    """Where a model's buffers lie in the pool."""

    model: weakref.ref[Model]
    first: int
    length: int
    first_state: int
    states: int


class Pool:
    """The parameters and running statistics of models that share layers.

    Parameters
    ----------
    parameters, states : numpy.ndarray
        The buffers.
    """

    def __init__(self, parameters: np.ndarray, states: np.ndarray) -> None:
        self.parameters, self.states = parameters, states
        self.members: list[Stretch] = []

    @staticmethod
    def of(model: Model) -> Pool:
        """Return the pool of a model; of one that shares nothing, a pool of its own buffers."""
        if model._pool is None:
            buffers = model._buffers()
            model._pool = pool = Pool(buffers["parameters"], buffers["states"])
            pool.members.append(Stretch(weakref.ref(model), 0, len(pool.parameters), 0, len(pool.states)))
        return model._pool

    def place(self, parameter: Parameter) -> int | None:
        """Return at which element a parameter or statistic begins, or None if it lies elsewhere."""
        for buffer in (self.parameters, self.states):
            at = parameter.value.ctypes.data - buffer.ctypes.data
            if 0 <= at < buffer.nbytes:
                return at // buffer.itemsize
        return None


def check(model: Model, layers: Mapping[int, tuple[Layer, Model]]) -> None:
    """Raise unless the model may share these layers (by their number) with the models that have them."""
    for number, (layer, other) in layers.items():
        if other.dtype != model.dtype:
            raise ArgumentError(
                f"{type(model).__name__}: {model._layer_name(number)}, {layer!r}, belongs to a model of {other.dtype} and cannot "
                f"be part of one of {model.dtype} as well; copy.deepcopy(layer) gives an independent one"
            )
    for other in {id(other): other for _, other in layers.values()}.values():
        for member in Pool.of(other).members:
            if (each := member.model()) is not None:
                each._need_idle()


def join(model: Model, shared: Mapping[int, Mapping[str, Parameter]], others: list[Model]) -> None:
    """Move a model that has just been built into one pool with others.

    Parameters
    ----------
    model : Model
        It has its values in buffers of its own.
    shared : mapping
        From the number of a layer to the views that the other models have of its parameters.
    others : list of Model
        Those models.
    """
    pools = list({id(pool): pool for pool in map(Pool.of, others)}.values())
    shifts, state_shifts, total, states = [], [], 0, 0
    for pool in pools:
        shifts.append(total)
        state_shifts.append(states)
        total += _whole_lines(len(pool.parameters))
        states += _whole_lines(len(pool.states))

    def placed(parameters: list[Parameter], buffer: np.ndarray, shift: list[int], end: int) -> tuple[list[int], int]:
        """Where each parameter goes: where the others have it, or at the end; and the new end."""
        found = []
        for each in parameters:
            theirs = shared.get(model._owners[each.op], {}).get(each.role)
            hits = [] if theirs is None else [(pool.place(theirs), s) for pool, s in zip(pools, shift, strict=True)]
            known = [place + s for place, s in hits if place is not None]
            if known:
                found.append(known[0])
                continue
            ends = [p.value.ctypes.data for p in parameters if p.value.ctypes.data > each.value.ctypes.data]
            stop = min(ends, default=buffer.ctypes.data + buffer.nbytes)
            found.append(end)
            end += _whole_lines((stop - each.value.ctypes.data) // buffer.itemsize)
        return found, end

    own = model._buffers()
    offsets, total = placed(model._parameters(), own["parameters"], shifts, total)
    state_offsets, states = placed(model._states(), own["states"], state_shifts, states)
    merged = Pool(_core.aligned_zeros(total, model.dtype), _core.aligned_zeros(states, model.dtype))
    for pool, shift, state_shift in zip(pools, shifts, state_shifts, strict=True):
        merged.parameters[shift : shift + len(pool.parameters)] = pool.parameters
        merged.states[state_shift : state_shift + len(pool.states)] = pool.states
    values = [each.value.copy() for each in model._parameters() + model._states()]
    model._move(merged.parameters, merged.states, offsets, state_offsets)
    for each, value in zip(model._parameters() + model._states(), values, strict=True):
        each.value[...] = value
    for pool, shift, state_shift in zip(pools, shifts, state_shifts, strict=True):
        for member in pool.members:
            if (other := member.model()) is None:
                continue
            moved = member._replace(first=member.first + shift, first_state=member.first_state + state_shift)
            other._move(
                merged.parameters[moved.first : moved.first + moved.length],
                merged.states[moved.first_state : moved.first_state + moved.states],
            )
            other._bind_layers()
            other._pool = merged
            merged.members.append(moved)
    model._bind_layers()
    model._pool = merged
    merged.members.append(Stretch(weakref.ref(model), 0, total, 0, states))


def _whole_lines(elements: int) -> int:
    return -(-elements // _LINE) * _LINE
