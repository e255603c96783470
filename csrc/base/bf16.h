/* bf16.h: bfloat16, the upper half of a float: 1 sign, 8 exponent and 7 fraction bits. It is a storage format; products take it and
 * sum in float. */
#ifndef NNC_BASE_BF16_H
#define NNC_BASE_BF16_H

#include <stdint.h>
#include <string.h>

typedef uint16_t nnc_bf16;

static inline float nnc_bf16_to_float(nnc_bf16 x) {
  const uint32_t bits = (uint32_t)x << 16;
  float y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

/* To the nearest, ties to even; denormals to zero with their sign; NaN quieted. What VCVTNEPS2BF16 does. */
static inline nnc_bf16 nnc_bf16_from_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return (nnc_bf16)(bits >> 16 | 0x40);
  if (magnitude < 0x00800000) return (nnc_bf16)(bits >> 16 & 0x8000);
  return (nnc_bf16)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
