"""from_onnx: recurrent operators and loops of steps, in the ways that exporters write them, against ONNX Runtime."""

import numpy as np
import pytest
from export.onnx_graphs import check, graph_of, kinds, ort, session
from onnx import TensorProto, helper, numpy_helper

import nncore as nn
from nncore.errors import FileFormatError


@pytest.fixture
def numbers(rng):
    return lambda *shape: rng.normal(size=shape).astype(np.float32)


def recurrent(kind, direction, numbers, layout=0, bias=True, start=None, lengths=None, reads="Y", **attributes):
    """A graph of one operator. start: None, zeros, constant or input. reads: which outputs are those of the graph."""
    n, size, h, d = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind.partition(" ")[0]], 3, 5, 1 + (direction == "bidirectional")
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
    kind = kind.partition(" ")[0]
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
KINDS = ["RNN", "GRU", "GRU of ONNX's default", "LSTM"]  # which resets before the product


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_recurrent(kind, direction, numbers):
    d, all_of = 1 + (direction == "bidirectional"), "Y Y_h Y_c" if kind == "LSTM" else "Y Y_h"
    states = [numbers(d, 6, 5) for _ in range(1 + (kind == "LSTM"))]
    for start in (None, "zeros", "constant", "input"):
        for reads, bias in (("Y", True), ("Y_h", False), (all_of, True)):
            proto = recurrent(kind, direction, numbers, start=start, bias=bias, reads=reads)
            check(proto, numbers(4, 6, 3), *(states if start == "input" else []), axes=axes_of(reads))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", KINDS)
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


@pytest.mark.parametrize("kind", KINDS)
def test_lengths(kind, numbers):
    proto = recurrent(kind, "bidirectional", numbers, lengths=True, reads="Y Y_h")
    x, lengths = numbers(4, 6, 3), np.int32([4, 1, 3, 2, 4, 2])
    want = session(ort, proto).run(None, {"x": x, "lengths": lengths})
    model = nn.from_onnx(proto)
    assert model.input_names == ["x"]
    got = model.predict(x.swapaxes(0, 1), lengths=lengths)
    for g, w, axis in zip(got.values(), want, (2, 1), strict=True):
        np.testing.assert_allclose(g, np.moveaxis(w, axis, 0), rtol=1e-5, atol=1e-5)


def test_both_gru(numbers):
    """linear_before_reset is 0 where it is not said. Layers that share weights in another formula are two."""
    proto, x = recurrent("GRU", "forward", numbers, linear_before_reset=0), numbers(4, 6, 3)
    assert nn.from_onnx(proto).layers[0].reset_after is False
    del proto.graph.node[0].attribute[-1]
    assert check(proto, x, axes=[2]).layers[0].reset_after is False
    again = proto.graph.node.add()
    again.CopyFrom(proto.graph.node[0])
    again.output[0] = "Z"
    again.attribute.append(helper.make_attribute("linear_before_reset", 1))
    proto.graph.output.append(helper.make_tensor_value_info("Z", TensorProto.FLOAT, None))
    model = check(proto, x, axes=[2, 2])
    assert [layer.reset_after for layer in model.layers if isinstance(layer, nn.GRU)] == [False, True]


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


@pytest.mark.parametrize("read", ["last", "all", "ends"])
def test_two_directions_that_are_cut_apart(read, numbers):
    """As tf2onnx 1.17 writes Bidirectional(LSTM): each direction cut out, its last step taken, and both joined."""
    proto = recurrent("LSTM", "bidirectional", numbers, reads="Y")
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("in", TensorProto.FLOAT, ["N", "T", 3]))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, None))
    proto.graph.node.insert(0, helper.make_node("Transpose", ["in"], ["x"], perm=[1, 0, 2]))
    numbers_of = {"i0": [0], "i1": [1], "i2": [2], "last": [-1], "end": [2**31 - 1]}
    proto.graph.initializer.extend(numpy_helper.from_array(np.int64(value), name) for name, value in numbers_of.items())
    add = lambda kind, inputs, output, **options: proto.graph.node.append(helper.make_node(kind, inputs, [output], **options))  # noqa: E731
    for name, start, stop in (("forward", "i0", "i1"), ("back", "i1", "i2")):
        add("Slice", ["Y", start, stop, "i1"], f"{name} cut")
        add("Squeeze", [f"{name} cut", "i1"], f"{name} steps")
        if read != "all":
            add("Slice", [f"{name} steps", *(("last", "end", "i0") if name == "forward" else ("i0", "i1", "i0"))], f"{name} end")
            add("Squeeze", [f"{name} end", "i0"], name)
    if read == "all":
        add("Concat", ["forward steps", "back steps"], "joined", axis=2)
        add("Transpose", ["joined"], "out", perm=[1, 0, 2])
    else:
        add("Concat" if read == "last" else "Add", ["forward", "back"], "out", **({"axis": 1} if read == "last" else {}))
    for steps in (4, 7):
        found = kinds(check(proto, numbers(6, steps, 3)))
        assert found == ["LSTM"] if read != "ends" else found[0] == "LSTM"


def test_initial_states_that_are_joined_zeros(numbers):
    """As tf2onnx 1.17 writes those of two directions."""
    proto = recurrent("LSTM", "bidirectional", numbers, start="input", reads="Y")
    del proto.graph.input[1:]
    text = {"start": np.float32(0), "tail": np.int64([5]), "axis": np.int64([0])}
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in text.items())
    for i, (kind, inputs, output, options) in enumerate([
        ("Shape", ["x"], "rows", {"start": 1, "end": 2}), ("Concat", ["rows", "tail"], "wide", {"axis": 0}),
        ("Expand", ["start", "wide"], "zeros", {}), ("Unsqueeze", ["zeros", "axis"], "one", {}),
        ("Concat", ["one", "one"], "h0", {"axis": 0}), ("Identity", ["h0"], "c0", {}),
    ]):  # fmt: skip
        proto.graph.node.insert(i, helper.make_node(kind, inputs, [output], **options))
    model = check(proto, numbers(4, 6, 3), axes=[2])
    assert not model.layers[0].learn_initial_state


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


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
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


# Loops of steps -----------------------------------------------------------------------------------------------------------------


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


def test_a_loop_that_begins_with_zeros_of_the_size_of_the_batch(numbers):
    """As PyTorch's newer exporter writes an RNN after an embedding."""
    text = "e = Gather(table, i) n = Shape<end=1>(i) d = Concat<axis=0>(n, four) z = ConstantOfShape(d) h0 = Identity(z) "
    for t in range(3):
        text += f"x{t} = Gather<axis=1>(e, i{t}) p{t} = MatMul(x{t}, k) m{t} = MatMul(h{t}, r) "
        text += f"s{t} = Add(p{t}, m{t}) h{t + 1} = Tanh(s{t}) "
    constants = {"table": numbers(6, 2), "k": numbers(2, 4), "r": numbers(4, 4), "four": np.int64([4])}
    proto = graph_of(
        f"g (int64[N, 3] i) => (float[N, 4] y) {{ {text} y = Identity(h3) }}",
        **constants,
        **{f"i{t}": np.int64(t) for t in range(3)},
    )
    assert kinds(check(proto, np.arange(15).reshape(5, 3) % 6)) == ["Embedding", "RNN"]
