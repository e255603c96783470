"""How ops are written: one entry for each NNC_LAYER of the registry that has steps.

An entry adds the statements of a step to a body, which computes one sample.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ..walk import Step
from .activations import ACTIVATIONS
from .products import matrix, multiply
from .program import Body, spelt

Entry = Callable[[Body, Step], None]


def _linear(b: Body, step: Step) -> None:
    (x,), tensors, names = b.inputs(step), b.program.walk.tensors, step.parameters
    weight, bias = names["weight"], names.get("bias")
    said = f"{weight} and {bias}" if bias else weight
    layer = matrix(b.program, (weight, bias), spelt(weight), tensors[weight], tensors[bias] if bias else None, said)
    multiply(b, x, layer, b.new(step), rows=prod(b.shape(step)[:-1]))


def zeros(b: Body, count: int) -> str:
    """Return the name of an array of zeros."""
    return b.program.constant(("zeros", count), f"zeros_{count}", np.zeros(count), f"{count} zeros")


def _activation(b: Body, step: Step) -> None:
    ACTIVATIONS[step.op.code](b, step)


#: The kind of an op in the registry -> its entry.
LAYERS: dict[str, Entry] = {
    "linear": _linear,
    "activation": _activation,
}
