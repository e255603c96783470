"""The connections of a network as plain data, for copies and files, and networks made from such data."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Description, Graph, restored
from ..layers.base import Layer
from ..records import Shape
from .chain import Chain
from .network import Network

#: For a graph its description; for a chain the shapes for which it is built, or None.
Connections = Description | Sequence[Shape] | None


def connections_of(network: Network) -> Connections:
    """Return how the layers of a network are connected."""
    connections = network.connections
    return connections.describe() if isinstance(connections, Graph) else network.plan.built_for


def connect(layers: Sequence[Layer], connections: Connections, seed: int, dtype: str, label: str, draws: bool = True) -> Network:
    """Return a network of these layers with these connections. draws: as for `Network`."""
    if isinstance(connections, Description):
        graph = Graph(*restored(layers, connections))
        graph.by_name = connections.by_name
        network = Network(graph, 0, dtype, label)
    else:
        network = Network(Chain(layers), 0, dtype, label, draws)
    network.plan.seed = seed
    if connections is not None and not isinstance(connections, Description) and network.plan.built_for != connections:
        network.build(connections)
    return network
