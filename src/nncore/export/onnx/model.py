"""to_onnx: a network as an ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _core
from ..._checks import flag, whole
from ...errors import ArgumentError, NotBuiltError, SizeError, require
from ...network.network import Network
from ...saving import atomic
from ..walk import Value, Walk, walk
from .builder import BATCH, Builder
from .layers import LAYERS
from .own import add_description

#: The operators that are written exist from the first of these opsets on; the last one is the newest that was tested.
FIRST_OPSET, LAST_OPSET = 14, 28
DEFAULT_OPSET = 17
_LARGEST = 2**31 - 2**16  # of a protocol buffer, with room for the rest


def to_onnx(network: Network, path: Any, opset: Any, dynamic: Any, lengths: Any = False) -> Any:
    """Return a network as an ONNX model, and write it to a file if there is a path; see `Model.to_onnx`."""
    opset = DEFAULT_OPSET if opset is None else whole("to_onnx", "opset", opset)
    if not FIRST_OPSET <= opset <= LAST_OPSET:
        raise ArgumentError(f"to_onnx: opset must lie between {FIRST_OPSET} and {LAST_OPSET}, not {opset}")
    dynamic, lengths = flag("to_onnx", "dynamic", dynamic), flag("to_onnx", "lengths", lengths)
    if path is not None:
        atomic.checked_path("to_onnx", path, ".onnx", ".pb")
    onnx = require("onnx", "onnx", "to_onnx")
    if opset > (newest := onnx.defs.onnx_opset_version()):
        raise ArgumentError(
            f"to_onnx: the installed onnx {onnx.__version__} knows opsets up to {newest}, not {opset}; use a newer one"
        )
    if not dynamic and network.has_parameters and not network.built:
        raise NotBuiltError("to_onnx: dynamic=False needs the number of time steps; call model.build(input_shape) first")
    net = walk(network, "to_onnx")
    if lengths and net.timed is None:
        mixing = network.plan.mixing()
        raise ArgumentError(f"to_onnx: lengths=True: {mixing or 'no input has a time dimension, [N, time, features]'}")
    proto, b = _model(onnx, net, opset, dynamic, lengths)
    add_description(proto, network, b)
    if path is not None:
        atomic.write(path, [proto.SerializeToString()])
    return proto


def _model(onnx: Any, net: Walk, opset: int, dynamic: bool, lengths: bool) -> tuple[Any, Builder]:
    helper = onnx.helper
    if (size := sum(array.nbytes for array in net.tensors.values())) > _LARGEST:
        raise SizeError(f"to_onnx: the parameters have {size} bytes, but a file of ONNX holds at most {_LARGEST}")
    b = Builder(helper, net, opset, takes_lengths=lengths)
    for step in net.steps:
        b.layer = step.layer
        b.values[step.output] = LAYERS[step.op.kind](b, step)
        net.follow_time(step, b.counts)
    names = _name_outputs(b)
    floats = helper.np_dtype_to_tensor_dtype(net.dtype)

    def info(name: str, value: Value, kind: int) -> Any:
        sizes = [axis or size if dynamic else size for axis, size in zip(value.axes, value.shape, strict=True)]
        return helper.make_tensor_value_info(name, kind, [BATCH if dynamic else 1, *sizes])

    inputs = [
        info(name, net.values[i], onnx.TensorProto.INT64 if i in net.indices else floats) for i, name in enumerate(net.input_names)
    ]
    if b.lengths:
        inputs.append(helper.make_tensor_value_info(b.lengths, onnx.TensorProto.INT64, [BATCH if dynamic else 1]))
    outputs = [info(name, net.values[i], floats) for name, i in zip(names, net.outputs, strict=True)]
    tensors = [onnx.numpy_helper.from_array(np.array(array, order="C"), name) for name, array in b.tensors.items()]
    graph = helper.make_graph(b.nodes, net.label, inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", opset)]
    ir_version = helper.find_min_ir_version_for(opsets)
    makers = {"producer_name": "nncore", "producer_version": _core.__version__}
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, **makers), b


def _name_outputs(b: Builder) -> list[str]:
    """Let the tensors of outputs have the names of the outputs. An output that is an input, or another one, gets a node."""
    net = b.walk
    renamed: dict[str, str] = {}
    names = []
    computed = {result for node in b.nodes for result in node.output}
    for name, value in zip(net.output_names, net.outputs, strict=True):
        own = b.name(f"{name}_output") if name in net.input_names else name
        names.append(own)
        tensor = b.values[value]
        if tensor in computed and tensor not in renamed:
            renamed[tensor] = own
        else:
            b.layer = name
            b.nodes.append(b.helper.make_node("Identity", [tensor], [own], name=b.name(f"{name}/Identity")))
    for node in b.nodes:
        for field in (node.input, node.output):
            for i, tensor in enumerate(field):
                field[i] = renamed.get(tensor, tensor)
    return names
