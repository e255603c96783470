"""What a graph takes of the outputs of all steps of a recurrent operator, in several operators: last states, and directions joined.

The operators behind Y that only choose and arrange numbers are computed on random ones. What equals the last states becomes Y_h,
and what has the two directions side by side is Y in another order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..recurrent import GATES
from .graph import Graph, Node, fresh_names
from .loops import compute

_MOST_OPERATORS = 64
_ARRANGING = frozenset(("Cast", "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "ReverseSequence", "Shape")) | {
    *("Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
}
_STEPS, _ROWS = 5, 3


def fold_states(graph: Graph) -> Graph:
    """Return the graph with one or two operators for each of such tensors."""
    found = [
        node.outputs[0] for node in graph.nodes if node.kind in GATES and node.outputs[0] and not node.attributes.get("layout")
    ]
    for name in found[:_MOST_OPERATORS]:
        graph = _folded(graph, next(node for node in graph.nodes if node.outputs[0] == name))
    return graph


def _folded(graph: Graph, node: Node) -> Graph:
    recurrence = graph.constants.get((*node.inputs, "", "", "")[2])
    if recurrence is None or recurrence.ndim != 3 or not 0 < len(recurrence) < 3 or any(node.inputs[4:5]):
        return graph
    directions, _, hidden = recurrence.shape
    y = np.random.default_rng(0).normal(size=(_STEPS, directions, _ROWS, hidden))
    ends = [y[0 if i or node.attributes.get("direction") == "reverse" else -1, i] for i in range(directions)]
    targets: dict[str, np.ndarray] = {str(i): end for i, end in enumerate(ends)}
    if directions == 2:
        targets |= {"both": np.concatenate(ends, 1), "all": _lined(y, 2, 0, 1, 3), "all, time first": _lined(y, 0, 2, 1, 3)}
    if not (made := _equal_ones(graph, node, y, targets)):
        return graph
    fresh = fresh_names(graph)
    last = node.outputs[1] if node.outputs[1:] and node.outputs[1] else fresh(f"{node.outputs[0]} last")
    new = [node._replace(outputs=(node.outputs[0], last, *node.outputs[2:]))]
    constants = dict(graph.constants)
    for name, what in made.items():
        helper, number = fresh(f"{name} arranged"), fresh(f"{name} shape")
        if what in "01":
            constants[number] = np.array(int(what))
            new.append(Node("Gather", "", (last, number), (name,), {"axis": 0}, 0))
            continue
        perm = {"both": (1, 0, 2), "all": (2, 0, 1, 3)}.get(what, (0, 2, 1, 3))
        constants[number] = np.array([0, -1] if what == "both" else [0, 0, -1])
        new.append(Node("Transpose", "", (last if what == "both" else node.outputs[0],), (helper,), {"perm": perm}, 0))
        new.append(Node("Reshape", "", (helper, number), (name,), {}, 0))
    nodes: list[Node] = []
    for each in graph.nodes:
        if each.number == node.number:
            nodes += new
        elif not {*each.outputs} & {*made}:
            nodes.append(each)
    return graph._replace(nodes=[each._replace(number=i) for i, each in enumerate(nodes)], constants=constants)


def _lined(y: np.ndarray, *perm: int) -> np.ndarray:
    turned = y.transpose(perm)
    return turned.reshape(*turned.shape[:2], -1)


def _equal_ones(graph: Graph, node: Node, y: np.ndarray, targets: dict[str, np.ndarray]) -> dict[str, str]:
    """Return the tensors that are made of Y and equal a target, with its name."""
    known: dict[str, Any] = {**graph.constants, node.outputs[0]: y}
    found: dict[str, str] = {}
    of_y = {node.outputs[0]}
    for each in graph.nodes[node.number + 1 :]:
        if each.kind not in _ARRANGING or not of_y & {*each.inputs} or not all(not name or name in known for name in each.inputs):
            continue
        compute(each, known)
        of_y.update(name for name in each.outputs if name in known)
        array = known.get(each.outputs[0])
        if len(each.outputs) == 1 and array is not None:
            what = next((what for what, target in targets.items() if np.array_equal(array, target)), None)
            if what is not None:
                found[each.outputs[0]] = what
    return found
