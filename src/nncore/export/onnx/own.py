"""What to_onnx adds to its graphs so that from_onnx makes the same model again, and the reading of it.

The graph says what to compute, but not which layers a net was made of: dropout, penalties, initializers and names are lost. So the
metadata of the file have an entry "nncore". It is the document of a safetensors file (saving/model_file.py) without training, and
in addition "onnx":

    graph       a digest of nodes, inputs and outputs. If somebody has changed them, the document does not describe the graph
    tensors     for each parameter [tensor of the graph, how it lies there]: "as it is", "transposed", "reshaped" with the shape
                that it has in nncore, or "gates" with the operator, the direction, and which part of how many
    counters    the counts of batches, which are in no tensor of the graph

The values are those of the graph, also if they have been changed there.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from typing import Any

import numpy as np

from ...errors import ArgumentError, FileFormatError, require, shown
from ...network.network import Network
from ...saving import atomic, model_file, tensors
from ...saving.fields import field
from ...saving.tensors import Reader, Tensor
from .builder import Builder
from .reading.build import to_network
from .reading.graph import read_graph, text
from .reading.tensors import Source, read_whole
from .reading.wire import Malformed, measure
from .recurrent import GATES, gates_from

_KEY = "nncore"
_SHOWN = 20  # nodes in a message


# Writing ---------------------------------------------------------------------------------------------------------------------


def add_description(proto: Any, network: Network, b: Builder) -> None:
    """Add the description of a network to its graph, if a file can hold it."""
    try:
        document = model_file.described(network, None)
    except ArgumentError:  # a class of layers of the user's own
        return
    rest = {name: int(value) for name, value in b.walk.tensors.items() if value.dtype.kind == "i" or name.endswith("_tracked")}
    if {*b.walk.tensors} != {*b.stored, *rest}:
        return
    document["onnx"] = {"graph": _digest(proto.graph), "tensors": b.stored, "counters": rest}
    entry = proto.metadata_props.add()
    entry.key, entry.value = _KEY, json.dumps(document, separators=(",", ":"), allow_nan=False)


def _digest(graph: Any) -> str:
    found = hashlib.sha256()
    for each in (*graph.node, *graph.input, *graph.output):
        found.update(each.SerializeToString(deterministic=True))
    return found.hexdigest()


# Reading ---------------------------------------------------------------------------------------------------------------------


class _Tensors(Reader):
    """The tensors of a graph, as a file of nncore has them."""

    def __init__(self, name: str, size: int) -> None:
        self.path, self.size, self.custom_objects, self.metadata = name, size, {}, {}
        self._room = tensors.room(size)
        self.arrays: dict[str, np.ndarray] = {}
        self.tensors: dict[str, Tensor] = {}

    def put(self, name: str, array: np.ndarray) -> None:
        self.arrays[name] = array
        self.tensors[name] = Tensor(array.dtype, array.shape, 0, array.nbytes)

    def read(self, name: str) -> np.ndarray:
        return self.arrays[name].copy()

    def read_into(self, name: str, view: np.ndarray) -> None:
        view[...] = self.arrays[name]


def read_network(source: Any) -> Network:
    """Make the network that a graph of to_onnx describes; see `nncore.from_onnx`."""
    onnx = require("onnx", "onnx", "from_onnx")
    proto, place = _opened(onnx, source)
    entries = [each.value for each in proto.metadata_props if each.key == _KEY]
    if not entries:
        with closing(place):
            graph = read_graph(proto, place)
            del proto  # whose memory is not needed beside that of the network
            return to_network(graph, place)
    reader = _Tensors(place.path, place.size)
    if len(entries) > 1:
        reader.fail("metadata", f"{len(entries)} entries {_KEY!r}")
    document = tensors.parse(reader, "metadata.nncore", entries[0])
    own = field(reader, document, "onnx", dict)
    if own.get("graph") != _digest(proto.graph):
        reader.fail(
            "graph",
            f"it has been changed since model.to_onnx wrote it, so that its layers are not known; delete the entry 'nncore' of "
            f"the metadata to read it like a file of another program: {_listed(proto.graph)}",
        )
    _take_values(onnx, proto, own, reader)
    network = model_file.to_network(reader, document)
    for i, layer in enumerate(network.layers):
        for role in (*layer.parameter_shapes(), *layer.state_shapes()):
            name = f"{network.connections.key(i)}.{role}"
            if name not in reader.tensors:  # which a file of nncore may leave out if the model is not built
                reader.fail(f"tensor {name!r}", "is missing")
    return network


def _opened(onnx: Any, source: Any) -> tuple[Any, Source]:
    """Return the model of a file, or one in memory, and where it comes from."""
    if isinstance(source, onnx.ModelProto):
        return source, Source("the ONNX model", None, source.ByteSize())
    protobuf = require("google.protobuf.message", "onnx", "from_onnx")
    path = atomic.checked_path("from_onnx", source)
    content, size = read_whole(path)
    try:
        measure(content, onnx.ModelProto.DESCRIPTOR)
        return onnx.load_model_from_string(content), Source(path, os.path.dirname(path) or ".", size)
    except (protobuf.Error, Malformed) as error:
        raise FileFormatError(f"{path}: it is no ONNX file, or a damaged one ({shown(str(error))})") from None


def _listed(graph: Any) -> str:
    """Return the nodes of a graph for a message."""
    names = [f"{text(node.op_type)} {shown(text(node.name))}" for node in graph.node[:_SHOWN]]
    more = [f"and {len(graph.node) - _SHOWN} more"] if len(graph.node) > _SHOWN else []
    return f"its nodes are {', '.join([*names, *more])}" if names else "it has no nodes"


def _take_values(onnx: Any, proto: Any, own: dict[str, Any], reader: _Tensors) -> None:
    """Give the reader the values of all parameters, in nncore's shapes and order."""
    initializers = {each.name: each for each in proto.graph.initializer}
    arrays: dict[str, np.ndarray] = {}
    for name, place in field(reader, own, "onnx.tensors", dict).items():
        try:
            if place[0] not in arrays:
                arrays[place[0]] = _array(onnx, initializers[place[0]])
            reader.put(name, _restored(arrays[place[0]], *place[1:]))
        except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
            reader.fail(f"tensor {name!r}", f"is not where the description has it: {shown(place)} ({shown(str(error))})")
    for name, value in field(reader, own, "onnx.counters", dict).items():
        if type(value) is not int or not 0 <= value < 2**63:
            reader.fail(f"onnx.counters.{name}", "a whole number is needed")
        reader.put(name, np.array(value, np.int64))


def _array(onnx: Any, initializer: Any) -> np.ndarray:
    if initializer.data_location == onnx.TensorProto.EXTERNAL or initializer.external_data:
        raise ValueError("its values are in another file")
    array: np.ndarray = onnx.numpy_helper.to_array(initializer)
    return array


def _restored(array: np.ndarray, how: str, *details: Any) -> np.ndarray:
    """Return a parameter as nncore has it."""
    if how == "as it is":
        return array
    if how == "transposed":
        return np.ascontiguousarray(array.T)
    if how == "reshaped":
        return array.reshape(details[0])
    kind, direction, part, parts = details
    if how != "gates" or kind not in GATES or not 1 <= parts <= 2:
        raise ValueError("unknown")
    return gates_from(kind, np.split(array[direction], parts)[part])
