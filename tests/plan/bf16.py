"""The products of bfloat16 in NumPy, to the bit: csrc/ops/low_kernels.h says in what order they are summed.

A product of two numbers of bfloat16 is exact in float64, and so is, but for a tie in one of 2^29 sums, its sum with a number of
float32. So a fused multiply-add is a sum in float64 that is rounded to float32.
"""

import numpy as np

TINY = np.float32(2.0**-126)


def rounded(x):
    """Numbers of float32, rounded to bfloat16."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    return flushed(bits.astype(np.uint32).view(np.float32))


def flushed(x):
    """Numbers of float32, with denormals as zeros."""
    return np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x).astype(np.float32)


def product(a, b):
    """a @ b in float32, of operands rounded to bfloat16."""
    a, b = rounded(a).astype(np.float64), rounded(b).astype(np.float64)
    k = -len(b) % 32
    a, b = np.pad(a, [(0, 0), (0, k)]), np.pad(b, [(0, k), (0, 0)])
    total = np.zeros((len(a), b.shape[1]), np.float32)
    for first in range(0, len(b), 32):
        chains = [np.zeros_like(total), np.zeros_like(total)]
        for i in range(first, first + 32):
            chain = chains[i % 2]
            chain[...] = flushed((chain.astype(np.float64) + a[:, i : i + 1] * b[i]).astype(np.float32))
        total = flushed(total + flushed(chains[0] + chains[1]))
    return total


def column_sum(x):
    """The sums of the columns in float32: of each 32 rows in order, then of these."""
    total = np.zeros(x.shape[1], np.float32)
    for first in range(0, len(x), 32):
        part = np.zeros_like(total)
        for row in x[first : first + 32]:
            part = part + row
        total = total + part
    return total
