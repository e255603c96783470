"""from_onnx: single operators and small graphs, in the ways that exporters write them, against ONNX Runtime."""

import re

import numpy as np
import onnx
import pytest
from export.onnx_graphs import check, graph_of, kinds

import nncore as nn
from nncore.errors import FileFormatError, ShapeError


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
    "Hardshrink as tf2onnx 1.17 writes a choice": "a = Abs(x) g = Greater(a, half) n = Not(g) i = Cast <to = 1> (n) "
    "j = Cast <to = 1> (g) m = Mul(j, x) s = Shape(x) o = ConstantOfShape(s) l = Mul(o, i) y = Add(m, l)",
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
    ("text", "layer", "expected"),
    [
        ("a = Mul(x, half) n = Neg(x) s = Mul(n, root) e = Erfc(s) y = Mul(a, e)", "GELU", nn.GELU()),
        ("a = Max(x, zero) b = Min(x, zero) e = Expm1(b) h = Mul(e, half) y = Add(a, h)", "ELU", nn.ELU(0.5)),
    ],
)
def test_operators_that_onnx_does_not_have(text, layer, expected):
    """tf2onnx 1.17 writes the GELU and the CELU of Keras with Erfc and Expm1, which no other program reads."""
    used = {"half": 0.5, "root": 0.5**0.5, "zero": 0}
    used = {key: np.float32(value) for key, value in used.items() if re.search(rf"\b{key}\b", text)}
    model = nn.from_onnx(graph_of(f"g (float[N, 3] x) => (float[N, 3] y) {{ {text} }}", 15, **used))
    x = np.linspace(-6, 6, 30, dtype=np.float32).reshape(-1, 3)
    assert kinds(model) == [layer]
    np.testing.assert_allclose(model.predict(x), expected(x), rtol=1e-5, atol=1e-6)


def test_an_activation_and_a_scale_that_is_in_its_constants(numbers):
    """tf2onnx 1.17 multiplies the scale of a BatchNormalization into the constants of the activation before it."""
    text = "a = Mul(half, x) d = Div(x, root) e = Erf(d) f = Add(e, one) g = Mul(f, w) h = Mul(a, g) y = Add(h, b)"
    constants = {"half": np.float32(0.5), "root": np.float32(2**0.5), "one": np.float32(1), "w": numbers(3), "b": numbers(3)}
    assert kinds(check(graph_of(f"g (float[N, T, 3] x) => (float[N, T, 3] y) {{ {text} }}", **constants), numbers(4, 5, 3))) == [
        "GELU",
        "BatchNorm1d",
    ]


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
    "of Keras, as tf2onnx 1.17 writes it": "m = GlobalAveragePool(x) n = Neg(m) d = Sub(x, m) p = Mul(d, d) "
    "v = GlobalAveragePool(p) e = Add(v, eps) s = Sqrt(e) r = Reciprocal(s) g = Mul(r, w) a = Mul(x, g) c = Mul(n, g) "
    "h = Add(c, b) y = Add(a, h)",
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


LENGTHS = {
    "Keras' UnitNormalization, as tf2onnx 1.17 writes it": (
        "s = Mul(x, x) r = ReduceSum <keepdims = 1> (s, last) m = Max(r, eps) q = Sqrt(m) i = Reciprocal(q) y = Mul(x, i)", False),
    "PyTorch's normalize": ("n = ReduceL2 <axes = [-1], keepdims = 1> (x) m = Clip(n, eps) y = Div(x, m)", False),
    "RMSNorm": ("p = Pow(x, two) m = ReduceMean <axes = [-1]> (p) e = Add(m, eps2) q = Sqrt(e) d = Div(x, q) y = Mul(d, w)", True),
}  # fmt: skip


@pytest.mark.parametrize("name", LENGTHS)
def test_rows_of_one_length(name, numbers):
    """A LayerNorm of the row and its negative. A row of zeros stays one."""
    text, has_weight = LENGTHS[name]
    constants = {"last": np.int64([-1]), "eps": np.float32(1e-12), "two": np.float32(2), "eps2": np.float32(0.01), "w": numbers(6)}
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    x = numbers(3, 4, 6) * np.float32([[[1]], [[100]], [[0.01]]])
    x[0, 1] = 0
    model = check(graph_of(f"g (float[N, T, 6] x) => (float[N, T, 6] y) {{ {text} }}", **constants), x)
    assert kinds(model) == ["Linear", "LayerNorm", "Linear"]
    assert [layer.trainable for layer in model.layers] == [False, True, False]
    assert [*model.layers[1].parameter_shapes()] == (["weight"] if has_weight else [])


def test_rms_normalization_of_opset_23(numbers):
    text = "g (float[N, 6] x) => (float[N, 6] y) { y = RMSNormalization <epsilon = 0.1> (x, w) }"
    w, x = numbers(6), numbers(4, 6)
    want = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 0.1) * w
    np.testing.assert_allclose(nn.from_onnx(graph_of(text, 23, w=w)).predict(x), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("u = Unsqueeze(x, one) p = MatMul(s, w) t = Transpose <perm = [0, 2, 1]> (u) y = MatMul(p, t)", "N, 5, 1"),
        ("u = Unsqueeze(x, one) t = Transpose <perm = [0, 2, 1]> (u) a = MatMul(s, t) b = Softmax <axis = 1> (a) "
         "c = Transpose <perm = [0, 2, 1]> (b) y = MatMul(c, s)", "N, 1, 4"),
        ("a = Unsqueeze(x, one) u = Unsqueeze(x, two) b = MatMul(a, u) y = Squeeze(b, two)", "N, 1"),
    ],
)  # fmt: skip
def test_products_of_rows(text, shape, numbers):
    """As Keras' Dot is written, and attention with one query."""
    constants = {"one": np.int64([1]), "two": np.int64([2]), "w": numbers(4, 4)}
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    data = [numbers(3, 4), *([numbers(3, 5, 4)] if "MatMul(s" in text else [])]
    inputs = ", ".join(["float[N, 4] x", "float[N, 5, 4] s"][: len(data)])
    check(graph_of(f"g ({inputs}) => (float[{shape}] y) {{ {text} }}", **constants), *data)


def test_products_of_matrices_that_depend_on_the_inputs():
    text = "t = Transpose <perm = [0, 2, 1]> (x) y = MatMul(x, t)"
    with pytest.raises(FileFormatError, match="one of them must be one row or one column"):
        nn.from_onnx(graph_of(f"g (float[N, 3, 4] x) => (float[N, 3, 3] y) {{ {text} }}"))
    text = "t = Unsqueeze(x, i) u = Transpose <perm = [0, 2, 1]> (t) y = MatMul(t, u)"
    with pytest.raises(FileFormatError, match="it sums over a dimension whose size is open"):
        nn.from_onnx(graph_of(f"g (float[N, T] x) => (float[N, 1, 1] y) {{ {text} }}", i=np.int64([1])))


@pytest.mark.parametrize(("rows", "post"), [(3, "SOFTMAX"), (3, "LOGISTIC"), (1, "NONE"), (1, "LOGISTIC")])
def test_linear_classifiers(rows, post, numbers):
    """Of one row of coefficients for two classes, too, which skl2onnx 1.20 does not write and others do."""
    options = {"coefficients": numbers(rows * 4).tolist(), "intercepts": numbers(rows).tolist(), "post_transform": post}
    labels = [*range(max(2, rows))]
    node = onnx.helper.make_node("LinearClassifier", ["x"], ["l", "y"], domain="ai.onnx.ml", classlabels_ints=labels, **options)
    proto = graph_of("g (float[N, 4] x) => (float[N, K] y) { y = Identity(x) }")
    proto.graph.node[0].CopyFrom(node)
    check(proto, numbers(6, 4))
    node.attribute.extend([onnx.helper.make_attribute("post_transform", "PROBIT")])
    del node.attribute[[a.name for a in node.attribute].index("post_transform")]
    proto.graph.node[0].CopyFrom(node)
    with pytest.raises(FileFormatError, match="post_transform='PROBIT'"):
        nn.from_onnx(proto)


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
        ('p = Einsum <equation = "ab,bc->ac"> (x, w) y = Add(p, b)', ["Linear"]),
        ('p = Einsum <equation = "ab, cb -> ac"> (x, v) y = Add(p, b)', ["Linear"]),
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
        ('y = Einsum <equation = "abc,cd->abd"> (x, w)', ["Linear"]),
        ("t = Transpose <perm = [0, 2, 1]> (x) c = Conv(t, k, b) y = Transpose <perm = [0, 2, 1]> (c)", ["Linear"]),
        ("u = Unsqueeze(x, i1) a = Squeeze(u, i1) p = MatMul(a, w) q = Relu(p) y = Add(q, pos)", None),
        ("a = Add(x, x) m = ReduceMean <axes = [1], keepdims = 1> (a) c = Sub(x, m) y = MatMul(c, w)", None),
    ],
)  # fmt: skip
def test_sequences(text, layers, numbers):
    constants = {
        "w": numbers(3, 2), "b": numbers(2), "rows": np.int64([-1, 3]), "back": np.int64([-1, 4, 2]), "pos": numbers(4, 2),
        "k": numbers(2, 3, 1), "i0": np.int64([0]), "i1": np.int64([1]), "i2": np.int64([2]),
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
        ("y = GlobalMaxPool(x)", "2, 1, 1", ["Permute", "Reshape", "GlobalMaxPooling1D", "Reshape"]),
        ("y = ReduceMean <axes = [1]> (x)", "1, 3, 4", ["GlobalAveragePooling1D", "Reshape"]),
    ],
)
def test_pools(text, shape, layers, numbers):
    constants = {"last": np.int64([3])} if "last" in text else {}
    proto = graph_of(f"g (float[N, 2, 3, 4] x) => (float[N, {shape}] y) {{ {text} }}", **constants)
    assert kinds(check(proto, numbers(5, 2, 3, 4))) == layers


@pytest.mark.parametrize(
    ("text", "shape", "layers"),
    [
        ("y = Slice(x, i1, i3, i2)", "4, 2", ["Slice(start=1, stop=3)"]),
        ("y = Slice(x, m1, far, i2, m1)", "4, 3", ["Slice(start=2, stop=None, step=-1)"]),
        ("y = Slice(x, i0, i3, i1, i2)", "2, 3", ["Reshape(shape=(4, 3))", "Slice(start=0, stop=3, step=2, axis=1)"]),
        ("t = Transpose <perm = [1, 0, 2]> (x) s = Slice(t, i1, i3, i0) y = Transpose <perm = [1, 0, 2]> (s)", "2, 3",
         ["Reshape(shape=(4, 3))", "Slice(start=1, stop=3, axis=1)"]),
        ("a, b = Split <axis = -1> (x, parts) y = Concat <axis = -1> (b, a)", "4, 3",
         ["Slice(start=0, stop=1)", "Slice(start=1, stop=3)", "Concatenate(axis=2)"]),
        ("y = Gather <axis = -1> (x, chosen)", "4, 4", ["Take(indices=(2, 0, -1, 2))"]),
        ("y = Gather <axis = 2> (x, rest)", "4, 2", ["Slice(start=1, stop=3)"]),
        ("y = Gather <axis = 1> (x, i1)", "1, 3", ["Reshape(shape=(4, 3))", "Slice(start=1, stop=2, axis=1)"]),
        ("y = Gather <axis = 1> (x, m1)", "1, 3", ["LastStep()", "Reshape(shape=(1, 3))"]),
        ("f = Flatten(x) y = Gather <axis = 1> (f, big)", "3", ["Flatten(start_dim=1, end_dim=-1)", "Take(indices=(11, 0, 5))"]),
    ],
)  # fmt: skip
def test_parts(text, shape, layers, numbers):
    """Chosen indices are layers, also where the graph has another order of dimensions, and no products with ones and zeros."""
    constants = {f"i{n}": np.int64([n]) for n in range(4)} | {"m1": np.int64([-1]), "far": np.int64([-(2**63)])}
    constants |= {
        "parts": np.int64([1, 2]),
        "chosen": np.int64([2, 0, -1, 2]),
        "rest": np.int64([1, 2]),
        "big": np.int64([11, 0, 5]),
    }
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    model = check(graph_of(f"g (float[N, 4, 3] x) => (float[N, {shape}] y) {{ {text} }}", **constants), numbers(5, 4, 3))
    assert [repr(layer) for layer in model.layers] == layers


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a = Slice(x, i1, far, i1) b = Slice(x, i0, m1, i1) y = Sub(a, b)", (4, 17)),
        ("a = Slice(x, m3, far, i1) y = Slice(a, m1, least, i1, m1)", (3, 17)),
        ("a = Slice(x, i1, i3, i1) f = Flatten(a) y = MatMul(f, w)", (4, 17)),
        ("a = Slice(x, m3, m1, i1) f = Flatten(a) y = MatMul(f, w)", (4, 17)),
    ],
)
def test_parts_of_open_time(text, steps, numbers):
    constants = {"i0": 0, "i1": 1, "i3": 3, "m1": -1, "m3": -3, "far": 2**63 - 1, "least": -(2**63)}
    constants = {key: np.int64([value]) for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    constants |= {"w": numbers(6, 2)} if "w)" in text else {}
    shape = "N, 2" if "w)" in text else "N, M, 3"
    proto = graph_of(f"g (float[N, T, 3] x) => (float[{shape}] y) {{ {text} }}", **constants)
    for n in steps:
        check(proto, numbers(5, n, 3))


def test_parts_that_are_not_there(numbers):
    for text, why in (
        ("y = Gather <axis = 1> (x, i4)", "parts of a dimension of 4 that are not there"),
        ("y = Gather <axis = 0> (x, i0)", "chooses samples of the batch"),
        ("y = Slice(x, i4, far, i2)", "parts of a dimension of 3 that are not there"),
    ):
        constants = {key: np.int64([value]) for key, value in {"i0": 0, "i2": 2, "i4": 4, "far": 99}.items() if key in text}
        with pytest.raises(FileFormatError, match=why):
            nn.from_onnx(graph_of(f"g (float[N, 4, 3] x) => (float[N, M, L] y) {{ {text} }}", **constants))


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


def test_time_in_the_batch_stays_a_dimension(numbers):
    """As PyTorch writes y.view(-1, features): [N * time, 3] there, [N, time, 3] here."""
    text = "g (float[N, T, 4] x) => (float[M, 3] y) { a = MatMul(x, w) b = Relu(a) y = Reshape(b, s) }"
    model, x = nn.from_onnx(graph_of(text, w=(w := numbers(4, 3)), s=np.int64([-1, 3]))), numbers(5, 6, 4)
    np.testing.assert_allclose(model.predict(x), np.maximum(x @ w, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('y = Einsum <equation = "abc,cd->adb"> (x, w)', "only the last dimension can be multiplied"),
        ('y = Einsum <equation = "abc,abd->acd"> (x, x)', "a product of a tensor with a constant"),
        ("y = Conv <pads = [1, 1]> (x, k)", "no convolutions but those of one step"),
        ("y = Conv(x, l)", "no convolutions but those of one step"),
        ("a = Greater(x, x) b = Cast <to = 1> (a) y = MatMul(b, w)", "Greater .*: it makes truth values, such as a mask"),
    ],
)
def test_other_products_are_refused(text, reason, numbers):
    constants = {"w": numbers(3, 3), "k": numbers(2, 4, 1), "l": numbers(2, 4, 2)}
    constants = {key: value for key, value in constants.items() if re.search(rf"\b{key}\b", text)}
    with pytest.raises(FileFormatError, match=reason):
        nn.from_onnx(graph_of(f"g (float[N, 4, 3] x) => (float[N, A, B] y) {{ {text} }}", **constants))


def test_another_shape_before_a_product(numbers):
    """tf2onnx 1.17 makes one Reshape of Keras' and of that of tf.tensordot, which puts the steps into the batch."""
    text = "r = Reshape(x, rows) p = MatMul(r, w) q = Reshape(p, back) y = Add(q, b)"
    constants = {"w": numbers(2, 3), "b": numbers(3), "rows": np.int64([-1, 2]), "back": np.int64([-1, 10, 3])}
    model = check(graph_of(f"g (float[N, 5, 4] x) => (float[N, 10, 3] y) {{ {text} }}", **constants), numbers(3, 5, 4))
    assert kinds(model) == ["Reshape", "Linear", "Reshape"]


def test_columns_of_scikit_learn(numbers):
    text = "g (float[N, 4] x) => (float[N, 3] y) { a = ai.onnx.ml.ArrayFeatureExtractor(x, i) y = MatMul(a, w) }"
    model, x = nn.from_onnx(graph_of(text, i=np.int64([[3, 1]]), w=(w := numbers(2, 3)))), numbers(5, 4)
    np.testing.assert_allclose(model.predict(x), x[:, [3, 1]] @ w, atol=1e-6)


def test_a_sum_over_fixed_steps_takes_no_other_number(numbers):
    """It is a mean, times the number of steps."""
    text = "g (float[N, 4, 3] x) => (float[N, 3] y) { y = ReduceSum <keepdims = 0> (x, one) }"
    model = check(graph_of(text, one=np.int64([1])), numbers(5, 4, 3))
    with pytest.raises(ShapeError):
        model.predict(numbers(5, 6, 3))
