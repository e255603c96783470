/* scalar.h: the arithmetic of a product (low_kernels.h) one element at a time, with the same bits whatever the CPU and its rounding of
 * small numbers. It is the specification, and what computes where vectors would give other bits.
 *
 * The product of two bfloat16 is exact in double. Its sum with a float is rounded to odd there: a double with an even last bit that is
 * not the exact sum moves by one towards it. The second rounding, to float, then decides as if the sum were exact.
 */
#ifndef NNC_OPS_BF16_SCALAR_H
#define NNC_OPS_BF16_SCALAR_H

#include "ops/low_op.h"

/* x with a denormal as zero. */
INLINE float flushed(float x) {
  if (x < 0x1p-126f && x > -0x1p-126f) return __builtin_copysignf(0, x);
  return x;
}

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
  if (magnitude < 0x1p-126 - 0x1p-151) return __builtin_copysignf(0, (float)(x < 0 || __builtin_signbit(x) ? -1 : 1));
  if (magnitude < 0x1p-126) return x < 0 ? -0x1p-126f : 0x1p-126f;
  return (float)x;
}

/* a b + c; c is not denormal. */
INLINE float scalar_fma(nnc_bf16 a, nnc_bf16 b, float c) {
  return narrowed(add_to_odd((double)flushed(nnc_bf16_to_float(a)) * (double)flushed(nnc_bf16_to_float(b)), (double)c));
}

/* Neither is denormal. A sum that is below 2^-126 is exact. */
INLINE float scalar_add(float a, float b) { return flushed(a + b); }

/* One element, from a row of the left operand and a column of the right one, in whose last block it begins at lane. */
INLINE float scalar_product(const nnc_bf16 *a, const nnc_bf16 *b, size_t row, size_t column, size_t steps) {
  float c = 0;
  a += row * NNC_BF16_SIDE;
  b += column / 16 * 512 + column % 16 * 2;
  for (size_t s = 0; s < steps; s++, a += NNC_BF16_BLOCK, b += NNC_BF16_BLOCK) {
    float even = 0, odd = 0;
    for (size_t p = 0; p < NNC_BF16_SIDE / 2; p++) {
      even = scalar_fma(a[2 * p], b[32 * p], even);
      odd = scalar_fma(a[2 * p + 1], b[32 * p + 1], odd);
    }
    c = scalar_add(c, scalar_add(even, odd));
  }
  return c;
}

#endif
