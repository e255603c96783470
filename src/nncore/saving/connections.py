"""How the layers of a model are connected, as data, and back: graphs, and models within a Sequential. See model_file.py."""

from __future__ import annotations

from typing import Any

from ..graph import Description, Graph, layer_names
from ..layers import Layer
from ..network.chain import check_layers, is_network
from ..network.connecting import Inner, Nested
from ..network.network import Network
from ..records import Shape
from . import declarations as data
from . import tensors
from .fields import count, field, read_compute
from .tensors import Reader


def from_connections(network: Network) -> dict[str, Any]:
    """Return the entries that describe the connections of the layers."""
    if not isinstance(network.connections, Graph):
        shapes = {"input_shapes": [list(shape) for shape in network.input_shapes] if network.built else None}
        if not network.connections.is_nested:
            return shapes
        return {**shapes, "parts": [_from_part(part) if is_network(part) else None for part in network.connections.parts]}
    described = network.connections.describe()
    names = [layer.name for layer in network.layers]
    return {"graph": {"names": names, **{key: value for key, value in described._asdict().items() if key != "layers"}}}


def _from_part(part: Network) -> dict[str, Any]:
    kind = "Model" if isinstance(part.connections, Graph) else "Sequential"
    compute = {} if part.compute == part.dtype.name else {"compute": part.compute}
    return {"class": kind, "layers": len(part.layers), **compute, **from_connections(part)}


def to_nested(
    reader: Reader, described: dict[str, Any], layers: list[Layer], shapes: list[Shape] | None, compute: str | None
) -> tuple[Nested, list[str]]:
    """Return the parts of a chain, and the keys of its layers. compute: in what all parts compute products; None: as stored."""
    parts: list[Inner | None] = []
    keys: list[str] = []
    for i, part in enumerate(field(reader, described, "model.parts", list)):
        where, at = f"model.parts[{i}]", len(keys)
        if part is None:
            parts.append(None)
            keys.append(str(i))
            if at == len(layers):
                reader.fail(where, f"there are only {len(layers)} layers")
            continue
        if not isinstance(part, dict):
            reader.fail(where, f"null or an object is needed, not {tensors.kind(part)}")
        number = count(reader, field(reader, part, f"{where}.layers", int), f"{where}.layers", len(layers) - at + 1, 1)
        own = layers[at : at + number]
        name = field(reader, part, f"{where}.class", str)
        stored = read_compute(reader, part, f"{where}.compute", "float32")
        own_compute = stored if compute is None else compute
        if name == "Model":
            description, inner = to_named_graph(reader, part, own)
            if len(description.inputs) != 1 or len(description.outputs) != 1:
                reader.fail(where, "a model in a Sequential has one input and one output")
            parts.append(Inner("Functional", number, description, own_compute))
        elif name == "Sequential":
            own_shapes = to_shapes(reader, field(reader, part, f"{where}.input_shapes", list, optional=True))
            inner = [str(j) for j in range(number)]
            connections: Nested | list[Shape] | None = own_shapes
            if part.get("parts") is not None:
                connections, inner = to_nested(reader, part, own, own_shapes, compute)
            else:
                _check_chain(reader, where, own)
            parts.append(Inner("Sequential", number, connections, own_compute))
        else:
            reader.fail(f"{where}.class", f"{name[:80]!r} is not known to this version of nncore")
        keys += [f"{i}.{key}" for key in inner]
    _check_chain(reader, "model.parts", [layers[keys.index(str(i))] for i, part in enumerate(parts) if part is None])
    if len(keys) != len(layers):
        reader.fail("model.parts", f"they have {len(keys)} layers, but {len(layers)} are listed")
    return Nested(parts, shapes), keys


def _check_chain(reader: Reader, where: str, layers: list[Layer]) -> None:
    if layers:
        with data.refusing(reader, where):
            check_layers("Sequential", layers)


def to_named_graph(reader: Reader, described: dict[str, Any], layers: list[Layer]) -> tuple[Description, list[str]]:
    """Name the layers, and return the graph and the keys of the layers."""
    graph = field(reader, described, "model.graph", dict)
    names = field(reader, graph, "model.graph.names", list)
    if len(names) != len(layers):
        reader.fail("model.graph.names", f"{len(names)} for {len(layers)} layers")
    with data.refusing(reader, "model.graph"):
        for layer, name in zip(layers, names, strict=True):
            layer.name = name
        keys = layer_names(layers)
        return _to_description(reader, graph, keys, layers), keys


def _to_description(reader: Reader, graph: dict[str, Any], names: list[str], layers: list[Layer]) -> Description:
    """Return a well-formed graph. The layers check their inputs later."""

    def pairs(key: str, first: type, second: type) -> list[Any]:
        found: list[Any] = field(reader, graph, f"model.graph.{key}", list)
        for i, each in enumerate(found):
            if not isinstance(each, list) or len(each) != 2 or type(each[0]) is not first or type(each[1]) is not second:
                reader.fail(f"model.graph.{key}[{i}]", f"a pair of {first.__name__} and {second.__name__} is needed")
        return found

    inputs = [
        (n, tuple(count(reader, d, "model.graph.inputs", 2**48, 1) for d in shape)) for n, shape in pairs("inputs", str, list)
    ]
    calls = []
    known = len(inputs)
    reader.take("model.graph.calls", tensors.CALL * len(field(reader, graph, "model.graph.calls", list)))
    for i, (layer, values) in enumerate(pairs("calls", int, list)):
        where = f"model.graph.calls[{i}]"
        count(reader, layer, where, len(names))
        calls.append((layer, [count(reader, value, where, known) for value in values]))
        known += layers[layer].output_count
    outputs = [(n, count(reader, v, "model.graph.outputs", known)) for n, v in pairs("outputs", str, int)]
    for key, ends in (("inputs", inputs), ("outputs", outputs)):
        if len({n for n, _ in ends}) < len(ends):
            reader.fail(f"model.graph.{key}", "two have the same name")
    return Description(inputs, names, calls, outputs, field(reader, graph, "model.graph.by_name", bool))


def to_shapes(reader: Reader, shapes: list[Any] | None) -> list[Shape] | None:
    if shapes is None:
        return None
    if len(shapes) != 1 or not all(isinstance(shape, list) for shape in shapes):
        reader.fail("model.input_shapes", "a list of one shape is needed")
    return [tuple(count(reader, d, "model.input_shapes", 2**48, 1) for d in shape) for shape in shapes]
