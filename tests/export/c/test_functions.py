"""The mathematical functions of exported C: each once and only if called, and exact to the ULP that functions.py states."""

import re

import numpy as np
import pytest
from export.c_files import compiled, pointer
from scipy import special

from nncore.export.c import functions
from nncore.export.c.program import Program

#: Two ways to round: without and with fused multiply-adds.
BUILDS = {"plain": ["-std=c99"], "fused": ["-std=gnu99", "-march=native", "-ffp-contract=fast"]}


def sigmoid(x):
    with np.errstate(over="ignore"):
        return np.where(x < 0, np.exp(x) / (1 + np.exp(np.minimum(x, 700))), 1 / (1 + np.exp(-x)))


def normal(x):
    """By erfcx, which is smooth, and the square in more digits: erfc of a rounded argument has no digits far from 0."""
    a = np.abs(x).astype(np.longdouble)
    tail = special.erfcx(np.abs(x) / np.sqrt(2)) * np.exp(-a * a / 2) / 2
    return np.where(x < 0, tail, 1 - tail).astype(np.float64)


TRUTHS = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "sigmoid": sigmoid,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "normal": normal,
}


def stated(column):
    """The largest errors by function, from the table in the docstring."""
    rows = re.findall(r"^(\w+)  .* (\d+\.\d+) +(\d+\.\d+)$", functions.__doc__, re.M)
    return {name: float(errors[column]) for name, *errors in rows}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """By build: functions over arrays of all kinds and types."""
    folder = tmp_path_factory.mktemp("functions")
    source = []
    for ctype, bits in (("float", 32), ("double", 64)):
        for exp in ("fast", "libm"):
            p = Program(None, f"{exp}{bits}", f"float{bits}", exp)
            for name in functions.FUNCTIONS:
                f = p.function(name)
                loop = f"void loop_{exp}{bits}_{name}(const {ctype} *x, int n, {ctype} *y)"
                source.append(f"{loop};\n{loop}\n{{\n    for (int i = 0; i < n; i++) {{\n        y[i] = {f}(x[i]);\n    }}\n}}\n")
            source.insert(0, "\n".join(p.routines.values()))
    text = "#include <math.h>\n#include <stdint.h>\n" + "\n".join(source)
    made = {}
    for name, flags in BUILDS.items():
        made[name] = compiled(text, folder, *flags, compiler=("gcc",), name=name)
    return made


def applied(library, exp, name, x):
    y = np.empty_like(x)
    f = getattr(library, f"loop_{exp}{8 * x.itemsize}_{name}")
    f(pointer(x), len(x), pointer(y))
    return y


def domain(name, x):
    low, high = {"log": (1e-37, np.inf), "log1p": (0, 1), "sqrt": (0, np.inf)}.get(name, (-np.inf, np.inf))
    return x[(x >= low) & (x <= high)]


def ulps(y, truth):
    """Errors in units of the last place of the true value. What overflows must be infinite or almost."""
    kind = np.finfo(y.dtype)
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(truth)[1], kind.minexp + 1)
        error = np.abs(y.astype(np.float64) - truth) / np.ldexp(1.0, exponent - kind.nmant - 1)
    near = np.abs(truth) > float(kind.max) * (1 - kind.eps)
    return np.where(near, np.where(y >= kind.max, 0, np.inf), error)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_fast_functions_in_float32(libraries, build, name):
    x = domain(name, np.arange(0, 2**32, 9973, dtype=np.uint64).astype(np.uint32).view(np.float32))
    with np.errstate(all="ignore"):
        found = ulps(applied(libraries[build], "fast", name, x), TRUTHS[name](x.astype(np.float64)))
    assert found.max() <= stated(0)[name], x[found.argmax()]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_fast_functions_in_float64(libraries, build, name):
    """The truth is a double, too, and may be off by itself."""
    rng = np.random.default_rng(5)
    x = np.concatenate([scale * rng.normal(size=20000) for scale in (1e-3, 0.3, 1, 10, 200)])
    x = domain(name, x[np.abs(x) < (36 if name == "normal" else 700)])
    found = ulps(applied(libraries[build], "fast", name, x), TRUTHS[name](x))
    assert found.max() <= stated(1)[name] + (3 if name == "normal" else 1), x[found.argmax()]


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_functions_of_the_library(libraries, name):
    """Within a few ULP where nothing underflows; only the code around calls of math.h is tested."""
    x = domain(name, np.linspace(-9, 9, 4001, dtype=np.float32))
    found = ulps(applied(libraries["plain"], "libm", name, x), TRUTHS[name](x.astype(np.float64)))
    assert found.max() <= (80 if name == "normal" else 3), x[found.argmax()]


@pytest.mark.parametrize("exp", ["fast", "libm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_numbers(libraries, exp, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0], dtype)
    for name, wanted in {
        "exp": [np.nan, np.inf, 0, 1],
        "expm1": [np.nan, np.inf, -1, 0],
        "tanh": [np.nan, 1, -1, 0],
        "sigmoid": [np.nan, 1, 0, 0.5],
        "softplus": [np.nan, np.inf, 0, np.log(2)],
        "normal": [np.nan, 1, 0, 0.5],
    }.items():
        for library in libraries.values():
            np.testing.assert_allclose(applied(library, exp, name, x), wanted, rtol=1e-6, err_msg=name)
    for name in ("log", "sqrt"):
        found = applied(libraries["plain"], exp, name, np.array([np.nan, np.inf, np.finfo(dtype).max], dtype))
        np.testing.assert_allclose(found, TRUTHS[name](np.array([np.nan, np.inf, np.finfo(dtype).max])), rtol=1e-6)
    assert (applied(libraries["plain"], exp, "tanh", np.linspace(-30, 30, 100001, dtype=dtype)) <= 1).all()


def test_functions_stand_once_and_only_if_called():
    p = Program(None, "a", "float32", "fast")
    for name in ("softplus", "exp", "softplus"):
        assert p.function(name) == f"a_{name}"
    assert list(p.routines) == ["a_log1p", "a_to_bits", "a_from_bits", "a_exp", "a_softplus"]  # callees first
    assert p.headers == {"stdint.h"}
    p = Program(None, "a", "float64", "libm")
    assert [p.function("tanh"), p.function("sigmoid"), p.function("sigmoid")] == ["tanh", "a_sigmoid", "a_sigmoid"]
    assert list(p.routines) == ["a_sigmoid"]
    assert p.headers == {"math.h"}
