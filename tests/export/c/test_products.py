"""Products of to_c: panels of four outputs, with rests and every number of them, in both types."""

import numpy as np
import pytest
from export.c_files import compiled, pointer

import nncore as nn


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiler", [("gcc", "-std=c99"), ("clang", "-std=c99"), ("g++", "-x", "c++", "-std=c++17")])
@pytest.mark.parametrize("widths", [[1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 19, 1], [64, 1, 15, 4, 67, 20, 16, 79, 8, 3]])
def test_products_of_all_widths(widths, dtype, compiler, tmp_path):
    rng = np.random.default_rng(0)
    x = nn.Input((6,))
    layers = [nn.Linear(a, b, bias=b != 5) for a, b in zip([6, *widths], widths, strict=False)]
    values = [x]
    for layer in layers:
        values.append(layer(values[-1]))
    model = nn.Model([x], values[1:], seed=0, dtype=dtype)
    checks = ["-fsanitize=undefined", "-fno-sanitize-recover"] if compiler[0] != "clang" else []
    library = compiled(model.to_c().source, tmp_path, *checks, compiler=compiler)
    given = rng.normal(size=6).astype(dtype)
    found = [np.full(n + 2, 7, dtype) for n in widths]
    library.net_predict(*map(pointer, (given, *found)))
    want = given.astype(float)
    for layer, y in zip(layers, found, strict=True):
        want = layer.weight.astype(float) @ want + (0 if layer.bias is None else layer.bias)
        np.testing.assert_allclose(y[:-2], want, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-6)
        assert (y[-2:] == 7).all()
