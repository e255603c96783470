"""to_c: the file compiles without a warning in C and C++, and computes what the model computes."""

import ctypes
import subprocess

import numpy as np
import pytest

import nncore as nn

WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


def compiled(source, folder, *flags, compiler=("gcc", "-std=c99")):
    """The library of a file."""
    path = folder / "net.c"
    path.write_text(source)
    subprocess.run([*compiler, "-O2", *WARNINGS, *flags, "-shared", "-fPIC", "-o", folder / "net.so", path, "-lm"], check=True)
    return ctypes.CDLL(str(folder / "net.so"))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


@pytest.mark.parametrize("compiler", [("gcc", "-std=c99"), ("g++", "-x", "c++", "-std=c++17")])
def test_mlp(tmp_path, compiler):
    model = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3), nn.Sigmoid(), seed=0)
    library = compiled(model.to_c().source, tmp_path, compiler=compiler)
    x = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    y = np.zeros((50, 3), np.float32)
    library.net_predict_batch(pointer(x), 50, pointer(y))
    np.testing.assert_allclose(y, model(x), atol=1e-6)
