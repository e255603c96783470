"""How activations are written: one entry for each NNC_ACTIVATION of the registry.

An activation of one number is an expression of v, of which a small function is made. Activations of rows are functions that may
change a row in place. NaN is passed on, as in nncore: so comparisons are written the way round in which NaN is not replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import pi, sqrt

from ..walk import Step
from .program import Body, Program

Expression = Callable[[Program, Step], str]
Entry = Callable[[Body, Step], None]

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_SLOPE = _SELU_SCALE * 1.6732632423543772848170429916717
_HARDSIGMOID = "(v + 3 < 0 ? 0 : v + 3 > 6 ? 6 : v + 3) / 6"


def _of_elements(b: Body, step: Step, function: str) -> None:
    """Apply a function to every number, in place if possible."""
    (x,), y = b.inputs(step), b.in_place(step)
    b.loop("i", b.size(step.output), f"{y}[i] = {function}({x}[i]);")


def _element(name: str, expression: Expression) -> Entry:
    """A function of one number v with this value: one expression, or statements that return it."""

    def entry(b: Body, step: Step) -> None:
        p, value = b.program, expression(b.program, step)
        statements = value if ";" in value else f"    return {value};"
        _of_elements(b, step, p.routine(name, f"static inline {p.ctype} @({p.ctype} v)\n{{\n{statements}\n}}\n"))

    return entry


def _formula(name: str, formula: str) -> Entry:
    """An expression of v, in which ``{alpha}`` is a field of the op, and ``&exp`` a function of functions.py."""

    def expression(p: Program, step: Step) -> str:
        found = re.sub(r"\{(\w+)\}", lambda match: p.number(step.op.field(match[1])), formula)
        return re.sub(r"&(\w+)\(", lambda match: f"{p.function(match[1])}(", found)

    return _element(name, expression)


def _called(name: str) -> Entry:
    """An activation that is a function of functions.py."""
    return lambda b, step: _of_elements(b, step, b.program.function(name))


def _elu(p: Program, step: Step) -> str:
    alpha = step.op.field("alpha")
    return f"v > 0 ? v : {'' if alpha == 1 else p.number(alpha) + ' * '}{p.function('expm1')}(v)"


def _selu(p: Program, step: Step) -> str:
    return f"v > 0 ? {p.number(_SELU_SCALE)} * v : {p.number(_SELU_SLOPE)} * {p.function('expm1')}(v)"


def _gelu_tanh(p: Program, step: Step) -> str:
    linear, cubic = p.number(2 * sqrt(2 / pi)), p.number(2 * sqrt(2 / pi) * 0.044715)
    return f"v * {p.function('sigmoid')}(v * ({linear} + {cubic} * (v * v)))"


def _softplus(p: Program, step: Step) -> str:
    beta, threshold, softplus = step.op.field("beta"), p.number(step.op.field("threshold")), p.function("softplus")
    if beta == 1:
        return f"v > {threshold} ? v : {softplus}(v)"
    return f"{p.number(beta)} * v > {threshold} ? v : {softplus}({p.number(beta)} * v) / {p.number(beta)}"


def _mish(p: Program, step: Step) -> str:
    """v tanh(log(1 + e^v)) as a quotient in which nothing overflows or cancels."""
    return (
        f"    const {p.ctype} z = {p.function('exp')}(v < 0 ? v : -v);\n"
        "    return v < 0 ? v * (z * z + 2 * z) / (z * z + 2 * z + 2) : v * (1 + 2 * z) / (1 + 2 * z + 2 * z * z);"
    )


def _hardshrink(p: Program, step: Step) -> str:
    near = step.op.field("lambd")
    return f"v >= {p.number(-near)} && v <= {p.number(near)} ? 0 : v"


_LARGEST = """\
    TYPE top = x[0], sum = 0;
    for (int i = 1; i < n; i++) {
        top = x[i] > top ? x[i] : top;
    }
"""
_SOFTMAX = f"""\
/* e^x[i] / sum of all e^x[j]; the largest x is subtracted before, so that nothing overflows. */
static void @(const TYPE *x, int n, TYPE *y)
{{
{_LARGEST}\
    for (int i = 0; i < n; i++) {{
        y[i] = EXP(x[i] - top);
        sum += y[i];
    }}
    for (int i = 0; i < n; i++) {{
        y[i] /= sum;
    }}
}}
"""
_LOG_SOFTMAX = f"""\
/* x[i] - log(sum of all e^x[j]); the largest x is subtracted before, so that nothing overflows. */
static void @(const TYPE *x, int n, TYPE *y)
{{
{_LARGEST}\
    for (int i = 0; i < n; i++) {{
        sum += EXP(x[i] - top);
    }}
    sum = LOG(sum);
    for (int i = 0; i < n; i++) {{
        y[i] = x[i] - top - sum;
    }}
}}
"""


def _of_rows(name: str, source: str) -> Entry:
    """An activation of rows, which are the last dimension. A sample that is one number is a row by itself."""

    def entry(b: Body, step: Step) -> None:
        (x,), y, p = b.inputs(step), b.in_place(step), b.program
        text = source.replace("EXP", p.function("exp")).replace("TYPE", p.ctype)
        function = p.routine(name, text.replace("LOG", p.function("log")) if "LOG" in text else text)
        b.rows(function, b.shape(step), (x, y), lambda x, y, n: f"{x}, {n}, {y}")

    return entry


#: The name of an activation in the registry -> its entry. The identity has no steps.
ACTIVATIONS: dict[str, Entry] = {
    "step": _formula("heaviside", "v > {threshold} ? 1 : v == v ? 0 : v"),
    "sigmoid": _called("sigmoid"),
    "tanh": _called("tanh"),
    "relu": _formula("relu", "v < 0 ? 0 : v"),
    "leaky_relu": _formula("leaky_relu", "v > 0 ? v : {negative_slope} * v"),
    "elu": _element("elu", _elu),
    "selu": _element("selu", _selu),
    "gelu": _formula("gelu", "v * &normal(v)"),
    "gelu_tanh": _element("gelu_tanh", _gelu_tanh),
    "silu": _formula("silu", "v * &sigmoid(v)"),
    "softplus": _element("softplus_layer", _softplus),
    "softsign": _formula("softsign", "v / (1 + (v < 0 ? -v : v))"),
    "hardtanh": _formula("hardtanh", "v < {min_val} ? {min_val} : v > {max_val} ? {max_val} : v"),
    "softmax": _of_rows("softmax", _SOFTMAX),
    "log_softmax": _of_rows("log_softmax", _LOG_SOFTMAX),
    "hardsigmoid": _formula("hardsigmoid", _HARDSIGMOID),
    "hardswish": _formula("hardswish", f"v * ({_HARDSIGMOID})"),
    "mish": _element("mish", _mish),
    "exp": _called("exp"),
    "celu": _formula("celu", "v > 0 ? v : {alpha} * &expm1(v / {alpha})"),
    "log_sigmoid": _formula("log_sigmoid", "-&softplus(-v)"),
    "hardshrink": _element("hardshrink", _hardshrink),
    "softshrink": _formula("softshrink", "v > {lambd} ? v - {lambd} : -v > {lambd} ? v + {lambd} : v == v ? 0 : v"),
    "tanhshrink": _formula("tanhshrink", "v - &tanh(v)"),
    "threshold": _formula("threshold", "v <= {threshold} ? {value} : v"),
}
