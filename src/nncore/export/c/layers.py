"""How ops are written: one entry for each NNC_LAYER of the registry that has steps.

An entry adds the statements of a step to a body, which computes one sample.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ..walk import Step
from .activations import ACTIVATIONS
from .linear import product
from .program import Body, spelt
from .weights import store

Entry = Callable[[Body, Step], None]


def _linear(b: Body, step: Step) -> None:
    p, (x,), name = b.program, b.inputs(step), step.parameters["weight"]
    matrix = p.walk.tensors[name].T
    inputs, outputs = matrix.shape
    weights = store(p, (name, "transposed"), spelt(name), matrix, f"{name}, transposed [{inputs}, {outputs}]")
    bias = p.parameter(step, "bias") if "bias" in step.parameters else zeros(b, outputs)
    rows, y = prod(b.shape(step)[:-1]), b.new(step)
    if rows == 1:
        product(b, x, inputs, weights, bias, outputs, y)
    else:
        b.line(f"for (int i = 0; i < {rows}; i++) {{")
        product(b, f"{x} + {inputs} * i", inputs, weights, bias, outputs, f"{y} + {outputs} * i")
        b.line("}")
        b.multiply_adds += (rows - 1) * inputs * outputs


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
