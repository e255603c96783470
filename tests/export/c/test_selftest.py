"""The self-test in a file: ok where the file computes what nncore does, else which output is off."""

import re
import subprocess

import numpy as np
import pytest
from export.c_files import WARNINGS, need

import nncore as nn


def mlp():
    return nn.Sequential(nn.Linear(7, 16), nn.Tanh(), nn.Linear(16, 3), nn.Sigmoid(), seed=0)


def several():
    """Two inputs, one of them indices, and two outputs."""
    x, index = nn.Input((4,), name="x"), nn.Input((3,), name="index")
    h = nn.concatenate([nn.Linear(4, 5)(x), nn.Flatten()(nn.Embedding(6, 2)(index))])
    return nn.Model([x, index], {"a": nn.Linear(11, 2)(h), "b": nn.ReLU()(nn.Linear(11, 3)(h))}, seed=0)


def run_selftest(source, folder, *flags, compiler=("gcc", "-std=c99"), macro="-DNET_SELFTEST"):
    """Compile and run a self-test; return its status and its words."""
    need(compiler[0])
    path, program = folder / "net.c", folder / "selftest"
    path.write_text(source)
    subprocess.run([*compiler, "-O1", *WARNINGS, *flags, macro, "-o", program, path, "-lm"], check=True)
    done = subprocess.run([program], capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("make", "options", "compiler"),
    [
        (mlp, {}, ("gcc", "-std=c99")),
        (mlp, {"exp": "fast", "weights": "int8"}, ("g++", "-x", "c++", "-std=c++17")),
        (mlp, {"dtype": "float64", "workspace": "caller"}, ("gcc", "-std=c99")),
        (several, {"weights": "float16"}, ("gcc", "-std=c99")),
    ],
)
def test_ok(tmp_path, make, options, compiler):
    found = make().to_c(**options)
    assert run_selftest(found.source, tmp_path, compiler=compiler) == (0, "ok\n")


def test_an_output_that_is_off_is_named(tmp_path):
    model = mlp()
    source = model.to_c().source
    bias = re.search(r"2_weight.*?\{\s*(\S+),", source, re.S)
    changed = source[: bias.start(1)] + "0.75f" + source[bias.end(1) :]
    status, words = run_selftest(changed, tmp_path)
    assert status == 1
    assert re.match(r"sample 0: output [0-2] is -?\d\.\d+(e-\d+)?, not -?\d\.\d+(e-\d+)?\nsample 1: ", words)


def test_a_step_that_is_off_is_named(tmp_path):
    """Samples and steps of a stream are tested apart."""
    source = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 1), seed=0).build((3, 2)).to_c().source
    assert run_selftest(source, tmp_path) == (0, "ok\n")
    wanted = re.search(r"net_selftest_steps_wanted\[8\] = \{(?:[^,]*,){2}\s*(\S+),", source)
    status, words = run_selftest(source[: wanted.start(1)] + "0.75f" + source[wanted.end(1) :], tmp_path)
    assert status == 1
    assert re.fullmatch(r"step 2: output 0 is -?0\.\d+, not 0\.75\n", words)


def test_the_outputs_are_those_of_the_model():
    """The arrays are inputs and outputs of the model, also of one that has never been built for these steps."""
    model = mlp()
    source = model.to_c(name="a").source

    def array(name):
        numbers = re.search(rf"a_selftest_{name}\[\d+\] = \{{(.*?)\}}", source, re.S).group(1)
        return np.array([float(each.strip().rstrip("f")) for each in numbers.split(",")])

    np.testing.assert_allclose(model(array("x").reshape(-1, 7)), array("y_wanted").reshape(-1, 3), rtol=1e-6)
    assert len(array("x")) == 4 * 7


def test_it_stays_small():
    """One sample of a wide net, and none of it without the macro."""
    source = nn.Sequential(nn.Linear(1500, 2)).to_c().source
    assert "net_selftest_x[1500]" in source
    assert source.count("#ifdef NET_SELFTEST") == 1
    assert source.index("printf") > source.index("#ifdef NET_SELFTEST") > source.index("void net_predict_batch")
