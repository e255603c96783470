"""Each activation against SciPy in float64, its gradient against exact formulas and central differences, at every layout."""

import numpy as np
import pytest
from scipy import special

from nncore import _core
from nncore._core import kernels

ACTIVATIONS = {record["name"]: record for record in _core.OPS["activation"]}
SHAPES = [(1, 1), (64, 1), (33, 10), (7, 3), (5, 16), (4, 17), (3, 67), (2, 300)]
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def phi(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def elu(x, alpha):
    return np.where(x > 0, x, alpha * special.expm1(np.minimum(x, 0)))


def elu_slope(x, alpha):
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def gelu_tanh_terms(x):
    return np.sqrt(2 / np.pi) * (x + 0.044715 * x**3), np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)


def gelu_tanh_slope(x):
    u, du = gelu_tanh_terms(x)
    return special.expit(2 * u) + x * special.expit(2 * u) * special.expit(-2 * u) * 2 * du


def softplus(x, beta, threshold):
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def softplus_slope(x, beta, threshold):
    return np.where(beta * x > threshold, 1, special.expit(beta * x))


def mish_slope(x):
    w = np.tanh(np.logaddexp(0, x))
    return w + x * special.expit(x) / np.cosh(np.logaddexp(0, x)) ** 2


#: name -> attributes, f(x, *attributes), f'(x, *attributes). Row activations follow below.
ELEMENT = {
    "identity": ((), lambda x: x, lambda x: np.ones_like(x)),
    "step": ((0.3,), lambda x, t: (x > t) * 1.0, lambda x, t: np.zeros_like(x)),
    "sigmoid": ((), special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "tanh": ((), np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "relu": ((), lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "leaky_relu": ((0.2,), lambda x, s: np.where(x > 0, x, s * x), lambda x, s: np.where(x > 0, 1, s)),
    "elu": ((1.3,), elu, elu_slope),
    "selu": ((), lambda x: SELU_SCALE * elu(x, SELU_ALPHA), lambda x: SELU_SCALE * elu_slope(x, SELU_ALPHA)),
    "gelu": ((), lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * phi(x)),
    "gelu_tanh": ((), lambda x: x * special.expit(2 * gelu_tanh_terms(x)[0]), gelu_tanh_slope),
    "silu": ((), lambda x: x * special.expit(x), lambda x: special.expit(x) * (1 + x * special.expit(-x))),
    "softplus": ((2.0, 5.0), softplus, softplus_slope),
    "softsign": ((), lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "hardtanh": ((-0.5, 2.0), lambda x, lo, hi: np.clip(x, lo, hi), lambda x, lo, hi: ((x > lo) & (x < hi)) * 1.0),
    "hardsigmoid": ((), lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: (np.abs(x) < 3) / 6),
    "hardswish": ((), lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda x: np.where(x > 3, 1, np.where(x < -3, 0, x / 3 + 0.5))),
    "mish": ((), lambda x: x * np.tanh(np.logaddexp(0, x)), mish_slope),
    "celu": ((1.3,), lambda x, a: elu(x / a, 1) * a, lambda x, a: elu_slope(x / a, 1)),
    "exp": ((), np.exp, np.exp),
    "log_sigmoid": ((), special.log_expit, lambda x: special.expit(-x)),
    "hardshrink": ((0.3,), lambda x, at: np.where(np.abs(x) > at, x, 0), lambda x, at: (np.abs(x) > at) * 1.0),
    "softshrink": ((0.3,), lambda x, at: np.sign(x) * np.maximum(np.abs(x) - at, 0), lambda x, at: (np.abs(x) > at) * 1.0),
    "tanhshrink": ((), lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "threshold": ((0.3, -1.5), lambda x, at, value: np.where(x > at, x, value), lambda x, at, value: (x > at) * 1.0),
}
ROW = {
    "softmax": ((), lambda x: special.softmax(x, axis=1)),
    "log_softmax": ((), lambda x: special.log_softmax(x, axis=1)),
}


def attributes(name):
    return (ELEMENT.get(name) or ROW[name])[0]


def forward(name, x, isa):
    return kernels.activation_forward(name, x, attributes(name), isa=isa)


def backward(name, dy, x, isa):
    saved = x if ACTIVATIONS[name]["saves"] == "input" else forward(name, x, isa)
    return kernels.activation_backward(name, dy, saved, attributes(name), isa=isa)


def batch(shape, dtype, rng, scale=4):
    return (rng.normal(size=shape) * scale).astype(dtype)


def assert_near(actual, desired, dtype, ulps):
    """Within so many epsilons, relative to the value or (below 1) to 1."""
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(actual, desired, rtol=ulps * eps, atol=ulps * eps)


def test_every_activation_is_covered():
    assert {n for n, r in ACTIVATIONS.items() if r["scope"] == "element"} == set(ELEMENT)
    assert {n for n, r in ACTIVATIONS.items() if r["scope"] == "row"} == set(ROW)
    for name, record in ACTIVATIONS.items():
        assert len(record["attributes"]) == len(attributes(name))


@pytest.mark.parametrize("name", ELEMENT)
def test_element_values_and_slopes(name, isa, dtype, rng):
    attr, f, slope = ELEMENT[name]
    for shape in SHAPES:
        x, dy = batch(shape, dtype, rng), batch(shape, dtype, rng, 1)
        assert_near(forward(name, x, isa), f(x.astype(np.float64), *attr), dtype, 8)
        exact = dy * slope(x.astype(np.float64), *attr)
        assert_near(backward(name, dy, x, isa), exact, dtype, 16)


def lower_gelu(x):
    """x Phi(x) for x < 0 in longdouble; SciPy's ndtr itself is 1e-14 off far below 0."""
    wide = x.astype(np.longdouble)
    return wide * special.erfcx(-x / np.sqrt(2)) / 2 * np.exp(-wide * wide / 2)


@pytest.mark.parametrize("name", ["celu", "elu", "gelu", "gelu_tanh", "log_sigmoid", "mish", "selu", "sigmoid", "silu", "softplus"])
def test_lower_tails_keep_their_digits(name, isa, dtype):
    attr, f, _ = ELEMENT[name]
    x = np.linspace(-12, -0.1, 977).astype(dtype)[None, :]
    wide = x.astype(np.float64)
    exact = lower_gelu(wide) if name == "gelu" else f(wide, *attr)
    eps = 16 * np.finfo(dtype).eps
    if name == "gelu_tanh":  # the argument of exp is rounded, and exp magnifies that
        eps *= 1 + np.abs(2 * gelu_tanh_terms(wide)[0])
    error = np.abs(forward(name, x, isa) - exact)
    assert (error <= eps * np.abs(exact) + np.finfo(dtype).smallest_normal).all()


@pytest.mark.parametrize("name", ROW)
def test_row_values(name, isa, dtype, rng):
    for shape in [*SHAPES, *((9, cols) for cols in range(1, 80))]:
        x = batch(shape, dtype, rng)
        assert_near(forward(name, x, isa), ROW[name][1](x.astype(np.float64)), dtype, 16)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_is_that_of_forward(name, isa, rng):
    """Central differences of forward along random directions, in float64, away from kinks."""
    h = 1e-6
    for shape in SHAPES:
        x, dy, direction = (batch(shape, "float64", rng, s) for s in (2, 1, 1))
        for kink in (0, 0.3, 2.5, 3, -3, *attributes(name), *(-a for a in attributes(name))):
            x[np.abs(x - kink) < 0.01] += 0.02
        rise = forward(name, x + h * direction, isa) - forward(name, x - h * direction, isa)
        analytic = (backward(name, dy, x, isa) * direction).sum()
        np.testing.assert_allclose(analytic, (dy * rise).sum() / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_gradient_follows_float64(name, isa, rng):
    for shape in SHAPES:
        x, dy = batch(shape, "float32", rng, 2), batch(shape, "float32", rng, 1)
        exact = backward(name, dy.astype(np.float64), x.astype(np.float64), isa)
        np.testing.assert_allclose(backward(name, dy, x, isa), exact, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bits_do_not_depend_on_layout(name, isa, dtype, rng):
    """Contiguous batches run flat, others row by row; rows may be split in any way, and for element-wise ops columns too."""
    x, dy = batch((21, 37), dtype, rng), batch((21, 37), dtype, rng, 1)
    for cols in (1, 2, 7, 8, 10, 16, 20, 37):
        xs, dys = x[:, :cols].copy(), dy[:, :cols].copy()
        y, dx = forward(name, xs, isa), backward(name, dys, xs, isa)
        np.testing.assert_array_equal(forward(name, x[:, :cols], isa), y)
        np.testing.assert_array_equal(backward(name, dy[:, :cols], x[:, :cols], isa), dx)
        np.testing.assert_array_equal(backward(name, dy[:, :cols], xs, isa), dx)
        for start, stop in ((0, 1), (3, 4), (5, 14), (9, 21)):
            np.testing.assert_array_equal(forward(name, xs[start:stop], isa), y[start:stop])
            np.testing.assert_array_equal(backward(name, dys[start:stop], xs[start:stop], isa), dx[start:stop])
        if name in ELEMENT:
            np.testing.assert_array_equal(forward(name, xs[:, cols // 2 :], isa), y[:, cols // 2 :])
            np.testing.assert_array_equal(backward(name, dys[:, cols // 2 :], xs[:, cols // 2 :], isa), dx[:, cols // 2 :])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_empty_batch(name, isa, dtype):
    for shape in ((0, 5), (4, 0), (0, 0)):
        empty = np.empty(shape, dtype)
        assert forward(name, empty, isa).shape == backward(name, empty, empty, isa).shape == shape


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_in_its_place(name, isa, dtype, rng):
    x = batch((12, 19), dtype, rng)
    clean = forward(name, x, isa)
    x[5, 3] = x[7, 18] = np.nan
    touched = np.zeros(x.shape, bool)
    touched[[5, 7], [3, 18]] = True
    if name in ROW:
        touched[[5, 7]] = True
    y = forward(name, x, isa)
    np.testing.assert_array_equal(np.isnan(y), touched)
    np.testing.assert_array_equal(y[~touched], clean[~touched])


@pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"exp"}))
def test_large_finite_inputs_stay_finite(name, isa, dtype):
    big = np.finfo(dtype).max / 8
    x = np.array([[big, -big, 1e4, -1e4, 0.0, -0.0, 800.0, -800.0]], dtype)
    with np.errstate(over="ignore"):
        assert np.isfinite(forward(name, x, isa)).all()
        assert np.isfinite(backward(name, np.ones_like(x), x, isa)).all()


def test_values_at_the_kinks(isa, dtype):
    """The side that PyTorch takes where the derivative jumps."""

    def slope(name, x, *attr):
        x = np.array([x], dtype)
        saved = x if ACTIVATIONS[name]["saves"] == "input" else kernels.activation_forward(name, x, attr, isa=isa)
        return list(kernels.activation_backward(name, np.ones_like(x), saved, attr, isa=isa)[0])

    tiny = float(np.finfo(dtype).smallest_normal)
    assert slope("relu", [0, -0.0, tiny, -tiny]) == [0, 0, 1, 0]
    assert slope("leaky_relu", [0, -0.0, tiny, -tiny], 0.25) == [0.25, 0.25, 1, 0.25]
    assert slope("hardtanh", [-1, 1, 0, 2, -2], -1, 1) == [0, 0, 1, 0, 0]
    assert slope("elu", [0, -0.0, tiny], 0.5) == [0.5, 0.5, 1]
    assert slope("step", [-1, 0.5, 2], 0.5) == [0, 0, 0]
    assert slope("hardsigmoid", [-3, 3]) == [0, 0]
    assert slope("hardswish", [-3, 3, 4]) == [0, 1, 1]
    assert slope("hardshrink", [-0.5, 0.5, 0, 1], 0.5) == slope("softshrink", [-0.5, 0.5, 0, 1], 0.5) == [0, 0, 0, 1]
    assert slope("threshold", [0.5, 0.6], 0.5, 20) == [0, 1]
    assert list(kernels.activation_forward("step", np.array([[0.5, 0.6, 0.4]], dtype), (0.5,), isa=isa)[0]) == [0, 1, 0]
    assert slope("softplus", [10, 10.5], 2, 20) == [pytest.approx(1, abs=1e-8), 1]
    assert kernels.activation_forward("softplus", np.array([[10.5]], dtype), (2, 20), isa=isa)[0, 0] == 10.5


def test_softmax_at_the_ends(isa, dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf, 0], [-inf, -inf, -inf], [inf, 0, 0], [3e4, 3e4, -3e4], [5, 5, 5]], dtype)
    third = np.array(1, dtype) / 3
    expected = [[0.5, 0, 0.5], [nan] * 3, [nan] * 3, [0.5, 0.5, 0], [third] * 3]
    for wide in (1, 7, 40):  # one vector, several, and a row too long to be held back
        tiled = np.tile(x, (1, wide))
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(forward("softmax", tiled, isa), np.tile(expected, (1, wide)) / wide, rtol=1e-6)
            logs = forward("log_softmax", tiled, isa)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(logs[[0, 1, 2, 4]], np.log(np.tile(expected, (1, wide))[[0, 1, 2, 4]] / wide), rtol=1e-6)


def test_softmax_sums_to_one_and_ignores_a_shift(isa, dtype, rng):
    for cols in (2, 10, 16, 33, 1000):
        x = np.round(batch((20, cols), dtype, rng) * 64) / 64
        y = forward("softmax", x, isa)
        np.testing.assert_allclose(y.sum(axis=1, dtype=np.float64), 1, rtol=20 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(forward("softmax", x + dtype.type(1024), isa), y)
        dx = backward("softmax", batch(x.shape, dtype, rng, 1), x, isa)
        np.testing.assert_allclose(dx.sum(axis=1, dtype=np.float64), 0, atol=20 * np.finfo(dtype).eps)


TORCH = {
    "leaky_relu": lambda f, x: f.leaky_relu(x, 0.2),
    "elu": lambda f, x: f.elu(x, 1.3),
    "gelu_tanh": lambda f, x: f.gelu(x, approximate="tanh"),
    "softplus": lambda f, x: f.softplus(x, 2.0, 5.0),
    "hardtanh": lambda f, x: f.hardtanh(x, -0.5, 2.0),
    "softmax": lambda f, x: f.softmax(x, dim=1),
    "log_softmax": lambda f, x: f.log_softmax(x, dim=1),
    "celu": lambda f, x: f.celu(x, 1.3),
    "exp": lambda f, x: x.exp(),
    "log_sigmoid": lambda f, x: f.logsigmoid(x),
    "hardshrink": lambda f, x: f.hardshrink(x, 0.3),
    "softshrink": lambda f, x: f.softshrink(x, 0.3),
    "threshold": lambda f, x: f.threshold(x, 0.3, -1.5),
    **{n: (lambda f, x, n=n: getattr(f, n)(x)) for n in ("sigmoid", "tanh", "relu", "selu", "gelu", "silu", "softsign")},
    **{n: (lambda f, x, n=n: getattr(f, n)(x)) for n in ("hardsigmoid", "hardswish", "mish", "tanhshrink")},
}
#: PyTorch multiplies by 1 / 6 and 1 / alpha in float32.
ROUGH = {"hardsigmoid": 1e-7, "celu": 1e-7}


@pytest.mark.parametrize("name", TORCH)
def test_agrees_with_pytorch(name, isa, rng):
    """Values and gradients in float64, at kinks and infinities too."""
    torch = pytest.importorskip("torch")
    x, dy = batch((23, 11), "float64", rng), batch((23, 11), "float64", rng, 1)
    x[0, :6] = [0, -0.0, -0.5, 2.0, 2.5, 1e3]
    x[2, :7] = [-3, 3, 0.3, -0.3, 6, -6, np.nan]
    if name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "hardtanh", "celu", "log_sigmoid", "hardshrink", "threshold"):
        x[1, :2] = [np.inf, -np.inf]
    t = torch.tensor(x, requires_grad=True)
    y = TORCH[name](torch.nn.functional, t)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(forward(name, x, isa), y.detach().numpy(), rtol=1e-14, atol=1e-14)
    known = ~np.isnan(x)
    tolerance = ROUGH.get(name, 1e-13)
    np.testing.assert_allclose(backward(name, dy, x, isa)[known], t.grad.numpy()[known], rtol=tolerance, atol=tolerance)
