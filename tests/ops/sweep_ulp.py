"""How far the elementary functions are from the truth, in ULP: the meter of test_vmath.py, and a sweep over all float32 numbers.

    python tests/ops/sweep_ulp.py                        every function on every instruction set, all 2^32 inputs (hours)
    python tests/ops/sweep_ulp.py --isa avx2 --function exp --step 101

It prints the largest error and the input that has it; csrc/ops/vmath.h records them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from nncore import _core
from nncore._core import kernels

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def activation(name, *attr):
    return lambda x, isa: kernels.activation_forward(name, x[None, :], attr, isa=isa)[0]


def sigmoid(x):
    z = np.exp(-np.abs(x))
    return np.where(x < 0, z, 1) / (1 + z)


@dataclass(frozen=True)
class Function:
    """A function of one array: as nncore computes it, as NumPy does in a wider type, and the largest error allowed."""

    compute: Callable
    exact: Callable
    bound: dict[str, float]


#: The bounds of exp, sigmoid and tanh in float32 are promised; the others are what vmath.h states, rounded up.
FUNCTIONS = {
    "exp": Function(lambda x, isa: kernels.exp(x, isa=isa), np.exp, {"float32": 1.0, "float64": 1.0}),
    "log": Function(lambda x, isa: kernels.log(x, isa=isa), np.log, {"float32": 1.0, "float64": 1.0}),
    "sigmoid": Function(activation("sigmoid"), sigmoid, {"float32": 2.5, "float64": 2.5}),
    "tanh": Function(activation("tanh"), np.tanh, {"float32": 4.5, "float64": 4.5}),
    "elu": Function(activation("elu", 1.0), lambda x: np.where(x > 0, x, np.expm1(x)), {"float32": 1.7, "float64": 2.1}),
    "softplus": Function(activation("softplus", 1.0, np.inf), lambda x: np.logaddexp(x, 0), {"float32": 2.2, "float64": 2.2}),
    "gelu": Function(activation("gelu"), lambda x: x * ndtr(x), {"float32": 11.0}),  # SciPy has no ndtr for longdouble
}


def ulp_errors(y, exact):
    """Error of each y in units in the last place of the exact value; inf where a NaN or an infinity is missing or misplaced."""
    info = np.finfo(y.dtype)
    exponent = np.frexp(exact)[1]
    ulp = np.ldexp(np.ones((), exact.dtype), np.maximum(exponent, info.minexp + 1) - 1 - info.nmant)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(y.dtype)
        errors = np.abs(y.astype(exact.dtype) - exact) / ulp
    errors[~(np.isfinite(y) & np.isfinite(exact))] = np.inf
    errors[(y == rounded) | (np.isnan(y) & np.isnan(exact))] = 0
    return errors


def worst(function, x, isa):
    """The largest error over the numbers in x, and the number that has it."""
    with np.errstate(all="ignore"):
        exact = function.exact(x.astype(WIDER[x.dtype]))
    errors = ulp_errors(function.compute(x, isa), exact)
    at = int(np.argmax(errors))
    return float(errors[at]), x[at]


def every(step, first=0, stop=2**32):
    """The float32 numbers whose bits are first, first + step, ... below stop."""
    return np.arange(first, stop, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", choices=_core.isas(), action="append", help="default: all that this CPU has")
    parser.add_argument("--function", choices=FUNCTIONS, action="append", help="default: all")
    parser.add_argument("--step", type=int, default=1, help="take every STEP-th float32 number; an odd STEP meets every exponent")
    options = parser.parse_args()
    block = 2**22 * options.step
    for name in options.function or FUNCTIONS:
        for isa in options.isa or _core.isas():
            blocks = (every(options.step, first, min(first + block, 2**32)) for first in range(0, 2**32, block))
            error, x = max((worst(FUNCTIONS[name], x, isa) for x in blocks), key=lambda found: found[0])
            print(f"{name:9} {isa:9} {error:.4f} ULP at {float(x).hex()}", flush=True)


if __name__ == "__main__":
    main()
