"""Models that share layers, and therefore weights: a model built on others, or an encoder taken from an autoencoder.

All parameters of such models are in one pool of memory. The buffer of a model is an extent of the pool, and its parameters are
blocks in the extent. The space between them belongs to other models or is unused. A new model that contains layers of others joins
their pools into a new pool. The extents of models that still exist are placed one after the other. New parameters go into unused
gaps or to the end. So weights need not be copied between models: all of them use the same memory.

Models that no longer exist are left out when the next model joins. The buffers of an old pool are not reused. An array that still
refers to one keeps its values, and layers whose models no longer exist get copies of their parameters.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import _core
from ..errors import ArgumentError
from ..records import Parameter

if TYPE_CHECKING:
    from ..layers.base import Layer
    from .network import Network

_LINE = 16  # elements: whole cache lines for float32 and float64


class Span(NamedTuple):
    """Elements [first, end) of a buffer."""

    first: int
    end: int

    def moved(self, by: int) -> Span:
        """Return the same number of elements, starting ``by`` elements later."""
        return Span(self.first + by, self.end + by)


class Extent(NamedTuple):
    """The position of a network's parameters, or of its running statistics, in the pool."""

    whole: Span  #: the buffer of the network
    blocks: tuple[Span, ...]  #: the parts of it that the network uses, one block per parameter or statistic

    def moved(self, shifts: Mapping[Span, int]) -> Extent:
        """Return the new position, after each of these spans of the pool has moved by its number of elements."""
        by = next((by for span, by in shifts.items() if span.first <= self.whole.first and self.whole.end <= span.end), 0)
        return Extent(self.whole.moved(by), tuple(block.moved(by) for block in self.blocks))


class Member(NamedTuple):
    """A network of the pool, and its layers. The layers may live longer than the network."""

    network: weakref.ref[Network]
    layers: tuple[weakref.ref[Layer], ...]
    parameters: Extent
    states: Extent

    @staticmethod
    def of(network: Network, parameters: Extent, states: Extent) -> Member:
        """Return the member for a network."""
        return Member(weakref.ref(network), tuple(map(weakref.ref, network.layers)), parameters, states)


class Pool:
    """The parameters and running statistics of models that share layers.

    Parameters
    ----------
    parameters, states : numpy.ndarray
        The buffers.
    """

    def __init__(self, parameters: np.ndarray, states: np.ndarray) -> None:
        self.parameters, self.states = parameters, states
        self.members: list[Member] = []

    @staticmethod
    def of(network: Network) -> Pool:
        """Return the pool of a network. If the network shares nothing, the pool consists of its own buffers."""
        if network.pool is None:
            buffers = network.plan.buffers()
            pool = Pool(buffers["parameters"], buffers["states"])
            kinds = ((network.plan.parameters(), pool.parameters), (network.plan.states(), pool.states))
            extents = [Extent(Span(0, len(buffer)), _blocks(views, buffer)) for views, buffer in kinds]
            pool.members.append(Member.of(network, *extents))
            network.pool = pool  # set last, so that an interrupt leaves no incomplete pool
        return network.pool

    def living(self) -> list[tuple[Network, Member]]:
        """Return the members whose networks still exist."""
        return [(network, member) for member in self.members if (network := member.network()) is not None]

    def holds(self, view: Parameter) -> bool:
        """Return whether a parameter or statistic is in one of the buffers."""
        return any(0 <= _place(view, buffer) < len(buffer) for buffer in (self.parameters, self.states))


def shared_layers(network: Network) -> dict[int, tuple[Layer, Network]]:
    """Return the layers whose parameters another network has, by their number, with that network."""
    found = {}
    for i, layer in enumerate(network.layers):
        others = [other for other in layer._networks() if other is not network and other.has_parameters]
        if others:
            found[i] = layer, others[0]
    return found


def check(network: Network, layers: Mapping[int, tuple[Layer, Network]]) -> None:
    """Raise ArgumentError unless the network may share these layers (by their number) with other networks."""
    for number, (layer, other) in layers.items():
        if other.dtype != network.dtype:
            raise ArgumentError(
                f"{network.label}: {network.connections.layer_name(number)}, {layer!r}, belongs to a model of {other.dtype} and "
                f"cannot be part of one of {network.dtype} as well; copy.deepcopy(layer) gives an independent one"
            )


@contextmanager
def exclusive_access(others: Sequence[Network]) -> Iterator[None]:
    """Exclude all other threads from the networks of these pools. Raise ConcurrentUseError if one of them is being trained."""
    models = list(others)
    while True:
        with _core.ChangingAll(models):
            members = _members(others)  # read under the lock, when no other thread can change the pools
            if {id(each) for each in members} <= {id(each) for each in models}:
                yield
                return
        models = [*others, *members]


def _members(others: Sequence[Network]) -> list[Network]:
    pools = {id(pool): pool for pool in map(Pool.of, others)}
    return [network for pool in pools.values() for network, _ in pool.living()]


def merge_pools(network: Network, shared: Mapping[int, Mapping[str, Parameter]], others: list[Network]) -> None:
    """Move a network that has just been built into one pool with others. If that fails, the others are unchanged.

    Parameters
    ----------
    network : Network
        The new network. Its values are in its own buffers.
    shared : mapping
        From the number of a layer to the views that the other networks have of its parameters.
    others : list of Network
        The other networks.
    """
    pools = list({id(pool): pool for pool in map(Pool.of, others)}.values())
    living = [pool.living() for pool in pools]  # strong references: the networks must exist until the end
    members = [[member for _, member in each] for each in living]
    views = network.plan.parameters(), network.plan.states()
    own = network.plan.buffers()
    parameters, states = PoolLayout(), PoolLayout()
    for pool, each in zip(pools, members, strict=True):
        parameters.keep(pool.parameters, [member.parameters for member in each])
        states.keep(pool.states, [member.states for member in each])
    known = [[shared.get(network.plan.owners[view.op], {}).get(view.role) for view in kind] for kind in views]
    mine = (
        parameters.allocate(_blocks(views[0], own["parameters"]), known[0]),
        states.allocate(_blocks(views[1], own["states"]), known[1]),
    )
    merged = Pool(parameters.buffer(network.dtype), states.buffer(network.dtype))
    values = [view.value.copy() for kind in views for view in kind]
    offsets = [[block.first - extent.whole.first for block in extent.blocks] for extent in mine]
    for k, each in enumerate(members):
        shifts = parameters.shifts[k], states.shifts[k]
        merged.members += [m._replace(parameters=m.parameters.moved(shifts[0]), states=m.states.moved(shifts[1])) for m in each]
    moving = [(other, pool, before) for pool, each in zip(pools, living, strict=True) for other, before in each]
    arrived = list(merged.members)
    merged.members.append(Member.of(network, *mine))

    def move() -> None:
        network.plan.move(merged.parameters[slice(*mine[0].whole)], merged.states[slice(*mine[1].whole)], *offsets)
        for view, value in zip(network.plan.parameters() + network.plan.states(), values, strict=True):
            view.value[...] = value
        for (other, *_), after in zip(moving, arrived, strict=True):
            _move(other, merged, after)
        for pool in pools:
            _release_orphans(pool)
        for each, _ in merged.living():
            each.bind_layers()
            each.pool = merged

    def move_back() -> None:
        for other, pool, before in moving:
            _move(other, pool, before)
            other.bind_layers()
            other.pool = pool

    arrives = False
    try:
        _core.uninterrupted(move)  # a partial move would separate the weights of shared layers
        arrives = True
    finally:
        if not arrives and network.pool is not merged:
            _core.uninterrupted(move_back)


class PoolLayout:
    """The layout of a new pool, for parameters or for running statistics.

    Attributes
    ----------
    shifts : list of dict
        For each old pool, the spans that are kept, and the number of elements by which each moves.
    """

    def __init__(self) -> None:
        self.shifts: list[dict[Span, int]] = []
        self._sources: list[np.ndarray] = []
        self._used: list[Span] = []  # blocks of existing networks in the new pool
        self._fresh: list[Span] = []  # blocks of the new network that it does not share
        self._length = 0

    def keep(self, buffer: np.ndarray, extents: Sequence[Extent]) -> None:
        """Append the parts of an old pool that belong to existing networks."""
        shifts = {}
        for span in _united(extent.whole for extent in extents):
            shifts[span] = self._length - span.first
            self._length += _whole_lines(span.end - span.first)
        self._sources.append(buffer)
        self.shifts.append(shifts)
        self._used += [block for extent in extents for block in extent.moved(shifts).blocks]

    def allocate(self, blocks: Sequence[Span], known: Sequence[Parameter | None]) -> Extent:
        """Find a place for each block of the new network: the shared block, a large enough gap, or the end."""
        gaps = _gaps(_united(self._used), self._length)
        found = []
        for block, theirs in zip(blocks, known, strict=True):
            at = None if theirs is None else self._block_of(theirs)
            if at is None:
                at = _taken_from(gaps, _whole_lines(block.end - block.first))
                if at is None:
                    at = Span(self._length, self._length + _whole_lines(block.end - block.first))
                    self._length = at.end
                self._fresh.append(at)
            found.append(at)
        return Extent(Span(min((at.first for at in found), default=0), max((at.end for at in found), default=0)), tuple(found))

    def buffer(self, dtype: np.dtype) -> np.ndarray:
        """Return the new buffer, with the kept values. The blocks of the new network are zeros."""
        made: np.ndarray = _core.aligned_zeros(self._length, dtype)
        for source, shifts in zip(self._sources, self.shifts, strict=True):
            for span, by in shifts.items():
                made[slice(*span.moved(by))] = source[slice(*span)]
        for span in self._fresh:
            made[slice(*span)] = 0  # a gap may contain values of a network that no longer exists
        return made

    def _block_of(self, view: Parameter) -> Span | None:
        """Return the block in the new pool of a parameter that is shared."""
        for source, shifts in zip(self._sources, self.shifts, strict=True):
            at = _place(view, source)
            for span, by in shifts.items():
                if 0 <= at < len(source) and span.first <= at < span.end:
                    return next(block for block in self._used if block.first == at + by)
        return None


def _move(network: Network, pool: Pool, member: Member) -> None:
    network.plan.move(pool.parameters[slice(*member.parameters.whole)], pool.states[slice(*member.states.whole)])


def _release_orphans(pool: Pool) -> None:
    """Give layers whose networks no longer exist copies of their parameters, so that they do not keep the whole pool alive."""
    for layer in [ref() for member in pool.members if member.network() is None for ref in member.layers]:
        if layer is not None and not layer._networks() and any(pool.holds(view) for view in layer._bound.values()):
            bound = {role: view._replace(value=view.value.copy(), grad=view.grad.copy()) for role, view in layer._bound.items()}
            layer.__dict__["_bound"] = bound


def _blocks(views: Sequence[Parameter], buffer: np.ndarray) -> tuple[Span, ...]:
    """Return the block of each parameter in a buffer without other content. Each block ends where the next one starts."""
    starts = [_place(view, buffer) for view in views]
    return tuple(Span(start, min((s for s in starts if s > start), default=len(buffer))) for start in starts)


def _place(view: Parameter, buffer: np.ndarray) -> int:
    """Return the index of a parameter's first element in a buffer. It is out of range if the parameter is in other memory."""
    return int(view.value.ctypes.data - buffer.ctypes.data) // buffer.itemsize


def _united(spans: Iterable[Span]) -> list[Span]:
    """Return the same elements as sorted spans that neither touch nor overlap."""
    united: list[Span] = []
    for span in sorted(span for span in spans if span.end > span.first):
        if united and span.first <= united[-1].end:
            united[-1] = Span(united[-1].first, max(united[-1].end, span.end))
        else:
            united.append(span)
    return united


def _gaps(used: Sequence[Span], length: int) -> list[Span]:
    """Return the gaps between used spans, in whole cache lines."""
    ends = [0, *(span.end for span in used)]
    starts = [*(span.first for span in used), length]
    found = [Span(_whole_lines(end), start // _LINE * _LINE) for end, start in zip(ends, starts, strict=True)]
    return [gap for gap in found if gap.end > gap.first]


def _taken_from(gaps: list[Span], size: int) -> Span | None:
    """Take this number of elements from the first gap that is large enough."""
    for i, gap in enumerate(gaps):
        if gap.end - gap.first >= size:
            gaps[i] = Span(gap.first + size, gap.end)
            return Span(gap.first, gap.first + size)
    return None


def _whole_lines(elements: int) -> int:
    return -(-elements // _LINE) * _LINE
