"""The net as a graph for ONNX Runtime, which only predicts."""

from __future__ import annotations

from workloads import Workload

from .predictor import Predictor, row


def onnxruntime_predictor(work: Workload, threads: int) -> Predictor:
    import onnxruntime
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
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed, run = {"x": row(work)}, session.run
    return Predictor(lambda: run(None, feed), lambda outputs: outputs[0])
