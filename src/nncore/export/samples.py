"""Samples for a network, and what it computes for them: the inputs and outputs that exported programs check themselves with."""

from __future__ import annotations

import numpy as np

from .. import _core
from ..errors import ArgumentError, ShapeError, SizeError
from ..network.network import Network
from ..records import Shape
from .walk import Walk

ROWS, STEPS = 2, 5


def samples(walk: Walk, shapes: list[Shape], rng: np.random.Generator, rows: int = ROWS) -> list[np.ndarray]:
    """Return random inputs of these shapes: normal numbers, and whole ones where an `Embedding` reads them."""
    found = []
    for i, shape in enumerate(shapes):
        table = _table_size(walk, i)
        if table is None:
            found.append(rng.normal(size=(rows, *shape)).astype(walk.dtype))
        else:
            found.append(rng.integers(table, size=(rows, *shape)).astype(np.int64 if i in walk.indices else walk.dtype))
    return found


def cases(network: Network, walk: Walk) -> list[tuple[list[np.ndarray], np.ndarray | None, list[np.ndarray]]]:
    """Return inputs, lengths and outputs: of a batch and, if the network takes lengths, of sequences of other lengths.

    The network is left as it is. Its products are computed in its dtype, also if they are in bfloat16 otherwise.
    """
    rng = np.random.default_rng(0)
    values = walk.values[: len(walk.input_names)]
    steps = {axis: STEPS for v in values for axis in v.axes[:1] if v.timeline}  # which the lengths count
    for axis in dict.fromkeys(axis for v in values for axis in v.axes if axis not in steps):
        steps[axis] = STEPS + len(steps)  # as lengths would count those of equally many steps
    longer = [tuple(steps[axis] if axis else size for axis, size in zip(v.axes, v.shape, strict=True)) for v in values]
    for shapes in (longer, [v.shape for v in values]):
        inputs = samples(walk, shapes, rng)
        lengths = None if walk.timed is None else rng.integers(1, shapes[walk.timed][0] + 1, ROWS)
        for given in (inputs, [np.zeros_like(x) for x in inputs]):  # 0 is an index into every table
            try:
                plain = outputs_for(network, given)
                more = [] if lengths is None else [(given, lengths, outputs_for(network, given, lengths))]
            except (ArgumentError, IndexError, ShapeError, SizeError):
                continue
            return [(given, None, plain), *more]
    return []


def outputs_for(network: Network, inputs: list[np.ndarray], lengths: np.ndarray | None = None) -> list[np.ndarray]:
    """Return what a network computes for samples, through a plan of their own. What is beyond the lengths is 0."""
    with network.access.between_steps():
        plan, trial = network.plan, _core.Plan()
        trial.assemble([x.shape[1:] for x in inputs], plan.ops, plan.outputs, network.dtype.name, network.dtype.name)
        own, its = (each.parameters() + each.states() for each in (plan, trial))
        if [p.value.shape for p in own] != [p.value.shape for p in its]:
            raise ShapeError("the parameters are not for inputs of these shapes")
        _core.copy_all([p.value for p in its], [p.value for p in own])
        shapes = trial.shapes()
        given = [np.ascontiguousarray(x, network.dtype) for x in inputs]
        outputs = [np.empty((len(given[0]), *shapes[value]), network.dtype) for value in plan.outputs]
        first, counted = 0, None if lengths is None else (np.ascontiguousarray(lengths, np.int64), None, None)
        while first < len(given[0]):
            first = trial.predict(given, outputs, first, counted)
        for y, timeline in zip(outputs, trial.timelines(plan.outputs), strict=True):
            if lengths is not None and timeline is not None:
                y[np.arange(y.shape[1]) >= (timeline[0] * lengths + timeline[1])[:, None]] = 0
        return outputs


def _table_size(walk: Walk, i: int) -> int | None:
    """Return the size of the smallest table that is read with the numbers of an input, also in another shape; None if none is."""
    same, sizes = {i}, []
    for step in walk.steps:
        if step.op.inputs[0] in same:
            if step.op.kind == "embedding":
                sizes.append(step.op.field("num_embeddings"))
            elif step.op.kind in ("flatten", "reshape", "permute", "repeat_vector"):
                same.add(step.output)
    return min(sizes, default=None)
