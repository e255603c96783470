"""The recurrent nets as graphs for ONNX Runtime, which only predicts."""

from __future__ import annotations

import numpy as np
from peers.predictor import Predictor

from .nets import GATES, Net
from .stream import Stream

_ONNX_ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}  #: PyTorch's gates in ONNX's order: z, r, h and i, o, f, c


def _onnx_session(net: Net, threads: int, steps: int):
    """x [batch, steps, inputs] and h [directions, batch, hidden] to y [steps, directions, batch, hidden] and h."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    parameters, suffixes = net.parameters(), ("", "_reverse")[: net.directions]

    def gates(role: str) -> np.ndarray:
        parts = (np.split(parameters[f"{role}_l0{suffix}"], GATES[net.cell]) for suffix in suffixes)
        return np.stack([np.concatenate([p[i] for i in _ONNX_ORDER[net.cell]]) for p in parts])

    arrays = {
        "w": gates("weight_ih"),
        "r": gates("weight_hh"),
        "b": np.concatenate((gates("bias_ih"), gates("bias_hh")), 1),
    }
    attributes: dict[str, object] = {"hidden_size": net.hidden}
    attributes |= {"direction": "bidirectional"} if net.bidirectional else {}
    attributes |= {"linear_before_reset": 1} if net.cell == "GRU" else {}
    states = (net.directions, net.batch, net.hidden)

    def value(name: str, shape: tuple[int, ...]):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["time_first"], perm=(1, 0, 2)),
            helper.make_node(net.cell, ["time_first", "w", "r", "b", "", "h"], ["y", "h_n"], **attributes),
        ],
        "net",
        [value("x", (net.batch, steps, net.inputs)), value("h", states)],
        [value("y", (steps, net.directions, net.batch, net.hidden)), value("h_n", states)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnxruntime_forward(net: Net, threads: int) -> Predictor:
    run = _onnx_session(net, threads, net.steps).run
    feed = {"x": net.data()[0], "h": np.zeros((net.directions, net.batch, net.hidden), np.float32)}

    def batch_first(outputs) -> np.ndarray:
        return np.moveaxis(outputs[0], (2, 0), (0, 1)).reshape(net.batch, net.steps, -1)

    return Predictor(lambda: run(["y"], feed), batch_first)


def onnxruntime_stream(net: Net, threads: int) -> Stream:
    run = _onnx_session(net, threads, 1).run
    zeros = np.zeros((1, net.batch, net.hidden), np.float32)
    state = zeros

    def step(x):
        nonlocal state
        state = run(["h_n"], {"x": x, "h": state})[0]
        return state

    def reset() -> None:
        nonlocal state
        state = zeros

    return Stream(net, step, reset, lambda a: np.ascontiguousarray(a[:, None]))
