"""The elementary functions of vmath.h: within their bounds in ULP on every instruction set, and right where arithmetic ends."""

import numpy as np
import pytest
from ops.sweep_ulp import FUNCTIONS, WIDER, every, ulp_errors, worst

from nncore import _core
from nncore._core import kernels

#: Where something happens: the ends of ranges, the seams of reductions, the worst inputs that vmath.h records.
POINTS = [
    *(0.0, 1.0, 0.75, 1.5, 2.0, 40.0, 9.02, 18.04, 19.07, 38.14, 15.0, 39.0),
    *(87.33654, 88.72284, 89.0, 103.97208, 104.0, 708.39642, 709.782712893384, 710.0, 745.1332191019411, 746.0),
    *(np.log(2) / 2 * k for k in (1, 3, 5, 7, 41, 253)),
    *map(float.fromhex, ("0x1.ab8dfp+4", "0x1.769da2p+2", "0x1.8996aap-2", "0x1.7efc76p+0", "0x1.011302p-3", "0x1.011314p-3")),
    *map(float.fromhex, ("0x1.0a111ap+2", "0x1.bf8856p-2", "0x1.647768p+2", "0x1.15a3d9eae3731p+8", "0x1.052091c3b5ffep-2")),
]


def numbers(dtype, rng):
    """Numbers of every exponent and sign, and densely those around POINTS."""
    bits = np.uint32 if dtype == np.float32 else np.uint64
    centres = np.array(POINTS, dtype).view(bits)
    around = (centres[:, None] + np.arange(-1000, 1001).astype(bits)).ravel()
    around = np.concatenate([around, around ^ np.array(-0.0, dtype).view(bits)]).view(dtype)
    if dtype == np.float32:
        return np.concatenate([every(997), around])
    sizes = [rng.uniform(-width, width, 50_000) for width in (1, 4, 30, 760)]
    return np.concatenate([rng.integers(0, 2**64, 100_000, dtype=np.uint64).view(dtype), 1 + sizes[0], *sizes, around])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bound(function, isa, dtype, rng):
    bound = FUNCTIONS[function].bound.get(dtype.name)
    if bound is None:
        pytest.skip("no reference in a wider type")
    if np.finfo(WIDER[dtype]).nmant < np.finfo(dtype).nmant + 10:
        pytest.skip("this platform has no type wider than float64")
    error, x = worst(FUNCTIONS[function], numbers(dtype, rng), isa)
    assert error <= bound, f"{function}({float(x).hex()}) is {error:.3f} ULP off"


@pytest.mark.exhaustive
@pytest.mark.parametrize("function", ["exp", "sigmoid", "tanh"])
def test_bound_for_every_float32(function, isa):
    for first in range(0, 2**32, 2**24):
        error, x = worst(FUNCTIONS[function], every(1, first, first + 2**24), isa)
        assert error <= FUNCTIONS[function].bound["float32"], f"{function}({float(x).hex()}) is {error:.3f} ULP off"


def test_the_meter_sees_planted_errors(dtype):
    wider = WIDER[dtype]
    exact = np.array([1, 1.9, 0.3, -7e5, np.finfo(dtype).smallest_normal, np.finfo(dtype).smallest_subnormal * 5], wider)
    y = exact.astype(dtype)
    assert (ulp_errors(y, exact) <= 0.5).all()
    for steps in (1, 2, 9):
        errors = ulp_errors(y + steps * np.spacing(np.abs(y)), exact)
        assert (np.abs(errors - steps) <= 0.5).all()
    wrong = np.array([np.nan, 1, np.inf, 1, np.inf, np.nan], dtype)
    right = np.array([1, np.nan, 1, np.inf, -np.inf, np.inf], wider)
    assert (ulp_errors(wrong, right) == np.inf).all()
    assert (ulp_errors(np.array([np.inf, np.nan], dtype), np.array([np.inf, np.nan], wider)) == 0).all()


@pytest.mark.parametrize(
    ("function", "x", "y"),
    [
        ("exp", [-np.inf, np.inf, 0, -0.0, np.nan, 1e5, -1e5], [0, np.inf, 1, 1, np.nan, np.inf, 0]),
        ("log", [0, -0.0, 1, np.inf, np.nan, -1, -np.inf, -1e-45], [-np.inf, -np.inf, 0, np.inf, np.nan, np.nan, np.nan, np.nan]),
        ("sigmoid", [-np.inf, np.inf, 0, -0.0, np.nan, 1e30, -1e30], [0, 1, 0.5, 0.5, np.nan, 1, 0]),
        ("tanh", [-np.inf, np.inf, 0, -0.0, np.nan, 1e30, -1e30], [-1, 1, 0, -0.0, np.nan, 1, -1]),
        ("elu", [-np.inf, np.inf, 0, -0.0, np.nan, 1e30, -1e30], [-1, np.inf, 0, -0.0, np.nan, 1e30, -1]),
        ("softplus", [-np.inf, np.inf, np.nan, 1e30, -1e30], [0, np.inf, np.nan, 1e30, 0]),
        ("gelu", [np.inf, 0, -0.0, np.nan, 1e30, -1e30], [np.inf, 0, -0.0, np.nan, 1e30, -0.0]),
    ],
)
def test_specials(function, x, y, isa, dtype):
    x, y = np.array(x, np.float64), np.array(y, dtype)
    x = np.where(x == -1e-45, -np.finfo(dtype).smallest_subnormal, x).astype(dtype)
    for shift in range(3):  # through whole vectors and tails alike
        got = FUNCTIONS[function].compute(np.tile(x, 9)[shift:], isa)
        np.testing.assert_array_equal(got, np.tile(y, 9)[shift:])
        zero = got == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(np.tile(y, 9)[shift:][zero]))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bits_do_not_depend_on_position(function, isa, dtype, rng):
    x = (rng.normal(size=150) * 5).astype(dtype)
    whole = FUNCTIONS[function].compute(x, isa)
    for start in range(20):
        for n in (1, 2, 3, 7, 8, 15, 16, 17, 33, 100):
            np.testing.assert_array_equal(FUNCTIONS[function].compute(x[start : start + n].copy(), isa), whole[start : start + n])


def test_symmetry_and_range(isa, dtype, rng):
    x = np.abs(numbers(dtype, rng))
    x = x[~np.isnan(x)]
    up, down = (FUNCTIONS["tanh"].compute(s * x, isa) for s in (1, -1))
    np.testing.assert_array_equal(up, -down)
    assert (np.abs(up) <= 1).all()
    up, down = (FUNCTIONS["sigmoid"].compute(s * x, isa) for s in (1, -1))
    assert (up <= 1).all()
    assert (down >= 0).all()
    np.testing.assert_allclose(up + down, 1, rtol=2 * np.finfo(dtype).eps)


def test_the_default_is_the_set_in_use(dtype):
    x = np.linspace(0.1, 5, 37, dtype=dtype)
    np.testing.assert_array_equal(kernels.exp(x), kernels.exp(x, isa=_core.isa()))
    np.testing.assert_array_equal(kernels.log(x), kernels.log(x, isa=_core.isa()))


def test_multiply_adds_are_counted(isa):
    few, many = (kernels.multiply_adds(rounds, f64=False, isa=isa) for rounds in (1, 1000))
    assert many == 1000 * few > 0
    assert kernels.multiply_adds(1, f64=True, isa=isa) == few / 2
