"""How activations are written: one entry for each NNC_ACTIVATION of the registry.

If the network computes in float64, what ONNX Runtime has only for float32 is made of operators that it has for float64, too, and
attributes, which are float32, are tensors instead.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, log, pi, sqrt
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from ..walk import Step
from .builder import Builder

Entry = Callable[[Builder, Step, str], str]

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_SLOPE = _SELU_SCALE * 1.6732632423543772848170429916717


def _is_double(b: Builder) -> bool:
    return b.walk.dtype == np.float64


def _plain(kind: str) -> Entry:
    return lambda b, step, x: b.add(kind, x)


def _step(b: Builder, step: Step, x: str) -> str:
    """1, 0, or NaN."""
    rest = b.add("Where", b.add("Equal", x, x), b.number(0.0), x)
    return b.add("Where", b.add("Greater", x, b.number(step.op.field("threshold"))), b.number(1.0), rest)


def _leaky_relu(b: Builder, step: Step, x: str) -> str:
    slope = step.op.field("negative_slope")
    if not _is_double(b):
        return b.add("LeakyRelu", x, alpha=slope)
    return b.add("Where", b.add("Greater", x, b.number(0.0)), x, b.add("Mul", x, b.number(slope)))


def _rise(b: Builder, x: str, alpha: float, divisor: float = 1.0) -> str:
    """alpha (exp(min(x, 0) / divisor) - 1), which is 0 for x > 0."""
    below = b.add("Min", x, b.number(0.0))
    below = below if divisor == 1 else b.add("Div", below, b.number(divisor))
    return b.add("Mul", b.add("Sub", b.add("Exp", below), b.number(1.0)), b.number(alpha))


def _elu(b: Builder, step: Step, x: str) -> str:
    if not _is_double(b):
        return b.add("Elu", x, alpha=step.op.field("alpha"))
    return b.add("Add", b.add("Relu", x), _rise(b, x, step.op.field("alpha")))


def _selu(b: Builder, step: Step, x: str) -> str:
    if not _is_double(b):
        return b.add("Selu", x)
    return b.add("Add", b.add("Mul", b.add("Relu", x), b.number(_SELU_SCALE)), _rise(b, x, _SELU_SLOPE))


def _celu(b: Builder, step: Step, x: str) -> str:
    alpha = step.op.field("alpha")
    if not _is_double(b):
        return b.add("Celu", x, alpha=alpha)
    return b.add("Add", b.add("Relu", x), _rise(b, x, alpha, alpha))


def _erf(b: Builder, x: str) -> str:
    """The error function in float64: with z = min(|x|, 6) and t = 2 / (2 + z), erf(z) = 1 - t exp(p(t) - z^2). The polynomial p
    interpolates log(erfc(z) / t) + z^2; erf differs from that of the C library by at most 1e-14."""
    z = b.add("Min", b.add("Abs", x), b.number(6.0))
    t = b.add("Div", b.number(2.0), b.add("Add", z, b.number(2.0)))
    u = b.add("Div", b.add("Sub", t, b.number(_MIDDLE)), b.number(_HALF))
    highest, *others = chebyshev.cheb2poly(chebyshev.chebinterpolate(_exponent, 18))[::-1]
    p = b.number(highest)
    for coefficient in others:
        p = b.add("Add", b.add("Mul", p, u), b.number(coefficient))
    upper = b.add("Mul", t, b.add("Exp", b.add("Sub", p, b.add("Mul", z, z))))
    return b.add("Mul", b.add("Sign", x), b.add("Sub", b.number(1.0), upper))


_MIDDLE, _HALF = 0.625, 0.375  # t is in [0.25, 1]


def _exponent(u: Any) -> Any:
    """log(erfc(z) / t) + z^2, by u = (t - middle) / half."""
    t = [float(each) for each in _MIDDLE + _HALF * u]
    return np.array([log(erfc(2 / each - 2) / each) + (2 / each - 2) ** 2 for each in t])


def _gelu(b: Builder, step: Step, x: str) -> str:
    """x (1 + erf(x / sqrt(2))) / 2, as PyTorch's exporter writes it."""
    scaled = b.add("Div", x, b.number(sqrt(2)))
    erf = _erf(b, scaled) if _is_double(b) else b.add("Erf", scaled)
    return b.add("Mul", b.add("Mul", x, b.add("Add", erf, b.number(1.0))), b.number(0.5))


def _gelu_tanh(b: Builder, step: Step, x: str) -> str:
    """x s(2u), u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    cubic = b.add("Mul", b.add("Mul", x, x), b.number(2 * sqrt(2 / pi) * 0.044715))
    inner = b.add("Mul", x, b.add("Add", cubic, b.number(2 * sqrt(2 / pi))))
    return b.add("Mul", x, b.add("Sigmoid", inner))


def _silu(b: Builder, step: Step, x: str) -> str:
    return b.add("Mul", x, b.add("Sigmoid", x))


def _softplus_of(b: Builder, x: str) -> str:
    """log(1 + exp(x)); in float64 as max(x, 0) - log(s(|x|)), which does not overflow."""
    if not _is_double(b):
        return b.add("Softplus", x)
    return b.add("Sub", b.add("Relu", x), b.add("Log", b.add("Sigmoid", b.add("Abs", x))))


def _softplus(b: Builder, step: Step, x: str) -> str:
    beta, threshold = step.op.field("beta"), step.op.field("threshold")
    scaled = x if beta == 1 else b.add("Mul", x, b.number(beta))
    smooth = _softplus_of(b, scaled)
    smooth = smooth if beta == 1 else b.add("Div", smooth, b.number(beta))
    if threshold >= -log(np.finfo(b.walk.dtype).eps):  # log(1 + exp(x)) is x there
        return smooth
    return b.add("Where", b.add("Greater", scaled, b.number(threshold)), x, smooth)


def _softsign(b: Builder, step: Step, x: str) -> str:
    if not _is_double(b):
        return b.add("Softsign", x)
    return b.add("Div", x, b.add("Add", b.add("Abs", x), b.number(1.0)))


def _hardtanh(b: Builder, step: Step, x: str) -> str:
    return b.add("Clip", x, b.number(step.op.field("min_val")), b.number(step.op.field("max_val")))


def _of_rows(kind: str) -> Entry:
    """An activation of rows, which are the last dimension. A sample that is one number is a row by itself."""

    def entry(b: Builder, step: Step, x: str) -> str:
        if b.value(step).shape:
            return b.add(kind, x, axis=-1)
        return b.reshape(b.add(kind, b.unsqueeze(x, 1), axis=-1), -1)

    return entry


def _hardsigmoid(b: Builder, step: Step, x: str) -> str:
    if not _is_double(b):
        return b.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return b.add("Div", b.add("Clip", b.add("Add", x, b.number(3.0)), b.number(0.0), b.number(6.0)), b.number(6.0))


def _hardswish(b: Builder, step: Step, x: str) -> str:
    return b.add("Mul", x, _hardsigmoid(b, step, x))


def _mish(b: Builder, step: Step, x: str) -> str:
    return b.add("Mul", x, b.add("Tanh", _softplus_of(b, x)))


def _log_sigmoid(b: Builder, step: Step, x: str) -> str:
    return b.add("Neg", _softplus_of(b, b.add("Neg", x)))


def _hardshrink(b: Builder, step: Step, x: str) -> str:
    """Not the operator Shrink, which makes 0 of NaN."""
    is_near = b.add("LessOrEqual", b.add("Abs", x), b.number(step.op.field("lambd")))
    return b.add("Where", is_near, b.number(0.0), x)


def _softshrink(b: Builder, step: Step, x: str) -> str:
    beyond = b.add("Sub", b.add("Abs", x), b.number(step.op.field("lambd")))
    return b.add("Mul", b.add("Sign", x), b.add("Relu", beyond))


def _tanhshrink(b: Builder, step: Step, x: str) -> str:
    return b.add("Sub", x, b.add("Tanh", x))


def _threshold(b: Builder, step: Step, x: str) -> str:
    is_below = b.add("LessOrEqual", x, b.number(step.op.field("threshold")))
    return b.add("Where", is_below, b.number(step.op.field("value")), x)


#: The name of an activation in the registry -> its entry. The identity has no steps.
ACTIVATIONS: dict[str, Entry] = {
    "step": _step,
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "relu": _plain("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "hardtanh": _hardtanh,
    "softmax": _of_rows("Softmax"),
    "log_softmax": _of_rows("LogSoftmax"),
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "mish": _mish,
    "exp": _plain("Exp"),
    "celu": _celu,
    "log_sigmoid": _log_sigmoid,
    "hardshrink": _hardshrink,
    "softshrink": _softshrink,
    "tanhshrink": _tanhshrink,
    "threshold": _threshold,
}
