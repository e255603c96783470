"""to_numpy: a file that computes what the model computes, where there is nothing but NumPy."""

import ast
import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from functools import partial

import numpy as np
import pytest
from export.nets import ACTIVATIONS, Generator, arrays_for, random_model
from export.onnx_nets import amplification, as_list, differences, predicted, valid_steps

import nncore as nn
from nncore.errors import ArgumentError, NotBuiltError, ShapeError, SizeError
from nncore.export.numpy_file import model as numpy_file
from nncore.export.numpy_file.sources import functions, names_in

NETS = int(os.environ.get("NNCORE_FUZZ", "250"))
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def loaded(source):
    names = {"__name__": "net"}
    exec(compile(source, "net.py", "exec"), names)
    return names


def shapes_for(net, model, steps):
    """Shapes of the inputs if time has another size, by its function of the one before."""
    return [
        tuple(steps(size) if isinstance(want, str) else size for want, size in zip(shape[1:], own, strict=True))
        for (shape, _), own in zip(net["INPUTS"].values(), model.input_shapes, strict=True)
    ]


def compare(net, model, x, options, twin):
    want = predicted(model, x, **options)
    got, plan = as_list(net["predict"](*x, **options)), model._network.plan
    assert all(each.dtype == model.dtype for each in got)
    valid = [valid_steps(options.get("lengths"), y, line) for y, line in zip(want, plan.timelines(plan.outputs), strict=True)]
    assert not any(y[~own].any() for y, own in zip(got, valid, strict=True) if own is not None)
    for i, apart in enumerate(differences(got, want, valid)):
        if apart > TOLERANCE[model.dtype.name]:
            assert model.dtype == "float32", apart
            assert apart <= 4 * amplification(twin(), x, want, options, valid)[i], apart


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_nets(dtype):
    """With other batches, numbers of steps and lengths; and streams. In padding, outputs are 0.

    NNCORE_FUZZ=2000 for many more.
    """
    found_streams = 0
    for seed in range(NETS):
        model, rng = random_model(seed, dtype)
        net = loaded(model.to_numpy())
        indices = {i for i, (_, kind) in enumerate(net["INPUTS"].values()) if kind is None}
        for rows, steps in ((3, lambda n: n), (2, lambda n: 2 * n), (1, lambda n: n + 3), (0, lambda n: n)):
            x = arrays_for(model, rng, rows, shapes_for(net, model, steps), indices)
            twin = lambda seed=seed: random_model(seed, "float64")[0]  # noqa: E731
            try:
                model.predict(x if len(x) > 1 else x[0])
            except ShapeError:  # a number of steps that a Reshape does not divide, or one row without a variance
                with pytest.raises(ValueError, match="reshape|one row|equal division"):
                    net["predict"](*x)
                continue
            compare(net, model, x, {}, twin)
            if (most := model._network.plan.time_steps()) and net["predict"].__defaults__:
                least = min(most, 2 if rows == 1 else 1)  # one step of one row has no variance
                compare(net, model, x, {"lengths": rng.integers(least, most + 1, rows)}, twin)
        with redirect_stdout(io.StringIO()) as out:
            assert net["selftest"](), out.getvalue()
        assert net["CASES"]
        found_streams += run_stream(net, model, rng, indices)
    assert found_streams or NETS < 60


def run_stream(net, model, rng, indices):
    try:
        stream = model.stream(batch=3)
    except (ArgumentError, ShapeError):
        assert "Stream" not in net
        return False
    if "Stream" not in net:
        assert all(op.kind != "recurrent" for op in model._network.plan.ops)
        return False
    own, tolerance = net["Stream"](3), TOLERANCE[model.dtype.name]
    for t in range(6):
        if t == 4:
            stream.reset(), own.reset()
        (x_t,) = arrays_for(model, rng, 3, [model.input_shapes[0][1:]], indices)
        np.testing.assert_allclose(own.step(x_t), stream.step(x_t), rtol=tolerance, atol=tolerance)
    return True


@pytest.mark.parametrize("number", range(len(ACTIVATIONS)))
def test_extreme_numbers(number, dtype):
    """Infinities and NaN pass as they do in nncore, and nothing overflows on the way, nor warns."""
    x = nn.Input((1,))
    model = nn.Model(x, nn.Rescaling(2.0)(ACTIVATIONS[number](Generator(np.random.default_rng(3)))(x)), dtype=dtype)
    given = [-np.inf, -1e30, -1e4, -100, -30, -3.5, -1e-3, -0.0, 0, 1e-8, 2.9, 30, 100, 1e4, 1e30, np.inf, np.nan]
    given = np.array(given, dtype)[:, None]
    got = loaded(model.to_numpy())["predict"](given)
    np.testing.assert_allclose(got, model.predict(given), rtol=TOLERANCE[dtype.name], atol=TOLERANCE[dtype.name])


@pytest.mark.parametrize("cell", [nn.RNN, nn.GRU, partial(nn.GRU, reset_after=False), nn.LSTM])
def test_streams(cell, rng):
    """Long ones with several layers, learned states, an Embedding in front; one step of one sequence."""
    model = nn.Sequential(
        nn.Embedding(5, 3),
        cell(3, 4, num_layers=2, return_sequences=True, learn_initial_state=True),
        nn.LayerNorm(4),
        cell(4, 6),
        nn.Linear(6, 2),
        dtype="float64",
    )
    model.load_state_dict({name: rng.normal(size=value.shape) for name, value in model.state_dict().items()})
    net, x = loaded(model.to_numpy()), rng.integers(0, 5, (1, 200))
    stream, own = model.stream(), net["Stream"]()
    for t in range(200):
        want = stream.step(x[:, t]).copy()
        np.testing.assert_allclose(own.step(x[0, t : t + 1]), want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(own.step([3]), model.predict(np.append(x, [[3]], axis=1)), rtol=1e-12, atol=1e-12)
    own.reset()
    np.testing.assert_allclose(own.step([1]), model.predict([[1]]), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match=r"a step has shape \(1,\), not \(2,\)"):
        own.step([1, 2])


def everything():
    x, z = nn.Input((4, 3), "x"), nn.Input((2,), "z")
    h = nn.LSTM(3, 4, bidirectional=True, return_sequences=True, learn_initial_state=True)(x)
    h = nn.LayerNorm(8)(nn.GELU()(nn.PReLU()(h)))
    h = nn.GRU(8, 4, num_layers=2)(nn.BatchNorm1d(8, axis=-1)(h), nn.Linear(2, 8)(z))
    return nn.Model([x, z], {"y": nn.Softmax()(nn.Maxout(4, 3, 2)(h)), "h": h}, seed=0)


def run(folder, *arguments, **options):
    """Run a program in a Python that finds NumPy and nothing else."""
    code = (
        "import sys, runpy; sys.modules.update(nncore=None, onnx=None, scipy=None, torch=None); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    packages = os.path.dirname(os.path.dirname(np.__file__))
    given = {"cwd": folder, "env": {"PYTHONPATH": packages}, "capture_output": True, "timeout": 60, **options}
    return subprocess.run([sys.executable, "-S", "-W", "error", "-c", code, *arguments], **given)


def test_the_program(tmp_path, rng):
    """The command line, without nncore: arrays, text, lengths, several inputs and outputs, and the self-test."""
    model = everything()
    model.to_numpy(tmp_path / "net.py")
    x, z = rng.normal(size=(5, 7, 3)).astype("f"), rng.normal(size=(5, 2)).astype("f")
    want = model.predict([x, z], lengths=[7, 3, 1, 2, 7])
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "z.npy", z)
    np.save(tmp_path / "lengths.npy", [7, 3, 1, 2, 7])
    done = run(tmp_path, "net.py", "x.npy", "z.npy", "--lengths", "lengths.npy")
    assert done.returncode == 0, done.stderr
    with np.load(io.BytesIO(done.stdout)) as got:
        assert {*got} == {"y", "h"}
        for name in got:
            np.testing.assert_allclose(got[name], want[name], rtol=1e-5, atol=1e-6)
    np.savetxt(tmp_path / "x.csv", x.reshape(5, -1), delimiter=",", header="names,of,columns", comments="", fmt="%.9g")
    np.savetxt(tmp_path / "z.txt", z, fmt="%.9g")
    done = run(tmp_path, "net.py", "x.csv", "z.txt")
    got, plain = np.loadtxt(io.BytesIO(done.stdout), delimiter=","), model.predict([x, z])
    np.testing.assert_allclose(got, np.concatenate([plain["y"], plain["h"]], axis=1), rtol=1e-5, atol=1e-6)
    done = run(tmp_path, "net.py", "--selftest")
    assert done.returncode == 0
    assert done.stdout.startswith(b"ok: 2 cases")


def test_single_files_and_complaints(tmp_path, rng):
    model = nn.Sequential(nn.Linear(3, 2), seed=0)
    source = model.to_numpy(tmp_path / "net.py")
    x = rng.normal(size=(4, 3)).astype("f")
    np.save(tmp_path / "x.npy", x)
    got = np.load(io.BytesIO(run(tmp_path, "net.py", "x.npy").stdout))
    np.testing.assert_allclose(got, model.predict(x), rtol=1e-5, atol=1e-6)
    done = run(tmp_path, "net.py", "-", input=b"1 2 3\n")
    np.testing.assert_allclose(np.loadtxt(io.BytesIO(done.stdout), delimiter=","), model([[1, 2, 3]])[0], rtol=1e-5)
    np.save(tmp_path / "wrong.npy", x[:, :2])
    (tmp_path / "empty.csv").touch()
    (tmp_path / "empty.npy").touch()
    for arguments, text in (
        (["wrong.npy"], b"input has shape (4, 2)"),
        (["none.npy"], b"none.npy"),
        (["empty.npy"], b"net.py: "),
        (["empty.csv"], b"empty.csv is empty"),
        ([], b"the inputs are input"),
    ):
        done = run(tmp_path, "net.py", *arguments)
        assert done.returncode
        assert text in done.stderr
        assert b"Traceback" not in done.stderr
    weight = source.index('"0.weight": array((2, 3), "') + 27
    (tmp_path / "net.py").write_text(source[:weight] + "AAAA" + source[weight + 4 :])
    done = run(tmp_path, "net.py", "--selftest")
    assert done.returncode == 1
    assert done.stdout.startswith(b"FAILED")


def test_only_what_is_needed():
    source = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to_numpy()
    made = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    known = {*functions("functions")}
    assert made & known == {"relu", "linear"}
    assert "Stream" not in made
    assert "checked_lengths" not in made
    ast.parse(source, feature_version=(3, 9))
    everything_made = "\n\n".join([*functions("functions").values(), *functions("program").values()])
    ast.parse(everything_made, feature_version=(3, 9))
    assert names_in(everything_made) >= {"erfc", "forward"}


def test_names_of_all_kinds(rng, tmp_path):
    """Names that are no identifiers, that Python or the file has, that are equal to Python, and that would end a comment."""
    names = [
        "lengths",
        "np",
        "linear",
        "W",
        'x"',
        '"""',
        "\ufb01",
        "fi",
        "if",
        "2",
        "a, b\u202e",
        "h",
        "\\",
        "\\N{x}",
        "{}",
        "file",
    ]
    inputs = [nn.Input((1,), name) for name in names]
    layers = [nn.Linear(1, 1, name=f"{name}'\"\\ # {i}") for i, name in enumerate(names)]
    model = nn.Model(inputs, {name: layer(x) for name, layer, x in zip(names, layers, inputs, strict=True)})
    net = loaded(model.to_numpy(tmp_path / "net.py"))
    x = [rng.normal(size=(3, 1)).astype("f") for _ in names]
    got, want = net["predict"](*x), model.predict(x)
    assert [*got] == [*want]
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5, atol=1e-6)
    assert b"ok" in run(tmp_path, "net.py", "--selftest").stdout


def test_exact_bits_and_wide_weights(rng):
    model = nn.Sequential(nn.Linear(300, 200))
    source = model.to_numpy()
    assert max(map(len, source.splitlines())) <= 132
    for name, value in model.state_dict().items():
        stored = loaded(source)["W"][name]
        assert stored.tobytes() == value.tobytes()


def test_inputs_that_do_not_fit(rng):
    model = nn.Sequential(nn.Embedding(4, 2), nn.GRU(2, 3))
    predict = loaded(model.to_numpy())["predict"]
    for wrong in ([[0, 4]], [[0, -1]], [[0.5, 1]]):
        with pytest.raises(ValueError, match="an index is a whole number from 0 to 3"):
            predict(wrong)
    for wrong in ([0, 1], np.zeros((2, 0)), np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match=r"input has shape .*, but \('N', 'time'\) is needed"):
            predict(wrong)
    for lengths in ([0, 1], [1, 4], [1], [1.5, 1]):
        with pytest.raises(ValueError, match="lengths must be 2 whole numbers from 1 to 3"):
            predict([[0, 1, 2], [2, 1, 0]], lengths=lengths)
    x, y = nn.Input((4, 2), "x"), nn.Input((4, 2), "y")
    predict = loaded(nn.Model([x, y], nn.GRU(2, 2)(x + y)).to_numpy())["predict"]
    with pytest.raises(ValueError, match="y has shape"):
        predict(np.zeros((3, 4, 2)), np.zeros((3, 1, 2)))
    with pytest.raises(ValueError, match="y has shape"):
        predict(np.zeros((3, 4, 2)), np.zeros((2, 4, 2)))


def test_bfloat16_and_averages(rng):
    """Products in bfloat16 are in float32 here. Within averaged_weights, the averages are written."""
    model = nn.Sequential(nn.Linear(32, 16), nn.Linear(16, 2), compute="bfloat16", seed=0)
    net, x = loaded(model.to_numpy()), rng.normal(size=(5, 32)).astype("f")
    state = model.state_dict()
    want = (x @ state["0.weight"].T + state["0.bias"]) @ state["1.weight"].T + state["1.bias"]
    np.testing.assert_allclose(net["predict"](x), want, rtol=1e-5, atol=1e-5)
    with redirect_stdout(io.StringIO()):
        assert net["selftest"]()
    model = nn.Sequential(nn.Linear(32, 1), seed=0)
    model.compile("mse", nn.optim.SGD(0.1, ema_momentum=0.5))
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    with model.averaged_weights():
        np.testing.assert_allclose(loaded(model.to_numpy())["predict"](x), model.predict(x), rtol=1e-5, atol=1e-5)


def test_the_model_stays_as_it_is():
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))
    model.to_numpy()
    assert not model.built
    assert model.to_numpy() == model.to_numpy()


def test_errors(tmp_path, monkeypatch):
    model = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(ArgumentError, match="to_numpy: path must be a string"):
        model.to_numpy(3)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        model.to_numpy(tmp_path / "none" / "net.py")
    with pytest.raises(NotBuiltError, match="to_numpy: the shape of the input is not known yet"):
        nn.Sequential(nn.ReLU()).to_numpy()
    with pytest.raises(ArgumentError, match="to_numpy: a quantized model"):
        nn.Sequential(nn.Linear(16, 16)).quantize("int8").to_numpy()
    with pytest.raises(ArgumentError, match="to_numpy: .*written in Python"):
        nn.Sequential(nn.Linear(2, 2), nn.Lambda(np.sin, lambda dy, x, y: dy * np.cos(x))).to_numpy()
    with pytest.raises(ArgumentError, match=r"promises a Python program; model\.to_numpy\(path\).*Name it"):
        model.save(tmp_path / "net.py")
    monkeypatch.setattr(numpy_file, "_LARGEST", 8)
    with pytest.raises(SizeError, match="to_numpy: the parameters have 64 bytes"):
        model.to_numpy()


def test_lengths_where_sequences_are_joined(rng):
    """With a start of another number of steps than at export, and two joins that differ in it alone."""
    x, a, b = nn.Input((4, 3), "x"), nn.Input((1, 3), "a"), nn.Input((1, 3), "b")
    joined = [nn.Concatenate(1)([start, x]) for start in (a, b)]
    outputs = [layer(each) for each in joined for layer in (nn.GRU(3, 2, bidirectional=True), nn.GlobalAveragePooling1D())]
    model = nn.Model([x, a, b], [*outputs, joined[0]], dtype="float64")
    net = loaded(model.to_numpy())
    given = [rng.normal(size=(3, steps, 3)) for steps in (5, 2, 3)]
    for got, want in zip(net["predict"](*given, lengths=[1, 5, 3]), model.predict(given, lengths=[1, 5, 3]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    with redirect_stdout(io.StringIO()):
        assert net["selftest"]()
