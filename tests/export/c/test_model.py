"""to_c: the file compiles without a warning in C and C++, and computes what the model computes."""

import numpy as np
import pytest
from export.c_files import compiled, run

import nncore as nn


@pytest.mark.parametrize("compiler", [("gcc", "-std=c99"), ("g++", "-x", "c++", "-std=c++17")])
def test_mlp(tmp_path, compiler):
    model = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3), nn.Sigmoid(), seed=0)
    found = model.to_c()
    built = compiled(found.source, tmp_path, compiler=compiler, optimize="-O2")
    x = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    np.testing.assert_allclose(run(found, built, [x])[0], model(x), atol=1e-6)
