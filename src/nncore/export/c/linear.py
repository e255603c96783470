"""Products with a matrix of weights.

The weights of a layer lie as [inputs, outputs]. Four inputs at a time are multiplied with their rows and added to all outputs. So
the sum of an output is one chain of groups of four, and a compiler may compute several outputs in one vector without changing any
result: GCC does so with -O2, for it knows the sizes after inlining.
"""

from __future__ import annotations

from .program import Body
from .weights import Stored
from .workspace import Buffer

_LINEAR = """\
static inline void @(const TYPE *RESTRICT x, int n, const WEIGHT *RESTRICT w, const TYPE *RESTRICT b,SCALED
    int m, TYPE *RESTRICT y)
{
    int i, j;
    for (j = 0; j < m; j++) {
        y[j] = FIRST;
    }
    for (i = 0; i + 4 <= n; i += 4, w += 4 * m) {
        const TYPE x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
        for (j = 0; j < m; j++) {
            y[j] += x0 * W0 + x1 * W1 + x2 * W2 + x3 * W3;
        }
    }
    for (; i < n; i++, w += m) {
        const TYPE x0 = x[i];
        for (j = 0; j < m; j++) {
            y[j] += x0 * W0;
        }
    }LAST
}
"""


def product(b: Body, x: Buffer | str, inputs: int, weights: Stored, bias: str, outputs: int, y: Buffer | str) -> None:
    """Add a statement for y = bias + x @ weights. x and y are pointers that do not overlap."""
    scaled = f" {weights.scales}," if weights.scales else ""
    b.line(f"{_routine(b, weights)}({x}, {inputs}, {weights.name}, {bias},{scaled} {outputs}, {y});")
    b.multiply_adds += inputs * outputs


def _routine(b: Body, weights: Stored) -> str:
    """Return the name of the function for a format of weights. With scales, sums are multiplied before the bias is added."""
    source = _LINEAR
    for i, at in enumerate(("j", "m + j", "2 * m + j", "3 * m + j")):
        source = source.replace(f"W{i}", weights.read.format(f"w[{at}]"))
    if weights.scales:
        scaled = " const TYPE *RESTRICT s,"
        first, last = "0", "\n    for (j = 0; j < m; j++) {\n        y[j] = b[j] + s[j] * y[j];\n    }"
    else:
        scaled, first, last = "", "b[j]", ""
    source = source.replace("SCALED", scaled).replace("FIRST", first).replace("LAST", last)
    source = source.replace("WEIGHT", weights.ctype).replace("RESTRICT", f"{b.program.name.upper()}_RESTRICT")
    return b.program.routine("linear", source.replace("TYPE", b.program.ctype))
