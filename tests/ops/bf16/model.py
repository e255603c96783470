"""What products of bfloat16 have to give, in rational numbers: csrc/ops/low_kernels.h is the specification."""

import math
from fractions import Fraction

import numpy as np

SIDE = 32
NAN = np.array(0x7FC00000, np.uint32).view(np.float32)[()]


def rounded_to_bf16(x):
    """The upper halves of floats, to nearest even; denormals to signed zero, NaN quieted."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    magnitude = bits & 0x7FFFFFFF
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    nearest = np.where(magnitude < 0x00800000, bits >> 16 & 0x8000, nearest)
    return np.where(magnitude > 0x7F800000, bits >> 16 | 0x40, nearest).astype(np.uint16)


def as_floats(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


def padded(x):
    return np.pad(x, [(0, -size % SIDE) for size in x.shape])


def form(x, name, isa=None):
    """A matrix of bfloat16 as blocks [., ., 1024]; on which instruction set matters for the form at."""
    if name == "at" and isa != "amx":
        return np.ascontiguousarray(form(x, "a").swapaxes(0, 1))
    x = padded(x.T if name in ("at", "bt") else x)
    rows, cols = x.shape[0] // SIDE, x.shape[1] // SIDE
    if name in ("a", "at"):
        return x.reshape(rows, SIDE, cols, SIDE).transpose(0, 2, 1, 3).reshape(rows, cols, SIDE * SIDE)
    return x.reshape(rows, 16, 2, cols, 2, 16).transpose(3, 0, 4, 1, 5, 2).reshape(cols, rows, SIDE * SIDE)


def to_float(exact, negative):
    """A rational number to 24 bits; below 2^-126 after that, a zero."""
    if exact == 0:
        return -0.0 if negative else 0.0
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    quantum = Fraction(2) ** (exponent - 23)
    size = round(size / quantum) * quantum
    value = 0.0 if size < Fraction(2) ** -126 else math.inf if size >= Fraction(2) ** 128 else float(size)
    return -value if exact < 0 else value


def fused(a, b, c):
    """a b + c of Python floats that are no denormals."""
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return a * b + c if not ((math.isinf(a) and b == 0) or (a == 0 and math.isinf(b))) else math.nan
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    negative = math.copysign(1, a) * math.copysign(1, b) < 0 and math.copysign(1, c) < 0
    return to_float(exact, negative)


def flushed(x):
    return math.copysign(0.0, x) if abs(x) < 2.0**-126 else x


def product(a, b):
    """A B of bfloat16 matrices [m, k] and [k, n], element by element."""
    k = -(-a.shape[1] // SIDE) * SIDE
    left = np.pad(as_floats(a), ((0, 0), (0, k - a.shape[1]))).tolist()
    right = np.pad(as_floats(b), ((0, k - b.shape[0]), (0, 0))).T.tolist()
    left, right = ([[flushed(x) for x in row] for row in rows] for rows in (left, right))
    c = np.zeros((len(left), len(right)), np.float32)
    for i, row in enumerate(left):
        for j, column in enumerate(right):
            total = 0.0
            for begin in range(0, k, SIDE):
                chains = [0.0, 0.0]
                for q in range(begin, begin + SIDE):
                    chains[q % 2] = fused(row[q], column[q], chains[q % 2])
                total = fused(1.0, total, fused(1.0, chains[0], chains[1]))
            c[i, j] = total
    return np.where(np.isnan(c), NAN, c)


def column_sums(y):
    """The sums of each 32 rows, one row of them per block."""
    sums = np.zeros((-(-len(y) // SIDE), y.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for i, row in enumerate(y):
            sums[i // SIDE] += row
    sums[np.abs(sums) < np.float32(2.0**-126)] *= 0
    return np.where(np.isnan(sums), NAN, sums)
