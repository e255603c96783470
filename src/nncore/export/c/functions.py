"""The mathematical functions that the file calls, each written once and only if something calls it.

`Program.function` returns the name of a function by a name of `FUNCTIONS`. With ``exp="libm"`` they are those of <math.h>, and what
is made of them. With ``exp="fast"`` they are short polynomials (fast.py), and the file needs no library.

The largest error of the fast ones in ULP, with and without fused multiply-adds: exp, sigmoid and tanh in float32 over all 2^32
numbers, the other functions in float32 over every 499th, float64 over 10^6 random ones.

=========  ===================================  =======  =======
function   value                                float32  float64
=========  ===================================  =======  =======
exp        exp(x)                               1.01     0.99
expm1      exp(x) - 1                           1.54     1.94
log        log(x), x normal and positive        0.84     0.90
log1p      log(1 + x), 0 <= x <= 1              1.18     1.18
tanh       tanh(x)                              3.66     3.29
sigmoid    1 / (1 + exp(-x))                    2.41     2.33
softplus   log(1 + exp(x))                      1.82     1.79
normal     (1 + erf(x / sqrt(2))) / 2           5.63     9.80
sqrt       square root of x >= 0                0.85     0.85
=========  ===================================  =======  =======

NaN stays NaN. Denormal results of exp and sigmoid are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import fast

if TYPE_CHECKING:
    from .program import Program

#: The functions of one number v that entries may call. The value is C for it, where it is not a function of <math.h>.
FUNCTIONS: dict[str, str | None] = {
    "exp": None,
    "expm1": None,
    "log": None,
    "log1p": None,
    "tanh": None,
    "sqrt": None,
    "sigmoid": "1 / (1 + {exp}(-v))",
    "softplus": "(v < 0 ? 0 : v) + {log1p}({exp}(v < 0 ? v : -v))",
    "normal": "{half} * {erfc}({root} * v)",
}


def function(p: Program, name: str) -> str:
    """Return the name of a mathematical function in the file, and see to it that the file has it."""
    source = FUNCTIONS[name]
    if p.exp == "fast":
        return _fast(p, name)
    if source is None:
        return _of_library(p, name)
    words = {each: _of_library(p, each) for each in ("exp", "log1p", "erfc") if f"{{{each}}}" in source}
    value = source.format(**words, half=p.number(0.5), root=p.number(-(0.5**0.5)))
    return p.routine(name, f"static inline {p.ctype} @({p.ctype} v)\n{{\n    return {value};\n}}\n")


def _of_library(p: Program, name: str) -> str:
    p.headers.add("math.h")
    return f"{name}f" if p.ctype == "float" else name


def _fast(p: Program, name: str, ctype: str | None = None) -> str:
    p.headers.add("stdint.h")
    return p.routine(name, fast.written(name, ctype or p.ctype, lambda other: _fast(p, other, ctype)))


def float_of_bits(p: Program) -> str:
    """Return the name of a function that makes a float, also where the file computes in double, of the bits of one."""
    return _fast(p, "from_bits", "float")
