"""from_onnx: what to_onnx wrote comes back as the same model, to the bit; everything else is an error that says what it is."""

import json
import os

import numpy as np
import onnx
import pytest
from export.nets import arrays_for, random_model, randomize
from export.onnx_nets import as_list, damaged_bytes

import nncore as nn
from nncore.errors import ArgumentError, FileFormatError


def equal(one, other):
    """Whether two results have the same numbers, to the bit."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_nets_come_back(dtype, tmp_path):
    for seed in range(0, 60, 2):
        model, rng = random_model(seed, dtype)
        proto = model.to_onnx(tmp_path / "m.onnx", opset=int(rng.integers(14, 25)), lengths=bool(model._network.plan.time_steps()))
        again = nn.from_onnx(tmp_path / "m.onnx" if seed % 4 else proto)
        assert repr(again) == repr(model)
        assert (again.input_names, again.output_names, again.dtype) == (model.input_names, model.output_names, model.dtype)
        assert equal(again.state_dict(), model.state_dict())
        indices = {i for i, each in enumerate(proto.graph.input) if each.type.tensor_type.elem_type == 7 and each.name != "lengths"}
        x = arrays_for(model, rng, 3, model.input_shapes, indices)
        assert equal(again.predict(x if len(x) > 1 else x[0]), model.predict(x if len(x) > 1 else x[0]))


def layers():
    return (
        nn.Linear(3, 8, l2=1e-3, weight_init="orthogonal"),
        nn.BatchNorm1d(8, momentum=0.3),
        nn.Dropout(0.3),
        nn.PReLU(),
        nn.Linear(8, 2, trainable=False),
    )


def test_it_can_be_trained_like_the_original(rng):
    """Options that no graph holds come back: penalties, dropout, momentum, frozen layers, the seed, and names of columns."""
    model = nn.Sequential(*layers(), seed=3)
    randomize(model, rng)
    again = nn.from_onnx(model.to_onnx())
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    for each in (model, again):
        each.compile("mse", "adam")
        each.fit(x, y, epochs=3, verbose=0)
    assert equal(again.state_dict(), model.state_dict())
    assert type(again) is nn.Sequential


def test_models_that_are_not_built_and_nested_ones(rng):
    inner = nn.Sequential(nn.GRU(3, 4, num_layers=2, bidirectional=True, return_sequences=True), nn.LayerNorm(8))
    model = nn.Sequential(inner, nn.LastStep(), nn.Linear(8, 2))
    again = nn.from_onnx(model.to_onnx())
    assert [*again.state_dict()] == [*model.state_dict()]
    x = rng.normal(size=(2, 5, 3)).astype("f")
    assert equal(again.predict(x), model.predict(x))


def test_bfloat16_comes_back(rng):
    model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16), compute="bfloat16")
    again = nn.from_onnx(model.to_onnx())
    x = rng.normal(size=(4, 32)).astype("f")
    assert again.compute == "bfloat16"
    assert equal(again(x), model(x))


def test_weights_that_were_changed_in_the_graph():
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    proto = model.to_onnx()
    (weight,) = (each for each in proto.graph.initializer if each.name == "0.weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(np.array([[3, 4]], np.float32), weight.name))
    np.testing.assert_array_equal(nn.from_onnx(proto)[0].weight, [[3, 4]])


class Own(nn.Linear):
    pass


def changed(change):
    proto = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1), seed=0).to_onnx()
    change(proto)
    return proto


def document(change):
    def apply(proto):
        (entry,) = proto.metadata_props
        found = json.loads(entry.value)
        change(found)
        entry.value = json.dumps(found)

    return apply


def external(proto):
    proto.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    proto.graph.initializer[0].external_data.add(key="location", value="../../etc/passwd")


def unknown(proto):
    proto.ClearField("metadata_props")
    proto.graph.node[0].op_type = "Unknown"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (unknown, r"nodes that cannot be read: Unknown '0/Transpose': nncore has no layer for this operator$"),
        (lambda p: p.graph.node.pop(), r"graph: it has been changed .* its nodes are Transpose"),
        (lambda p: p.graph.node[-1].attribute.pop(), "it has been changed"),
        (lambda p: p.graph.initializer.pop(), "is not where the description has it"),
        (external, "its values are in another file"),
        (lambda p: p.graph.initializer[0].dims.append(7), "tensor '.*is not where"),
        (document(lambda d: d.update(format_version=9)), "format_version: 9"),
        (document(lambda d: d["onnx"]["tensors"].update({"1.weight": ["1.bias", "as it is"]})), "tensor '1.weight'"),
        (document(lambda d: d["onnx"]["tensors"].update({"1.weight": []})), "tensor '1.weight'"),
        (document(lambda d: d["onnx"]["tensors"].update({"1.weight": ["1.weight", "inverted"]})), "tensor '1.weight'"),
        (document(lambda d: d["onnx"]["tensors"].update({"1.more": ["1.weight", "as it is"]})), "belongs to no layer"),
        (document(lambda d: d["onnx"]["tensors"].pop("1.weight")), "tensor '1.weight'"),
        (document(lambda d: d["onnx"].pop("tensors")), "onnx.tensors"),
        (document(lambda d: d.pop("onnx")), "onnx"),
        (document(lambda d: d["model"]["layers"].clear()), ""),
        (document(lambda d: d["model"]["layers"][0]["arguments"].update(hidden_size=2**40)), ""),
        (lambda p: setattr(p.metadata_props[0], "value", "{"), "not valid JSON"),
        (lambda p: setattr(p.metadata_props[0], "value", "[" * 100000), "deep"),
    ],
)
def test_other_graphs(change, text, tmp_path):
    proto = changed(change)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    for source, name in ((proto, "the ONNX model"), (path, str(path))):
        with pytest.raises(FileFormatError, match=f"^{name}: .*{text}"):
            nn.from_onnx(source)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(FileFormatError, match="no ONNX file"):
        nn.from_onnx(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match="graph: it has no nodes"):
        nn.from_onnx(path)
    with pytest.raises(FileNotFoundError):
        nn.from_onnx(tmp_path / "none.onnx")
    with pytest.raises(ArgumentError, match="from_onnx: path must be"):
        nn.from_onnx(3)


def test_layers_of_the_users_own_are_read_as_what_they_compute():
    model = nn.Sequential(Own(2, 1))
    again = nn.from_onnx(model.to_onnx())
    assert type(again.layers[0]) is nn.Linear
    np.testing.assert_array_equal(again.layers[0].weight, model[0].weight)


def test_an_activation_whose_constants_lie_close_together(rng):
    """The threshold of beta * x is not taken for beta, though they differ for few x only."""
    model = nn.Sequential(nn.Softplus(beta=2.984, threshold=2.781)).build((3,))
    proto = model.to_onnx()
    proto.ClearField("metadata_props")
    x = rng.uniform(0.9, 1.05, size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(nn.from_onnx(proto).predict(x), model.predict(x), rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_random_nets_without_their_description():
    """The graph alone gives the same numbers, though not always the same layers. NNCORE_FUZZ=2000 for many more."""
    read = 0
    for seed in range(int(os.environ.get("NNCORE_FUZZ", "60"))):
        model, rng = random_model(seed)
        proto = model.to_onnx(opset=int(rng.integers(14, 25)))
        proto.ClearField("metadata_props")
        try:
            again = nn.from_onnx(proto)
        except FileFormatError:  # of statistics of the batch, for example
            continue
        read += 1
        indices = {i for i, each in enumerate(proto.graph.input) if each.type.tensor_type.elem_type == 7}
        x = dict(zip(model.input_names, arrays_for(model, rng, 3, model.input_shapes, indices), strict=True))
        want = as_list(model.predict(x))
        for got, w in zip(as_list(again.predict(x)), want, strict=True):
            np.testing.assert_allclose(got.reshape(w.shape), w, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(w).max())))
    assert read > 0.8 * (seed + 1)


@pytest.mark.filterwarnings("ignore")  # of layers with options that have no effect
def test_damaged_files(tmp_path):
    """NNCORE_FUZZ=10000 for many more."""
    rng, path = np.random.default_rng(4), tmp_path / "m.onnx"
    model = nn.Sequential(nn.Embedding(5, 3), nn.LSTM(3, 4, bidirectional=True), nn.BatchNorm1d(8), nn.Linear(8, 2), seed=0)
    model.build((6,))
    plain = model.to_onnx().SerializeToString()
    read = 0
    for _ in range(int(os.environ.get("NNCORE_FUZZ", "300"))):
        path.write_bytes(damaged_bytes(plain, rng))
        try:
            nn.from_onnx(path)
            read += 1
        except FileFormatError:
            pass
    assert read  # damage of weights alone gives other weights
