"""Recurrent layers that a graph has as a loop laid out step by step, as Keras exports them: one operator instead.

The weight that multiplies the state is read once for each step. Around it, the part of the graph that depends on one sequence is
computed on random numbers, and compared with the cells. Tensors that are the outputs of all steps, or of the last one, are then
made by an operator of ONNX, and the nodes of the loop are not needed any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .... import layers
from ....errors import NncoreError
from ..recurrent import GATES, gates_from
from .folding import FOLDED, fold, shape_part
from .graph import Graph, Node, Port, fresh_names
from .values import Refusal

_MOST_LOOPS = 16
_MOST_NUMBERS = 1 << 22  #: that are computed in all
_OF_SAME_SHAPE = ("BatchNormalization", "LayerNormalization", "PRelu")  #: their results, besides those that NumPy computes
KINDS = {1: ("RNN",), 3: ("GRU",), 4: ("LSTM",)}


class _Loop(NamedTuple):
    """A loop: its sequence, and what its steps compute."""

    sequence: str  #: the name of a tensor [N, T, F], or [T, N, F]
    is_time_first: bool
    kind: str
    direction: str
    weights: tuple[np.ndarray, ...]  #: W, R and B as ONNX has them
    options: dict[str, Any]
    made: dict[str, str]  #: name of a tensor -> "all", "all, time first", or "last"


def fold_loops(graph: Graph) -> Graph:
    """Return the graph with an operator for each loop that is a recurrent layer of nncore, and without nodes that nothing needs."""
    graph = needed(_without_aliases(graph))
    for _ in range(_MOST_LOOPS):
        loop = next((found for name in _recurrent_weights(graph) if (found := _tried(graph, name)) is not None), None)
        if loop is None:
            break
        graph = needed(_replaced(graph, loop))
    return graph


def _without_aliases(graph: Graph) -> Graph:
    """Return the graph with one name for each constant: some exporters copy a weight for each of its uses."""
    same: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = node._replace(inputs=tuple(same.get(name, name) for name in node.inputs))
        if node.kind == "Identity" and node.inputs and node.inputs[0] in graph.constants:
            same[node.outputs[0]] = node.inputs[0]
        nodes.append(node)
    return graph._replace(nodes=nodes)


def needed(graph: Graph) -> Graph:
    """Return the graph with the nodes on which its outputs depend."""
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    waiting, kept = [port.name for port in graph.outputs], set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.number not in kept:
            kept.add(node.number)
            waiting += node.inputs
    return graph._replace(nodes=_numbered(node for node in graph.nodes if node.number in kept))


def _numbered(nodes: Any) -> list[Node]:
    return [node._replace(number=i) for i, node in enumerate(nodes)]


def _recurrent_weights(graph: Graph) -> Iterator[str]:
    """Return the weights [H, gates * H] that several products read."""
    uses: dict[str, int] = {}
    for node in graph.nodes:
        if node.kind == "MatMul" and len(node.inputs) == 2:
            uses[node.inputs[1]] = uses.get(node.inputs[1], 0) + 1
    for name, count in uses.items():
        array = graph.constants.get(name)
        if count > 1 and array is not None and array.ndim == 2 and array.size and array.shape[1] in (n * len(array) for n in KINDS):
            yield name


def _tried(graph: Graph, name: str) -> _Loop | None:
    """Return the loop of this weight. Nodes that are damaged are none; who reads them says why."""
    try:
        return _loop_of(graph, name)
    except (NncoreError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _loop_of(graph: Graph, name: str) -> _Loop | None:
    """Return the loop of this weight, if it is a recurrent layer."""
    recurrence, uses = graph.constants[name], [node for node in graph.nodes if node.kind == "MatMul" and node.inputs[1:] == (name,)]
    gates = recurrence.shape[1] // len(recurrence)
    constants = _constants(graph)
    for leaf, part in _cuts(graph, constants, uses[-1]):
        kernels = [
            array
            for node in part
            if node.kind == "MatMul"
            and len(node.inputs) == 2
            and node.inputs[1] != name
            and (array := constants.get(node.inputs[1])) is not None
            if array.ndim == 2 and array.shape[1] == recurrence.shape[1]
        ]
        if not kernels:
            continue
        biases = [
            constants[each].reshape(-1)
            for node in part
            if node.kind in ("Add", "Sum")
            for each in node.inputs
            if each in constants and constants[each].size == recurrence.shape[1]
        ]
        weights = (kernels[0], recurrence, unlike(biases))
        shape = _shape(graph, leaf)
        if shape is None and not any(_opened(port) > 1 for port in graph.inputs):
            return None
        # More steps first: a loop is also one of fewer steps, with nodes behind it. The first product may have been left out.
        for steps, is_time_first in product((len(uses) + 1, len(uses), len(uses) - 1), (False, True)):
            if shape is not None and shape[0 if is_time_first else 1 : 2 - is_time_first] != (steps,):
                continue
            found = _matched(graph, constants, leaf, steps, is_time_first, KINDS[gates], weights, uses[-1])
            if found is not None:
                return found
        return None
    return None


def unlike(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return zeros, and at most four arrays that differ."""
    found: list[np.ndarray] = []
    for each in arrays:
        if len(found) < 4 and not any(np.array_equal(each, other) for other in found):
            found.append(each)
    return found


def _constants(graph: Graph) -> dict[str, np.ndarray]:
    """Return the constants of a graph, and those that are computed from them and from the sizes of inputs, such as zeros."""
    known, left = dict(graph.constants), _MOST_NUMBERS
    sizes = {port.name: [_samples(graph) if isinstance(d, str) else d for d in port.dims or ()] for port in graph.inputs}
    opened = {port.name for port in graph.inputs if _opened(port) > 1}
    for node in graph.nodes:
        if node.kind == "Shape" and node.inputs[0] in sizes and node.inputs[0] not in opened:
            of = sizes[node.inputs[0]]
            known[node.outputs[0]] = np.array(of, np.int64)[shape_part(node, len(of))]
        elif (node.kind in FOLDED or node.kind == "MatMul") and all(not each or each in known for each in node.inputs):
            left -= compute(node, known)
            if left < 0:
                break
    return known


def compute(node: Node, known: dict[str, np.ndarray]) -> int:
    """Compute a node if it can be, and return how many numbers it has made."""
    arrays: list[Any] = [known[name] if name else None for name in node.inputs]
    try:
        with np.errstate(all="ignore"):
            found = [_matmul(*arrays)] if node.kind == "MatMul" else fold(node, arrays)
    except (Refusal, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return 0
    known.update({name: array for name, array in zip(node.outputs, found, strict=False) if name})
    return sum(array.size for array in found)


def _matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b.ndim != 2 or a.size // a.shape[-1] * b.shape[1] > _MOST_NUMBERS:
        raise Refusal("it is too large")
    found: np.ndarray = a @ b
    return found


def _cuts(graph: Graph, constants: dict[str, np.ndarray], root: Node) -> Iterator[tuple[str, list[Node]]]:
    """Return tensors on which alone a node depends, the last one first, each with the nodes between."""
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    part, leaves = [root], {name for name in root.inputs if name and name not in constants}
    while leaves:
        if len(leaves) == 1:
            yield next(iter(leaves)), part
        last = max((makers[name] for name in leaves if name in makers), key=lambda node: node.number, default=None)
        if last is None or (last.kind not in FOLDED and last.kind != "MatMul"):
            return
        part.append(last)
        leaves = (leaves - {*last.outputs}) | {name for name in last.inputs if name and name not in constants}


def _matched(
    graph: Graph,
    constants: dict[str, np.ndarray],
    leaf: str,
    steps: int,
    is_time_first: bool,
    kinds: tuple[str, ...],
    weights: tuple[np.ndarray, np.ndarray, list[np.ndarray]],
    last_use: Node,
) -> _Loop | None:
    """Return the loop if its steps are those of a cell with these weights."""
    kernel, recurrence, biases = weights
    samples = _samples(graph)
    if samples * steps * len(kernel) > _MOST_NUMBERS:
        return None
    x = np.random.default_rng(0).normal(size=(samples, steps, len(kernel)))
    known = _computed(graph, constants, leaf, np.swapaxes(x, 0, 1) if is_time_first else x)
    state = known.get(last_use.inputs[0])
    if state is None or state.size != samples * len(recurrence):
        return None
    state, zeros = state.reshape(samples, -1), np.zeros(recurrence.shape[1])
    for kind, cell, first, second in product(kinds, ("tanh", "relu"), [zeros, *biases], [zeros, *biases]):
        if cell == "relu" and kind != "RNN":
            continue
        made_of = of_onnx(kind, kernel, recurrence, first, second)
        for direction in ("forward", "reverse"):
            y, *_ = outputs_of(kind, cell, made_of, x if direction == "forward" else x[:, ::-1])
            if not any(near(state, y[:, t]) for t in range(steps)):
                continue
            if made := _tensors(graph, known, constants, y, direction):
                options = {"activations": ("Relu",)} if cell == "relu" else {"linear_before_reset": 1} if kind == "GRU" else {}
                return _Loop(leaf, is_time_first, kind, direction, made_of, options, made)
    return None


def _computed(graph: Graph, constants: dict[str, np.ndarray], leaf: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the tensors of a graph are if one tensor has these numbers, as far as they depend on it alone."""
    known, left = {**constants, leaf: x}, _MOST_NUMBERS
    for node in graph.nodes:
        if node.outputs[0] in known or (node.kind not in FOLDED and node.kind != "MatMul"):
            continue
        if all(not each or each in known for each in node.inputs) and not all(each in constants for each in node.inputs if each):
            left -= compute(node, known)
        if left < 0:
            break
    return known


def _shape(graph: Graph, name: str) -> tuple[int, ...] | None:
    """Return the shape of a tensor, for some number of samples; None if it is not known."""
    known: dict[str, np.ndarray] = dict(graph.constants)
    for port in graph.inputs:
        sizes = [_samples(graph) if isinstance(d, str) else d for d in port.dims or ()]
        if port.dtype is not None and _opened(port) < 2 and prod(sizes) <= _MOST_NUMBERS:
            known[port.name] = np.zeros(sizes, port.dtype)
    left = _MOST_NUMBERS
    for node in graph.nodes:
        if name in known or left < 0:
            break
        if (node.kind in FOLDED or node.kind == "MatMul") and all(not each or each in known for each in node.inputs):
            left -= compute(node, known)
        elif node.kind in _OF_SAME_SHAPE and node.inputs[0] in known:
            known[node.outputs[0]] = known[node.inputs[0]]
        elif node.kind in GATES and not node.attributes.get("layout"):
            shapes = [known[each].shape if each in known else () for each in node.inputs[:3:2]]
            if [*map(len, shapes)] != [3, 3]:
                continue
            (steps, rows, _), (directions, _, hidden) = shapes
            if steps * rows * directions * hidden <= _MOST_NUMBERS:
                last = np.zeros((directions, rows, hidden))
                known.update(zip(node.outputs, (np.zeros((steps, *last.shape)), last, last), strict=False))
    return known[name].shape if name in known else None


def _opened(port: Port) -> int:
    return sum(isinstance(d, str) for d in port.dims or ())


def _samples(graph: Graph) -> int:
    """Return a number of samples that the graph takes."""
    sizes = [port.dims[0] for port in graph.inputs if port.dims and isinstance(port.dims[0], int)]
    return min(max(sizes[0], 1), 64) if sizes else 2


def of_onnx(kind: str, kernel: np.ndarray, recurrence: np.ndarray, *biases: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return W, R and B. Keras has the gates i, f, c, o of an LSTM, which are nncore's, and z, r, h of a GRU, which are ONNX's."""

    def rows(array: np.ndarray) -> np.ndarray:
        if kind != "LSTM":
            return array
        blocks = np.split(array, 4)
        return np.concatenate([blocks[i] for i in GATES[kind]])

    bias = np.concatenate([rows(each) for each in biases])
    return tuple(array[None].astype(kernel.dtype) for array in (rows(kernel.T), rows(recurrence.T), bias))


def outputs_of(
    kind: str, cell: str, weights: tuple[np.ndarray, ...], x: np.ndarray, states: Sequence[np.ndarray] = (), mask: Any = None
) -> list[np.ndarray]:
    """Return what a layer of nncore gives for each step, and its last states [rows, hidden]."""
    w, r, b = (array[0] for array in weights)
    options: dict[str, Any] = {"nonlinearity": cell} if kind == "RNN" else {"reset_after": False} if cell == "reset before" else {}
    layer = getattr(layers, kind)(w.shape[1], r.shape[1], **options)
    halves = np.split(b, 2)
    roles = dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), (w, r, *halves), strict=True))
    layer.load_state_dict({role: np.ascontiguousarray(gates_from(kind, array), np.float32) for role, array in roles.items()})
    start = [each.astype(np.float32)[None] for each in states]
    output, last = layer(x.astype(np.float32), (tuple(start) if len(start) > 1 else start[0]) if start else None, mask=mask)
    return [np.asarray(output), *(np.asarray(each)[0] for each in (last if isinstance(last, tuple) else (last,)))]


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two results agree, up to the rounding of float32."""
    if one.shape != other.shape:
        return False
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-4 * min(1.0, float(np.abs(other).max(initial=0.0)))))


def _tensors(
    graph: Graph, known: dict[str, np.ndarray], constants: dict[str, np.ndarray], y: np.ndarray, direction: str
) -> dict[str, str]:
    """Return the tensors that are outputs of the loop."""
    every = y if direction == "forward" else y[:, ::-1]
    wanted = {"all": every, "all, time first": every.swapaxes(0, 1), "last": y[:, -1]}
    found: dict[str, str] = {}
    after: set[str] = set()  # what is computed of the outputs of all steps, and stays so
    for node in graph.nodes:
        if after & {*node.inputs}:
            after.update(node.outputs)
            continue
        name = node.outputs[0]
        if len(node.outputs) == 1 and name in known and name not in constants:
            what = next((what for what, array in wanted.items() if near(known[name], array)), None)
            if what is not None:
                found[name] = what
            if what in ("all", "all, time first"):
                after.add(name)
    return found


def _replaced(graph: Graph, loop: _Loop) -> Graph:
    """Return the graph with an operator in the place of a loop."""
    fresh = fresh_names(graph)
    names = [fresh(f"{loop.kind} {part}") for part in ("W", "R", "B", "x", "Y", "Y_h", "axis 0", "axis 1")]
    w, r, b, x, y, y_h, axis_0, axis_1 = names
    constants = {**graph.constants, **dict(zip((w, r, b), loop.weights, strict=True))}
    constants |= {axis_0: np.array([0]), axis_1: np.array([1])}
    first = next(node for node in graph.nodes if {*node.outputs} & {*loop.made})
    perm = {"perm": (0, 1, 2) if loop.is_time_first else (1, 0, 2)}
    options = {"direction": loop.direction, "hidden_size": loop.weights[1].shape[2], **loop.options}
    new = [Node("Transpose", "", (loop.sequence,), (x,), perm, 0), Node(loop.kind, first.name, (x, w, r, b), (y, y_h), options, 0)]
    whole = fresh(f"{loop.kind} Y squeezed")  # of which all others are made, so that a loop after this one depends on it alone
    new.append(Node("Squeeze", "", (y, axis_1), (whole,), {}, 0))
    for name, what in loop.made.items():
        if what == "last":
            new.append(Node("Squeeze", "", (y_h, axis_0), (name,), {}, 0))
        elif what == "all, time first":
            new.append(Node("Identity", "", (whole,), (name,), {}, 0))
        else:
            new.append(Node("Transpose", "", (whole,), (name,), {"perm": (1, 0, 2)}, 0))
    at = next((node.number for node in graph.nodes if loop.sequence in node.outputs), -1) + 1
    kept = [node for node in graph.nodes if not {*node.outputs} & {*loop.made}]
    nodes = [*(node for node in kept if node.number < at), *new, *(node for node in kept if node.number >= at)]
    return graph._replace(nodes=_numbered(nodes), constants=constants)
