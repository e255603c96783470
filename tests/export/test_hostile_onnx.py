"""from_onnx of damaged and hostile files: a FileFormatError, no crash, and no more memory than the file and its weights justify."""

import os
import resource
import subprocess
import sys

import numpy as np
import onnx
import pytest
from export.onnx_loops import loop_graph
from export.onnx_nets import damaged_bytes
from onnx import TensorProto, helper, numpy_helper

import nncore as nn
from nncore.errors import FileFormatError


def small():
    """A graph of several operators, as another program would write it."""
    layers = nn.GRU(3, 4), nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.Softmax()
    proto = nn.Sequential(*layers, seed=0).build((5, 3)).to_onnx(opset=14)
    proto.ClearField("metadata_props")
    return proto


def linear(**tensors):
    """One product, with other tensors in the place of its weight."""
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], name="gemm")]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", d]) for name, d in (("x", 4), ("y", 3))]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 3], np.ones(12, np.float32).tobytes(), raw=True)
    for key, value in tensors.items():
        if key == "dims":
            weight.ClearField("dims")
            weight.dims.extend(value)
        elif key == "entries":
            weight.ClearField("raw_data")
            weight.data_location = TensorProto.EXTERNAL
            for name, text in value.items():
                weight.external_data.add(key=name, value=text)
        else:
            setattr(weight, key, value)
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def refused(proto, text, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    with pytest.raises(FileFormatError, match=text) as caught:
        nn.from_onnx(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"dims": [4, -3]}, "tensor 'w': its shape is"),
        ({"dims": [2**40, 2**40]}, "needs 4835703278458516698824704 bytes, but there are 48"),
        ({"dims": [4, 3, 0]}, "needs 0 bytes, but there are 48"),
        ({"dims": [1] * 40 + [12]}, "its shape is"),
        ({"dims": [12]}, "Gemm 'gemm'"),
        ({"data_type": 23}, "its type is number 23 of ONNX"),
        ({"data_type": 0}, "its type is number 0"),
        ({"raw_data": b""}, "needs 12 numbers, but there are 0"),
        ({"raw_data": b"1" * 47}, "needs 48 bytes, but there are 47"),
        ({"name": ""}, "its name is missing"),
        ({"name": "v"}, "node Gemm 'gemm': nothing makes its input 'w'"),
        ({"name": "y"}, "tensor 'y': there are two of this name"),
    ],
)
def test_tensors(tensors, text, tmp_path):
    refused(linear(**tensors), text, tmp_path)


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"location": "../w.bin"}, "only files in the folder of the model are read"),
        ({"location": "sub/../../w.bin"}, "only files in the folder"),
        ({"location": "/etc/passwd"}, "only files in the folder"),
        ({"location": "C:\\w.bin"}, "only files in the folder"),
        ({"location": ""}, "only files in the folder"),
        ({"location": "w\0.bin"}, "only files in the folder"),
        ({"location": "none.bin"}, "cannot be read: No such file"),
        ({"location": "link.bin"}, "is a link or lies outside"),
        ({"location": "linked/w.bin"}, "is a link or lies outside"),
        ({"location": "."}, "is a link or lies outside"),
        ({"location": "w.bin", "offset": "1"}, "needs 48 bytes of 'w.bin' from 1 on, and has 48 of 48"),
        ({"location": "w.bin", "offset": "-4"}, "at an offset that is no number"),
        ({"location": "w.bin", "offset": "9" * 30}, "at an offset that is no number"),
        ({"location": "w.bin", "length": "44"}, "has 44 of 48"),
    ],
)
def test_other_files(entries, text, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    content = np.arange(12, dtype=np.float32).tobytes()
    (folder / "w.bin").write_bytes(content)
    (tmp_path / "w.bin").write_bytes(content)
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    (folder / "linked").symlink_to(tmp_path)
    refused(linear(entries=entries), text, folder)


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin"])
def test_files_in_the_folder_are_read(location, tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    content = np.arange(14, dtype=np.float32).tobytes()
    (tmp_path / location).write_bytes(content)
    proto = linear(entries={"location": location, "offset": "8", "length": "48"})
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    want = np.arange(2, 14, dtype=np.float32).reshape(4, 3).T
    np.testing.assert_array_equal(nn.from_onnx(tmp_path / "m.onnx").layers[0].weight, want)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(nn.from_onnx("m.onnx").layers[0].weight, want)
    with pytest.raises(FileFormatError, match="give from_onnx the path"):
        nn.from_onnx(proto)


def test_large_models_with_external_data(tmp_path):
    proto = small()
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    x = np.linspace(-1, 1, 30, dtype=np.float32).reshape(2, 5, 3)
    np.testing.assert_array_equal(nn.from_onnx(tmp_path / "m.onnx").predict(x), nn.from_onnx(small()).predict(x))


def cycle(proto):
    proto.graph.node[0].input[0] = proto.graph.node[3].output[0]


def input_dims(*sizes):
    def change(proto):
        for d, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, sizes, strict=False):
            d.dim_value = size

    return change


def nested(proto):
    graph = proto.graph
    for _ in range(60):
        graph = graph.node.add(op_type="If", output=["o"], name="deep").attribute.add(name="then_branch", type=5).g


def unnamed(proto):
    node = proto.graph.node[1]
    node.name = node.output[0] = ""
    node.attribute.add(name="clip", type=1, f=3)


def renamed(proto):
    proto.graph.node[2].output[0] = proto.graph.node[1].output[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (cycle, "wait for one another in a circle"),
        (unnamed, r"GRU \(of '.+'\): clip=3"),
        (renamed, "there are two of this name"),
        (lambda p: p.graph.node.append(p.graph.node[1]), "there are two of this name"),
        (lambda p: p.graph.input.append(p.graph.input[0]), "there are two of this name"),
        (lambda p: p.graph.output.append(p.graph.output[0]), "there are two of this name"),
        (lambda p: p.graph.output.add(name="none"), "output 'none': no node makes it"),
        (lambda p: p.graph.node[1].ClearField("output"), "it has no outputs"),
        (lambda p: p.graph.node[1].attribute.append(p.graph.node[1].attribute[0]), "two attributes"),
        (lambda p: p.graph.ClearField("input"), "nothing makes its input 'input'"),
        (lambda p: p.ClearField("opset_import"), "opset 0"),
        (lambda p: setattr(p.graph.node[1], "domain", "com.example"), r"com.example.GRU '0/GRU': nncore has no layer"),
        (input_dims(-1), "a dimension of size -1"),
        (input_dims(3, 0), "a dimension of size 0"),
        (input_dims(3, 2**62), "a dimension of size 4611686018427387904"),
        (input_dims(3, 2**30, 2**30), "the sizes|too large|its weights have the shapes"),
        (lambda p: p.graph.input[0].type.tensor_type.ClearField("shape"), "it has no shape"),
        (lambda p: setattr(p.graph.input[0].type.tensor_type, "elem_type", 8), "it is no tensor of numbers"),
        (nested, "more than 40 messages lie in one another|no ONNX file"),
        (lambda p: p.graph.node.extend([p.graph.node[1]] * 10_000), "it has 10[0-9]* nodes; 10000 can be read"),
        (lambda p: p.graph.node.extend([onnx.NodeProto()] * 100_000), "it has too many fields"),
    ],
)  # fmt: skip
def test_graphs(change, text, tmp_path):
    proto = small()
    change(proto)
    refused(proto, text, tmp_path)


@pytest.mark.parametrize(
    ("kind", "inputs", "tensors"),
    [
        ("Expand", ["c", "s"], {"c": np.ones(1, np.float32), "s": np.int64([2**20, 2**20])}),
        ("Expand", ["c", "s"], {"c": np.ones(1, np.float32), "s": np.ones(63, np.int64)}),
        ("ConstantOfShape", ["s"], {"s": np.int64([2**40])}),
        ("Tile", ["c", "s"], {"c": np.ones((1, 3), np.float32), "s": np.int64([2**40, 1])}),
        ("Range", ["a", "s", "b"], {"a": np.int64(0), "s": np.int64(2**50), "b": np.int64(1)}),
        ("Add", ["c", "d"], {"c": np.ones((3000, 1), np.float32), "d": np.ones((1, 3000), np.float32)}),
        ("Gather", ["c", "s"], {"c": np.ones((1, 4096), np.float32), "s": np.zeros(4096, np.int64)}),
    ],
)  # fmt: skip
def test_constants_that_would_grow(kind, inputs, tensors, tmp_path):
    nodes = [helper.make_node(kind, inputs, ["k"], name="grows"), helper.make_node("Add", ["x", "k"], ["y"])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [numpy_helper.from_array(v, k) for k, v in tensors.items()])
    refused(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), f"{kind} 'grows'", tmp_path)


def test_long_chains_and_long_names(tmp_path, monkeypatch):
    """Messages say what stopped the reading, and stay short."""
    monkeypatch.setattr("nncore.export.onnx.reading.interpret._MOST_COMPUTED", 30)
    nodes = [helper.make_node("Tanh", [f"v{i}" if i else "x"], [f"v{i + 1}" if i < 19 else "y"], name=f"t{i}") for i in range(20)]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in "xy"]
    proto = helper.make_model(helper.make_graph(nodes, "g", infos[:1], infos[1:]), opset_imports=[helper.make_opsetid("", 17)])
    refused(proto, "Tanh 't[0-9]+': too many operators act element by element$", tmp_path)
    for change in (lambda p: p.type.tensor_type.ClearField("shape"), lambda p: p.type.tensor_type.shape.ClearField("dim")):
        proto = linear()
        proto.graph.input[0].name = proto.graph.node[0].input[0] = "x" * 10**6
        change(proto.graph.input[0])
        with pytest.raises(FileFormatError) as caught:
            nn.from_onnx(proto)
        assert len(str(caught.value)) < 300


def test_truncated_files(tmp_path):
    content = small().SerializeToString()
    for size in range(1, len(content), 37):
        refused(content[:size], "damaged|nodes|makes|opset|type|bytes|shape|dimension", tmp_path)


PEAK = """
import sys
import numpy, onnx, onnx.numpy_helper
import nncore as nn

def peak():  # not that of getrusage, which begins with the memory of the process that started this one
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10

nn.from_onnx(sys.argv[1])
before = peak()
try:
    nn.from_onnx(sys.argv[2])
except nn.errors.FileFormatError:
    pass
print(peak() - before)
"""


@pytest.mark.parametrize("case", ["weights", "copies", "functions", "nodes", "layers", "states"])
def test_memory(case, tmp_path):
    """At most twice the file and the weights, and 16 MB, of which a layer takes 5 kB."""
    (tmp_path / "small.onnx").write_bytes(small().SerializeToString())
    n, weights = (2, 0) if case == "layers" else (2048, 0 if case == "nodes" else 4 * 2048**2)
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n]) for name in "xy"]
    tensors = [numpy_helper.from_array(np.ones((n, n), np.float32), "w")]
    if case == "weights":
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    elif case == "copies":  # of the weight, each twice as large as it
        nodes = [helper.make_node("Cast", ["w"], [f"c{i}"], to=TensorProto.DOUBLE) for i in range(40)]
        nodes.append(helper.make_node("Sum", ["x", *(f"c{i}" for i in range(40))], ["y"]))
    elif case == "functions":
        nodes = [helper.make_node("Erf", ["w"], ["e"]), helper.make_node("MatMul", ["x", "e"], ["y"])]
    elif case == "layers":
        pairs = [("MatMul", f"v{i}", f"h{i}", "w") for i in range(700)], [("Relu", f"h{i}", f"v{i + 1}") for i in range(700)]
        nodes = [helper.make_node(kind, [x, *w], [y]) for pair in zip(*pairs, strict=True) for kind, x, y, *w in pair]
        infos[0].name, infos[1].name = "v0", "v700"
    else:
        tensors, nodes = [], [helper.make_node("Relu", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(10_000)]
        infos[1].name = "v10000"
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    if case == "states":  # of a loop, wider than any weight
        proto, weights = loop_graph(lambda *shape: np.ones(shape, np.float32)), 0
        next(each for each in proto.graph.initializer if each.name == "width").CopyFrom(
            numpy_helper.from_array(np.int32([2**22]), "width")
        )
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    found = subprocess.run([sys.executable, "-c", PEAK, tmp_path / "small.onnx", path], capture_output=True, text=True, check=True)
    assert 0 < int(found.stdout) <= 2 * (path.stat().st_size + weights) + (16 << 20)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files(tmp_path):
    """NNCORE_FUZZ=100000 for many more."""
    rng, path = np.random.default_rng(5), tmp_path / "m.onnx"
    bases = small(), loop_graph(lambda *shape: rng.normal(size=shape).astype(np.float32), mask=0.0)
    read, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for turn in range(int(os.environ.get("NNCORE_FUZZ", "300"))):
        plain = bases[turn // 2 % 2]
        damaged = of_fields(plain, rng) if turn % 2 else damaged_bytes(plain.SerializeToString(), rng)
        path.write_bytes(damaged)
        try:
            nn.from_onnx(path)
            read += 1
        except FileFormatError:
            pass
    assert 0 < read < turn
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def of_fields(plain, rng):
    """Damage that leaves the file a protocol buffer."""
    proto = onnx.ModelProto()
    proto.CopyFrom(plain)
    graph = proto.graph
    bodies = [each.g for node in graph.node for each in node.attribute if each.type == 5]
    if bodies and rng.integers(2):
        graph = bodies[0]
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    kinds = [*(node.op_type for node in graph.node), "LSTM", "Reshape", "Concat", "Slice", "Split", "Expand", "Where", "Squeeze"]
    numbers = [0, 1, -1, 2, 7, -(2**63), 2**31, 2**62]

    def of(options):
        return options[int(rng.integers(len(options)))]

    for _ in range(int(rng.integers(1, 4))):
        node, tensor = of(graph.node), of(proto.graph.initializer)
        match rng.integers(8):
            case 0:
                node.op_type = of(kinds)
            case 1 if node.input:
                node.input[int(rng.integers(len(node.input)))] = of(names)
            case 2:
                node.output[0] = of(names)
            case 3 if node.attribute:
                attribute = of(node.attribute)
                attribute.i = of(numbers)
                if attribute.ints:
                    attribute.ints[int(rng.integers(len(attribute.ints)))] = of(numbers)
            case 4 if tensor.dims:
                tensor.dims[int(rng.integers(len(tensor.dims)))] = of(numbers)
            case 5:
                tensor.data_type = int(rng.integers(24))
            case 6 if tensor.data_type == TensorProto.INT64 and tensor.raw_data:
                whole = len(tensor.raw_data) // 8 * 8  # its type may have been another one before
                values = np.frombuffer(tensor.raw_data[:whole], np.int64).copy()
                values[int(rng.integers(max(1, len(values)))) :][:1] = of(numbers)
                tensor.raw_data = values.tobytes() + tensor.raw_data[whole:]
            case _:
                of(proto.graph.input[0].type.tensor_type.shape.dim).dim_value = of(numbers)
    return proto.SerializeToString()
