"""Networks as graphs: `Input`, the values that layers return when they are called on it, and the graph of a model."""

from .graph import Description, Graph, layer_names, restored
from .values import MAX_INPUTS, Input, Node, Value, call, check_count, checked_name, is_symbolic, record

__all__ = [
    "MAX_INPUTS",
    "Description",
    "Graph",
    "Input",
    "Node",
    "Value",
    "call",
    "check_count",
    "checked_name",
    "is_symbolic",
    "layer_names",
    "record",
    "restored",
]
