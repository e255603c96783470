"""Random inputs for the self-test and for verify_c: normal numbers, and indices that embeddings have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...records import Shape
from ..walk import Walk

_MOVING = ("flatten", "reshape", "permute", "repeat_vector")


def random_inputs(net: Walk, shapes: Sequence[Shape], rows: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return samples [rows, *shape] for each input of a network."""
    found: list[np.ndarray] = []
    for i, shape in enumerate(shapes):
        size = table_size(net, i)
        drawn = rng.standard_normal((rows, *shape)) if size is None else rng.integers(0, size, (rows, *shape))
        found.append(drawn.astype(net.dtype if i not in net.indices else np.int32))
    return found


def table_size(net: Walk, i: int) -> int | None:
    """Return how many indices an input may have: the size of the smallest table that is read with it; None if there is no table."""
    same, sizes = {i}, []
    for step in net.steps:
        if step.op.inputs[0] in same and step.op.kind in _MOVING:
            same.add(step.output)
        elif step.op.inputs[0] in same and step.op.kind == "embedding":
            sizes.append(int(step.op.field("num_embeddings")))
    return min(sizes, default=None)
