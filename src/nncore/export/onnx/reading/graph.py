"""A graph as plain Python objects, checked: every tensor is made once, before it is read, and sizes are numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ....errors import shown
from .tensors import FLOATS, Source, dtype_of

MOST_NODES = 10_000
_MOST_DIMENSIONS = 9  # of a tensor, with the batch
_TEXT = 8  # the type of texts
_STANDARD = ("", "ai.onnx")
_OLDEST = 7  # before it, Add and others had another way of broadcasting


class Node(NamedTuple):
    """One operator of a graph."""

    kind: str  #: such as "Gemm"; with its domain, "ai.onnx.ml.Scaler", if that is not the default one
    name: str
    inputs: tuple[str, ...]  #: names of tensors; "" for an input that is left out
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    number: int  #: its place in the topological order

    def __str__(self) -> str:
        return f"{self.kind} {shown(self.name)}" if self.name else f"{self.kind} (of {shown(next(filter(None, self.outputs)))})"


class Body(NamedTuple):
    """The graph that a Loop repeats."""

    nodes: list[Node]  #: in topological order
    constants: dict[str, np.ndarray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    captured: tuple[str, ...]  #: tensors of the graph around it, which its node has after its own inputs


class Port(NamedTuple):
    """An input or output of the graph."""

    name: str
    is_tensor: bool
    is_float: bool  #: of 16, 32 or 64 bits
    is_double: bool
    dtype: np.dtype[Any] | None
    dims: tuple[int | str, ...] | None  #: a number, a name, or "" for an unnamed open size; None: not stated


class Graph(NamedTuple):
    """A whole graph."""

    name: str
    opset: int
    nodes: list[Node]  #: in topological order
    constants: dict[str, np.ndarray]
    texts: list[str]  #: the names of tensors of texts, whose values are not read
    inputs: list[Port]
    outputs: list[Port]


def fresh_names(graph: Graph) -> Callable[[str], str]:
    """Return a function that makes a name of a tensor, like the one that it is given, which is in the graph not yet."""
    taken = {name for node in graph.nodes for name in node.outputs} | {*graph.constants, *(port.name for port in graph.inputs)}

    def fresh(wanted: str) -> str:
        while wanted in taken:
            wanted += "'"
        taken.add(wanted)
        return wanted

    return fresh


def text(given: Any) -> str:
    """Return a text of a protocol buffer, which is bytes if it is no UTF-8."""
    return given if isinstance(given, str) else bytes(given).decode("utf-8", "replace")


def read_graph(proto: Any, source: Source) -> Graph:
    """Return the graph of a ModelProto.

    Raises
    ------
    FileFormatError
        It contradicts itself, or holds what nncore cannot.
    """
    opsets = {text(each.domain): each.version for each in proto.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 0))
    own = proto.graph
    if not own.node and not own.output:
        source.fail("graph", "it has no nodes")
    if opset < _OLDEST:
        source.fail("opset_import", f"opset {opset}; {_OLDEST} is the first that can be read")
    count = len(own.node) + sum(len(each.g.node) for node in own.node for each in node.attribute)
    if count > MOST_NODES:
        source.fail("graph", f"it has {count} nodes; {MOST_NODES} can be read")
    if own.sparse_initializer:
        source.fail("graph", "it has sparse tensors")
    constants: dict[str, np.ndarray] = {}
    texts: list[str] = []
    for each in own.initializer:
        name = text(each.name)
        if not name or name in constants:
            source.fail(f"tensor {shown(name)}", "its name is missing, or another tensor has it")
        if each.data_type == _TEXT:
            texts.append(name)
        else:
            constants[name] = source.array(each, f"tensor {shown(name)}")
    inputs = [_port(each, source, "input") for each in own.input if text(each.name) not in constants]
    made = [*constants, *texts, *(each.name for each in inputs)]
    nodes = _sorted([_node(each, source) for each in own.node], made, source)
    outputs = [_port(each, source, "output") for each in own.output]
    known = {*made, *(name for node in nodes for name in node.outputs)}
    for port in outputs:
        if port.name not in known:
            source.fail(f"output {shown(port.name)}", "no node makes it")
    _require_unique([each.name for each in outputs], source, "output")
    return Graph(text(own.name), opset, nodes, constants, texts, inputs, outputs)


def _port(info: Any, source: Source, what: str) -> Port:
    name = text(info.name)
    if not name:
        source.fail(what, "it has no name")
    if not info.type.HasField("tensor_type"):
        return Port(name, not info.type.WhichOneof("value"), False, False, None, None)
    kind = info.type.tensor_type
    dims: list[int | str] | None = None
    if kind.HasField("shape"):
        dims = []
        for d in kind.shape.dim:
            if d.dim_value < 0:
                source.fail(f"{what} {shown(name)}", f"a dimension of size {d.dim_value}")
            dims.append(d.dim_value if d.HasField("dim_value") else text(d.dim_param))
        if len(dims) > _MOST_DIMENSIONS:
            source.fail(f"{what} {shown(name)}", f"it has {len(dims)} dimensions")
    of = kind.elem_type
    return Port(name, True, of in FLOATS, of == 11, dtype_of(of), None if dims is None else tuple(dims))


def _node(proto: Any, source: Source, is_inside: bool = False) -> Node:
    name, kind, domain = map(text, (proto.name, proto.op_type, proto.domain))
    kind = kind if domain in _STANDARD else f"{domain}.{kind}"
    outputs = tuple(map(text, proto.output))
    if not any(outputs):
        source.fail(f"node {kind} {shown(name)}", "it has no outputs")
    where = f"node {kind} {shown(name or outputs[0])}"
    attributes: dict[str, Any] = {}
    for each in proto.attribute:
        key = text(each.name)
        if key in attributes:
            source.fail(where, f"two attributes {shown(key)}")
        attributes[key] = _attribute(each, source, where)
        if kind == "Loop" and key == "body" and each.type == 5 and not is_inside:
            attributes[key] = _body(each.g, source)
    body = attributes.get("body")
    captured = body.captured if isinstance(body, Body) else ()
    return Node(kind, name, (*map(text, proto.input), *captured), outputs, attributes, 0)


def _body(proto: Any, source: Source) -> Body:
    inputs, outputs = (tuple(text(each.name) for each in ports) for ports in (proto.input, proto.output))
    nodes = [_node(each, source, True) for each in proto.node]
    constants = {text(each.name): source.array(each, f"tensor {shown(text(each.name))}") for each in proto.initializer}
    own = {*inputs, *constants, *(name for node in nodes for name in node.outputs)}
    read = dict.fromkeys(name for each in (*(node.inputs for node in nodes), outputs) for name in each)
    captured = tuple(name for name in read if name and name not in own)
    return Body(_sorted(nodes, [*inputs, *constants, *captured], source), constants, inputs, outputs, captured)


def _attribute(each: Any, source: Source, where: str) -> Any:
    match each.type:
        case 1:
            return float(each.f)
        case 2:
            return int(each.i)
        case 3:
            return text(each.s)
        case 4:
            return source.array(each.t, f"{where}, attribute {shown(text(each.name))}")
        case 6:
            return tuple(map(float, each.floats))
        case 7:
            return tuple(map(int, each.ints))
        case 8:
            return tuple(map(text, each.strings))
    return None  # a graph, or what nncore has no use for


def _require_unique(names: Iterable[str], source: Source, what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            source.fail(f"{what} {shown(name)}", "there are two of this name")
        seen.add(name)


def _sorted(nodes: list[Node], made: list[str], source: Source) -> list[Node]:
    """Return the nodes in topological order, after checks of their tensors."""
    _require_unique([*made, *(name for node in nodes for name in node.outputs if name)], source, "tensor")
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    ready, left, readers = deque[int](), [], list[list[int]]([] for _ in nodes)
    known = set(made)
    for i, node in enumerate(nodes):
        waits = {maker[name] for name in node.inputs if name in maker}
        for name in node.inputs:
            if name and name not in maker and name not in known:
                source.fail(f"node {node}", f"nothing makes its input {shown(name)}")
        for other in waits:
            readers[other].append(i)
        left.append(len(waits))
        if not waits:
            ready.append(i)
    found: list[Node] = []
    while ready:
        i = ready.popleft()
        found.append(nodes[i]._replace(number=len(found)))
        for other in readers[i]:
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    if len(found) < len(nodes):
        stuck = [str(nodes[i]) for i in range(len(nodes)) if left[i]]
        source.fail("graph", f"nodes wait for one another in a circle: {', '.join(stuck[:20])}")
    return found
