"""Products with a matrix of weights that are stored in another type than that in which the file computes.

The weights of a layer lie as [inputs, outputs]. Four outputs at a time are sums in registers, each one chain in increasing inputs.
It begins with the bias; with scales, it begins with 0, is multiplied by the scale, and then the bias is added.
"""

from __future__ import annotations

from .program import Body
from .weights import Stored
from .workspace import Buffer

_LINEAR = """\
#if defined(__GNUC__)
__attribute__((noinline)) /* once in the file is enough, and smaller */
#endif
static void @(const TYPE *x, int n, const WEIGHT *w,MORE int m, TYPE *y)
{
    int j = 0;
    for (; j + 4 <= m; j += 4) {
        const TYPE *p = x;
        const WEIGHT *q = w + j;
        TYPE y0 = FIRST0, y1 = FIRST1, y2 = FIRST2, y3 = FIRST3;
        do {
            const TYPE v = *p++;
            y0 += v * READ0;
            y1 += v * READ1;
            y2 += v * READ2;
            y3 += v * READ3;
            q += m;
        } while (p != x + n);
        y[j] = LAST0;
        y[j + 1] = LAST1;
        y[j + 2] = LAST2;
        y[j + 3] = LAST3;
    }
    for (; j < m; j++) {
        const TYPE *p = x;
        const WEIGHT *q = w + j;
        TYPE y0 = FIRST0;
        do {
            y0 += *p++ * READ0;
            q += m;
        } while (p != x + n);
        y[j] = LAST0;
    }
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
    arguments = [" const TYPE *b,"] * has_bias + [" const TYPE *s,"] * bool(weights.scales)
    source = _LINEAR.replace("MORE", "".join(arguments))
    for i, j in enumerate(("j", "j + 1", "j + 2", "j + 3")):
        bias, total = (f"b[{j}]", f"b[{j}] + ") if has_bias else ("0", "")
        first, last = ("0", f"{total}s[{j}] * y{i}") if weights.scales else (bias, f"y{i}")
        source = source.replace(f"READ{i}", weights.read.format(f"q[{i}]"))
        source = source.replace(f"FIRST{i}", first).replace(f"LAST{i}", last)
    return b.program.routine("linear", source.replace("WEIGHT", weights.ctype).replace("TYPE", b.program.ctype))
