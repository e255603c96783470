/* vmath.h: the elementary functions over `vec`, inline and free of state: exp, expm1, log, log1p, tanh, sigmoid, softplus and
 * the normal distribution. One source serves every instruction set and both dtypes; coefficients differ, and where a single
 * instruction does a step, that step. Nothing here calls libm, sets errno, or branches on data.
 *
 * Specials are NumPy's: NaN passes, exp(-inf) = 0, log(0) = -inf, log(-1) = NaN, tanh(+-inf) = +-1, and tanh and expm1 keep -0.
 * Denormal arguments and results are right too, unless the caller has set flush-to-zero.
 * Baseline x86 has no fused multiply-add: a constant that is multiplied by an exponent is split so that the product is exact
 * without one.
 */
#ifndef NNC_OPS_VMATH_H
#define NNC_OPS_VMATH_H

#include <float.h>
#include <math.h>

#include "ops/simd.h"

/* Coefficients are minimax fits of the relative error. What that comes to with the coefficients rounded is given as f32, f64.
 *   exp(r) = 1 + r + r^2 q(r)          |r| <= 1.005 ln2 / 2     2^-28.2, 2^-57.8
 *   2 atanh(s) = 2s + s z R(z)         z = s^2 <= 0.0401        2^-28.4, 2^-55.9
 *   the same                           z <= 0.1112              2^-27.7, 2^-59.4
 *   tanh(x / 2), a rational function   |x| <= TANH_END          2^-26.9, 2^-58.4, weighted with its effect on tanh(x)
 *   Phi(-a) exp(a^2/2) = P(a) / Q(a)   0 <= a <= NORMAL_END     2^-26.1, 2^-53.8 */
#if NNC_BUILD_F64
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUNDER 0x1.8p52 /* adding it rounds to an integer, which the low bits of the sum then hold */
#define LEAST_NORMAL DBL_MIN
#define EXP_LOW (-746.0)         /* exp is 0 from here down */
#define EXP_HIGH 710.0           /* exp is infinite from here up */
#define LN2_HIGH 0x1.62e42feep-1 /* 32 bits: times an exponent (11 bits) it is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33
#define TANH_END 19.07 /* tanh rounds to 1 from here up */
#define NORMAL_END 39  /* exp(-a^2/2) is 0 from here up */
static const real exp_coefficients[] = {0x1.000000000000ap-1,  0x1.55555555554f5p-3,  0x1.55555555505a3p-5,  0x1.1111111128b35p-7,
                                        0x1.6c16c184d7f5p-10,  0x1.a01a012686b6ep-13, 0x1.a01998166b0e1p-16, 0x1.71df2ab2a01aep-19,
                                        0x1.28af59f9420f9p-22, 0x1.ad7bf9328b239p-26};
static const real log_coefficients[] = {0x1.5555555555780p-1, 0x1.99999998ee0ecp-2, 0x1.249249b405e6ep-2, 0x1.c71c00307a932p-3,
                                        0x1.747513e42c725p-3, 0x1.384f0112b0feep-3, 0x1.3adbf144aa1b5p-3};
static const real unit_coefficients[] = {0x1.5555555555534p-1, 0x1.99999999a0a3dp-2, 0x1.2492492074cb7p-2, 0x1.c71c742810197p-3,
                                         0x1.745cb26207faap-3, 0x1.3b1dfe3cc3fbcp-3, 0x1.1065f88477121p-3, 0x1.eff4f86c91afbp-4,
                                         0x1.5532e579e7765p-4, 0x1.5cee9852d822dp-3};
static const real tanh_numerator[] = {0x1.2aea3309be21bp-5,  0x1.4f497ad39dd83p-12, 0x1.0826336683579p-20,
                                      0x1.36d251ea90a39p-30, 0x1.cbaebce5c939ep-42, 0x1.7e5e27b168fa3p-56};
static const real tanh_denominator[] = {0x1.eaca6eda34662p-4,  0x1.026b6806bb349p-9,  0x1.503a72caad2c4p-17,
                                        0x1.4577fc1168631p-26, 0x1.bf6fcf95ecc8ap-37, 0x1.2de5ea235b7adp-49};
/* clang-format off: one number per line, as it would have them, is no table */
static const real tail_numerator[] = {0x1p-1,
                                      0x1.a7c93f2a94207p-1,
                                      0x1.5bc8a655bf52cp-1,
                                      0x1.6da5728c1cf5cp-2,
                                      0x1.0e2861c26f2cp-3,
                                      0x1.23d0851950367p-5,
                                      0x1.d20f6c21e937fp-8,
                                      0x1.1006882670837p-10,
                                      0x1.bdf2f50e1bc36p-14,
                                      0x1.d2d2e5e5debf9p-18,
                                      0x1.dfc5861031b48p-23};
static const real tail_denominator[] = {1,
                                        0x1.3a05b4649ae98p+1,
                                        0x1.687207710ccc8p+1,
                                        0x1.00098f4e1e095p+1,
                                        0x1.f56990d789b48p-1,
                                        0x1.644e618b9f6dbp-2,
                                        0x1.783f219ea0307p-4,
                                        0x1.28687a1bc62c8p-6,
                                        0x1.57380889d8f41p-9,
                                        0x1.180b59aabdadcp-12,
                                        0x1.2489d7a8261dp-16,
                                        0x1.2ca6f9db2714p-21};
/* clang-format on */
#else
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUNDER 0x1.8p23f
#define LEAST_NORMAL FLT_MIN
#define EXP_LOW (-104.0f)
#define EXP_HIGH 89.0f
#define LN2_HIGH 0x1.62e3p-1f /* 16 bits: times an exponent (8 bits) it is exact */
#define LN2_LOW 0x1.2fefa2p-17f
#define NORMAL_END 15
#define TANH_END 9.02f /* tanh rounds to 1 from here up */
static const real exp_coefficients[] = {0x1.fffffcp-2f, 0x1.55548ep-3f, 0x1.5558a6p-5f, 0x1.123c7ep-7f, 0x1.6a5d16p-10f};
static const real log_coefficients[] = {0x1.5555b4p-1f, 0x1.992a9ap-2f, 0x1.36ee8ep-2f};
static const real unit_coefficients[] = {0x1.5555p-1f, 0x1.99d29ep-2f, 0x1.1eb39cp-2f, 0x1.1f05bap-2f};
static const real tanh_numerator[] = {0x1.e7be0ap-6f, 0x1.ded12cp-14f};
static const real tanh_denominator[] = {0x1.cf44cep-4f, 0x1.3c2b6p-10f, 0x1.495dd6p-20f};
static const real tail_numerator[] = {0x1p-1f, 0x1.c1195ap-2f, 0x1.77a506p-3f, 0x1.4d5414p-5f, 0x1.0e31c6p-8f};
static const real tail_denominator[] = {1, 0x1.accedcp+0f, 0x1.340ca4p+0f, 0x1.e13b9p-2f, 0x1.a1ca78p-4f, 0x1.52a27ep-7f};
#endif
#if NNC_EXACT || defined(__FMA__) || (defined(__ARM_NEON) && defined(__aarch64__))
#define FUSED 1 /* vfma rounds once */
#else
#define FUSED 0
#endif
#define LOG2E ((real)0x1.71547652b82fep+0)
#define ONE_BITS ((uinteger)EXPONENT_BIAS << MANTISSA_BITS)
#define NNC_LENGTH(array) (sizeof(array) / sizeof *(array))
#define POLYNOMIAL(x, coefficients) vpolynomial(x, coefficients, NNC_LENGTH(coefficients))

/* For SSE2, which has too few registers to do anything else beside such a function, they are functions in fact: half of the code of
 * what uses them, for the same time. */
#if defined(__SSE2__) && NNC_VECTOR_BYTES == 16 && !NNC_SMALL
#define MATH static __attribute__((noinline, unused))
#else
#define MATH INLINE
#endif

/* c[0] + c[1] x + ... by Horner's rule; n is a constant, so that the loop unrolls. */
INLINE vec vpolynomial(vec x, const real *c, size_t n) {
  vec p = vset1(c[n - 1]);
  for (size_t i = n - 1; i-- > 0;) p = vfma(p, x, vset1(c[i]));
  return p;
}

/* Where the sign bit of x is set a, else b. */
INLINE vec select_negative(vec x, vec a, vec b) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_mask_mov_pd((__m512d)b, _mm512_movepi64_mask((__m512i)x), (__m512d)a);
#elif defined(__AVX512F__)
  return (vec)_mm512_mask_mov_ps((__m512)b, _mm512_movepi32_mask((__m512i)x), (__m512)a);
#elif defined(__AVX2__) && NNC_BUILD_F64
  return (vec)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)x);
#elif defined(__AVX2__)
  return (vec)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)x);
#else
  return vselect((ivec)x < 0, a, b);
#endif
}

/* exp ------------------------------------------------------------------------------------------------------------------ */

/* x = n ln2 + r with |r| <= ln2 / 2: returns r, and n + ROUNDER. */
INLINE vec exp_remainder(vec x, vec *shifted) {
  *shifted = vfma(x, vset1(LOG2E), vset1(ROUNDER));
  const vec n = *shifted - ROUNDER;
  return vfma(n, vset1(-LN2_LOW), vfma(n, vset1(-LN2_HIGH), x));
}

/* exp(r) = 1 + r (1 + r q(r)), or 1 + (r + r^2 q(r)), whichever rounds less. */
INLINE vec exp_polynomial(vec r) {
  const vec q = POLYNOMIAL(r, exp_coefficients);
#if FUSED
  return vfma(vfma(q, r, vset1(1)), r, vset1(1));
#else
  return 1 + (r + r * r * q);
#endif
}

/* 2^(n + offset) from shifted = n + ROUNDER, as long as it is a normal number. */
INLINE vec exp_power(vec shifted, integer offset) {
  return (vec)(((uvec)shifted << MANTISSA_BITS) + (ONE_BITS + ((uinteger)offset << MANTISSA_BITS)));
}

/* p 2^n from shifted = n + ROUNDER, rounding once also where the result is denormal. */
INLINE vec exp_scale(vec p, vec shifted) {
  const vec n = shifted - ROUNDER;
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_scalef_pd((__m512d)p, (__m512d)n);
#elif defined(__AVX512F__)
  return (vec)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  const vec half = vfma(n, vset1(0.5), vset1(ROUNDER));
  const vec rest = (vec)((uvec)shifted - (uvec)half); /* only its low bits count: exp_power shifts the others out */
  return p * exp_power(half, 0) * exp_power(rest, 0);
#endif
}

MATH vec vexp(vec x) {
  vec shifted;
  const vec r = exp_remainder(vmin(vset1(EXP_HIGH), vmax(vset1(EXP_LOW), x)), &shifted);
  return exp_scale(exp_polynomial(r), shifted);
}

/* x[i] = exp(x[i]) for n <= 8 vectors, n a constant, EXP_LOW <= x[i] <= EXP_HIGH: step by step for all of them, because one vector's
 * chain is longer than what the processor looks ahead. The bits are those of vexp. */
#define IN_STEP(n) _Pragma("GCC unroll 8") for (size_t i = 0; i < (n); i++)
INLINE void exp_each(vec *x, size_t n) {
  vec shifted[8], p[8];
#if FUSED
  IN_STEP(n) shifted[i] = vfma(x[i], vset1(LOG2E), vset1(ROUNDER));
  IN_STEP(n) x[i] = vfma(shifted[i] - ROUNDER, vset1(-LN2_HIGH), x[i]);
  IN_STEP(n) x[i] = vfma(shifted[i] - ROUNDER, vset1(-LN2_LOW), x[i]);
  IN_STEP(n) p[i] = vset1(exp_coefficients[NNC_LENGTH(exp_coefficients) - 1]);
#pragma GCC unroll 16
  for (size_t j = NNC_LENGTH(exp_coefficients) - 1; j-- > 0;) IN_STEP(n) p[i] = vfma(p[i], x[i], vset1(exp_coefficients[j]));
  IN_STEP(n) p[i] = vfma(p[i], x[i], vset1(1));
  IN_STEP(n) p[i] = vfma(p[i], x[i], vset1(1));
#else
  IN_STEP(n) x[i] = exp_remainder(x[i], &shifted[i]);
  IN_STEP(n) p[i] = exp_polynomial(x[i]);
#endif
  IN_STEP(n) x[i] = exp_scale(p[i], shifted[i]);
}

INLINE void vexp_each(vec *y, const vec *x, size_t n) {
  IN_STEP(n) y[i] = vmin(vset1(EXP_HIGH), vmax(vset1(EXP_LOW), x[i]));
  exp_each(y, n);
}

/* exp(x + low) for x + low <= 0, low being what rounding x lost. */
INLINE vec exp_negative(vec x, vec low) {
  vec shifted;
  const vec r = exp_remainder(vmax(vset1(EXP_LOW), x), &shifted);
  return exp_scale(exp_polynomial(r + low), shifted);
}

/* expm1(x) / 2 = 2^(n-1) expm1(r) + (2^(n-1) - 1/2) for -40 <= x <= EXP_HIGH, where no scale overflows. */
INLINE vec exp_half_expm1(vec x) {
  vec shifted;
  const vec r = exp_remainder(x, &shifted), s = exp_power(shifted, -1);
  return vfma(s, vfma(r * r, POLYNOMIAL(r, exp_coefficients), r), s - 0.5);
}

/* Below -40, expm1 rounds to -1 in either dtype. */
MATH vec vexpm1(vec x) { return vcopysign(2 * exp_half_expm1(vmin(vset1(EXP_HIGH), vmax(vset1(-40), x))), x); }

/* sigmoid(x) = 1 / (1 + z) or z / (1 + z), z = exp(-|x|), so that it neither overflows nor loses the tail. complement is
 * sigmoid(-x), likewise. */
INLINE vec sigmoid_argument(vec x) { return vmax(vset1(EXP_LOW), (vec)((ivec)x | (ivec)vset1((real)-0.0))); }

INLINE vec sigmoid_pair(vec x, vec *complement) {
  vec shifted;
  const vec r = exp_remainder(sigmoid_argument(x), &shifted);
  const vec z = exp_scale(exp_polynomial(r), shifted);
  const vec s = select_negative(x, z, vset1(1)) / (1 + z);
  *complement = select_negative(x, 1 - s, z * s);
  return s;
}

MATH vec vsigmoid_pair(vec x, vec *complement) { return sigmoid_pair(x, complement); }

MATH vec vsigmoid(vec x) {
  vec complement;
  return sigmoid_pair(x, &complement);
}

/* The same, and the bits of vsigmoid, for n <= 8 vectors in step. */
INLINE void vsigmoid_each(vec *y, const vec *x, size_t n) {
  vec z[8];
  IN_STEP(n) z[i] = sigmoid_argument(x[i]);
  exp_each(z, n);
  IN_STEP(n) y[i] = select_negative(x[i], z[i], vset1(1)) / (1 + z[i]);
}

/* tanh(x) = 2t / (1 + t^2) = MD / (MD + (D - M/2)^2) for tanh(x / 2) = t = M / (2D), M = x + x^3 P(x^2), D = 1 + x^2 Q(x^2).
 * All coefficients are positive, the two chains run side by side, D is never rounded near 1, and towards +-1 the errors of M and
 * D cancel: the result does not exceed 1. */
MATH vec vtanh(vec x) {
  const vec a = vmin(vset1(TANH_END), vabs(x)), z = a * a;
  const vec m = vfma(a * z, POLYNOMIAL(z, tanh_numerator), a), d = z * POLYNOMIAL(z, tanh_denominator);
  const vec product = vfma(m, d, m), rest = 1 + vfma(vset1(-(real)0.5), m, d);
  return (vec)((ivec)(product / vfma(rest, rest, product)) | ((ivec)x & (ivec)vset1((real)-0.0)));
}

/* log ------------------------------------------------------------------------------------------------------------------ */

/* log(2^k (1 + f)) for 3/4 <= 1 + f < 3/2 and an integer k: with s = f / (2 + f) and z = s^2,
 * log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + z R(z))), which rounds f only once. */
INLINE vec log_sum(vec f, vec k) {
  const vec s = f / (2 + f), z = s * s, square = 0.5 * f * f;
  const vec correction = vfma(s, vfma(z, POLYNOMIAL(z, log_coefficients), square), k * LN2_LOW);
  return vfma(k, vset1(LN2_HIGH), f - (square - correction));
}

/* x = 2^k m with 3/4 <= m < 3/2, for a normal x > 0: returns m. AVX-512 also takes every other x, and gives k = -inf for 0,
 * k = inf for inf, m = NaN for x < 0, with which log_sum comes out right. */
INLINE vec log_split(vec x, vec *k) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  const __m512d m = _mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_p75_1p5, (_MM_MANTISSA_SIGN_ENUM)3); /* -0: 1; x < 0: NaN */
  *k = (vec)_mm512_getexp_pd((__m512d)x) - (vec)_mm512_getexp_pd(m);
  return (vec)m;
#elif defined(__AVX512F__)
  const __m512 m = _mm512_getmant_ps((__m512)x, _MM_MANT_NORM_p75_1p5, (_MM_MANTISSA_SIGN_ENUM)3);
  *k = (vec)_mm512_getexp_ps((__m512)x) - (vec)_mm512_getexp_ps(m);
  return (vec)m;
#else
  const uinteger low = ONE_BITS - ((uinteger)1 << (MANTISSA_BITS - 1)); /* 3/4 */
  const uvec above = (uvec)x - low;
  *k = (vec)(((above + ONE_BITS) >> MANTISSA_BITS) + (uvec)vset1(ROUNDER)) - (ROUNDER + EXPONENT_BIAS);
  return (vec)((above & (((uinteger)1 << MANTISSA_BITS) - 1)) + low);
#endif
}

/* y, but what a logarithm of x gives at and beyond the ends of its domain. */
INLINE vec log_beyond_domain(vec x, vec y) {
#if defined(__AVX512F__)
  (void)x;
  return y;
#else
  const vec end = vselect(x == 0, vset1((real)-INFINITY), vset1((real)NAN));
  return vselect((x > 0) & (x < (real)INFINITY), y, vselect(x > 0, x, end));
#endif
}

MATH vec vlog(vec x) {
  vec k;
#if defined(__AVX512F__)
  const vec m = log_split(x, &k);
#else
  const ivec denormal = x < LEAST_NORMAL;
  const vec m = log_split(vselect(denormal, x * (real)((uinteger)1 << MANTISSA_BITS), x), &k);
  k -= (vec)(denormal & (ivec)vset1(MANTISSA_BITS));
#endif
  return log_beyond_domain(x, log_sum(m - 1, k));
}

/* With u = 1 + x = 2^k (1 + f): f = 2^-k x + (2^-k - 1), so that the rounding of u is harmless. Where 2^-k is next to nothing, f
 * comes from u. */
MATH vec vlog1p(vec x) {
  const vec u = 1 + x;
  vec k;
  const vec m = log_split(u, &k), s = exp_power(ROUNDER - k, 0);
  const vec f = vselect(x < (real)0x1p60, vfma(x, s, s - 1), m - 1);
  return (vec)((ivec)log_beyond_domain(u, log_sum(f, k)) | ((ivec)x & (ivec)vset1((real)-0.0))); /* log1p(-0) = -0 */
}

/* log(1 + z) for 0 <= z <= 1, where nothing need be reduced: z - s (z - s^2 R(s^2)), s = z / (2 + z). */
MATH vec vlog1p_unit(vec z) {
  const vec s = z / (2 + z), square = s * s;
  return vfma(-s, vfma(-square, POLYNOMIAL(square, unit_coefficients), z), z);
}

/* softplus(x) = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)). */
INLINE vec vsoftplus(vec x) { return vmax(vset1(0), x) + vlog1p_unit(vexp(-vabs(x))); }

/* normal distribution -------------------------------------------------------------------------------------------------- */

/* Phi(x), the probability that a standard normal variable is below x, and its density phi(x). The tail beyond |x| is
 * phi(|x|) times Mills's ratio, which is smooth: so Phi keeps its relative accuracy for x far below 0, where
 * (1 + erf(x / sqrt2)) / 2 has no digits left. */
MATH vec vnormal(vec x, vec *density) {
  const vec a = vmin(vset1(NORMAL_END), vabs(x)), square = a * a;
#if FUSED
  const vec low = vfma(a, a, -square);
#else
  const vec high = (vec)((uvec)a & -((uinteger)1 << (MANTISSA_BITS / 2 + 1))), rest = a - high; /* Dekker's product */
  const vec low = ((high * high - square) + 2 * high * rest) + rest * rest;
#endif
  const vec e = exp_negative(-(0.5 * square), -(0.5 * low));
  const vec tail = e * (POLYNOMIAL(a, tail_numerator) / POLYNOMIAL(a, tail_denominator));
  *density = e * (real)0x1.9884533d43651p-2; /* 1 / sqrt(2 pi) */
  return select_negative(x, tail, 1 - tail);
}

/* Accuracy: the largest error in ULP, and an input that has it. f32: vexp, vtanh, vsigmoid all 2^32 numbers; the others all where they
 * bend (log: 1/4 to 4) and every 101st elsewhere (log 11th, log1p 31st); f64: 10^6 random numbers. Denormals not flushed.
 *
 *                f32 fused               f32 baseline            f64 fused                       f64 baseline
 *   vexp         0.90  0x1.ab8dfp+4      0.99 -0x1.769da2p+2     0.87  0x1.15a3d9eae3731p+8      0.95  0x1.ee23f34b85712p+1
 *   vexpm1       1.47  0x1.8996aap-2     1.60  0x1.81c00cp-2     1.82  0x1.6d9c7b2f020ccp-2      1.94  0x1.6f23180b7066fp-2
 *   vlog         0.92  0x1.7efc76p+0     0.93  0x1.796f7ap+0     0.91  0x1.74ee099cbb5ecp-1      0.96  0x1.759492791d6bfp-1
 *   vlog1p       0.92  0x1.fbf1d8p-2     0.93  0x1.e5bde8p-2     0.93  0x1.f213199f1efb8p-2      0.94 -0x1.184cae7d8a6cap-2
 *   vlog1p_unit  1.08  0x1.497254p-1     1.32  0x1.4be2e4p-1     0.98  0x1.ffffff8329ad2p-1      1.25  0x1.ffffa2de6202ep-1
 *   vtanh        3.84  0x1.011302p-3     4.12  0x1.011314p-3     3.70 -0x1.00d3c6e8f1398p-3      4.16  0x1.052091c3b5ffep-2
 *   vsigmoid     2.41 -0x1.0a111ap+2     2.41 -0x1.0a111ap+2     2.03 -0x1.bb7a3a8f8c123p+1      2.22 -0x1.f57aa506e68dp+0
 *   vsoftplus    1.73 -0x1.e6153ep-2     2.06 -0x1.bf8856p-2     1.62  0x1.d35576bfb30dep-3      2.01 -0x1.bf885600002eap-2
 *   vnormal      5.98 -0x1.6bae8p+2      7.13 -0x1.647768p+2     7.88 -0x1.1681504536405p+4      9.29 -0x1.17c480c23a226p+4
 *     density    2.07  0x1.526c3ap+3     2.14  0x1.45aa84p+2     2.12 -0x1.ef8fc1a9d2ba8p-1      2.23  0x1.2dd07400b6626p+4 */

#undef MATH
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUNDER
#undef LEAST_NORMAL
#undef EXP_LOW
#undef EXP_HIGH
#undef LN2_HIGH
#undef LN2_LOW
#undef TANH_END
#undef NORMAL_END
#undef LOG2E
#undef ONE_BITS
#undef FUSED
#undef POLYNOMIAL
#undef IN_STEP
#endif
