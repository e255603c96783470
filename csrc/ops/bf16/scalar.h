/* scalar.h: the arithmetic of a product (low_kernels.h) one element at a time, with the same bits whatever the CPU does about small
 * numbers. It is the specification, and it computes where vectors would give other bits.
 *
 * The product of two bfloat16 is exact in double. Its sum with a float is rounded to odd there: a double with an even last bit that is
 * not the exact sum moves by one towards it. The second rounding, to float, then decides as if the sum were exact.
 */
#ifndef NNC_OPS_BF16_SCALAR_H
#define NNC_OPS_BF16_SCALAR_H

#include "ops/low_op.h"

/* x with a denormal as zero. */
INLINE float flushed(float x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0, x) : x; }

INLINE double add_to_odd(double a, double b) {
  const double sum = a + b, part = sum - a, rest = (a - (sum - part)) + (b - part);
  if (rest == 0 || sum - sum != 0) return sum;
  int64_t bits;
  memcpy(&bits, &sum, sizeof bits);
  if (bits & 1) return sum;
  bits += (rest > 0) == (sum > 0) ? 1 : -1;
  double odd;
  memcpy(&odd, &bits, sizeof odd);
  return odd;
}

/* To float; what is below 2^-126 after rounding to 24 bits becomes zero, and what rounds up to it does not. */
INLINE float narrowed(double x) {
  const double magnitude = __builtin_fabs(x);
  if (magnitude < 0x1p-126 - 0x1p-151) return __builtin_signbit(x) ? -0.0f : 0.0f;
  if (magnitude < 0x1p-126) return x < 0 ? -0x1p-126f : 0x1p-126f;
  return (float)x;
}

/* a b + c, of two bfloat16; c is not denormal. Their product has 16 bits, so that where a float has its exponent, it is exact there too,
 * and the sum is a single rounding. */
INLINE float scalar_fma(float a, float b, float c) {
  a = flushed(a);
  b = flushed(b);
  const float product = a * b, magnitude = __builtin_fabsf(product);
  if (magnitude >= 0x1p-126f && magnitude <= 0x1.fffffep127f) return flushed(product + c);
  return narrowed(add_to_odd((double)a * (double)b, (double)c));
}

/* Neither is denormal. A sum that is below 2^-126 is exact, so that there is nothing to round. */
INLINE float scalar_add(float a, float b) { return flushed(a + b); }

/* One element: c and the 32 k of a row of the left operand, floats, of which pairs of k are so far apart, and of a column of the right
 * one. */
INLINE float scalar_step(float c, const float *a, size_t pair, const nnc_bf16 *b) {
  float even = 0, odd = 0;
  for (size_t p = 0; p < NNC_BF16_SIDE / 2; p++) {
    even = scalar_fma(a[p * pair], nnc_bf16_to_float(b[32 * p]), even);
    odd = scalar_fma(a[p * pair + pair / 2], nnc_bf16_to_float(b[32 * p + 1]), odd);
  }
  return scalar_add(c, scalar_add(even, odd));
}

#endif
