/* half.h: IEEE half precision: 1 sign, 5 exponent and 10 fraction bits. It is a storage format; nothing is computed in it.
 *
 * Integer operations move the fields to their positions in single precision. A subnormal half, f 2^-24, is computed as a number
 * with the exponent of 2^-14, minus 2^-14. Both are normal numbers, so flush-to-zero does not affect them. */
#ifndef NNC_BASE_HALF_H
#define NNC_BASE_HALF_H

#include <stdint.h>

static inline float nnc_half_to_float(uint16_t half) {
  enum { EXPONENT = 0x0F800000, BIAS = (127 - 15) << 23, SPECIAL = (128 - 16) << 23, SMALLEST = 113 << 23 };
  union {
    uint32_t bits;
    float number;
  } moved = {(uint32_t)(half & 0x7FFF) << 13}, small = {SMALLEST}, sum;
  const uint32_t exponent = moved.bits & EXPONENT;
  sum.bits = moved.bits + SMALLEST;
  sum.number -= small.number;
  moved.bits += exponent == EXPONENT ? BIAS + SPECIAL : BIAS;
  moved.bits = (exponent ? moved.bits : sum.bits) | (uint32_t)(half & 0x8000) << 16;
  return moved.number;
}

#endif
