"""In what a network computes its products: the choice of ``compute="auto"``, and how it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .network import Network


def settled(compute: str) -> str:
    """Return what products are computed in. "auto" is the faster of float32 and bfloat16 on this CPU."""
    return "float32" if compute == "auto" else compute


def remark(network: Network) -> str:
    """Return what the repr of a network says, or "" if products have the precision of the parameters."""
    return "" if network.compute == network.type_name else f'compute="{network.compute}"'


def shown(network: Network) -> str:
    """Return the type of a network's numbers, and of its products if that differs."""
    if network.compute == "int8":
        return f"{network.type_name} (weights and products in int8)"
    return network.type_name if not remark(network) else f"{network.type_name} (products in {network.compute})"
