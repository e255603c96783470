"""Products with a matrix of weights that are stored in another type than that in which the file computes.

The weights of a layer lie as [inputs, outputs]. Four outputs at a time are sums in registers, each one chain in increasing inputs.
It begins with the bias; with scales, it begins with 0, is multiplied by the scale, and then the bias is added.

x86 takes 16 outputs at a time, by SSE2, which every 64-bit compiler has: GCC and Clang make vectors of none of the formats by
themselves, or poor ones. The sums are the same. If 16 do not divide the outputs, the last 16 overlap those before.
"""

from __future__ import annotations

from .program import Body
from .text import wrapped
from .weights import Stored
from .workspace import Buffer

_LINEAR = """\
#if defined(__GNUC__)
__attribute__((noinline)) /* once in the file is enough, and smaller */
#endif
static void @(const TYPE *x, int n, const WEIGHT *w,MORE int m, TYPE *y)
{
    int j = 0;
VECTORS    for (; j + 4 <= m; j += 4) {
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

_INCLUDE = "#if defined(__SSE2__)\n#include <emmintrin.h>\n#endif\n"
_VECTORS = """\
#if defined(__SSE2__)
    for (; m >= 16 && j < m; j += 16) {
        const float *p = x;
        const WEIGHT *q = w + (j = j > m - 16 ? m - 16 : j);
        __m128 a0 = FIRST0, a1 = FIRST1, a2 = FIRST2, a3 = FIRST3;
        do {
            const __m128 v = _mm_set1_ps(*p++);
BITS
            a0 = _mm_add_ps(a0, _mm_mul_ps(v, READ0));
            a1 = _mm_add_ps(a1, _mm_mul_ps(v, READ1));
            a2 = _mm_add_ps(a2, _mm_mul_ps(v, READ2));
            a3 = _mm_add_ps(a3, _mm_mul_ps(v, READ3));
            q += m;
        } while (p != x + n);
        _mm_storeu_ps(y + j, LAST0);
        _mm_storeu_ps(y + j + 4, LAST1);
        _mm_storeu_ps(y + j + 8, LAST2);
        _mm_storeu_ps(y + j + 12, LAST3);
    }
#endif
"""
_PAIRS = "const __m128i b{i} = _mm_loadu_si128((const __m128i *)(const void *)(q + {at}));"
_WORDS = "_mm_unpack{half}_epi16(_mm_setzero_si128(), b{pair})"  # 16 bits in the upper half of 32
#: For each format: statements, and the expression of four numbers; half is "lo" or "hi", and pair the number of two halves.
_READ: dict[str, tuple[list[str], str]] = {
    "int8": (
        [
            "const __m128i all = _mm_loadu_si128((const __m128i *)(const void *)q);",
            "const __m128i b0 = _mm_unpacklo_epi8(all, all), b1 = _mm_unpackhi_epi8(all, all);",
        ],
        "_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpack{half}_epi16(b{pair}, b{pair}), 24))",
    ),
    "bfloat16": ([_PAIRS.format(i=0, at=0), _PAIRS.format(i=1, at=8)], f"_mm_castsi128_ps({_WORDS})"),
    "float16": (
        [_PAIRS.format(i=0, at=0), _PAIRS.format(i=1, at=8), "const __m128i kept = _mm_set1_epi32(~0x70000000);"],
        f"_mm_mul_ps(_mm_castsi128_ps(_mm_and_si128(_mm_srai_epi32({_WORDS}, 3), kept)), up)",
    ),
}


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
    p = b.program
    arguments = [" const TYPE *b,"] * has_bias + [" const TYPE *s,"] * bool(weights.scales)
    source = _LINEAR.replace("MORE", "".join(arguments))
    for i, j in enumerate(("j", "j + 1", "j + 2", "j + 3")):
        bias, total = (f"b[{j}]", f"b[{j}] + ") if has_bias else ("0", "")
        first, last = ("0", f"{total}s[{j}] * y{i}") if weights.scales else (bias, f"y{i}")
        source = source.replace(f"READ{i}", weights.read.format(f"q[{i}]"))
        source = source.replace(f"FIRST{i}", first).replace(f"LAST{i}", last)
    vectors = _vectors(p.weights or "", has_bias, bool(weights.scales)) if p.ctype == "float" and p.weights in _READ else ""
    source = f"{_INCLUDE if vectors else ''}{source.replace('VECTORS', vectors)}"
    return p.routine("linear", source.replace("WEIGHT", weights.ctype).replace("TYPE", p.ctype))


def _vectors(kind: str, has_bias: bool, has_scales: bool) -> str:
    """Return the loop of x86 for a format of weights."""
    lines, read = _READ[kind]
    source = _VECTORS.replace("BITS", "\n".join(f"            {line}" for line in lines))
    if kind == "float16":
        source = source.replace(
            "        do {", "        const __m128 up = _mm_set1_ps(5192296858534827628530496329220096.0f);\n        do {"
        )
    for i in range(4):
        at = f" + {4 * i}" * (i > 0)
        bias, total = f"_mm_loadu_ps(b + j{at})" if has_bias else "_mm_setzero_ps()", f"a{i}"
        if has_scales:
            total = f"_mm_mul_ps(_mm_loadu_ps(s + j{at}), a{i})"
            total = f"_mm_add_ps({bias}, {total})" if has_bias else total
            bias = "_mm_setzero_ps()"
        source = source.replace(f"FIRST{i}", bias).replace(f"LAST{i}", total)
        source = source.replace(f"READ{i}", read.format(half="lohi"[i % 2 * 2 :][:2], pair=i // 2))
    return "\n".join(map(wrapped, source.split("\n")))
