"""How activations are written: one entry for each NNC_ACTIVATION of the registry. An entry returns an expression."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np

from ..walk import Step
from .writer import Writer

Entry = Callable[[Writer, Step, str], str]


def _numpy(name: str) -> Entry:
    """A function of NumPy."""
    return lambda w, step, x: f"np.{name}({x})"


def _function(name: str, *fields: str) -> Entry:
    """A function of the file, with fields of the op."""
    return lambda w, step, x: w.call(name, x, *(w.number(step.op.field(field)) for field in fields))


def _of_rows(name: str) -> Entry:
    """A function of rows, which are the last dimension. A sample that is one number is a row by itself."""

    def entry(w: Writer, step: Step, x: str) -> str:
        return w.call(name, x) if w.value(step).shape else f"{w.call(name, f'{x}[:, None]')}[:, 0]"

    return entry


def _softplus(w: Writer, step: Step, x: str) -> str:
    """Where exp(threshold) is so large that log(1 + exp(x)) is x anyway, the threshold is left out."""
    beta, limit = (step.op.field(name) for name in ("beta", "threshold"))
    more = [] if limit >= -log(np.finfo(w.walk.dtype).eps) else [w.number(limit)]
    return w.call("softplus", x, *([w.number(beta)] if more or beta != 1 else []), *more)


def _hardtanh(w: Writer, step: Step, x: str) -> str:
    return f"np.clip({x}, {w.number(step.op.field('min_val'))}, {w.number(step.op.field('max_val'))})"


def _hardswish(w: Writer, step: Step, x: str) -> str:
    return f"{x} * {w.call('hardsigmoid', x)}"


def _tanhshrink(w: Writer, step: Step, x: str) -> str:
    return f"{x} - np.tanh({x})"


#: The name of an activation in the registry -> its entry. The identity has no steps.
ACTIVATIONS: dict[str, Entry] = {
    "step": _function("step", "threshold"),
    "sigmoid": _function("sigmoid"),
    "tanh": _numpy("tanh"),
    "relu": _function("relu"),
    "leaky_relu": _function("leaky_relu", "negative_slope"),
    "elu": _function("elu", "alpha"),
    "selu": _function("selu"),
    "gelu": _function("gelu"),
    "gelu_tanh": _function("gelu_tanh"),
    "silu": _function("silu"),
    "softplus": _softplus,
    "softsign": _function("softsign"),
    "hardtanh": _hardtanh,
    "softmax": _of_rows("softmax"),
    "log_softmax": _of_rows("log_softmax"),
    "hardsigmoid": _function("hardsigmoid"),
    "hardswish": _hardswish,
    "mish": _function("mish"),
    "celu": _function("celu", "alpha"),
    "log_sigmoid": _function("log_sigmoid"),
    "hardshrink": _function("hardshrink", "lambd"),
    "softshrink": _function("softshrink", "lambd"),
    "tanhshrink": _tanhshrink,
    "threshold": _function("threshold", "threshold", "value"),
    "exp": _numpy("exp"),
}
