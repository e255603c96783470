/* vmath.h: the elementary functions over `vec`, inline and free of state: exp, expm1, log, log1p, tanh, sigmoid, softplus and
 * the normal distribution. One algorithm serves every instruction set and both dtypes; only coefficients and the last step
 * of exp differ. Nothing here calls libm, raises errno, or branches on data.
 *
 * Specials are NumPy's: NaN passes, exp(-inf) = 0, log(0) = -inf, log(-1) = NaN, tanh(+-inf) = +-1, -0 is kept by tanh, expm1
 * and log1p. Denormal arguments and results are right too, unless the caller has set flush-to-zero.
 * Baseline x86 has no fused multiply-add: every constant that is multiplied by an exponent is split so that this product is
 * exact without one.
 */
#ifndef NNC_OPS_VMATH_H
#define NNC_OPS_VMATH_H

#include <float.h>
#include <math.h>

#include "ops/simd.h"

/* Coefficients are weighted minimax fits, each rounded in turn and the rest fitted again.
 * expm1(r) = r + r^2 q(r) on |r| <= 1.005 ln2 / 2, relative error 2^-26.1 (f32), 2^-55.5 (f64).
 * 2 atanh(s) = 2s + s z R(z), z = s^2 <= ((sqrt2 - 1) / (sqrt2 + 1))^2, relative error 2^-30.2 (f32), 2^-59.5 (f64). */
#if NNC_BUILD_F64
#define NNC_MANTISSA 52
#define NNC_BIAS 1023
#define NNC_ROUND 0x1.8p52           /* adding it rounds to an integer, which the low bits of the sum then hold */
#define NNC_TINIEST DBL_MIN          /* the least normal number */
#define NNC_EXP_LOW (-746.0)         /* exp is 0 from here down */
#define NNC_EXP_HIGH 710.0           /* exp is infinite from here up */
#define NNC_LN2_HIGH 0x1.62e42feep-1 /* 32 bits: times an exponent (11 bits) it is exact */
#define NNC_LN2_LOW 0x1.a39ef35793c76p-33
#define NNC_SQRT_HALF 0x3fe6a09e667f3bcdLL
static const real exp_coefficients[] = {
    0x1.0000000000005p-1,  0x1.555555555553ap-3,  0x1.5555555552037p-5,  0x1.1111111118c91p-7,  0x1.6c16c17f82287p-10,
    0x1.a01a0176a2758p-13, 0x1.a019a56ea0b4dp-16, 0x1.71de83208fc4bp-19, 0x1.28a3eab47219ep-22, 0x1.ae76021affcc1p-26};
static const real log_coefficients[] = {0x1.5555555555593p-1, 0x1.999999997f9f8p-2, 0x1.249249422a461p-2, 0x1.c71c51d7cfd6ap-3,
                                        0x1.746649aef79a9p-3, 0x1.39a095aa4a820p-3, 0x1.2f117d65eee7fp-3};
#else
#define NNC_MANTISSA 23
#define NNC_BIAS 127
#define NNC_ROUND 0x1.8p23f
#define NNC_TINIEST FLT_MIN
#define NNC_EXP_LOW (-104.0f)
#define NNC_EXP_HIGH 89.0f
#define NNC_LN2_HIGH 0x1.62e3p-1f /* 16 bits: times an exponent (8 bits) it is exact */
#define NNC_LN2_LOW 0x1.2fefa2p-17f
#define NNC_SQRT_HALF 0x3f3504f3
static const real exp_coefficients[] = {0x1.fffffep-2f, 0x1.5554aep-3f, 0x1.55570ep-5f, 0x1.122992p-7f, 0x1.6b7fa6p-10f};
static const real log_coefficients[] = {0x1.55557ap-1f, 0x1.995eccp-2f, 0x1.31e23ep-2f};
#endif
#define NNC_LOG2E ((real)0x1.71547652b82fep+0)
#define NNC_ONE_BITS ((integer)NNC_BIAS << NNC_MANTISSA)
#define NNC_LENGTH(array) (sizeof(array) / sizeof *(array))

/* c[0] + c[1] x + ... by Horner's rule; n is a constant, so that the loop unrolls. */
INLINE vec vpolynomial(vec x, const real *c, size_t n) {
  vec p = vset1(c[n - 1]);
  for (size_t i = n - 1; i-- > 0;) p = vfma(p, x, vset1(c[i]));
  return p;
}

/* x = n ln2 + r with |r| <= ln2 / 2: returns expm1(r), and n + NNC_ROUND. `low` is added to x without rounding it. */
INLINE vec exp_reduced(vec x, vec low, vec *shifted) {
  const vec t = vfma(x, vset1(NNC_LOG2E), vset1(NNC_ROUND));
  const vec n = t - vset1(NNC_ROUND);
  const vec r = vfma(n, vset1(-NNC_LN2_LOW), vfma(n, vset1(-NNC_LN2_HIGH), x)) + low;
  *shifted = t;
  return vfma(r * r, vpolynomial(r, exp_coefficients, NNC_LENGTH(exp_coefficients)), r);
}

/* 2^(n + offset) from shifted = n + NNC_ROUND, as long as it is a normal number. */
INLINE vec power_of_two(vec shifted, integer offset) {
  return (vec)(((uvec)shifted << NNC_MANTISSA) + (uvec)ivset1(NNC_ONE_BITS + (integer)((uinteger)offset << NNC_MANTISSA)));
}

/* p 2^n from shifted = n + NNC_ROUND, rounding once also where the result is denormal. */
INLINE vec scale(vec p, vec shifted) {
  const vec n = shifted - vset1(NNC_ROUND);
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_scalef_pd((__m512d)p, (__m512d)n);
#elif defined(__AVX512F__)
  return (vec)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  const vec half = vfma(n, vset1((real)0.5), vset1(NNC_ROUND));
  const vec rest = (vec)((ivec)shifted - (ivec)half); /* its low bits count; power_of_two shifts the others out */
  return p * power_of_two(half, 0) * power_of_two(rest, 0);
#endif
}

/* exp(x + low), low being what rounding x lost. */
INLINE vec vexp_split(vec x, vec low) {
  vec shifted;
  x = vmin(vset1(NNC_EXP_HIGH), vmax(vset1(NNC_EXP_LOW), x));
  const vec p = exp_reduced(x, low, &shifted);
  return scale(p + vset1(1), shifted);
}

INLINE vec vexp(vec x) { return vexp_split(x, vset1(0)); }

/* expm1(x) / 2 for x <= NNC_EXP_HIGH, exact in scaling: 2^(n-1) expm1(r) + (2^(n-1) - 1/2). */
INLINE vec half_expm1(vec x) {
  vec shifted;
  const vec p = exp_reduced(x, vset1(0), &shifted);
  const vec s = power_of_two(shifted, -1);
  return vfma(s, p, s - vset1((real)0.5));
}

/* Below -40, expm1 rounds to -1 in either dtype. */
INLINE vec vexpm1(vec x) {
  const vec clamped = vmin(vset1(NNC_EXP_HIGH), vmax(vset1(-40), x));
  return vcopysign(vset1(2) * half_expm1(clamped), x);
}

/* tanh(x) = e / (e + 2), e = expm1(2|x|): no second formula near 0, where e keeps its relative accuracy. Beyond 20 it is 1. */
INLINE vec vtanh(vec x) {
  const vec h = half_expm1(vset1(2) * vmin(vset1(20), vabs(x)));
  return vcopysign(h / (h + vset1(1)), x);
}

/* sigmoid(x) = 1 / (1 + z) or z / (1 + z), z = exp(-|x|), so that it neither overflows nor loses the tail. */
INLINE vec vsigmoid(vec x) {
  vec shifted;
  const vec p = exp_reduced(vmax(vset1(NNC_EXP_LOW), -vabs(x)), vset1(0), &shifted);
  const vec z = scale(p + vset1(1), shifted);
  return vselect(x < vset1(0), z, vset1(1)) / (vset1(1) + z);
}

/* log(2^k (1 + f)) for sqrt(1/2) <= 1 + f < sqrt2 and an integer k: with s = f / (2 + f),
 * log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + z R(z))), which rounds f only once. */
INLINE vec log_reduced(vec f, vec k) {
  const vec s = f / (vset1(2) + f);
  const vec z = s * s;
  const vec square = vset1((real)0.5) * f * f;
  const vec tail = z * vpolynomial(z, log_coefficients, NNC_LENGTH(log_coefficients));
  const vec correction = vfma(s, square + tail, k * vset1(NNC_LN2_LOW));
  return vfma(k, vset1(NNC_LN2_HIGH), f - (square - correction));
}

/* x = 2^k m with sqrt(1/2) <= m < sqrt2, for a normal x > 0: returns m. */
INLINE vec split_exponent(vec x, vec *k) {
  const uvec above = (uvec)x - (uvec)ivset1(NNC_SQRT_HALF);
  const uvec biased = (above + (uvec)ivset1(NNC_ONE_BITS)) >> NNC_MANTISSA;
  *k = (vec)(biased + (uvec)vset1(NNC_ROUND)) - vset1(NNC_ROUND + NNC_BIAS);
  return (vec)((above & (uvec)ivset1(((integer)1 << NNC_MANTISSA) - 1)) + (uvec)ivset1(NNC_SQRT_HALF));
}

/* What a logarithm with this argument gives at and beyond the ends of its domain, and y within it. */
INLINE vec log_specials(vec argument, vec y) {
  const ivec inside = (argument > vset1(0)) & (argument < vset1((real)INFINITY));
  const vec outside = vselect(argument == vset1(0), vset1((real)-INFINITY), vset1((real)NAN));
  return vselect(inside, y, vselect(argument > vset1(0), argument, outside));
}

INLINE vec vlog(vec x) {
  const ivec denormal = x < vset1(NNC_TINIEST);
  const vec up = vset1((real)((uinteger)1 << NNC_MANTISSA));
  vec k;
  const vec m = split_exponent(vselect(denormal, x * up, x), &k);
  k -= (vec)(denormal & (ivec)vset1(NNC_MANTISSA));
  return log_specials(x, log_reduced(m - vset1(1), k));
}

/* With 1 + x = 2^k (1 + f): f = 2^-k x + (2^-k - 1), so that the rounding of 1 + x is harmless. Where 2^-k would vanish
 * beside 1, f comes from 1 + x. */
INLINE vec vlog1p(vec x) {
  const vec u = vset1(1) + x;
  vec k;
  const vec m = split_exponent(u, &k);
  const vec s = power_of_two(vset1(NNC_ROUND) - k, 0);
  const vec f = vselect(x < vset1((real)0x1p60), vfma(x, s, s - vset1(1)), m - vset1(1));
  const vec y = log_specials(u, log_reduced(f, k));
  return vselect(x == vset1(0), x, y);
}

/* softplus(x) = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)). */
INLINE vec vsoftplus(vec x) { return vmax(vset1(0), x) + vlog1p(vexp(-vabs(x))); }

#endif
