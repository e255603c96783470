"""verify_c compiles a file, runs it, and finds what is wrong."""

import re

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, CompilerError, FileFormatError, ShapeError


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 4), nn.Softmax(), seed=1)


def test_a_file_that_is_right(model, tmp_path):
    path = tmp_path / "a folder" / "net.c"
    path.parent.mkdir()
    model.to_c(path, header=True, workspace="caller")
    report = nn.export.verify_c(model, path, flags="-std=c99 -O2 -pedantic -Wall -Wextra -Wconversion -Werror")
    assert report.samples == 1000
    assert report.steps == 0
    assert 0 < report.ulp < 4
    assert report.largest < 4 * 2**-23
    assert report.rounding == 0
    assert report.command.startswith("gcc -std=c99 -O2")


def test_the_error_is_the_largest_in_units_of_the_last_place(tmp_path):
    """Two outputs with errors that are known: the file is that of a model with other biases."""
    x = nn.Input((2,))
    model = nn.Model(x, [nn.Linear(2, 3, name="a")(x), nn.Linear(2, 1, name="b")(x)], seed=0)
    zeros = {name: np.zeros_like(value) for name, value in model.state_dict().items()}
    model.load_state_dict({**zeros, "a.bias": np.array([4, 1, 0]), "b.bias": np.array([1])})
    model.to_c(tmp_path / "net.c")
    model.load_state_dict({**zeros, "a.bias": np.array([4, 1 + 2**-20, 0]), "b.bias": np.array([1 - 2**-22])})
    report = nn.export.verify_c(model, tmp_path / "net.c", n=3)
    assert report.largest == 2**-20
    assert report.ulp == max(2**-20 / 4, 2**-22 / (1 - 2**-22)) / 2**-23


@pytest.mark.parametrize("kind", ["int8", "bfloat16"])
def test_rounded_weights(model, tmp_path, kind):
    """The code is exact; what the rounding does is told apart."""
    x = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    found = model.to_c(tmp_path / "net.c", weights=kind, exp="fast", calibration=x)
    report = nn.export.verify_c(model, tmp_path / "net.c", cc="g++ -x c++", n=500)
    assert report.ulp < 8
    assert 1e-4 < report.rounding < 0.02
    assert found.error.of == "outputs"
    assert found.error.samples == 300
    rounded = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 4), nn.Softmax())
    state = model.state_dict()
    for name in ("0.weight", "2.weight"):
        w = state[name]
        scale = np.abs(w).max(axis=1, keepdims=True) / np.float32(127)
        step = np.ldexp(1.0, np.frexp(w)[1] - 8)
        state[name] = np.round(w / scale) * scale if kind == "int8" else np.round(w / step) * step
    rounded.load_state_dict(state)
    error = np.abs(rounded.predict(x).astype(float) - model.predict(x)) / model.predict(x).astype(float).std()
    np.testing.assert_allclose([found.error.max, found.error.mean], [error.max(), error.mean()], rtol=1e-2)
    text = found.source.split("*/")[0]
    assert f"weights        {kind}" in text
    assert repr(found).endswith(f", error='{found.error}')")
    assert re.search(r"error +max 0\.\d+, mean 0\.\d+ of the spread of the outputs, on 300 samples", text)


def test_the_error_of_weights_alone(model):
    error = model.to_c(weights="float16").error
    w = [model.state_dict()[name].astype(float) for name in ("0.weight", "2.weight")]
    parts = [np.abs(each - each.astype(np.float16)) / each.std() for each in w]
    assert error.of == "weights"
    np.testing.assert_allclose([error.max, error.mean], [max(p.max() for p in parts), max(p.mean() for p in parts)], rtol=1e-5)
    assert model.to_c().error is None


def test_missing_values_in_the_data(model):
    """Outputs that are NaN in the model too are no error, and the spread is that of the others."""
    x = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    x[7, 2] = np.nan
    error = model.to_c(weights="int8", calibration=x).error
    others = model.to_c(weights="int8", calibration=np.delete(x, 7, axis=0)).error
    np.testing.assert_allclose([error.max, error.mean * 30, error.samples], [others.max, others.mean * 29, 30], rtol=1e-6)
    assert 0 < error.mean < error.max < 1


def test_a_model_of_float64(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), seed=0, dtype="float64")
    model.to_c(tmp_path / "net.c")
    assert nn.export.verify_c(model, tmp_path / "net.c").largest < 1e-15
    model.to_c(tmp_path / "net.c", dtype="float32")
    assert nn.export.verify_c(model, tmp_path / "net.c").ulp < 4


@pytest.mark.parametrize(
    ("make", "shape", "options"),
    [
        (lambda: nn.Sequential(nn.GRU(3, 32), nn.Linear(32, 2), seed=0), (6, 3), {"exp": "fast"}),
        (lambda: nn.Sequential(nn.GRU(3, 32, reset_after=False), nn.Linear(32, 2), seed=0), (6, 3), {"weights": "int8"}),
        (lambda: nn.Sequential(nn.LSTM(3, 8, return_sequences=True), nn.Linear(8, 2), seed=0), (6, 3), {"workspace": "caller"}),
        (lambda: nn.Sequential(nn.Embedding(9, 4), nn.RNN(4, 8), nn.Linear(8, 2), seed=0), (6,), {"weights": "int8"}),
        (lambda: nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 2), seed=0, dtype="float64"), (6, 3), {"weights": "int8"}),
    ],
)
def test_streams(tmp_path, make, shape, options):
    """Sequences, a stream of 1,000 steps, and short ones after a reset."""
    model = make().build(shape)
    model.to_c(tmp_path / "net.c", **options)
    report = nn.export.verify_c(model, tmp_path / "net.c")
    assert (report.samples, report.steps) == (1000, 1021)
    assert report.ulp < 8
    assert (report.rounding > 1e-4) == ("weights" in options)


def test_a_state_that_is_not_reset_is_found(tmp_path):
    """By predict, which gives something else a second time."""
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 1), seed=0).build((6, 3))
    source, head = model.to_c().source, "void net_reset(net_state *state)\n{\n"
    assert source.count(head) == 1
    (tmp_path / "net.c").write_text(
        source.replace(head, f"{head}    static int n = 0;\n    if (n++) {{\n        return;\n    }}\n")
    )
    with pytest.raises(CompilerError, match="predict_batch gives other results"):
        nn.export.verify_c(model, tmp_path / "net.c")


def encoder_and_decoder():
    x, z = nn.Input((6, 3), name="x"), nn.Input((6, 2), name="z")
    y, h = nn.GRU(3, 4, bidirectional=True, return_sequences=True, return_state=True, name="e")(x)
    both = nn.Concatenate()([y, z])
    return nn.Model([x, z], {"all": nn.Linear(10, 2, name="o")(both), "last": nn.LSTM(10, 3, name="l")(both), "h": h}, seed=0)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 1), seed=0).build((6, 3)), {}),
        (
            lambda: nn.Sequential(nn.LSTM(3, 4, return_sequences=True), seed=0).build((6, 3)),
            {"workspace": "caller", "time_steps": 4},
        ),
        (lambda: nn.Sequential(nn.LSTM(3, 4, bidirectional=True), nn.Linear(8, 2), seed=0).build((6, 3)), {"workspace": "caller"}),
        (encoder_and_decoder, {"weights": "int8"}),
    ],
)
def test_sequences_of_other_lengths(tmp_path, make, options):
    """A file in which NAME_predict_steps forgets the number of steps gives the right results for whole sequences only."""
    model, path = make(), tmp_path / "net.c"
    source = model.to_c(path, **options).source
    flags = "-std=c99 -O2 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all"
    assert nn.export.verify_c(model, path, n=20, flags=flags).ulp < 8
    head = re.search(r"^void net_predict_steps\([^;{]*\)\n\{\n", source, re.M)
    path.write_text(source[: head.end()] + "    steps = NET_TIME_STEPS;\n" + source[head.end() :])
    assert nn.export.verify_c(model, path, n=20).ulp > 1e4


def test_a_wrong_file_is_found(model, tmp_path):
    source = model.to_c().source
    bias = re.search(r"0_weight.*?\{\s*(\S+),", source, re.S)
    (tmp_path / "net.c").write_text(source[: bias.start(1)] + "0.75f" + source[bias.end(1) :])
    assert nn.export.verify_c(model, tmp_path / "net.c").ulp > 1e4


def test_predict_and_predict_batch_must_agree(model, tmp_path):
    source = model.to_c().source
    at = source.rindex("y += NET_OUTPUT_SIZE;")
    (tmp_path / "net.c").write_text(source[:at] + source[at + len("y += NET_OUTPUT_SIZE;") :])
    with pytest.raises(
        CompilerError,
        match=r"verify_c: running predict failed with status 1: .*\nreading or writing failed, or predict_batch gives other",
    ):
        nn.export.verify_c(model, tmp_path / "net.c", n=2)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"cc": "no-such-cc"}, CompilerError, r"verify_c: 'no-such-cc' cannot be run \(No such file"),
        ({"run": "no-such-emulator -x"}, CompilerError, "'no-such-emulator' cannot be run"),
        ({"run": "true"}, CompilerError, "running predict gave 0 numbers instead of 4000"),
        ({"cc": ""}, ArgumentError, "cc must name a compiler"),
        ({"cc": 3}, ArgumentError, "cc must be a string or a sequence of strings, not 3"),
        ({"flags": [1]}, ArgumentError, "flags must be a string"),
        ({"n": 0}, ArgumentError, "n must be a whole number of at least 1, not 0"),
        ({"flags": "-no-such-option"}, CompilerError, r"(?s)compiling failed with status 1: gcc -no-such-option.*unrecognized"),
        ({"path": "missing.c"}, FileNotFoundError, "missing.c"),
    ],
)
def test_errors(model, tmp_path, options, error, text):
    model.to_c(tmp_path / "net.c")
    with pytest.raises(error, match=text):
        nn.export.verify_c(model, **{"path": tmp_path / "net.c", **options})


def test_files_of_others(model, tmp_path):
    path = tmp_path / "net.c"
    model.to_c(path)
    with pytest.raises(ShapeError, match=r"the file is not of this model: it takes \[\(5,\)\] and gives \[\(4,\)\], and the model"):
        nn.export.verify_c(nn.Sequential(nn.Linear(5, 3)), path)
    with pytest.raises(ArgumentError, match="model must be a Model, not 3"):
        nn.export.verify_c(3, path)
    source = path.read_text()
    path.write_text(source.replace("void net_predict(const float *x", "void net_predict(const floot *x"))
    with pytest.raises(CompilerError, match="(?s)compiling failed.*floot"):
        nn.export.verify_c(model, path)
    path.write_text("int main(void) { return 0; }\n")
    with pytest.raises(FileFormatError, match="does not begin with the comment of a file that model.to_c wrote"):
        nn.export.verify_c(model, path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FileFormatError, match="it is not text"):
        nn.export.verify_c(model, path)
    path.write_text(source.split("#ifdef __cplusplus")[0])
    with pytest.raises(FileFormatError, match="it has no declaration of net_predict"):
        nn.export.verify_c(model, path)


def test_calibration_needs_a_format(model):
    with pytest.raises(ArgumentError, match="it needs weights="):
        model.to_c(calibration=np.zeros((2, 5)))
    with pytest.raises(nn.errors.EmptyDataError, match="no samples"):
        model.to_c(weights="int8", calibration=np.zeros((0, 5)))
