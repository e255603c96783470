"""to_onnx: the graph passes the strict check of the onnx package, and computes what the model computes, in ONNX Runtime and in
onnx.reference."""

import os
import sys
import warnings
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from export.nets import ACTIVATIONS, Generator, random_model, randomize

import nncore as nn
from nncore.errors import ArgumentError, FileFormatError, MissingExtraError, NotBuiltError
from nncore.export.onnx.model import FIRST_OPSET, LAST_OPSET

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from export.onnx_nets import checked, compare, dims, reference, session

NETS = int(os.environ.get("NNCORE_FUZZ", "60"))
OPSETS = range(FIRST_OPSET, min(LAST_OPSET, onnx.defs.onnx_opset_version()) + 1)


def run_both(model, proto, rng, **options):
    proto = checked(onnx, proto)
    found = session(ort, proto)
    compare(model, proto, lambda feed: found.run(None, feed), rng, **options)
    if not options.get("lengths"):  # which the reference ignores
        other = reference(proto)
        compare(model, proto, lambda feed: other.run(None, feed), rng, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("part", range(4))
@pytest.mark.filterwarnings("ignore")
def test_random_nets(part, dtype):
    """NNCORE_FUZZ=2000 for many more."""
    for seed in range(part, NETS if dtype == "float32" else NETS // 4, 4):
        model, rng = random_model(seed, dtype)
        opset = int(rng.choice(OPSETS))
        twin = (lambda seed=seed: random_model(seed, "float64")[0]) if dtype == "float32" else None
        run_both(model, model.to_onnx(opset=opset), rng, twin=twin)
        if model._network.plan.time_steps():
            run_both(model, model.to_onnx(opset=opset, lengths=True), rng, twin=twin, lengths=True)


@pytest.mark.parametrize("number", range(len(ACTIVATIONS)))
@pytest.mark.filterwarnings("ignore")
def test_extreme_numbers(number, dtype):
    """Infinities and NaN pass as they do in nncore, and nothing overflows on the way."""
    x = nn.Input((1,))
    model = nn.Model(x, nn.Rescaling(2.0)(ACTIVATIONS[number](Generator(np.random.default_rng(3)))(x)), dtype=dtype)
    given = [-np.inf, -1e30, -1e4, -100, -30, -3.5, -1e-3, -0.0, 0, 1e-8, 2.9, 30, 100, 1e4, 1e30, np.inf, np.nan]
    given = np.array(given, dtype)[:, None]
    (got,) = session(ort, model.to_onnx()).run(None, {"input": given})
    np.testing.assert_allclose(got, model.predict(given), rtol=1e-5, atol=1e-6)


def everything():
    x, z = nn.Input((4, 3), "x"), nn.Input((2,), "z")
    h = nn.LSTM(3, 4, bidirectional=True, return_sequences=True, learn_initial_state=True)(x)
    h = nn.LayerNorm(8)(nn.GELU()(nn.PReLU()(h)))
    h = nn.GRU(8, 4, num_layers=2)(nn.BatchNorm1d(8, axis=-1)(h), nn.Linear(2, 8)(z))
    return nn.Model([x, z], {"y": nn.Softmax()(nn.Maxout(4, 3, 2)(h))}, seed=0)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("cell", [nn.RNN, nn.GRU, partial(nn.GRU, reset_after=False), nn.LSTM])
def test_float64_after_what_hides_shapes(cell, opset, rng):
    """ONNX Runtime does not know the shape of what comes out of a comparison of some opsets, and a Scan needs it."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Hardshrink(0.1), cell(3, 4, bidirectional=True), dtype="float64").build((5, 2))
    proto = checked(onnx, model.to_onnx(opset=opset))
    x = rng.normal(size=(2, 4, 2))
    np.testing.assert_allclose(session(ort, proto).run(None, {"input": x})[0], model.predict(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", [lambda: nn.LayerNorm(6), lambda: nn.BatchNorm1d(6, track_running_stats=False)])
def test_default_eps(norm, rng):
    model = nn.Sequential(nn.Linear(3, 6), norm(), seed=0)
    run_both(model, model.to_onnx(), rng)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.filterwarnings("ignore")
def test_every_opset(opset, rng):
    model = everything()
    randomize(model, rng)
    run_both(model, model.to_onnx(opset=opset), rng)


def test_sizes_names_and_metadata():
    proto = everything().to_onnx()
    assert (proto.producer_name, proto.producer_version) == ("nncore", nn.__version__)
    assert proto.opset_import[0].version == 17
    assert [(each.name, dims(each)) for each in proto.graph.input] == [("x", ["batch", "time", 3]), ("z", ["batch", 2])]
    assert [(each.name, dims(each)) for each in proto.graph.output] == [("y", ["batch", 3])]
    assert {"prelu.weight", "layer_norm.bias"} <= {each.name for each in proto.graph.initializer}
    static = everything().to_onnx(dynamic=False).graph
    assert [dims(each) for each in (*static.input, *static.output)] == [[1, 4, 3], [1, 2], [1, 3]]
    with_lengths = everything().to_onnx(lengths=True).graph.input[2]
    assert (with_lengths.name, dims(with_lengths)) == ("lengths", ["batch"])


def test_static_graph_runs(rng):
    model = everything()
    found = session(ort, checked(onnx, model.to_onnx(dynamic=False)))
    x = {"x": rng.normal(size=(1, 4, 3)).astype("f"), "z": rng.normal(size=(1, 2)).astype("f")}
    np.testing.assert_allclose(found.run(None, x)[0], model(x)["y"], rtol=1e-5, atol=1e-6)


def test_not_built_yet(rng):
    model = nn.Sequential(nn.Embedding(6, 3), nn.GRU(3, 4, return_sequences=True), nn.Linear(4, 2))
    proto = checked(onnx, model.to_onnx())
    assert [dims(each) for each in (*proto.graph.input, *proto.graph.output)] == [["batch", "time"], ["batch", "time", 2]]
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    x = rng.integers(0, 6, (3, 7))
    np.testing.assert_allclose(session(ort, proto).run(None, {"input": x})[0], model.predict(x), rtol=1e-5, atol=1e-6)


def test_inputs_that_are_outputs_and_names_that_meet(rng):
    """An input and an output of one name, outputs that are inputs, and layers with the names of inputs."""
    x, z = nn.Input((3,), "x"), nn.Input((3,), "lengths")
    y = nn.Linear(3, 2, name="x")(x)
    model = nn.Model([x, z], [y, x, nn.Dropout(0.5)(z)])
    proto = checked(onnx, model.to_onnx())
    assert [each.name for each in proto.graph.input] == ["x", "lengths"]
    assert len({each.name for each in (*proto.graph.input, *proto.graph.output)}) == 5
    given = [rng.normal(size=(2, 3)).astype("f") for _ in range(2)]
    for got, want in zip(session(ort, proto).run(None, dict(zip(["x", "lengths"], given, strict=True))), model(given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_no_rows():
    """Without recurrent layers, which abort ONNX Runtime then."""
    x, z = nn.Input((4, 6), "x"), nn.Input((), "z")
    y = nn.Reshape(-1, 2)(nn.Maxout(6, 4, 3)(x))
    fixed = nn.Linear(16, 3)(nn.Flatten()(nn.Permute(2, 1)(y)))
    model = nn.Model([x, z], [y, fixed, nn.Softmax()(z), nn.GlobalMaxPooling1D()(x)])
    feed = {"x": np.zeros((0, 4, 6), "f"), "z": np.zeros(0, "f")}
    assert [each.shape for each in session(ort, model.to_onnx()).run(None, feed)] == [(0, 8, 2), (0, 3), (0,), (0, 6)]


def test_statistics_of_a_constant(rng):
    """The rounding of its mean is not divided by the root of eps."""
    x = nn.Input((5, 2))
    h = nn.Linear(2, 2)(x)
    h = nn.BatchNorm1d(2, axis=-1, eps=1e-3, track_running_stats=False)(h - h)
    model = nn.Model(x, nn.BatchNorm1d(2, axis=-1, eps=1e-3, track_running_stats=False)(h))
    randomize(model, rng)
    run_both(model, model.to_onnx(), rng)
    run_both(model, model.to_onnx(lengths=True), rng, lengths=True)


def test_lengths_where_sequences_are_joined(rng):
    """With a start of another number of steps than at export, and two joins that differ in it alone."""
    x, a, b = nn.Input((4, 3), "x"), nn.Input((1, 3), "a"), nn.Input((1, 3), "b")
    outputs = [nn.GRU(3, 2, bidirectional=True)(nn.Concatenate(1)([start, x])) for start in (a, b)]
    model = nn.Model([x, a, b], outputs)
    found = session(ort, checked(onnx, model.to_onnx(lengths=True)))
    given = {name: rng.normal(size=(3, steps, 3)).astype("f") for name, steps in (("x", 5), ("a", 2), ("b", 3))}
    lengths = np.array([1, 5, 3])
    for got, want in zip(found.run(None, given | {"lengths": lengths}), model.predict(given, lengths=lengths), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_shared_weights_are_stored_once():
    a, b, layer = nn.Input((5, 3)), nn.Input((4, 3)), nn.LSTM(3, 8)
    model = nn.Model([a, b], layer(a) - layer(b))
    numbers = sum(int(np.prod(each.dims)) for each in model.to_onnx().graph.initializer if each.data_type == onnx.TensorProto.FLOAT)
    assert numbers == sum(value.size for value in model.state_dict().values())


def test_files(tmp_path, rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), seed=0)
    proto = model.to_onnx(tmp_path / "a.onnx")
    model.save(tmp_path / "b.ONNX")
    assert [(tmp_path / name).read_bytes() for name in ("a.onnx", "b.ONNX")] == [proto.SerializeToString()] * 2
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "a.onnx", overwrite=False)
    with pytest.raises(FileFormatError, match="an ONNX file"):
        nn.load(tmp_path / "a.onnx")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        model.to_onnx(tmp_path / "none" / "a.onnx")
    with pytest.raises(ArgumentError, match="path must be a string"):
        model.to_onnx(3)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"opset": 13}, ArgumentError, "opset must lie between 14 and 28, not 13"),
        ({"opset": 29}, ArgumentError, "opset must lie between 14 and 28, not 29"),
        ({"opset": "17"}, ArgumentError, "opset"),
        ({"dynamic": 3}, ArgumentError, "dynamic"),
        ({"lengths": True}, ArgumentError, "lengths=True: no input has a time dimension"),
    ],
)
def test_wrong_arguments(options, error, text):
    with pytest.raises(error, match=f"to_onnx: .*{text}"):
        nn.Sequential(nn.Linear(3, 4)).to_onnx(**options)


def test_an_opset_that_the_installed_onnx_does_not_know(monkeypatch):
    monkeypatch.setattr(onnx.defs, "onnx_opset_version", lambda: 22)
    with pytest.raises(ArgumentError, match=r"to_onnx: the installed onnx .* knows opsets up to 22, not 23"):
        nn.Sequential(nn.Linear(3, 4)).to_onnx(opset=23)


def test_lengths_that_cannot_be():
    x = nn.Input((4, 3))
    with pytest.raises(ArgumentError, match=r"to_onnx: lengths=True: .*lays the steps side by side"):
        nn.Model(x, nn.Flatten()(x)).to_onnx(lengths=True)
    with pytest.raises(NotBuiltError, match="dynamic=False needs the number of time steps"):
        nn.Sequential(nn.GRU(2, 3)).to_onnx(dynamic=False)


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r'to_onnx needs onnx, which is not installed: pip install "nncore\[onnx\]"'):
        nn.Sequential(nn.Linear(3, 4)).to_onnx()


def test_weights_after_training_and_of_averages(rng):
    """What the model predicts with is exported: the weights of now, or their average where that is in place."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1), seed=0)
    model.compile("mse", nn.optim.SGD(0.1, ema_momentum=0.5))
    x = rng.normal(size=(64, 3)).astype("f")
    model.fit(x, x[:, :1], epochs=2, verbose=0)

    def exported():
        return session(ort, model.to_onnx()).run(None, {"input": x})[0]

    np.testing.assert_allclose(exported(), plain := model.predict(x), rtol=1e-5, atol=1e-5)
    with model.averaged_weights():
        np.testing.assert_allclose(exported(), averaged := model.predict(x), rtol=1e-5, atol=1e-5)
    assert np.abs(plain - averaged).max() > 1e-3
