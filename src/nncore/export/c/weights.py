"""How matrices of weights are stored in the file, and how a number of them is read.

A format says what elements are declared, and how the code spells the reading of one. Biases, scales and shifts of normalizations
and other short arrays are always stored in the type in which the file computes.

``float16`` and ``bfloat16`` are stored as 16-bit integers, and turned into float by integer operations, so that no compiler needs
to know these types, and the order of bytes does not matter. Weights are rounded to the nearest, ties to even.

``int8`` has one scale for each output, as ``Model.quantize``: scale = max |w| / 127, q = w / scale rounded to the nearest, ties to
even. Inputs stay floating numbers: an element becomes one when it is read, and the sum is multiplied by the scale. So results are
as exact as the weights are, and streams collect no error of rounded states. With -Os, GCC makes 5 instructions of a multiply-add
for a Cortex-M4 with its floating-point unit, and 3 for float weights; sums of integers would take 3, too, but need a pass that
rounds the inputs and finds their scale, and more code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import ArgumentError
from .functions import float_of_bits

if TYPE_CHECKING:
    from .program import Program


class Stored(NamedTuple):
    """A matrix [inputs, outputs] in the file."""

    name: str  #: of the array
    ctype: str  #: of its elements
    read: str  #: an expression for a number, with {} for the element: "{}" if elements are the numbers
    scales: str | None = None  #: the name of an array with a factor for each output, applied to sums; None: no factors


#: What to_c(weights=) may be, besides None, which stands for the type in which the file computes.
FORMATS = ("float32", "float64", "float16", "bfloat16", "int8")

_HALF = """\
/* A half-precision number: its exponent and fraction in the places of a float, times 2^112, the difference of the biases */
static inline float @(uint16_t h)
{
    return BITS((uint32_t)(h & 0x8000u) << 16 | (uint32_t)(h & 0x7fffu) << 13) * 5192296858534827628530496329220096.0f;
}
"""
_BFLOAT = """\
/* A bfloat16 number: the upper half of a float */
static inline float @(uint16_t h)
{
    return BITS((uint32_t)h << 16);
}
"""


def store(p: Program, key: Any, name: str, matrix: np.ndarray, said: str) -> Stored:
    """Declare a matrix [inputs, outputs], only the first time for each key, and return how it is read."""
    kind = p.weights
    if kind is None or np.dtype(p.dtype).name == kind:
        return Stored(p.constant(key, name, matrix, said), p.ctype, "{}")
    as_number = "({})" if p.ctype == "float" else "(double)({})"
    if kind in ("float32", "float64"):
        other = "float" if kind == "float32" else "double"
        _require_finite(matrix, name, kind)
        return Stored(p.constant(key, name, np.asarray(matrix, kind), said, other), other, f"({p.ctype}){{}}")
    p.headers.add("stdint.h")
    if kind == "int8":
        q, scales = quantized(matrix, name)
        array = p.constant((key, "scales"), f"{name}_scales", scales, f"a scale for each of the {len(scales)} outputs of {name}")
        return Stored(p.constant(key, name, q, f"{said}, as 8-bit integers", "int8_t"), "int8_t", f"({p.ctype}){{}}", array)
    bits = as_float16(matrix, name) if kind == "float16" else as_bfloat16(matrix, name)
    read = p.routine(kind, (_HALF if kind == "float16" else _BFLOAT).replace("BITS", float_of_bits(p)))
    array = p.constant(key, name, bits, f"{said}, as {kind}", "uint16_t")
    return Stored(array, "uint16_t", as_number.format(f"{read}({{}})"))


def rounded(matrix: np.ndarray, kind: str | None, name: str = "weight") -> np.ndarray:
    """Return the numbers that a file reads from a matrix [inputs, outputs] that it stores in a format."""
    if kind == "int8":
        q, scales = quantized(matrix, name)
        exact: np.ndarray = q.astype(matrix.dtype) * scales.astype(matrix.dtype)
        return exact
    if kind == "float16":
        return as_float16(matrix, name).view(np.float16).astype(matrix.dtype)
    if kind == "bfloat16":
        return (as_bfloat16(matrix, name).astype(np.uint32) << 16).view(np.float32).astype(matrix.dtype)
    stored: np.ndarray = matrix if kind is None else matrix.astype(kind)
    return stored.astype(matrix.dtype)


def quantized(matrix: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the 8-bit integers [inputs, outputs] and the scales [outputs] of a matrix."""
    _require_finite(matrix, name, "int8")
    matrix = np.asarray(matrix, np.float32)
    largest = np.abs(matrix).max(axis=0, initial=0)
    scales = np.where(largest < np.float32(2.0**-119), np.float32(0), largest / np.float32(127)).astype(np.float32)
    q = np.rint(np.divide(matrix, scales, out=np.zeros_like(matrix), where=scales > 0))
    return q.astype(np.int8), scales


def as_float16(matrix: np.ndarray, name: str) -> np.ndarray:
    """Return the bits of the nearest half-precision numbers."""
    _require_finite(matrix, name, "float16")
    with np.errstate(over="ignore", under="ignore"):
        found = np.asarray(matrix).astype(np.float16)
    if not np.isfinite(found).all():
        largest = np.abs(matrix).max()
        raise ArgumentError(
            f"to_c: weights='float16' ends at 65504, but {name} has {largest:.6g}; 'bfloat16' has the range of float32"
        )
    return np.ascontiguousarray(found).view(np.uint16)


def as_bfloat16(matrix: np.ndarray, name: str) -> np.ndarray:
    """Return the bits of the nearest bfloat16 numbers."""
    _require_finite(matrix, name, "bfloat16")
    bits = np.ascontiguousarray(matrix, np.float32).view(np.uint32)
    found = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    if ((found & 0x7F80) == 0x7F80).any():
        raise ArgumentError(f"to_c: weights='bfloat16' ends at 3.39e38, but {name} has {np.abs(matrix).max():.6g}")
    return found.astype(np.uint16)


def _require_finite(matrix: np.ndarray, name: str, kind: str) -> None:
    with np.errstate(over="ignore", under="ignore"):
        is_finite = np.isfinite(np.asarray(matrix).astype(np.float32)).all()
    if kind != "float64" and not is_finite:
        raise ArgumentError(
            f"to_c: weights={kind!r} needs finite numbers, but {name} has NaN, infinity, or what is infinite in float32"
        )
