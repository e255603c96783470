"""The mathematical functions that the file calls: those of <math.h>, and what is made of them.

`Program.function` returns the name of a function by a name of `FUNCTIONS`. Own functions are written into the file when they are
first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import Program


def _libm(name: str) -> Callable[[Program], str]:
    def entry(p: Program) -> str:
        p.headers.add("math.h")
        return name + ("f" if p.ctype == "float" else "")

    return entry


def _sigmoid(p: Program) -> str:
    exp = p.function("exp")
    return p.routine("sigmoid", f"static inline {p.ctype} @({p.ctype} v)\n{{\n    return 1 / (1 + {exp}(-v));\n}}\n")


def _softplus(p: Program) -> str:
    """log(1 + exp(v)), which does not overflow."""
    exp, log1p, t = p.function("exp"), p.function("log1p"), p.ctype
    return p.routine(
        "softplus",
        f"static inline {t} @({t} v)\n{{\n    return (v < 0 ? 0 : v) + {log1p}({exp}(v < 0 ? v : -v));\n}}\n",
    )


#: The functions of one number that entries may call.
FUNCTIONS: dict[str, Callable[[Program], str]] = {
    "exp": _libm("exp"),
    "expm1": _libm("expm1"),
    "log": _libm("log"),
    "log1p": _libm("log1p"),
    "tanh": _libm("tanh"),
    "erfc": _libm("erfc"),
    "sqrt": _libm("sqrt"),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}
