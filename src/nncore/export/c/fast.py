"""Elementary functions in plain C, without the C library: short polynomials behind a reduction of the argument by its bits.

A text is C for one type. In it, @ is the name of the function; REAL and BITS stand for the type and for unsigned integers as wide;
``1.5#`` is a literal of the type, ``{log2e}`` a constant of the tables below, ``$exp(r)`` a polynomial of them in r, and ``&exp``
another function. The coefficients are minimax fits of the relative error; csrc/ops/vmath.h, which has the same ones, says how good
they are. No text relies on the order of bytes, on fused multiply-adds or their absence, or on how halves are rounded. No integer is
made of NaN. There is arithmetic, and a choice between two values, but no branch, so that compilers can make vectors of loops. In
all but log and sqrt the choices are between integers: with floating numbers GCC computes in branches, which it cannot make vectors
of without -fno-trapping-math.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .text import number, wrapped

#: The constants of float and double.
_CONSTANTS: dict[str, tuple[float | str, float | str]] = {
    "log2e": (1.44269504, 1.4426950408889634),
    "ln2_high": (float.fromhex("0x1.62e3p-1"), float.fromhex("0x1.62e42feep-1")),  # 16, 32 bits: times an exponent it is exact
    "ln2_low": (float.fromhex("0x1.2fefa2p-17"), float.fromhex("0x1.a39ef35793c76p-33")),
    # The bits of bounds of absolute values
    "tanh_end_bits": ("0x411051ecu", "0x403311eb851eb852u"),  # 9.02, 19.07: tanh rounds to 1 from here up
    "normal_end_bits": ("0x41700000u", "0x4043800000000000u"),  # 15, 39: exp(-x^2/2) is 0 from here up
    "forty_bits": ("0x42200000u", "0x4044000000000000u"),  # exp(-40) is nothing beside 1
    "exp_low_bits": ("0x42d00000u", "0x4087500000000000u"),
    "exp_high_bits": ("0x42b20000u", "0x4086300000000000u"),
    "sign": ("0x80000000u", "0x8000000000000000u"),
    "size": ("0x7fffffffu", "0x7fffffffffffffffu"),  # all but the sign
    "infinity": ("0x7f800000u", "0x7ff0000000000000u"),  # NaN has a larger size
    "places": ("31", "63"),
    "largest": (float.fromhex("0x1.fffffep127"), float.fromhex("0x1.fffffffffffffp1023")),
    "small": (2.0**-64, 2.0**-512),
    "least": (2.0**-96, 2.0**-960),  # the square root of less takes a detour
    "up": (2.0**64, 2.0**512),
    "down": (2.0**-32, 2.0**-256),
    "shift": ("151", "1077"),  # makes x / ln2 positive
    "shift_normal": ("165", "1099"),
    "mantissa": ("23", "52"),
    "bias": ("127", "1023"),
    # What makes exponents of them: half, rest, all with the power "small" taken off, less 1
    "half": ("52u", "485u"),
    "rest": ("51u", "484u"),
    "off": ("40u", "458u"),
    "off_normal": ("26u", "436u"),
    "less": ("25u", "55u"),
    "one": ("0x3f800000u", "0x3ff0000000000000u"),  # the bits of 1
    "low": ("0x3f400000u", "0x3fe8000000000000u"),  # of 3/4
    "fraction": ("0x7fffffu", "0xfffffffffffffu"),
    "guess": ("0x5f375a86u", "0x5fe6eb50c7b537a9u"),  # Lomont 2003: 1 / sqrt(x) to 3 %
    "steps": ("2", "3"),
}

#: name -> coefficients from the lowest power, for float and for double.
_POLYNOMIALS: dict[str, tuple[list[float], list[float]]] = {
    # exp(r) = 1 + r + r^2 exp(r)
    "exp": (
        [0.49999994, 0.166665182, 0.0416682474, 0.00836902764, 0.0013823075],
        [
            0.5000000000000011, 0.166666666666664, 0.0416666666665251, 0.008333333333501261, 0.0013888888945174545,
            0.00019841269495731888, 2.4801491315493903e-05, 2.7557592486295457e-06, 2.7630940698009365e-07, 2.4999274825741572e-08,
        ],
    ),
    # 2 atanh(s) = 2s + s z log(z), z = s^2, for log(m), 3/4 <= m < 3/2
    "log": (
        [0.666669488, 0.399576575, 0.303644389],
        [
            0.6666666666667282, 0.3999999999609958, 0.2857142940642693, 0.22222137592263774, 0.18186393299179673,
            0.1524944385365638, 0.15373981943890916,
        ],
    ),
    # the same for log(1 + z), 0 <= z <= 1
    "unit": (
        [0.666664124, 0.400217503, 0.27998203, 0.280295283],
        [
            0.666666666666663, 0.4000000000016007, 0.2857142854747496, 0.2222222399450515, 0.1818174301306475,
            0.15386580107633374, 0.13300699381114447, 0.1210832313600853, 0.0833004917062375, 0.17037695887394602,
        ],
    ),
    # tanh(x / 2) = (x + x^3 over(x^2)) / (2 (1 + x^2 under(x^2)))
    "over": (
        [0.0297694299, 0.000114158887],
        [
            0.036488628085809625, 0.0003197546295505492, 9.84032533349456e-07, 1.1307622569550488e-09, 4.082801384518744e-13,
            2.0728199602020345e-17,
        ],
    ),
    "under": (
        [0.113102727, 0.00120609067, 1.226986e-06],
        [
            0.11982196141914295, 0.001971584747812481, 1.0020384612155298e-05, 1.8944771145611722e-08, 1.2716917616886534e-11,
            2.0948389128507166e-15,
        ],
    ),
    # Phi(-a) exp(a^2 / 2) = tail(a) / mills(a), the ratio of Mills but for a factor
    "tail": (
        [0.5, 0.438573271, 0.183420226, 0.0406895056, 0.00412283977],
        [
            0.5, 0.8277072658038954, 0.6792652110740725, 0.3570764444368615, 0.1319129598104123, 0.03562189098238982,
            0.007111514949348029, 0.001037694988199179, 0.00010632253926855313, 6.956216997862184e-06, 2.234110501096498e-07,
        ],
    ),
    "mills": (
        [1.0, 1.67503142, 1.20331788, 0.469953775, 0.10199973, 0.010334312],
        [
            1.0, 2.4532990924106564, 2.8159798910142833, 2.000291741507747, 0.9793210280521203, 0.34795524992646926,
            0.09185708172482175, 0.018091315504622313, 0.0026185522482808092, 0.00026707109161298675, 1.743665021134035e-05,
            5.600084550697214e-07,
        ],
    ),
}  # fmt: skip

_REDUCE = """\
    const int32_t m = (int32_t)(c * {log2e} + {shift}.5#); /* m >= 0; m - {shift} is x / ln2, rounded */
    const REAL n = (REAL)(m - {shift});
    const REAL r = (c - n * {ln2_high}) - n * {ln2_low};
"""
_SAME_BITS = """\
static inline TO @(FROM x)
{
    TO y;
#if defined(__GNUC__)
    __builtin_memcpy(&y, &x, sizeof x); /* a move between registers */
#else
    unsigned i;
    for (i = 0; i < sizeof x; i++) {
        ((unsigned char *)&y)[i] = ((const unsigned char *)&x)[i];
    }
#endif
    return y;
}
"""

#: name -> text.
TEXTS: dict[str, str] = {
    "from_bits": _SAME_BITS.replace("FROM", "BITS").replace("TO", "REAL"),
    "to_bits": _SAME_BITS.replace("FROM", "REAL").replace("TO", "BITS"),
    "exp": """\
/* exp(x) = 2^n exp(r), with x = n ln2 + r */
static inline REAL @(REAL x)
{
    const BITS bits = &to_bits(x), sign = bits & {sign}, size = bits & {size};
    const BITS most = sign ? {exp_low_bits} : {exp_high_bits};
    const REAL c = &from_bits((size < most ? size : most) | sign);
"""
    + _REDUCE
    + """\
    const REAL p = 1.0# + (r + r * r * $exp(r));
    const BITS half = (BITS)m >> 1; /* in two steps, so that denormals and infinity come out right */
    const REAL y = p * &from_bits((half + {half}) << {mantissa}) * &from_bits(((BITS)m - half + {rest}) << {mantissa});
    return &from_bits(&to_bits(y) | (size > {infinity} ? size : 0)); /* NaN stays NaN */
}
""",
    "expm1": """\
/* exp(x) - 1 = 2 (s (exp(r) - 1) + s - 1/2), with x = n ln2 + r and s = 2^(n - 1) */
static inline REAL @(REAL x)
{
    const BITS bits = &to_bits(x), sign = bits & {sign}, size = bits & {size};
    const BITS most = sign ? {forty_bits} : {exp_high_bits};
    const REAL c = &from_bits((size < most ? size : most) | sign);
"""
    + _REDUCE
    + """\
    const REAL s = &from_bits(((BITS)m - {less}) << {mantissa});
    const REAL y = 2.0# * (s * (r + r * r * $exp(r)) + (s - 0.5#));
    return &from_bits(&to_bits(y) | (size > {infinity} ? size : 0)); /* NaN stays NaN */
}
""",
    "sigmoid": """\
/* 1 / (1 + exp(-x)), which is z / (1 + z) for x < 0, with z = exp(-|x|): the tail keeps its digits */
static inline REAL @(REAL x)
{
    const BITS bits = &to_bits(x), size = bits & {size};
    const REAL c = -&from_bits(size < {exp_low_bits} ? size : {exp_low_bits});
"""
    + _REDUCE
    + """\
    const REAL p = 1.0# + (r + r * r * $exp(r));
    const REAL z = p * &from_bits(((BITS)m + {off}) << {mantissa}) * {small};
    const BITS is_below = 0 - (bits >> {places}); /* all bits for x < 0, or none */
    const REAL over = &from_bits((&to_bits(z) & is_below) | ({one} & ~is_below));
    return &from_bits(&to_bits(over / (1.0# + z)) | (size > {infinity} ? size : 0)); /* NaN stays NaN */
}
""",
    "tanh": """\
/* 2t / (1 + t^2) for t = tanh(x / 2) = m / (2 (1 + d)), a rational function. The denominator is the
 * numerator plus a square, so that their errors cancel towards 1, and the result never exceeds it. */
static inline REAL @(REAL x)
{
    const BITS bits = &to_bits(x), size = bits & {size};
    const REAL a = &from_bits(size < {tanh_end_bits} ? size : {tanh_end_bits});
    const REAL z = a * a;
    const REAL e = a * z * $over(z);
    const REAL m = a + e;
    const REAL d = z * $under(z);
    const REAL product = a + (e + m * d);
    const REAL rest = 1.0# + (d - 0.5# * m);
    const REAL y = product / (product + rest * rest);
    return &from_bits(&to_bits(y) | (bits & {sign}) | (size > {infinity} ? size : 0)); /* NaN stays NaN */
}
""",
    "log": """\
/* log(x) for normal x > 0: log(2^k (1 + f)) with 3/4 <= 1 + f < 3/2 */
static inline REAL @(REAL x)
{
    const BITS above = &to_bits(x) - {low};
    const REAL k = (REAL)((int32_t)((above + {one}) >> {mantissa}) - {bias});
    const REAL f = &from_bits((above & {fraction}) + {low}) - 1.0#;
    const REAL s = f / (2.0# + f);
    const REAL z = s * s;
    const REAL square = 0.5# * f * f;
    const REAL correction = s * (z * $log(z) + square) + k * {ln2_low};
    const REAL y = k * {ln2_high} + (f - (square - correction));
    return x <= {largest} ? y : x;
}
""",
    "log1p": """\
/* log(1 + x) for 0 <= x <= 1 */
static inline REAL @(REAL x)
{
    const REAL s = x / (2.0# + x);
    const REAL z = s * s;
    return x - s * (x - z * $unit(z));
}
""",
    "softplus": """\
/* log(1 + exp(x)) */
static inline REAL @(REAL x)
{
    return (x > 0.0# ? x : 0.0#) + &log1p(&exp(x < 0.0# ? x : -x));
}
""",
    "normal": """\
/* The probability that a standard normal variable is below x. Beyond |x| it is exp(-x^2/2) times a
 * smooth function. x^2 has more digits than fit: of |x| = high + low, high has so few that its square
 * is exact. */
static inline REAL @(REAL x)
{
    const BITS bits = &to_bits(x), size = bits & {size};
    const REAL a = &from_bits(size < {normal_end_bits} ? size : {normal_end_bits});
    const REAL high = (REAL)(int32_t)(a * 64.0#) * 0.015625#;
    const REAL low = -0.5# * ((a - high) * (a + high));
    const REAL t = -0.5# * (high * high);
    const int32_t m = (int32_t)((t + low) * {log2e} + {shift_normal}.5#);
    const REAL n = (REAL)(m - {shift_normal});
    const REAL r = ((t - n * {ln2_high}) + low) - n * {ln2_low};
    const REAL p = 1.0# + (r + r * r * $exp(r));
    const REAL e = p * &from_bits(((BITS)m + {off_normal}) << {mantissa}) * {small};
    const REAL tail = e * (($tail(a)) / ($mills(a)));
    const BITS is_below = 0 - (bits >> {places}); /* all bits for x < 0, or none */
    const BITS y = (&to_bits(tail) & is_below) | (&to_bits(1.0# - tail) & ~is_below);
    return &from_bits(y | (size > {infinity} ? size : 0)); /* NaN stays NaN */
}
""",
    "sqrt": """\
/* The square root for x >= 0: Newton's method for 1 / sqrt(x), and a last step for the root */
static inline REAL @(REAL x)
{
    const REAL scaled = x < {least} ? x * {up} : x;
    const REAL half = 0.5# * scaled;
    REAL y = &from_bits({guess} - (&to_bits(scaled) >> 1));
    REAL s;
    int i;
    for (i = 0; i < {steps}; i++) {
        y = y * (1.5# - half * y * y);
    }
    s = scaled * y;
    s = s + 0.5# * y * (scaled - s * s);
    s = x < {least} ? s * {down} : s;
    return x > 0.0# && x <= {largest} ? s : x;
}
""",
}


def _horner(coefficients: list[str], x: str) -> str:
    """Return C for a polynomial in x by Horner's rule."""
    text = coefficients[-1]
    for i, each in enumerate(coefficients[-2::-1]):
        text = f"{each} + {x} * {f'({text})' if i else text}"
    return f"({text})"


def written(name: str, ctype: str, called: Callable[[str], str]) -> str:
    """Return a text for a type, with @ for the name of the function. `called` returns the names of other functions."""
    kind = int(ctype == "double")
    words = {"REAL": ctype, "BITS": "uint64_t" if kind else "uint32_t"}

    def constant(match: re.Match[str]) -> str:
        value = _CONSTANTS[match.group(1)][kind]
        return value if isinstance(value, str) else number(value, ctype)

    def polynomial(match: re.Match[str]) -> str:
        return _horner([number(c, ctype) for c in _POLYNOMIALS[match.group(1)][kind]], match.group(2))

    text = re.sub(r"\{(\w+)\}", constant, TEXTS[name])
    text = re.sub(r"\$(\w+)\((\w+)\)", polynomial, text)
    text = re.sub(r"\b(REAL|BITS)\b", lambda match: words[match.group(1)], text)
    text = re.sub(r"&(\w+)\(", lambda match: f"{called(match.group(1))}(", text)
    text = re.sub(r"(\d\.\d*)#", r"\1" if kind else r"\1f", text)
    return "\n".join(line if line[:2] in ("/*", " *") else wrapped(line) for line in text.split("\n"))
