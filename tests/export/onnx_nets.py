"""Comparison of a network with its ONNX graph, in ONNX Runtime and in onnx.reference."""

import numpy as np
from export.nets import arrays_for

from nncore.errors import ShapeError

#: The largest difference, relative to the largest number of the output, or to 1 if that is larger.
TOLERANCE = {"float32": 1e-5, "float64": 1e-7}


def checked(onnx, proto):
    """The graph, after the strict check of the onnx package, and what must hold for all graphs."""
    onnx.checker.check_model(proto, full_check=True)
    assert {node.domain for node in proto.graph.node} <= {""}
    assert [each.domain for each in proto.opset_import] == [""]
    assert proto.producer_name == "nncore"
    names = [node.name for node in proto.graph.node]
    assert len(names) == len({*names})
    return proto


def dims(info):
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


def session(ort, proto):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def as_list(outputs):
    return list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, list) else [outputs]


def shapes_for(proto, model, steps):
    """Shapes of the inputs if time has another size, by its function of the one before."""
    found = []
    for info, shape in zip(proto.graph.input, model.input_shapes, strict=False):
        found.append(
            tuple(steps(size) if isinstance(axis, str) else size for axis, size in zip(dims(info)[1:], shape, strict=True))
        )
    return found


def differences(got, want, valid):
    """The largest difference of each output, relative to its scale."""
    assert len(got) == len(want)
    found = []
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.shape == w.shape, (i, g.shape, w.shape)
        if valid[i] is not None:
            g, w = g[valid[i]], w[valid[i]]
        with np.errstate(invalid="ignore"):  # infinity less infinity
            apart = np.where((g == w) | (np.isnan(g) & np.isnan(w)), 0, np.abs(g - w))
        found.append(float(apart.max(initial=0)) / max(1.0, float(np.abs(w).max(initial=0))))
    return found


def compare(model, proto, run, rng, twin=None, lengths=False):
    """The largest difference between a network and its graph, over other batches and numbers of time steps.

    A network may amplify rounding, for example by a LayerNorm of numbers that are almost equal. Where the difference exceeds the
    tolerance, it may be four times as large as what rounding does to the network itself: its difference from its twin in float64,
    or the change of the twin's outputs under rounding of inputs and weights. How often that was so is returned, too.
    """
    indices = {i for i, info in enumerate(proto.graph.input[: len(model.input_names)]) if info.type.tensor_type.elem_type == 7}
    plan, worst, amplified, tolerance = model._network.plan, 0.0, 0, TOLERANCE[model.dtype.name]
    for rows, steps in ((3, lambda n: n), (2, lambda n: 2 * n), (5, lambda n: n + 3)):
        shapes = shapes_for(proto, model, steps)
        x = arrays_for(model, rng, rows, shapes, indices)
        feed, given = dict(zip(model.input_names, x, strict=True)), {}
        try:
            want = predicted(model, x)
        except ShapeError:  # a number of steps that a Reshape does not divide
            assert steps(10) == 13
            continue
        if lengths:
            given = {"lengths": rng.integers(1, plan.time_steps() + 1, rows)}
            want = predicted(model, x, **given)
        valid = [valid_steps(given.get("lengths"), w, line) for w, line in zip(want, plan.timelines(plan.outputs), strict=True)]
        got = run(feed | given)
        assert all(g.dtype == model.dtype for g in got)
        for i, apart in enumerate(differences(got, want, valid)):
            if apart > tolerance and twin is not None:
                assert apart <= 4 * (own := amplification(twin(), x, want, given, valid)[i]), (apart, own)
                amplified += 1
                continue
            assert apart <= tolerance, apart
            worst = max(worst, apart)
    return worst, amplified


def amplification(twin, x, want, options, valid):
    """What rounding does to each output: the difference of float32 from float64, and the largest change of float64 under relative
    changes of inputs and weights by 4 units of the last place of float32."""
    rng, state = np.random.default_rng(0), twin.state_dict()

    def nudged(a):
        return a * (1 + rng.choice([-1, 1], a.shape) * 2.0**-22) if a.dtype.kind == "f" else a

    x = [a.astype("float64") if a.dtype.kind == "f" else a for a in x]
    plain = predicted(twin, x, **options)
    found = differences(want, plain, valid)
    for _ in range(8):
        twin.load_state_dict({name: nudged(value) for name, value in state.items()})
        changed = predicted(twin, [nudged(a) for a in x], **options)
        found = list(map(max, found, differences(changed, plain, valid)))
    return found


def damaged_bytes(content, rng):
    """Return a file with one to three damages: other bytes, other bits, bytes that are gone or there twice."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(damaged)))
        match rng.integers(4):
            case 0:
                damaged[at] = int(rng.integers(256))
            case 1:
                damaged[at] ^= 1 << int(rng.integers(8))
            case 2:
                del damaged[at : at + int(rng.integers(1, 20))]
            case _:
                damaged[at:at] = damaged[at : at + int(rng.integers(1, 20))]
    return damaged


def predicted(model, x, **options):
    return as_list(model.predict(x if len(x) > 1 else x[0], **options))


def valid_steps(counts, y, timeline):
    if counts is None or timeline is None:
        return None
    return np.arange(y.shape[1]) < (timeline[0] * counts + timeline[1])[:, None]


def reference(proto):
    """onnx.reference, with a ReLU for its RNN, which knows tanh alone, and a LogSoftmax that is no logarithm of 0."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun
    from onnx.reference.ops.op_rnn import RNN_14

    class RNN(RNN_14):
        def choose_act(self, name, alpha, beta):
            return (lambda x: np.maximum(x, 0)) if name == "Relu" else super().choose_act(name, alpha, beta)

    class LogSoftmax(OpRun):
        op_domain = ""

        def _run(self, x, axis):
            x = x - x.max(axis=axis, keepdims=True)
            return ((x - np.log(np.exp(x).sum(axis=axis, keepdims=True))).astype(x.dtype),)

    return ReferenceEvaluator(proto, new_ops=[RNN, LogSoftmax])
