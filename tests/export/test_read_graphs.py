"""from_onnx: single operators and small graphs, in the ways that exporters write them, against ONNX Runtime."""

import re
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nncore as nn
from nncore.errors import FileFormatError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import onnxruntime as ort
    from export.onnx_nets import session


def graph_of(text, opset=17, **constants):
    """A model of ONNX's text, with these constants."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "ai.onnx.ml" : 3]> {text}')
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    return proto


def check(proto, *x, axes=(), tolerance=1e-5):
    """Whether the model computes what ONNX Runtime does. axes: for each output the dimension of its batch."""
    model = nn.from_onnx(proto)
    feed = dict(zip((i.name for i in proto.graph.input), x, strict=True))
    want = session(ort, proto).run(None, feed)
    moved = [np.moveaxis(a, dims.index("N"), 0) for a, dims in zip(x, map(dims_of, proto.graph.input), strict=True)]
    given = dict(zip(model.input_names, moved, strict=True))
    got = model.predict(given)
    got = list(got.values()) if isinstance(got, dict) else [got]
    assert len(got) == len(want)
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        w = np.moveaxis(w, axes[i] if axes else 0, 0)
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
    return model


def dims_of(info):
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.fixture
def numbers(rng):
    return lambda *shape: rng.normal(size=shape).astype(np.float32)


# Activations as their parts ------------------------------------------------------------------------------------------------------

PARTS = {
    "SiLU": "s = Sigmoid(x) y = Mul(x, s)",
    "GELU": "a = Div(x, sqrt2) e = Erf(a) f = Add(e, one) g = Mul(x, f) y = Mul(g, half)",
    "GELU of other order": "h = Mul(half, x) a = Mul(x, rsqrt2) e = Erf(a) f = Add(one, e) y = Mul(h, f)",
    "GELU by tanh": "c = Pow(x, three) d = Mul(c, k) e = Add(x, d) f = Mul(e, k2) t = Tanh(f) u = Add(t, one) v = Mul(x, u) "
    "y = Mul(v, half)",
    "Mish": "s = Softplus(x) t = Tanh(s) y = Mul(x, t)",
    "Mish by logarithm": "e = Exp(x) a = Add(e, one) l = Log(a) t = Tanh(l) y = Mul(t, x)",
    "Softplus": "e = Exp(x) a = Add(e, one) y = Log(a)",
    "Sigmoid": "n = Neg(x) e = Exp(n) a = Add(e, one) y = Reciprocal(a)",
    "Sigmoid by quotient": "n = Neg(x) e = Exp(n) a = Add(one, e) y = Div(one, a)",
    "LeakyReLU": "m = Mul(x, tenth) y = Max(x, m)",
    "LeakyReLU by cases": "c = Greater(x, zero) m = Mul(x, tenth) y = Where(c, x, m)",
    "ReLU": "y = Max(x, zero)",
    "ReLU6": "y = Clip(x, zero, six)",
    "ReLU6 by minimum": "r = Relu(x) y = Min(r, six)",
    "Hardtanh": "y = Clip <min = -0.5, max = 2.0> (x)",
    "Hardswish": "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)",
    "Hardsigmoid": "y = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x)",
    "LogSigmoid": "n = Neg(x) s = Softplus(n) y = Neg(s)",
    "Softsign": "a = Abs(x) b = Add(a, one) y = Div(x, b)",
    "Softshrink": "y = Shrink <bias = 0.5, lambd = 0.5> (x)",
    "Hardshrink": "y = Shrink <lambd = 0.75> (x)",
    "Threshold": "y = ThresholdedRelu <alpha = 0.25> (x)",
    "Step": "c = Greater(x, zero) y = Where(c, one, zero)",
    "Tanhshrink": "t = Tanh(x) y = Sub(x, t)",
    "ELU": "e = Exp(x) s = Sub(e, one) m = Mul(s, half) c = Greater(x, zero) y = Where(c, x, m)",
    "CELU": "y = Celu <alpha = 0.6> (x)",
    "Exp": "y = Exp(x)",
    "Rescaling": "a = Mul(x, three) b = Sub(a, half) c = Neg(b) y = Div(c, six)",
}
SCALARS = {
    **{"zero": 0, "one": 1, "half": 0.5, "three": 3, "six": 6, "tenth": 0.1, "k": 0.044715},
    **{"sqrt2": 2**0.5, "rsqrt2": 0.5**0.5, "k2": (2 / np.pi) ** 0.5},
}


@pytest.mark.parametrize("name", PARTS)
def test_activations_as_their_parts(name):
    """One layer comes out, and not one for each operator."""
    text = PARTS[name]
    used = {key: np.float32(value) for key, value in SCALARS.items() if re.search(rf"\b{key}\b", text)}
    opset = 9 if "<min" in text else 17
    proto = graph_of(f"g (float[N, 3] x) => (float[N, 3] y) {{ {text} }}", opset, **used)
    x = np.concatenate([np.linspace(-8, 8, 60), [0.25, 0.5, -0.5, 0.75, 6, -30]]).astype(np.float32).reshape(-1, 3)
    model = check(proto, x)
    assert kinds(model) == [name.split()[0]]


@pytest.mark.parametrize(
    ("text", "constants"),
    [
        ("y = HardSigmoid(x)", {}),
        ("y = Swish <alpha = 1.5> (x)", {}),
        ("a = Abs(x) y = Pow(a, c)", {"c": np.float32(3)}),
        ("y = Mul(x, c)", {"c": np.float32([1, -2, 3])}),
        ("a = Sub(c, x) y = Div(a, d)", {"c": np.float32([[1, -2, 3]]), "d": np.float32([2, 4, 5])}),
        ("a = Min(x, c) b = Max(a, d) y = Mean(b, x)", {"c": np.float32(1), "d": np.float32(-0.5)}),
        ("y = Sum(x, c, x)", {"c": np.float32([1])}),
        ("y = PRelu(x, c)", {"c": np.float32([0.1, 0.2, 0.3])}),
        ("r = Relu(x) n = Neg(x) s = Relu(n) a = Mul(s, c) y = Add(r, a)", {"c": np.float32([-0.1, -0.2, -0.3])}),
        ("e = Exp(x) s = ReduceSum <keepdims = 1> (e, c) y = Div(e, s)", {"c": np.int64([1])}),
        ("m = ReduceMax <axes = [1], keepdims = 1> (x) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, c) l = Log(s) y = Sub(d, l)",
         {"c": np.int64([-1])}),
        ("y = Softmax <axis = 1> (x)", {}),
        ("a, b = Split <axis = 1> (x, c) y = Concat <axis = 1> (b, a)", {"c": np.int64([1, 2])}),
        ("a = Slice(x, c, d, e, g) b = Gather <axis = 1> (x, e) y = Concat <axis = -1> (a, b)",
         {"c": np.int64([2]), "d": np.int64([-99]), "e": np.int64([1]), "g": np.int64([-1])}),
        ("y, m = Dropout(x)", {}),
    ],
)  # fmt: skip
def test_other_operators(text, constants, numbers):
    proto = graph_of(f"g (float[N, 3] x) => (float[N, K] y) {{ {text} }}", 24 if "Swish" in text else 17, **constants)
    if "Swish" in text:
        model, x = nn.from_onnx(proto), numbers(5, 3)
        np.testing.assert_allclose(model.predict(x), x / (1 + np.exp(-1.5 * x)), rtol=1e-5, atol=1e-6)
    else:
        check(proto, numbers(5, 3))


# Norms ---------------------------------------------------------------------------------------------------------------------------

NORMS = {
    "means": "m = ReduceMean <axes = [-1]> (x) d = Sub(x, m) p = Pow(d, two) v = ReduceMean <axes = [-1]> (p) e = Add(v, eps) "
    "s = Sqrt(e) q = Div(d, s) g = Mul(q, w) y = Add(g, b)",
    "without parameters": "m = ReduceMean <axes = [2]> (x) d = Sub(x, m) p = Mul(d, d) v = ReduceMean <axes = [2]> (p) "
    "e = Add(v, eps) s = Sqrt(e) y = Div(d, s)",
    "of Keras": "m = ReduceMean <axes = [-1]> (x) d = Sub(x, m) p = Mul(d, d) v = ReduceMean <axes = [-1]> (p) e = Add(v, eps) "
    "s = Sqrt(e) r = Reciprocal(s) i = Mul(r, w) a = Mul(x, i) n = Mul(m, i) o = Sub(b, n) y = Add(a, o)",
}


@pytest.mark.parametrize("name", NORMS)
def test_layer_norms_as_their_parts(name, numbers):
    constants = {"two": np.float32(2), "eps": np.float32(1e-3), "w": numbers(6), "b": numbers(6)}
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", NORMS[name])}
    model = check(graph_of(f"g (float[N, 4, 6] x) => (float[N, 4, 6] y) {{ {NORMS[name]} }}", **constants), numbers(3, 4, 6))
    (layer,) = model.layers
    assert isinstance(layer, nn.LayerNorm)
    assert layer.eps == pytest.approx(1e-3, rel=1e-4)
    assert layer.elementwise_affine == ("w" in constants)


@pytest.mark.parametrize(
    ("text", "shape", "layers"),
    [
        ("y = BatchNormalization <epsilon = 0.01> (x, w, b, m, v)", (4,), ["BatchNorm1d"]),
        ("y = BatchNormalization <epsilon = 0.01> (x, w, b, m, v)", (4, 5), ["BatchNorm1d"]),
        ("t = Transpose <perm = [0, 2, 1]> (x) u = BatchNormalization (t, w, b, m, v) y = Transpose <perm = [0, 2, 1]> (u)",
         (5, 4), ["BatchNorm1d"]),
        ("y = BatchNormalization (x, w, b, m, v)", (4, 2, 3), None),
        ("d = Sub(x, m) f = Mul(d, w) y = Add(f, b)", (4,), ["BatchNorm1d"]),
        ("y = LayerNormalization <axis = -1> (x, w, b)", (3, 4), ["LayerNorm"]),
        ("y = LayerNormalization <axis = 1> (x, w)", (3, 4), ["LayerNorm"]),
        ("t = Transpose <perm = [1, 0, 2]> (x) u = LayerNormalization (t, w, b) y = Transpose <perm = [1, 0, 2]> (u)",
         (3, 4), ["LayerNorm"]),
    ],
)  # fmt: skip
def test_norms(text, shape, layers, numbers):
    constants = {"w": numbers(4), "b": numbers(4), "m": numbers(4), "v": np.abs(numbers(4)) + 0.5}
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    dims = ", ".join(map(str, shape))
    model = check(graph_of(f"g (float[N, {dims}] x) => (float[N, {dims}] y) {{ {text} }}", **constants), numbers(6, *shape))
    assert layers is None or kinds(model) == layers


# Products, and shapes that mean nothing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("y = Gemm <alpha = 0.5, beta = 2.0> (x, w, b)", ["Linear"]),
        ("y = Gemm <transB = 1> (x, v, b)", ["Linear"]),
        ("p = MatMul(x, w) y = Add(p, b)", ["Linear"]),
        ("p = MatMul(x, w) y = Add(b, p)", ["Linear"]),
        ("p = MatMul(x, w) a = Identity(p) c = Cast <to = 1> (a) y = Add(c, row)", ["Linear"]),
        ("t = Transpose(x) p = Gemm <transA = 1> (t, w) y = Add(p, b)", ["Linear"]),
        ("t = Transpose(x) p = MatMul(v, t) y = Transpose(p)", ["Linear"]),
        ("u = Unsqueeze(x, one) p = MatMul(u, w) a = Add(p, b) y = Squeeze(a, one)", ["Linear"]),
        ("a = Reshape(x, wide) c = Flatten(a) d = Reshape(c, same) p = MatMul(d, w) y = Add(p, b)", ["Linear"]),
        ("p = MatMul(x, w) y = Mul(p, row)", ["Linear", "BatchNorm1d"]),
        ("p = MatMul(x, w) q = MatMul(x, w) r = Relu(q) y = Add(p, r)", ["Linear", "ReLU", "Add"]),
        ("s = Shape(x) z = Constant <value_int = 0> () n = Gather(s, z) u = Unsqueeze(n, zero) "
         "k = Constant <value_ints = [2, 2]> () t = Concat <axis = 0> (u, k) a = Reshape(x, t) f = Flatten(a) p = MatMul(f, w) "
         "y = Add(p, b)", ["Linear"]),
    ],
)  # fmt: skip
def test_products(text, layers, numbers):
    constants = {
        "w": numbers(4, 3), "v": numbers(3, 4), "b": numbers(3), "row": numbers(1, 3), "one": np.int64([1]), "zero": np.int64([0]),
        "wide": np.int64([0, 2, -1]), "same": np.int64([-1, 4]),
    }  # fmt: skip
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    model = check(graph_of(f"g (float[N, 4] x) => (float[N, 3] y) {{ {text} }}", **constants), numbers(5, 4))
    assert sorted(kinds(model)) == sorted(layers)
    assert all(layer.trainable for layer in model.layers if isinstance(layer, nn.Linear))


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        # A Dense layer on sequences, as tf.tensordot makes it: all steps of all samples in one matrix
        ("r = Reshape(x, rows) p = MatMul(r, w) q = Reshape(p, back) y = Add(q, b)", ["Linear"]),
        ("s = Shape(x) a = Slice(s, i0, i1) c = Slice(s, i1, i2) o = Constant <value_ints = [2]> () "
         "z = Concat <axis = 0> (a, c, o) r = Reshape(x, rows) p = MatMul(r, w) q = Add(p, b) y = Reshape(q, z)", ["Linear"]),
        ("t = Transpose <perm = [1, 0, 2]> (x) p = MatMul(t, w) q = Add(p, b) y = Transpose <perm = [1, 0, 2]> (q)", ["Linear"]),
        ("u = Unsqueeze(x, i1) a = Squeeze(u, i1) p = MatMul(a, w) q = Relu(p) y = Add(q, pos)", None),
        ("a = Add(x, x) m = ReduceMean <axes = [1], keepdims = 1> (a) c = Sub(x, m) y = MatMul(c, w)", None),
    ],
)  # fmt: skip
def test_sequences(text, layers, numbers):
    constants = {
        "w": numbers(3, 2), "b": numbers(2), "rows": np.int64([-1, 3]), "back": np.int64([-1, 4, 2]), "pos": numbers(4, 2),
        "i0": np.int64([0]), "i1": np.int64([1]), "i2": np.int64([2]),
    }  # fmt: skip
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    model = check(graph_of(f"g (float[N, 4, 3] x) => (float[N, 4, 2] y) {{ {text} }}", **constants), numbers(5, 4, 3))
    assert layers is None or kinds(model) == layers


def test_real_permutations_and_repeats(numbers):
    text = (
        "t = Transpose <perm = [0, 2, 1]> (x) f = Flatten(t) p = MatMul(f, w) u = Unsqueeze(p, i1) e = Expand(u, times) "
        "y = Concat <axis = 2> (e, e)"
    )
    constants = {"w": numbers(12, 2), "i1": np.int64([1]), "times": np.int64([1, 5, 1])}
    model = check(graph_of(f"g (float[N, 4, 3] x) => (float[N, 5, 4] y) {{ {text} }}", **constants), numbers(3, 4, 3))
    assert kinds(model) == ["Permute", "Flatten", "Linear", "RepeatVector", "Concatenate"]


def test_tables(numbers):
    """Also with a wrap of negative indices, as Keras writes it."""
    text = (
        "z = Constant <value_int = 0> () c = Less(i, z) n = Constant <value_int = 6> () a = Add(i, n) j = Where(c, a, i) "
        "e = Gather(table, j) y = ReduceMean <axes = [1], keepdims = 0> (e)"
    )
    proto = graph_of(f"g (int64[N, 4] i) => (float[N, 3] y) {{ {text} }}", table=numbers(6, 3))
    assert kinds(check(proto, np.arange(20).reshape(5, 4) % 6)) == ["Embedding", "GlobalAveragePooling1D"]


def test_open_time(numbers):
    proto = graph_of(
        "g (float[N, T, 3] x) => (float[N, 2] y) { p = MatMul(x, w) q = Add(p, b) r = Relu(q) "
        "y = ReduceMax <axes = [1], keepdims = 0> (r) }",
        w=numbers(3, 2),
        b=numbers(2),
    )
    for steps in (4, 17):
        check(proto, numbers(5, steps, 3))


# Recurrent operators -------------------------------------------------------------------------------------------------------------


def recurrent(kind, direction, numbers, layout=0, bias=True, start=None, lengths=None, reads="Y", **attributes):
    """A graph of one operator. start: None, zeros, constant or input. reads: which outputs are those of the graph."""
    n, size, h, d = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind], 3, 5, 1 + (direction == "bidirectional")
    x_dims = ["N", 4, size] if layout else [4, "N", size]
    state = ["N", d, h] if layout else [d, "N", h]
    tensors = {"W": numbers(d, n * h, size) / 2, "R": numbers(d, n * h, h) / 2}
    inputs, given = [("x", x_dims)], ["x", "W", "R", "", "", "", ""]
    if bias:
        tensors["B"], given[3] = numbers(d, 2 * n * h), "B"
    nodes, states = [], ["h0", "c0"][: 1 + (kind == "LSTM")]
    if start in ("zeros", "constant"):
        at = 0 if layout else 1
        for name in states:
            fixed = np.zeros((d, h), np.float32) if start == "zeros" else numbers(d, h)
            tensors[f"{name}_1"] = np.expand_dims(fixed, at)
        tensors["axis"] = np.int64([1 - at])
        tensors["before"], tensors["after"] = (np.int64([]), np.int64([d, h])) if layout else (np.int64([d]), np.int64([h]))
        nodes.append(helper.make_node("Shape", ["x"], ["batch"], start=1 - layout, end=2 - layout))
        nodes.append(helper.make_node("Concat", ["before", "batch", "after"], ["shape"], axis=0))
        nodes += [helper.make_node("Expand", [f"{name}_1", "shape"], [name]) for name in states]
    elif start == "input":
        inputs += [(name, state) for name in states]
    if start:
        given[5 : 5 + len(states)] = states
    if lengths:
        given[4] = "lengths"
    options = {**({"linear_before_reset": 1} if kind == "GRU" else {}), **attributes}
    outputs = ["Y", "Y_h", "Y_c"][: 2 + (kind == "LSTM")]
    made = [name if name in reads.split() else "" for name in outputs]
    while not given[-1]:
        given.pop()
    nodes.append(helper.make_node(kind, given, made, hidden_size=h, direction=direction, layout=layout, **options))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs]
    if lengths:
        infos.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["N"]))
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made if name]
    graph = helper.make_graph(nodes, "g", infos, results, [numpy_helper.from_array(v, k) for k, v in tensors.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def axes_of(reads, layout=0):
    return [0 if layout else (2 if name == "Y" else 1) for name in reads.split()]


DIRECTIONS = ("forward", "reverse", "bidirectional")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent(kind, direction, numbers):
    d, all_of = 1 + (direction == "bidirectional"), "Y Y_h Y_c" if kind == "LSTM" else "Y Y_h"
    states = [numbers(d, 6, 5) for _ in range(1 + (kind == "LSTM"))]
    for start in (None, "zeros", "constant", "input"):
        for reads, bias in (("Y", True), ("Y_h", False), (all_of, True)):
            proto = recurrent(kind, direction, numbers, start=start, bias=bias, reads=reads)
            check(proto, numbers(4, 6, 3), *(states if start == "input" else []), axes=axes_of(reads))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_batch_first_layout(kind, direction, numbers):
    """ONNX Runtime has time first only, so that the same operator in that layout gives the right values."""
    for start, reads in ((None, "Y Y_h"), ("input", "Y"), ("constant", "Y_h")):
        first = recurrent(kind, direction, numbers, layout=1, start=start, reads=reads)
        proto = recurrent(kind, direction, numbers, start=start, reads=reads)
        tensors = {each.name: numpy_helper.to_array(each) for each in first.graph.initializer}
        for each in proto.graph.initializer:
            value = tensors[each.name]
            value = value.swapaxes(0, 1) if each.name in ("h0_1", "c0_1") else value
            if each.name not in ("before", "after", "axis"):
                each.CopyFrom(numpy_helper.from_array(value, each.name))
        d = 1 + (direction == "bidirectional")
        x = [numbers(4, 6, 3), *([numbers(d, 6, 5) for _ in range(1 + (kind == "LSTM"))] if start == "input" else [])]
        want = session(ort, proto).run(None, dict(zip((i.name for i in proto.graph.input), x, strict=True)))
        model = nn.from_onnx(first)
        got = model.predict(dict(zip(model.input_names, (each.swapaxes(0, 1) for each in x), strict=True)))
        for g, w, axis in zip(got.values() if isinstance(got, dict) else [got], want, axes_of(reads), strict=True):
            w = np.moveaxis(w, axis, 0)
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_lengths(kind, numbers):
    proto = recurrent(kind, "bidirectional", numbers, lengths=True, reads="Y Y_h")
    x, lengths = numbers(4, 6, 3), np.int32([4, 1, 3, 2, 4, 2])
    want = session(ort, proto).run(None, {"x": x, "lengths": lengths})
    model = nn.from_onnx(proto)
    assert model.input_names == ["x"]
    got = model.predict(x.swapaxes(0, 1), lengths=lengths)
    for g, w, axis in zip(got.values(), want, (2, 1), strict=True):
        np.testing.assert_allclose(g, np.moveaxis(w, axis, 0), rtol=1e-5, atol=1e-5)


def test_what_stands_around_a_recurrent_operator(numbers):
    """As tf2onnx writes it: the batch first, transposed before and after, and the direction squeezed away."""
    proto = recurrent("LSTM", "forward", numbers, reads="Y")
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("in", TensorProto.FLOAT, ["N", "T", 3]))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, None))
    proto.graph.node.insert(0, helper.make_node("Transpose", ["in"], ["x"], perm=[1, 0, 2]))
    proto.graph.initializer.append(numpy_helper.from_array(np.int64([1]), "one"))
    proto.graph.node.append(helper.make_node("Squeeze", ["Y", "one"], ["Z"]))
    proto.graph.node.append(helper.make_node("Transpose", ["Z"], ["out"], perm=[1, 0, 2]))
    for steps in (4, 9):
        assert kinds(check(proto, numbers(6, steps, 3))) == ["LSTM"]


def test_lengths_that_are_the_number_of_steps(numbers):
    """Which some exporters write out."""
    proto = recurrent("GRU", "reverse", numbers, lengths=True)
    proto.graph.input.pop()
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "N", 3]))
    for i, name in enumerate(("steps", "rows")):
        proto.graph.node.insert(i, helper.make_node("Shape", ["x"], [name], start=i, end=i + 1))
    proto.graph.node.insert(2, helper.make_node("Expand", ["steps", "rows"], ["wide"]))
    proto.graph.node.insert(3, helper.make_node("Cast", ["wide"], ["lengths"], to=TensorProto.INT32))
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "batch"
    x = numbers(4, 6, 3)
    (want,) = session(ort, proto).run(None, {"x": x})
    np.testing.assert_allclose(nn.from_onnx(proto).predict(x.swapaxes(0, 1)), np.moveaxis(want, 2, 0), rtol=1e-5, atol=1e-5)


def test_arguments_are_as_they_were_written():
    text = "a = LeakyRelu <alpha = 0.2> (x) b = Clip <min = -0.1, max = 0.7> (a) c = HardSigmoid(b) y = Mul(c, c)"
    model = nn.from_onnx(graph_of(f"g (float[N, 3] x) => (float[N, 3] y) {{ {text} }}", 9))
    assert [repr(layer) for layer in model.layers[:3]] == [
        "LeakyReLU(negative_slope=0.2)",
        "Hardtanh(min_val=-0.1, max_val=0.7)",
        "Rescaling(scale=0.2, offset=0.5)",
    ]


@pytest.mark.parametrize(
    ("text", "shape", "layers"),
    [
        ("y = ReduceMean <axes = [1, 2], keepdims = 0> (x)", "4", ["Reshape", "GlobalAveragePooling1D"]),
        ("y = ReduceMax <axes = [-1, 1], keepdims = 0> (x)", "3", ["Permute", "Reshape", "GlobalMaxPooling1D"]),
        ("y = ReduceSum <keepdims = 0> (x, last)", "2, 3", ["Permute", "GlobalAveragePooling1D", "Rescaling"]),
        ("y = ReduceMean <axes = [1]> (x)", "1, 3, 4", ["GlobalAveragePooling1D", "Reshape"]),
    ],
)
def test_pools(text, shape, layers, numbers):
    constants = {"last": np.int64([3])} if "last" in text else {}
    proto = graph_of(f"g (float[N, 2, 3, 4] x) => (float[N, {shape}] y) {{ {text} }}", **constants)
    assert kinds(check(proto, numbers(5, 2, 3, 4))) == layers


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("GRU", {"linear_before_reset": 0}, "GRU .*linear_before_reset=0 resets the state before its product"),
        ("LSTM", {"clip": 3.0}, "clip=3"),
        ("LSTM", {"input_forget": 1}, "input_forget=1"),
        ("RNN", {"activations": ["Softsign"]}, "activations=..Softsign"),
        ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}, "nncore's LSTM has sigmoid, tanh, tanh"),
    ],
)
def test_cells_that_nncore_has_not(kind, options, text, numbers):
    with pytest.raises(FileFormatError, match=text):
        nn.from_onnx(recurrent(kind, "forward", numbers, **options))


def test_peepholes(numbers):
    proto = recurrent("LSTM", "forward", numbers)
    proto.graph.node[0].input.extend(["", "", "", "P"])
    for values, is_read in ((np.zeros((1, 15), np.float32), True), (numbers(1, 15), False)):
        del proto.graph.initializer[3:]
        proto.graph.initializer.append(numpy_helper.from_array(values, "P"))
        if is_read:
            nn.from_onnx(proto)
        else:
            with pytest.raises(FileFormatError, match="peepholes"):
                nn.from_onnx(proto)


# What a model is called, and what is refused -------------------------------------------------------------------------------------


def test_names(numbers):
    """Names are kept; what nncore's names cannot hold becomes an underscore. A chain with nncore's own names is a Sequential."""
    text = "g (float[N, 4] input) => (float[N, 3] output) { p = MatMul(input, w) output = Relu(p) }"
    model = check(graph_of(text, w=numbers(4, 3)), numbers(2, 4))
    assert type(model) is nn.Sequential
    proto = graph_of(text, w=numbers(4, 3))
    for info, name in ((proto.graph.input[0], "in/x.1:0"), (proto.graph.output[0], "dense/Relu:0")):
        info.name = name
    proto.graph.node[0].input[0], proto.graph.node[1].output[0] = "in/x.1:0", "dense/Relu:0"
    model = nn.from_onnx(proto)
    assert (model.input_names, model.output_names) == (["in_x_1:0"], ["dense_Relu:0"])


def test_everything_that_cannot_be_read_is_listed(numbers):
    text = (
        "g (float[N, 4] x) => (float[N, 3] y, float[N] z) { [first] a = Sin(x) p = MatMul(a, w) [second] b = Cos(p) y = Add(b, b) "
        "[third] s = ReduceSum <keepdims = 0> (x) z = Identity(s) q = Tan(x) }"
    )
    with pytest.raises(FileFormatError) as caught:
        nn.from_onnx(graph_of(text, w=numbers(4, 3)))
    assert re.search(r"Sin 'first': nncore has no layer.*ReduceSum 'third': it joins all dimensions", str(caught.value))
    assert "Tan" not in str(caught.value)  # which no output needs


def test_labels_are_left_out(numbers):
    text = (
        "g (float[N, 4] x) => (int64[N] label, float[N, 3] p) { l = MatMul(x, w) p = Softmax(l) "
        "label = ArgMax <axis = 1, keepdims = 0> (p) }"
    )
    model = nn.from_onnx(graph_of(text, w=numbers(4, 3)))
    assert model.output_names == ["p"]
    text = "g (float[N, 4] x) => (int64[N] label) { label = ArgMax <axis = 1, keepdims = 0> (x) }"
    with pytest.raises(FileFormatError, match="ArgMax"):
        nn.from_onnx(graph_of(text))


def loop(cell, read, start, steps):
    """Cells of the first steps of a sequence, laid out one after another. start: whether the first one multiplies the state."""
    text = "m0 = MatMul(z, r) " if start else "m0 = Identity(z) "
    for t in range(read):
        after = "y" if t == read - 1 else f"h{t}"
        text += f"x{t} = Gather<axis=1>(x, i{t}) p{t} = MatMul(x{t}, k) s{t} = Add(p{t}, m{t}) {after} = {cell}(s{t}) "
        text += f"m{t + 1} = MatMul({after}, r) " if t < read - 1 else ""
    return f"g (float[N, {steps}, 2] x) => (float[N, 4] y) {{ {text} }}"


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("cell", ["Tanh", "Relu"])
@pytest.mark.parametrize("read", [2, 3, 4])
def test_loops_of_all_steps_of_a_sequence_and_of_some(cell, start, scale, read, numbers):
    constants = {"k": np.float32(scale) * numbers(2, 4), "r": numbers(4, 4), "z": np.zeros((1, 4), np.float32)}
    indices = {f"i{t}": np.int64(t) for t in range(read)}
    proto = graph_of(loop(cell, read, start, 4), **constants, **indices)
    try:
        model = check(proto, numbers(3, 4, 2), tolerance=3e-5 * scale)
    except FileFormatError:  # of the product of two constants, where there is no loop of all steps
        assert (start, read < 4) == (True, True)
        return
    found = [layer.nonlinearity for layer in model.layers if isinstance(layer, nn.RNN)]
    assert found == ([cell.lower()] if read == 4 else [])


@pytest.mark.parametrize("read", [3, 4])
def test_a_loop_behind_a_loop_has_all_of_its_steps_or_stays(read, numbers):
    text = "m0 = Identity(z) n0 = Identity(z) "
    for t in range(4):
        text += f"x{t} = Gather<axis=1>(x, i{t}) p{t} = MatMul(x{t}, k) s{t} = Add(p{t}, m{t}) h{t} = Tanh(s{t}) "
        text += f"u{t} = Unsqueeze(h{t}, one) " + (f"m{t + 1} = MatMul(h{t}, r) " if t < 3 else "")
    text += "c = Concat<axis=1>(u0, u1, u2, u3) a = LayerNormalization(c, w) "
    for t in range(read):
        text += f"b{t} = Gather<axis=1>(a, i{t}) q{t} = MatMul(b{t}, k2) d{t} = Add(q{t}, n{t}) "
        text += f"g{t} = Tanh(d{t}) n{t + 1} = MatMul(g{t}, r2) " if t < read - 1 else f"y = Tanh(d{t})"
    weights = {name: numbers(4, 4) for name in ("r", "k2", "r2")}
    constants = {"k": numbers(2, 4), "z": np.zeros((1, 4), np.float32), **{f"i{t}": np.int64(t) for t in range(4)}}
    proto = graph_of(
        f"g (float[N, 4, 2] x) => (float[N, 4] y) {{ {text} }}", one=np.int64([1]), w=numbers(4), **weights, **constants
    )
    assert kinds(check(proto, numbers(3, 4, 2))).count("RNN") == (2 if read == 4 else 1)
