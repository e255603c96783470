"""In what a network computes its products: the choice of ``compute="auto"``, and how it is shown."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .. import _core

if TYPE_CHECKING:
    from .network import Network

WORTHWHILE = 1.3  #: how many times faster bfloat16 must be for "auto" to take it


@cache
def speedup() -> float:
    """Return how many times faster products are in bfloat16 on this CPU. It is measured when it is first asked for."""
    return _core.measure_bf16()


def settled(compute: str) -> str:
    """Return what products are computed in. "auto" is bfloat16 where that is worthwhile on this CPU."""
    if compute != "auto":
        return compute
    return "bfloat16" if speedup() >= WORTHWHILE else "float32"


def remark(network: Network) -> str:
    """Return what the repr of a network says, or "" if products have the precision of the parameters."""
    return "" if network.compute == network.type_name else f'compute="{network.compute}"'


def shown(network: Network) -> str:
    """Return the type of a network's numbers, and of its products if that differs."""
    if network.compute == "int8":
        return f"{network.type_name} (weights and products in int8)"
    return network.type_name if not remark(network) else f"{network.type_name} (products in {network.compute})"
