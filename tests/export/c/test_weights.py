"""Formats of weights: what C reads is the nearest number, and what is too large is refused."""

import numpy as np
import pytest
from export.c_files import compiled, pointer

import nncore as nn
from nncore.errors import ArgumentError
from nncore.export.c import weights
from nncore.export.c.program import Program

STRICT = ["-Wshadow", "-Wsign-conversion", "-Wdouble-promotion", "-Wcast-qual", "-Wcast-align"]


def bfloat16(x):
    """The nearest number with 8 significant bits, ties to even, from its exponent."""
    fraction, exponent = np.frexp(np.asarray(x, np.float64))
    return np.ldexp(np.round(fraction * 256), exponent - 8)


def test_bfloat16_rounds_to_the_nearest_even():
    x = np.concatenate([np.random.default_rng(0).normal(size=5000), [0, 1.00390625, 1.01171875, -1.00390625, 2**-120]])
    x = x.astype(np.float32).reshape(-1, 1)
    np.testing.assert_array_equal(weights.rounded(x, "bfloat16"), bfloat16(x))
    np.testing.assert_array_equal(np.signbit(weights.rounded(np.float32([[-0.0]]), "bfloat16")), True)


def test_int8_is_that_of_quantize():
    """The same integers and scales as in a model that is quantized."""
    model = nn.Sequential(nn.Linear(256, 64), seed=3)
    w = model.state_dict()["0.weight"] * np.geomspace(1e-3, 1e3, 64)[:, None]
    model.load_state_dict({"0.weight": w, "0.bias": np.zeros(64)})
    q, scales = weights.quantized(model.state_dict()["0.weight"].T, "weight")
    state = model.quantize("int8").state_dict()
    np.testing.assert_array_equal(q.T, state["0.weight"])
    np.testing.assert_array_equal(scales, np.ravel(state["0.weight_scale"]))


def test_int8_of_nothing_and_almost_nothing():
    q, scales = weights.quantized(np.array([[0, 1e-40, 3], [0, 0, -1]]), "w")
    np.testing.assert_array_equal(q, [[0, 0, 127], [0, 0, -42]])
    np.testing.assert_array_equal(scales, np.float32([0, 0, 3 / 127]))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("float16", 65520, r"ends at 65504, but w has 65520; 'bfloat16'"),
        ("bfloat16", 3.4e38, r"ends at 3.39e38, but w has"),
        ("float16", np.nan, "needs finite numbers, but w has NaN"),
        ("bfloat16", -np.inf, "needs finite numbers"),
        ("int8", np.nan, "needs finite numbers"),
        ("float32", 1e39, "infinite in float32"),
    ],
)
def test_what_no_format_holds(kind, value, text):
    p = Program(None, "a", "float64", "fast", kind)
    with pytest.raises(ArgumentError, match=text):
        weights.store(p, "w", "w", np.array([[value]]), "w")
    assert not p.constants


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("ctype", ["float32", "float64"])
def test_c_reads_every_16_bit_number(tmp_path, kind, ctype):
    p = Program(None, "a", ctype, "libm", kind)
    with np.errstate(invalid="ignore"):
        if kind == "float16":
            every = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(ctype)
        else:
            every = (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32).astype(ctype)
    every = every[np.isfinite(every)]
    stored = weights.store(p, "w", "w", every.reshape(-1, 1), "all numbers")
    assert stored.ctype == "uint16_t"
    assert p.constants["w"].nbytes == 2 * every.size
    body = f"for (int i = 0; i < {every.size}; i++) {{ y[i] = {stored.read.format(f'{stored.name}[i]')}; }}"
    source = "#include <stdint.h>\n" + "\n".join([c.declared() for c in p.constants.values()] + list(p.routines.values()))
    library = compiled(f"{source}\nvoid get({p.ctype} *y);\nvoid get({p.ctype} *y) {{ {body} }}\n", tmp_path)
    y = np.empty(every.size, ctype)
    library.get(pointer(y))
    np.testing.assert_array_equal(y.view(f"u{y.itemsize}"), every.view(f"u{y.itemsize}"))  # -0 too


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "int8", "float64"])
@pytest.mark.parametrize("compiler", [("gcc", "-std=c99"), ("g++", "-x", "c++", "-std=c++17")])
def test_a_model_with_rounded_weights(tmp_path, kind, compiler):
    """The file computes what the model computes if its matrices are rounded; biases stay as they are."""
    model = nn.Sequential(nn.Linear(9, 16, bias_init="normal"), nn.Tanh(), nn.Linear(16, 3, bias_init="normal"), seed=0)
    found = model.to_c(weights=kind, exp="fast" if kind == "int8" else "libm")
    library = compiled(found.source, tmp_path, compiler=compiler)
    x, y = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32), np.zeros((50, 3), np.float32)
    library.net_predict_batch(pointer(x), 50, pointer(y))
    state = model.state_dict()
    for name in ("0.weight", "2.weight"):
        w = state[name].astype(np.float64)
        scale = np.abs(w).max(axis=1, keepdims=True) / 127
        state[name] = {
            "float16": lambda w: w.astype(np.float16),
            "bfloat16": bfloat16,
            "int8": lambda w, scale=scale: np.round(w / scale) * scale,
            "float64": lambda w: w,
        }[kind](w)
    h = np.tanh(x @ state["0.weight"].astype(np.float64).T + state["0.bias"])
    np.testing.assert_allclose(y, h @ state["2.weight"].astype(np.float64).T + state["2.bias"], atol=2e-6)
    element = {"float16": 2, "bfloat16": 2, "int8": 1, "float64": 8}[kind]
    assert found.flash == (9 * 16 + 16 * 3) * element + 4 * (16 + 3) * (2 if kind == "int8" else 1)


@pytest.mark.parametrize("kind", ["int8", "float16", "bfloat16"])
def test_sixteen_outputs_at_a_time(tmp_path, kind):
    """Vectors give the bits of single numbers, also where the last ones overlap, with and without a bias."""
    layers = [nn.Linear(7, 40), nn.Tanh(), nn.Linear(40, 33, bias=False), nn.Linear(33, 16, bias_init="normal"), nn.Linear(16, 15)]
    model = nn.Sequential(*layers, seed=0)
    source = model.to_c(weights=kind, exp="fast").source
    x, found = np.random.default_rng(0).normal(size=(9, 7)).astype("f"), []
    for name, flags in (("vectors", STRICT), ("numbers", [*STRICT, "-U__SSE2__"])):
        y = np.zeros((9, 15), "f")
        compiled(source, tmp_path, *flags, name=name).net_predict_batch(pointer(x), 9, pointer(y))
        found.append(y)
    np.testing.assert_array_equal(*found)
    assert np.ptp(found[0]) > 0.1
