"""Models that share layers, and therefore weights: a model built on others, or an encoder taken from an autoencoder.

Each model has memory for its own parameters and running statistics. Those of layers that another model has already are borrowed:
the plan has pointers to them, and all models read and write the same numbers. Gradients and moments belong to each model. So
nothing moves when a model joins or goes. The memory of a model exists as long as the model, another model that borrows from it, or
an array that refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .. import _core
from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..layers.base import Layer
    from .network import Network


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
        if (other.compute == "int8") != (network.compute == "int8"):
            raise ArgumentError(
                f"{network.label}: {network.connections.layer_name(number)}, {layer!r}, belongs to a quantized model and cannot be "
                "part of another one; build the model of layers that are not quantized, and quantize the whole"
            )


@contextmanager
def exclusive_access(others: Sequence[Network]) -> Iterator[None]:
    """Exclude all other threads from networks from which another one borrows. Raise ConcurrentUseError if one is being trained."""
    if not others:
        yield
        return
    with _core.ChangingAll(list({id(other): other for other in others}.values())):
        yield


def borrow(network: Network, plan: _core.Plan, owners: Sequence[int]) -> list[bool]:
    """Let a new plan of a network use the values that other networks have of shared layers.

    Return for each parameter and each running statistic whether it is borrowed. Parameters that no network has yet are not.
    """
    shared = shared_layers(network)
    if not shared:
        return [False] * (len(plan.parameters()) + len(plan.states()))

    def view_of(op: int, role: str) -> np.ndarray | None:
        known = shared[owners[op]][0]._bound.get(role) if owners[op] in shared else None
        return None if known is None else known.value

    values, states = ([view_of(each.op, each.role) for each in kind] for kind in (plan.parameters(), plan.states()))
    if any(view is not None for view in (*values, *states)):
        plan.borrow(values, states)
    return [view is not None for view in (*values, *states)]
