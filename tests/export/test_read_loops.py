"""from_onnx: loops with a body, as tf2onnx 1.17 writes the recurrent layers of Keras 3.15, against ONNX Runtime."""

import numpy as np
import onnx
import pytest
from export.onnx_graphs import check, graph_of, kinds, ort, session
from export.onnx_loops import loop_graph
from onnx import numpy_helper

import nncore as nn
from nncore.errors import FileFormatError


@pytest.fixture
def numbers(rng):
    return lambda *shape: rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("read", ["last", "all", "state"])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("steps", ["T", 6])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_loops(kind, steps, back, read, numbers):
    """As `SimpleRNN` and `GRU` are written, and the backward half of `Bidirectional`; the number of steps stays open."""
    proto = loop_graph(numbers, kind, steps, back, read=read)
    for n in (6,) if steps == 6 else (6, 9, 1):
        model = check(proto, numbers(3, n, 3))
        assert [each for each in kinds(model) if each in ("RNN", "GRU", "LSTM", "LastStep")] == [kind]


@pytest.mark.parametrize("back", [False, True])
def test_a_gru_that_resets_before_the_product(back, numbers):
    """GRU(reset_after=False), whose recurrent kernel is cut into two products."""
    model = check(loop_graph(numbers, "GRU before", back=back), numbers(3, 6, 3))
    assert [layer.reset_after for layer in model.layers if isinstance(layer, nn.GRU)] == [False]


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_initial_states_that_are_inputs(kind, numbers):
    """As Keras writes initial_state; those of two layers in the LSTM are one input here."""
    check(loop_graph(numbers, kind, start=True), numbers(3, 5, 3), numbers(3, 4))


@pytest.mark.parametrize("padding", [0.0, -1.0])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_masks(kind, back, padding, numbers):
    """As `Masking(padding)` before a layer is written. What the graph leaves out, here mask= leaves out, and a warning says so."""
    for read, blank in (("last", False), ("all", False), ("all", True)):  # the last one in Bidirectional
        proto, x = loop_graph(numbers, kind, back=back, mask=padding, read=read, blank=blank), numbers(5, 6, 3)
        for row, valid in enumerate(([0, 1, 2], [3, 4, 5], [1, 4], [0], [0, 1, 2, 3, 4, 5])):
            x[row, [t for t in range(6) if t not in valid]] = padding
        (want,) = session(ort, proto).run(None, {"in": x})
        with pytest.warns(UserWarning, match=rf"leaves out .* 'in' is {padding:g}.*give mask=.in != {padding:g}..any.axis=-1. to"):
            model = nn.from_onnx(proto)
        mask = (x != padding).any(axis=-1)
        got = model.predict(x, mask=mask)
        if read == "all":  # elsewhere Keras repeats the output before
            got, want = got[mask], want[mask]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda b: b.node.append(b.node[0]), "there are two of this name"),
        (lambda b: b.node.pop(), "nothing makes"),
        (lambda b: b.output.pop(), "its body"),
        (lambda b: b.input.pop(), "nothing makes|its body"),
        (lambda b: setattr(first(b, "Tanh"), "op_type", "Sigmoid"), "its body is no RNN, GRU or LSTM of nncore"),
        (lambda b: setattr(first(b, "Tanh"), "op_type", "Frobnicate"), "its body"),
        (lambda b: first(b, "Gather").input.__setitem__(1, "unit"), "its body is no"),
        (lambda b: first(b, "MatMul").input.__setitem__(0, "a"), "in a circle"),
        (lambda b: first(b, "Gather").input.__setitem__(1, "t2"), "its body|its inputs"),
        (lambda b: setattr(first(b, "Less"), "op_type", "Greater"), "its body ends before all steps are read"),
        (lambda b: setattr(first(b, "Tanh"), "op_type", "Loop"), "its body"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_layer(change, text, numbers):
    proto = loop_graph(numbers, "RNN")
    loop = first(proto.graph, "Loop")
    change(next(each for each in loop.attribute if each.name == "body").g)
    with pytest.raises(FileFormatError, match=text):
        nn.from_onnx(proto)


def first(graph, kind):
    return next(node for node in graph.node if node.op_type == kind)


@pytest.mark.parametrize("back", [False, True])
def test_loops_of_many_steps(back, numbers):
    """Of which the first and the last ones are tried: a loop that ends before is none."""
    proto = loop_graph(numbers, "GRU", 300, back)
    check(proto, numbers(2, 300, 3), tolerance=3e-5)
    next(each for each in proto.graph.initializer if each.name == "count").CopyFrom(numpy_helper.from_array(np.int32(200), "count"))
    with pytest.raises(FileFormatError, match="its body ends before all steps are read"):
        nn.from_onnx(proto)
    with pytest.raises(FileFormatError, match="its sequences are too long"):
        nn.from_onnx(loop_graph(numbers, "GRU", 10**6, back))


def test_loops_of_too_many_operators(monkeypatch, numbers):
    monkeypatch.setattr("nncore.export.onnx.reading.interpret._MOST_LOOPED", 100)
    with pytest.raises(FileFormatError, match="the loops and masks of the graph have too many operators"):
        nn.from_onnx(loop_graph(numbers, "GRU"))


def test_masks_that_are_not_those_of_all_layers(numbers):
    """A mask is given for the whole model."""
    proto = loop_graph(numbers, "RNN", mask=0.0, read="all")
    for name, kind, reads, attributes in (("m", "ReduceMax", "out", {"axes": [1], "keepdims": 0}),):
        proto.graph.node.add(op_type=kind, input=[reads], output=[name]).attribute.extend(
            onnx.helper.make_attribute(*each) for each in attributes.items()
        )
    proto.graph.output[0].name = "m"
    with pytest.raises(FileFormatError, match="GlobalMaxPooling1D reads time steps that the mask of RNN .* leaves out"):
        nn.from_onnx(proto)
    proto = loop_graph(numbers, "RNN", mask=-1.0)
    del proto.graph.output[:]
    proto.graph.output.add().CopyFrom(onnx.helper.make_tensor_value_info("masked", 1, ["N", "T", 3]))
    with pytest.raises(FileFormatError, match="makes zeros of time steps of -1, and no recurrent layer leaves these out"):
        nn.from_onnx(proto)


@pytest.mark.parametrize("kind", ["table", "features"])
def test_means_behind_a_mask(kind, numbers):
    """GlobalAveragePooling1D behind Embedding(mask_zero=True) and behind Masking, as tf2onnx 1.17 writes it."""
    if kind == "table":
        text = "e = Equal(in, padding) k = Not(e) m = Unsqueeze(k, two) x = Gather(table, in) "
        constants = {"padding": np.int64(0), "two": np.int64([2]), "one": np.int64([1]), "table": numbers(6, 3)}
    else:
        text = "e = Equal(in, padding) k = Not(e) a = Cast <to = 1> (k) b = ReduceMax <axes = [2]> (a) m = Greater(b, zero) "
        text += "c = Cast <to = 1> (m) x = Mul(c, in) "
        constants = {"padding": np.float32(0), "zero": np.float32(0), "one": np.int64([1])}
    text += "f = Cast <to = 1> (m) g = Mul(f, x) s = ReduceSum <keepdims = 0> (g, one) "
    text += "n = ReduceSum <keepdims = 0> (f, one) y = Div(s, n)"
    inputs = "int64[N, T] in" if kind == "table" else "float[N, T, 3] in"
    proto = graph_of(f"g ({inputs}) => (float[N, 3] y) {{ {text} }}", **constants)
    x = np.array([[1, 5, 2, 0, 0], [0, 0, 3, 0, 4]]) if kind == "table" else numbers(2, 5, 3) * [[[1], [0], [1], [1], [0]]]
    x = x if kind == "table" else x.astype(np.float32)
    with pytest.warns(UserWarning, match="give mask=.in != 0. to" if kind == "table" else "give mask=.in != 0..any.axis=-1. to"):
        model = nn.from_onnx(proto)
    (want,) = session(ort, proto).run(None, {"in": x})
    got = model.predict(x, mask=x != 0 if kind == "table" else (x != 0).any(axis=-1))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
