"""Masks that a graph makes of one of its inputs: time steps that are padding, and means over the other ones.

What operators make of a mask is computed on chosen numbers, so that any way of writing it will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .... import layers
from .folding import FOLDED
from .loops import compute, near
from .values import Refusal, Tensor, Unreadable
from .views import materialized

if TYPE_CHECKING:
    from .graph import Node
    from .interpret import Reading

ROWS = 3  # of samples in trials
Mask = tuple[str, float]  #: an input of the graph, and the value that stands for padding in it


def mask_of(r: Reading, name: str) -> Mask:
    """Return the mask that a tensor is made of."""
    nodes, waiting, inputs = dict[int, Any](), [name], set[str]()
    while waiting:
        each = waiting.pop()
        if each in r.inputs:
            inputs.add(each)
        elif (maker := r.makers.get(each)) is not None and maker.number not in nodes:
            nodes[maker.number] = maker
            waiting += maker.inputs
    constants = [r.values[each] for n in nodes.values() if n.kind in ("Equal", "Sub") for each in n.inputs]
    paddings = {float(a.reshape(())[()]) for a in constants if isinstance(a, np.ndarray) and a.size == 1}
    if len(inputs) != 1 or len(paddings) != 1:
        raise Refusal("its mask is not made of one input by comparing it with a number")
    return inputs.pop(), paddings.pop()


def padded(r: Reading, mask: Mask, steps: int, at: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of the input of a mask, and which steps are valid, [rows, steps]: in each row one at `at`."""
    name, padding = mask
    rng, t = np.random.default_rng(1), r.values[name]
    rest = [size.known for size in t.shape[2:]]
    if not isinstance(t, Tensor) or t.batch_axis or len(t.axes) < 2 or len(rest) > 1 or None in rest:
        raise Refusal("its mask is not one of time steps")
    valid = rng.random((ROWS, steps)) < 0.6
    valid[np.arange(ROWS), rng.integers(at.start, at.stop, ROWS)] = True
    array = padding + rng.integers(1, 4, (ROWS, steps, *rest)) * (rng.random((ROWS, steps, *rest)) < 0.5)
    if rest:
        array[..., 0] = padding + 1
    else:
        array = padding + rng.integers(1, 4, (ROWS, steps))
    array = np.where(valid.reshape(*valid.shape, *[1] * len(rest)), array, padding)
    return array.astype(np.int64 if t.is_index else np.float32), valid


def computed(r: Reading, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what operators make of these numbers."""
    r.loop_work -= len(r.graph.nodes)
    if r.loop_work < 0:
        raise Refusal("the loops and masks of the graph have too many operators")
    known = {**r.graph.constants, **known}
    for node in r.graph.nodes:
        if node.kind in FOLDED and node.outputs[0] not in known and all(not each or each in known for each in node.inputs):
            compute(node, known)
    return known


def mean(r: Reading, node: Node, values: list[Any]) -> Tensor | None:
    """Return a mean over the valid steps, as Keras' GlobalAveragePooling1D behind a mask is, if a quotient is one."""
    if node.kind != "Div" or not all(isinstance(each, Unreadable | Tensor) for each in values) or len(values) != 2:
        return None
    if not any(isinstance(each, Unreadable) for each in values) or r.loop_work < 0:
        return None
    r.loop_work -= len(r.graph.nodes)
    try:
        mask = mask_of(r, node.inputs[1])
    except Refusal:
        return None
    leaves, own = _leaves(r, node.inputs[0]), r.inputs[mask[0]]
    others = [each for each in leaves if r.values[each].value is not own]
    name = (others or [*leaves, ""])[0]
    t = r.values.get(name)
    if len(others) > 1 or not isinstance(t, Tensor) or len(t.axes) != 3 or t.batch_axis or t.shape[2].known is None:
        return None
    steps, features = t.shape[1].known or 5, t.shape[2].known
    if steps * features > 1 << 16:
        return None
    array, valid = padded(r, mask, steps, slice(0, steps))
    x = array if t.value is own else np.random.default_rng(2).normal(size=(ROWS, steps, features))
    found = computed(r, {mask[0]: array, name: x}).get(node.outputs[0])
    if found is None or not near(found, (x * valid[..., None]).sum(1) / valid.sum(1, keepdims=True)):
        return None
    view, pool = materialized(r, t), layers.GlobalAveragePooling1D()
    r.masks.setdefault(mask, str(node))
    r.pools.add(id(pool))
    return Tensor(r.apply(pool, view.value), (view.dims[0], view.dims[2]), ((0,), (1,)))


def _leaves(r: Reading, name: str) -> set[str]:
    """Return the tensors of the network of which an unreadable one is made."""
    waiting, seen, found = [name], set[str](), set[str]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        if isinstance(r.values.get(each), Tensor):
            found.add(each)
        elif (maker := r.makers.get(each)) is not None:
            waiting += maker.inputs
    return found
