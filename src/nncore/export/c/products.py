"""Products with a matrix of weights of the type in which the file computes, with the bias: y = b + W x.

The outputs are taken in panels of four. A panel is stored as its biases, and then for each input its four weights. So the sum of
an output is one chain from its bias on, in increasing inputs, and four outputs are one vector. The last one to three outputs, if
four do not divide their number, are rows: the bias, and the weights of all inputs.

Two panels at once, or four in wide layers, keep a processor with vectors busy. They are GCC's vector types where there are such:
GCC 12 makes vectors of the plain loop too, but not wherever it is inlined. Elsewhere one panel at once is the smallest code. The
sums are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .linear import product
from .weights import Stored, store

if TYPE_CHECKING:
    from .program import Body, Program
    from .workspace import Buffer

#: From how many outputs on a layer is wide.
WIDE = 64
_HEAD = """\
/* y = b + W x for m inputs and n outputs. W lies in panels of four outputs: first the four biases b, then
 * for each input its four weights. The outputs that are left are rows: the bias, and the weights. */
#if defined(__GNUC__)
__attribute__((noinline)) /* once in the file is enough, and smaller */
#endif
static void @(const TYPE *x, int m, const TYPE *w, int n, TYPE *y)
{
"""
_VECTORS = """\
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__aarch64__))
    typedef TYPE four __attribute__((vector_size(4 * sizeof(TYPE)), aligned(sizeof(TYPE)), may_alias));
    WHILE {
        const int d = n < 8 ? 0 : 4, s = (m + 1) * d; /* where the second panel is, or the same one again */
        const TYPE *p = x;
        four a = *(const four *)w, b = *(const four *)(w + s);
        do {
            w += 4;
            a += *p * *(const four *)w;
            b += *p * *(const four *)(w + s);
        } while (++p != x + m);
        *(four *)y = a;
        *(four *)(y + d) = b;
        w += 4 + s;
        y += 4 + d;
        n -= 4 + d;
    }END
#else
"""
#: Twice as many, for wide layers: a third faster, and some 80 bytes more.
_WIDE_VECTORS = """\
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__aarch64__))
    typedef TYPE four __attribute__((vector_size(4 * sizeof(TYPE)), aligned(sizeof(TYPE)), may_alias));
    WHILE {
        const int d = n < 16 ? 0 : 4, s = (m + 1) * d; /* how far panels are apart, or the same one four times */
        four a = *(const four *)w, b = *(const four *)(w + s);
        four c = *(const four *)(w + 2 * s), e = *(const four *)(w + 3 * s);
        w += 4;
        for (int k = 0; k < m; k++, w += 4) {
            a += x[k] * *(const four *)w;
            b += x[k] * *(const four *)(w + s);
            c += x[k] * *(const four *)(w + 2 * s);
            e += x[k] * *(const four *)(w + 3 * s);
        }
        *(four *)y = a;
        *(four *)(y + d) = b;
        *(four *)(y + 2 * d) = c;
        *(four *)(y + 3 * d) = e;
        w += 3 * s;
        y += 4 + 3 * d;
        n -= 4 + 3 * d;
    }END
#else
"""
_PLAIN = """\
    WHILE {
        const TYPE *p = x;
        TYPE a = w[0], b = w[1], c = w[2], d = w[3];
        do {
            const TYPE v = *p++;
            w += 4;
            a += v * w[0];
            b += v * w[1];
            c += v * w[2];
            d += v * w[3];
        } while (p != x + m);
        w += 4;
        y[0] = a;
        y[1] = b;
        y[2] = c;
        y[3] = d;
        y += 4;
        n -= 4;
    }END
"""
_REST = """\
    while (n-- > 0) {
        const TYPE *p = x;
        TYPE a = *w++;
        do {
            a += *p++ * *w++;
        } while (p != x + m);
        *y++ = a;
    }
"""


class Matrix(NamedTuple):
    """A matrix of weights and its bias in the file."""

    inputs: int
    outputs: int
    name: str  #: of the array
    stored: Stored | None = None  #: if the weights are stored in another type; the bias is an array of its own then
    bias: str = ""  #: its name then, or "" if it is zero


def matrix(p: Program, key: Any, name: str, weight: np.ndarray, bias: np.ndarray | None, said: str) -> Matrix:
    """Declare a matrix [outputs, inputs] and its bias [outputs], only the first time for each key.

    Parameters
    ----------
    p : Program
        The file.
    key : hashable
        Equal for equal matrices with equal biases.
    name : str
        The name that the array should have.
    weight, bias : numpy.ndarray
        The numbers; None for a bias of zeros.
    said : str
        The names of the parameters, for the comment.
    """
    outputs, inputs = weight.shape
    bias = np.zeros(outputs, weight.dtype) if bias is None else bias
    said = f"{said} [{outputs}, {inputs}]"
    if p.weights in (None, p.dtype.name):
        array = p.constant((key, "panels"), name, panels(weight, bias), f"{said} in panels of 4 outputs, biases first")
        return Matrix(inputs, outputs, array)
    stored = store(p, (key, "transposed"), name, weight.T, f"{said}, transposed")
    array = p.constant((key, "bias"), f"{name}_bias", bias, f"the bias of {name}") if bias.any() else ""
    return Matrix(inputs, outputs, stored.name, stored, array)


def panels(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return [outputs, inputs] and [outputs] as the product reads them."""
    rows = np.concatenate([bias[:, None], weight], axis=1)
    whole = len(rows) // 4 * 4
    first = rows[:whole].reshape(-1, 4, rows.shape[1]).transpose(0, 2, 1)
    return np.concatenate([first.ravel(), rows[whole:].ravel()])


def multiply(b: Body, x: Buffer | str, m: Matrix, y: Buffer | str, rows: int = 1) -> None:
    """Add statements for y = bias + W x of rows that lie one after another. x and y are pointers that do not overlap."""
    if m.stored is not None:
        product(b, x, m.inputs, m.stored, m.bias, m.outputs, y, rows)
    elif rows > 1:
        b.line(f"for (int i = 0; i < {rows}; i++) {{")
        multiply(b, f"{x} + {m.inputs} * i", m, f"{y} + {m.outputs} * i")
        b.line("}")
        b.multiply_adds += (rows - 1) * m.inputs * m.outputs
    else:
        b.line(f"{_routine(b.program, m.outputs)}({x}, {m.inputs}, {m.name}, {m.outputs}, {y});")
        b.multiply_adds += m.inputs * m.outputs


def _routine(p: Program, outputs: int) -> str:
    """Return the name of the function, which has what the products of the file need, this one included."""
    needs = p.products
    if not needs:
        p.product = p.unique("product")
    parts = {"four": outputs >= 4, "eight": outputs >= 8, "many": outputs >= WIDE, "rest": outputs % 4}
    needs |= {part for part, is_needed in parts.items() if is_needed}
    vectors = _WIDE_VECTORS if "many" in needs else _VECTORS
    four = f"{vectors}{_PLAIN}#endif\n" if "eight" in needs else _PLAIN
    four = four.replace("WHILE", "while (n >= 4)" if "rest" in needs else "do")
    four = four.replace("END", "" if "rest" in needs else " while (n > 0);")
    source = _HEAD + (four if "four" in needs else "") + (_REST if "rest" in needs else "") + "}\n"
    p.routines[p.product] = source.replace("TYPE", p.ctype).replace("@", p.product)
    return p.product
