"""The net as a graph for ONNX Runtime, which only predicts: in float32, and quantized to int8."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from workloads import Workload

from .predictor import Predictor, row


def _graph(work: Workload):
    """The net as a model in ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    hidden = "Relu" if work.activation == "relu" else "Sigmoid"
    nodes, constants, value = [], [], "x"
    for i, (w, b) in enumerate(work.parameters()):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        final = i == len(work.sizes) - 2
        kind = ("Sigmoid" if work.binary else "Softmax") if final else hidden
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node(kind, [f"z{i}"], [f"a{i}"]))
        value = f"a{i}"
    first, last = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, s)) for n, s in (("x", work.sizes[0]), (value, work.sizes[-1]))
    )
    graph = helper.make_graph(nodes, "net", [first], [last], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _predictor(model: bytes, work: Workload, threads: int) -> Predictor:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed, run = {"x": row(work)}, session.run
    return Predictor(lambda: run(None, feed), lambda outputs: outputs[0])


def onnxruntime_predictor(work: Workload, threads: int) -> Predictor:
    import onnxruntime  # noqa: F401 (an ImportError comes first)

    return _predictor(_graph(work).SerializeToString(), work, threads)


def onnxruntime_int8_predictor(work: Workload, threads: int) -> Predictor:
    """Dynamic quantization: weights beforehand, with a scale for each column, each input when it comes."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        onnx.save(_graph(work), before)
        logging.disable(logging.WARNING)  # it advises what makes no difference to this graph
        quantize_dynamic(before, after, per_channel=True, weight_type=QuantType.QInt8)
        logging.disable(logging.NOTSET)
        return _predictor(after.read_bytes(), work, threads)
