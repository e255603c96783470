"""to_c: the file compiles without a warning in C and C++, and computes what the model computes, under any name."""

import re
import subprocess

import numpy as np
import pytest
from export.c_files import WARNINGS, compiled, run
from export.nets import ACTIVATIONS, Generator

import nncore as nn
from nncore.errors import ArgumentError, DTypeError, NotBuiltError, ShapeError

GCC, GXX = ("gcc", "-std=c99"), ("g++", "-x", "c++", "-std=c++17")
rng = np.random.default_rng(0)


def mlp(**options):
    return nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3), nn.Sigmoid(), seed=0, **options)


def graph():
    """Inputs and outputs with difficult names; an output that is an input, and two that are one value."""
    x, k, y = nn.Input((2, 3), "int"), nn.Input((4,), "exp"), nn.Input((), "h1")
    e = nn.Flatten()(nn.Embedding(5, 2)(k))
    z = nn.concatenate([nn.Flatten()(nn.LayerNorm(3)(x)), e])
    a = nn.Tanh()(nn.BatchNorm1d(4)(nn.Linear(14, 4, name="weights/of a".replace("/", " "))(z)))
    return nn.Model([x, k, y], {"입력": a, "x y": nn.Softmax()(a), "copy": x, "again": nn.Dropout(0.5)(a), "printf": y * 2}, seed=1)


def graph_inputs(rows):
    return [rng.normal(size=(rows, 2, 3)), rng.integers(0, 5, (rows, 4)), rng.normal(size=rows)]


def symbols(source, folder, *flags):
    """Name -> (kind, size) of the symbols of an object file."""
    (folder / "one.c").write_text(source)
    subprocess.run(["gcc", "-std=c99", "-O0", "-c", *flags, "-o", folder / "one.o", folder / "one.c"], check=True)
    listed = subprocess.run(["nm", "-S", folder / "one.o"], check=True, capture_output=True, text=True).stdout
    return {
        line.split()[-1]: (line.split()[-2], int(line.split()[1], 16) if len(line.split()) > 3 else 0)
        for line in listed.splitlines()
    }


# What it computes ---------------------------------------------------------------------------------------------------------------


def test_parts_of_a_concatenation_are_computed_where_they_lie_in_it(tmp_path):
    """Also in concatenations of concatenations, and in the output. Inputs, and what is read again, are copied."""
    x = nn.Input((4,), name="x")
    a, b, c = nn.ReLU()(nn.Linear(4, 6)(x)), nn.Linear(4, 5)(x), nn.Linear(4, 3)(x)
    inner = nn.concatenate([a, nn.Tanh()(b)])
    model = nn.Model(x, nn.concatenate([nn.Sigmoid()(inner), c]), seed=0)
    found = model.to_c()
    assert found.ram == 0
    assert found.source.count("computed there") == 2
    given = rng.normal(size=(9, 4)).astype("f")
    np.testing.assert_allclose(run(found, compiled(found.source, tmp_path), [given])[0], model.predict(given), atol=1e-6)
    model = nn.Model(x, nn.Linear(13, 2)(nn.concatenate([x, a, c])) + nn.Linear(6, 2)(a), seed=0)
    found = model.to_c()
    assert found.source.split("SELFTEST")[0].count("[i] = x[i]") == 1
    got = run(found, compiled(found.source, tmp_path, name="again"), [given])[0]
    np.testing.assert_allclose(got, model.predict(given), atol=1e-6)


@pytest.mark.parametrize("compiler", [GCC, GXX])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mlp(tmp_path, compiler, dtype):
    model = mlp()
    found = model.to_c(dtype=dtype)
    assert {each.ctype for each in (*found.inputs, *found.outputs)} == {"float" if dtype == "float32" else "double"}
    x = rng.normal(size=(50, 7)).astype(dtype)
    want = x.astype("float64")
    for i, function in ((0, lambda z: np.maximum(z, 0)), (2, np.tanh), (4, lambda z: 1 / (1 + np.exp(-z)))):
        want = function(want @ model[i].weight.astype("float64").T + model[i].bias)
    got = run(found, compiled(found.source, tmp_path, compiler=compiler), [x])[0]
    np.testing.assert_allclose(got, want, atol=4 * np.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize("workspace", ["static", "caller"])
@pytest.mark.parametrize("compiler", [GCC, GXX])
def test_several_inputs_and_outputs(tmp_path, compiler, workspace):
    model, x = graph(), graph_inputs(9)
    found = model.to_c(workspace=workspace)
    names = [each.name for each in (*found.inputs, *found.outputs)]
    assert names == ["int_2", "exp_2", "h1_2", "output", "x_y", "copy", "again", "printf"]
    assert [each.ctype for each in found.inputs] == ["float", "int", "float"]
    more = [np.full(found.ram // 4, np.nan, np.float32)] if workspace == "caller" else []
    got = run(found, compiled(found.source, tmp_path, "-Wshadow", compiler=compiler), x, *more)
    for one, (name, want) in zip(got, model.predict(x).items(), strict=True):
        np.testing.assert_allclose(one, want, atol=2e-6, rtol=0, err_msg=name)


@pytest.mark.parametrize("exp", ["libm", "fast"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore")
def test_extreme_numbers(tmp_path, dtype, exp):
    """Infinities and NaN pass as they do in nncore, and nothing overflows on the way."""
    x = nn.Input((1,))
    activations = [make(Generator(np.random.default_rng(3)))(nn.Rescaling(1.0, 0.25)(x)) for make in ACTIVATIONS]
    model = nn.Model(x, activations, dtype=dtype)
    found = model.to_c(exp=exp)
    given = [-np.inf, -1e30, -1e4, -100, -30, -3.5, -1e-3, -0.0, 0, 1e-8, 2.9, 30, 80, 100, 1e4, 1e30, np.inf, np.nan]
    given = np.array(given, dtype)[:, None]
    library = compiled(found.source, tmp_path)
    for layer, got, want in zip(ACTIVATIONS, run(found, library, [given]), model.predict(given), strict=True):
        kind = type(layer(Generator(np.random.default_rng(3)))).__name__
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-6, err_msg=kind)


def test_rows_of_extreme_numbers(tmp_path):
    x = nn.Input((3,))
    model = nn.Model(x, [nn.Softmax()(x), nn.LogSoftmax()(x), nn.maximum([x, 0 * x]), nn.Maxout(3, 2, 2)(x)], seed=0)
    found = model.to_c()
    given = np.float32(
        [[1, 2, 3], [900, 0, 900], [-900, -1000, -990], [-np.inf, 0, 1], [0, np.nan, 1], [np.inf, 0, 0], [-np.inf] * 3]
    )
    for got, want in zip(run(found, compiled(found.source, tmp_path), [given]), model.predict(given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-37)


def test_indices(tmp_path):
    """Those that only embeddings read are int; out of range they read row 0, and no memory outside."""
    x, y = nn.Input((3,), "x"), nn.Input((2,), "y")
    model = nn.Model([x, y], [nn.Embedding(5, 4)(x), nn.Embedding(3, 2)(y), nn.Rescaling(2.0)(y)], seed=0)
    found = model.to_c()
    assert [each.ctype for each in found.inputs] == ["int", "float"]
    a = np.array([[0, 4, 2], [5, -1, 2**31 - 1], [-(2**31), 3, 1]], np.intc)
    b = np.array([[0, 2], [3, -1], [np.nan, np.inf]], np.float32)
    one, other, _ = run(found, compiled(found.source, tmp_path, "-fsanitize=undefined", "-fno-sanitize-recover"), [a, b])
    tables = [model.layers[i].weight for i in range(2)]
    np.testing.assert_array_equal(one, tables[0][np.where((a >= 0) & (a < 5), a, 0)])
    np.testing.assert_array_equal(other, tables[1][[[0, 2], [0, 0], [0, 0]]])


def test_time_steps(tmp_path):
    """Sizes are fixed in C; the number of time steps is that for which the model is built, or another one."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4)).build((5, 3))
    assert (model.to_c().inputs[0].shape, model.to_c().outputs[0].shape) == ((5, 3), (5, 4))
    found = model.to_c(time_steps=7)
    assert (found.inputs[0].shape, found.outputs[0].shape, found.multiply_adds) == ((7, 3), (7, 4), 7 * 12)
    x = rng.normal(size=(4, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(run(found, compiled(found.source, tmp_path), [x])[0], model.predict(x), atol=2e-6)


def test_time_steps_of_several_inputs():
    x, y, z = nn.Input((4, 2), "x"), nn.Input((4, 2), "y"), nn.Input((3, 2), "z")
    model = nn.Model([x, y, z], [x + y, nn.Linear(2, 1)(z)])
    shapes = [each.shape for each in model.to_c(time_steps={"x": 9, "y": 9, "z": 1}).inputs]
    assert shapes == [(9, 2), (9, 2), (1, 2)]
    with pytest.raises(ShapeError, match=r"to_c: the model takes no inputs with time_steps=\{'x': 9"):
        model.to_c(time_steps={"x": 9, "y": 8, "z": 1})
    with pytest.raises(ArgumentError, match=r"must have the inputs with time steps, \['x', 'y', 'z'\], not \['x'\]"):
        model.to_c(time_steps={"x": 9})


def test_a_wide_layer(tmp_path):
    """Sums of 3,000 products are as exact as a bound on rounding allows."""
    model = nn.Sequential(nn.Linear(3000, 5), seed=0)
    found = model.to_c()
    x = rng.normal(size=(3, 3000)).astype(np.float32)
    want = x.astype("float64") @ model[0].weight.astype("float64").T
    scale = np.abs(x) @ np.abs(model[0].weight.T)
    assert (np.abs(run(found, compiled(found.source, tmp_path), [x])[0] - want) <= 4 * 2.0**-23 * scale).all()


def test_weights_that_are_not_finite(tmp_path):
    model = nn.Sequential(nn.Embedding(3, 2), seed=0)
    model.load_state_dict({"0.weight": [[np.inf, -np.inf], [np.nan, -0.0], [1e-45, 3.4028235e38]]})
    found = model.build(()).to_c()
    for compiler in (GCC, GXX):
        got = run(found, compiled(found.source, tmp_path, compiler=compiler, name=compiler[0]), [np.arange(3)])[0]
        np.testing.assert_array_equal(got.view("u4") | (np.isnan(got) << 31), model[0].weight.view("u4") | (np.isnan(got) << 31))


# What the file is ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workspace", ["static", "caller"])
@pytest.mark.parametrize("make", [mlp, graph])
def test_figures_are_those_of_the_object_file(tmp_path, make, workspace):
    found = make().to_c(workspace=workspace)
    every = symbols(found.source, tmp_path)
    assert sum(size for kind, size in every.values() if kind == "r") == found.flash
    written = {name: size for name, (kind, size) in every.items() if kind in "bBdDcC"}
    assert written == ({"net_workspace": found.ram} if workspace == "static" else {})
    outside = {name for name, (kind, _) in every.items() if kind == "U"}
    assert outside <= {"expf", "tanhf", "sqrtf", "memcpy", "_GLOBAL_OFFSET_TABLE_"}
    assert f"{found.flash} bytes of constants" in found.source
    assert {name for name, (kind, _) in every.items() if kind == "T"} == {"net_predict", "net_predict_batch"}
    assert max(map(len, found.source.splitlines())) <= 120


def test_memory_is_shared():
    """A deep network needs two of its largest results at once, and an activation none."""
    model = nn.Sequential(*[layer for _ in range(9) for layer in (nn.Linear(16, 16), nn.SiLU())], nn.Linear(16, 2), nn.Softmax())
    found = model.to_c()
    assert (found.ram, found.multiply_adds) == (4 * 32, 9 * 256 + 32)
    assert found.flash == 4 * (9 * 17 * 16 + 17 * 2)
    assert repr(found) == f"CFile('net', flash={found.flash}, ram=128, multiply_adds=2336)"
    assert nn.Sequential(nn.Linear(3, 2), nn.ReLU()).to_c().ram == 0


def test_batch_norm_is_folded(tmp_path):
    """Into the layer before it, if nobody else reads that; and shared layers keep their own weights."""
    x = nn.Input((4,))
    layer, norm = nn.Linear(4, 5), nn.BatchNorm1d(5)
    a, b = norm(layer(x)), layer(2 * x)
    model = nn.Model(x, [a, b, norm(b), nn.BatchNorm1d(4)(x)], seed=0)
    state = model.state_dict()
    for name in state:
        if "running" in name or name.endswith(("norm1d.weight", "norm1d.bias")):
            state[name] = rng.uniform(0.5, 2, state[name].shape)
    model.load_state_dict(state)
    found = model.to_c()
    assert found.source.count("folded into the weights before it") == 1
    given = rng.normal(size=(20, 4)).astype(np.float32)
    for got, want in zip(run(found, compiled(found.source, tmp_path), [given]), model.predict(given), strict=True):
        np.testing.assert_allclose(got, want, atol=4e-6)


def test_files(tmp_path):
    model = mlp()
    found = model.to_c(tmp_path / "net.c")
    assert (tmp_path / "net.c").read_text() == found.source == model.to_c().source
    assert [each.name for each in tmp_path.iterdir()] == ["net.c"]
    for header in (True, tmp_path / "other.h"):
        found = model.to_c(tmp_path / "net.c", "iris", header=header)
        written = tmp_path / ("net.h" if header is True else "other.h")
        assert written.read_text() == found.header
        assert f'#include "{written.name}"' in found.source
        main = f'#include "{written.name}"\n#include "{written.name}"\n'
        main += "int main(void) { float x[IRIS_INPUT_SIZE] = {0}, y[IRIS_OUTPUT_SIZE]; iris_predict(x, y); return !(y[0] > 0); }\n"
        (tmp_path / "main.c").write_text(main)
        (tmp_path / "main.cpp").write_text(main)
        subprocess.run(["gcc", "-std=c99", *WARNINGS, "-c", "net.c", "-o", "net.o"], check=True, cwd=tmp_path)
        for compiler in (["gcc", "-std=c99", "main.c"], ["g++", "-std=c++17", "main.cpp"]):  # C++ calls what is compiled as C
            subprocess.run([*compiler, *WARNINGS, "net.o", "-lm", "-o", "main"], check=True, cwd=tmp_path)
            subprocess.run([tmp_path / "main"], check=True)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        model.to_c(tmp_path / "none" / "net.c")
    for path, header in ((tmp_path / "other.h", True), ("net.c", "./net.c")):
        with pytest.raises(ArgumentError, match="path and header are the same file, .*; the C file usually ends in '.c'"):
            model.to_c(path, header=header)
    assert written.read_text() == found.header


def test_comments_cannot_be_left(tmp_path):
    x = nn.Input((2,), "*?? in")
    model = nn.Model(x, {"a *": nn.Linear(2, 1, name="출력 한글😀")(nn.Linear(2, 2, name="a *?? b \\")(x))})
    for compiler in (GCC, GXX):
        compiled(model.to_c().source, tmp_path, compiler=compiler)
    assert "출력 한글?" in model.to_c().source


@pytest.mark.parametrize("name", ["x", "y", "i", "h1", "exp", "net_predict", "workspace", "Gre"])
def test_names(tmp_path, name):
    found = graph().to_c(name=name)
    compiled(found.source, tmp_path, "-Wshadow")
    assert set(re.findall(r"^#define (\w+)_SIZE", found.source, re.M)) >= {f"{name.upper()}_COPY"}


def test_names_that_differ_in_case_alone(tmp_path):
    x, y = nn.Input((2,), "x"), nn.Input((3,), "X")
    found = nn.Model([x, y], nn.concatenate([y, x]) * 2).to_c()
    compiled(found.source, tmp_path)
    assert [each.macro for each in found.inputs] == ["NET_X_SIZE", "NET_X_SIZE_2"]


# Mistakes -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"name": "my-net"}, ArgumentError, "name must be a name in C, such as 'my_net': .*, not 'my-net'"),
        ({"name": "1st"}, ArgumentError, "such as 'net_1st'"),
        ({"name": "größe"}, ArgumentError, "not 'größe'"),
        ({"name": "_net"}, ArgumentError, "not '_net'"),
        ({"name": "a__b"}, ArgumentError, "not 'a__b'"),
        ({"name": "double"}, ArgumentError, "'double', a word of the language C"),
        ({"name": "class"}, ArgumentError, "a word of the language C or C"),
        ({"name": ""}, ArgumentError, "name must be a string"),
        ({"name": 3}, ArgumentError, "name must be a string"),
        ({"name": "a" * 500}, ArgumentError, "name has 500 characters"),
        ({"dtype": "float16"}, DTypeError, 'dtype must be "float32" or "float64"'),
        ({"workspace": "heap"}, ArgumentError, "workspace must be 'static' or 'caller', not 'heap'"),
        ({"exp": "slow"}, ArgumentError, "exp must be 'libm' or 'fast'"),
        ({"weights": "int4"}, ArgumentError, "weights must be"),
        ({"time_steps": 3}, ArgumentError, r"time_steps is given, but the model has no input whose number of time steps may"),
        ({"header": True}, ArgumentError, "header=True writes a file beside the C file, so it needs a path"),
        ({"header": 3}, ArgumentError, "header must be True or False"),
        ({"path": 3}, ArgumentError, "path must be a string or a path-like object, not 3"),
    ],
)
def test_mistakes(options, error, text):
    with pytest.raises(error, match=f"to_c: .*{text}"):
        mlp().to_c(**options)


def test_what_cannot_be_written():
    with pytest.raises(ArgumentError, match="to_c: a quantized model .* export the model that was quantized"):
        mlp().quantize("int8").to_c()
    with pytest.raises(NotBuiltError, match="to_c: the shape of the input is not known yet"):
        nn.Sequential(nn.ReLU()).to_c()
    with pytest.raises(ArgumentError, match=r"to_c: layer 0 \(Lambda\) is written in Python"):
        nn.Sequential(nn.Lambda(np.sin, lambda dy, x, y: dy), nn.Linear(2, 1)).build((2,)).to_c()
    with pytest.raises(ArgumentError, match=r"to_c: layer 1 \(BatchNorm1d\) normalizes by the statistics of a batch"):
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)).to_c()
    with pytest.raises(ArgumentError, match=r"time_steps must be a whole number of at least 1, not 0"):
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).build((5, 3)).to_c(time_steps=0)
