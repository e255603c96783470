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
static inline void @(const TYPE *RESTRICT x, int n, const WEIGHT *RESTRICT w,MORE
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


def product(
    b: Body, x: Buffer | str, inputs: int, weights: Stored, bias: str, outputs: int, y: Buffer | str, rows: int = 1
) -> None:
    """Add a statement for y = bias + x @ weights, or a loop over rows. x and y are pointers that do not overlap."""
    more = "".join(f"{each}, " for each in (bias, weights.scales) if each)
    of_x, of_y = (f"{x} + {inputs} * i", f"{y} + {outputs} * i") if rows > 1 else (x, y)
    b.loop("i", rows, f"{_routine(b, weights, bool(bias))}({of_x}, {inputs}, {weights.name}, {more}{outputs}, {of_y});")
    b.multiply_adds += rows * inputs * outputs


def _routine(b: Body, weights: Stored, has_bias: bool) -> str:
    """Return the name of the function for a format of weights. With scales, sums are multiplied before the bias is added."""
    source = _LINEAR
    for i, at in enumerate(("j", "m + j", "2 * m + j", "3 * m + j")):
        source = source.replace(f"W{i}", weights.read.format(f"w[{at}]"))
    arguments = [" const TYPE *RESTRICT b,"] * has_bias + [" const TYPE *RESTRICT s,"] * bool(weights.scales)
    first, last = "b[j]" if has_bias else "0", ""
    if weights.scales:
        total = "b[j] + s[j] * y[j]" if has_bias else "s[j] * y[j]"
        first, last = "0", f"\n    for (j = 0; j < m; j++) {{\n        y[j] = {total};\n    }}"
    source = source.replace("MORE", "".join(arguments)).replace("FIRST", first).replace("LAST", last)
    source = source.replace("WEIGHT", weights.ctype).replace("RESTRICT", f"{b.program.name.upper()}_RESTRICT")
    return b.program.routine("linear", source.replace("TYPE", b.program.ctype))
