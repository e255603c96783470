"""The connections of a network as plain data, for copies and files, and networks made from such data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..graph import Description, Graph, restored
from ..layers.base import Layer
from ..records import Shape
from .chain import Chain, is_network
from .network import Network


class Inner(NamedTuple):
    """A model that is a part of another one, as plain data."""

    label: str  #: the class of the model
    layers: int  #: number of its layers
    connections: Connections
    compute: str = "float32"  #: in what its products are computed


class Nested(NamedTuple):
    """A chain with models among its parts, as plain data."""

    parts: list[Inner | None]  #: None: a layer
    shapes: list[Shape] | None  #: those for which it is built


#: For a graph its description; for a chain the shapes for which it is built, or None; or a chain of models and layers.
Connections = Description | Nested | Sequence[Shape] | None


def connections_of(network: Network) -> Connections:
    """Return how the layers of a network are connected."""
    connections = network.connections
    if isinstance(connections, Graph):
        return connections.describe()
    shapes = network.plan.built_for
    if not connections.is_nested:
        return shapes
    return Nested([_part(part) for part in connections.parts], shapes)


def parts_of(network: Network, chosen: slice) -> tuple[list[Layer], Nested]:
    """Return the layers of some parts of a chain, and how they are connected."""
    connections = network.connections
    assert isinstance(connections, Chain)
    parts = connections.parts[chosen]
    layers = [layer for part in parts for layer in ([part] if isinstance(part, Layer) else part.layers)]
    return layers, Nested([_part(part) for part in parts], None)


def _part(part: Layer | Network) -> Inner | None:
    return Inner(part.label, len(part.layers), connections_of(part), part.compute) if is_network(part) else None


def connect(
    layers: Sequence[Layer],
    connections: Connections,
    seed: int,
    dtype: str,
    label: str,
    draws: bool = True,
    compute: str = "float32",
) -> Network:
    """Return a network of these layers with these connections. draws, compute: as for `Network`."""
    shapes: Sequence[Shape] | None = None
    if isinstance(connections, Description):
        graph = Graph(*restored(layers, connections))
        graph.by_name = connections.by_name
        network = Network(graph, 0, dtype, label, compute=compute)
    elif isinstance(connections, Nested):
        shapes = connections.shapes
        network = Network(Chain(_connected(layers, connections, seed, dtype, draws)), 0, dtype, label, draws, compute)
    else:
        shapes = connections
        network = Network(Chain(layers), 0, dtype, label, draws, compute)
    network.plan.seed = seed
    if shapes is not None and network.plan.built_for != shapes:
        network.build(list(shapes))
    return network


def _connected(layers: Sequence[Layer], nested: Nested, seed: int, dtype: str, draws: bool) -> list[Layer | Network]:
    """Return the parts of a nested chain."""
    found: list[Layer | Network] = []
    at = 0
    for part in nested.parts:
        count = 1 if part is None else part.layers
        own = layers[at : at + count]
        found.append(own[0] if part is None else _inner(own, part, seed, dtype, draws))
        at += count
    return found


def _inner(layers: Sequence[Layer], part: Inner, seed: int, dtype: str, draws: bool) -> Network:
    """Return a model that is a part of another one. In float64 there is no lower precision for it, whatever it had."""
    compute = part.compute if dtype == "float32" else dtype
    return connect(layers, part.connections, seed, dtype, part.label, draws, compute)
