/* specification.h: what products of bfloat16 and their operands have to be (csrc/ops/low_kernels.h), one number at a time and without
 * the library's own code. Multiply-adds are fmaf, of numbers that are scaled so that none of them is denormal. */
#ifndef BF16_SPECIFICATION_H
#define BF16_SPECIFICATION_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { SIDE = 32, BLOCK = SIDE * SIDE, A = 0, AT, B, BT, FORMS, AT_AS_IT_LIES = FORMS };

static size_t blocks(size_t n) { return (n + SIDE - 1) / SIDE; }

static float of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static float flush(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }
static float one_nan(float x) { return x == x ? x : of_bits(0x7FC00000); }
static float add(float a, float b) { return flush(flush(a) + flush(b)); }

/* a b + c without denormals: where the result may be small, all of it is 2^64 times as large. */
static float multiply_add(float a, float b, float c) {
  if (!(fabsf(c) < 0x1p-40f) || !(fabs((double)a * b) < 0x1p-40)) return fmaf(a, b, c);
  if (fabsf(a) < fabsf(b)) a *= 0x1p64f;
  else b *= 0x1p64f;
  const float sum = fmaf(a, b, c * 0x1p64f);
  return fabsf(sum) < 0x1p-62f ? copysignf(0, sum) : sum * 0x1p-64f;
}

static uint16_t narrow(float x) {
  const uint32_t bits = bits_of(x);
  if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
  const double magnitude = fabs((double)x), scale = ldexp(1, 7 - (magnitude > 0 ? ilogb(magnitude) : 0));
  if (magnitude < 0x1p-126) return (uint16_t)(bits >> 31 << 15);
  if (isinf(x)) return (uint16_t)(bits >> 16);
  return (uint16_t)(bits_of((float)copysign(nearbyint(magnitude * scale) / scale, x)) >> 16); /* beyond the largest: infinity */
}

/* c [m, n] of x [m, k] and w [k, n], whose numbers are bfloat16 and not denormal. */
static void multiply(float *c, size_t ldc, const float *x, const float *w, size_t ldx, size_t ldw, size_t m, size_t n, size_t k) {
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j++) {
      float sum = 0;
      for (size_t p = 0; p < blocks(k); p++) {
        float chain[2] = {0, 0};
        for (size_t q = p * SIDE; q < (p + 1) * SIDE; q++)
          chain[q % 2] = multiply_add(q < k ? x[i * ldx + q] : 0, q < k ? w[q * ldw + j] : 0, chain[q % 2]);
        sum = add(sum, add(chain[0], chain[1]));
      }
      c[i * ldc + j] = one_nan(sum);
    }
  }
}

static size_t place_in(int form, size_t r, size_t c, size_t row_blocks, size_t col_blocks) {
  const int is_across = form == AT || form == B, is_transposed = form == AT || form == BT;
  const size_t block = is_across ? c / SIDE * row_blocks + r / SIDE : r / SIDE * col_blocks + c / SIDE;
  const size_t i = is_transposed ? c % SIDE : r % SIDE, j = is_transposed ? r % SIDE : c % SIDE;
  if (form == AT_AS_IT_LIES) return (c / SIDE * row_blocks + r / SIDE) * BLOCK + r % SIDE * SIDE + c % SIDE;
  if (form == A || form == AT) return block * BLOCK + i * SIDE + j;
  return block * BLOCK + j / 16 * 512 + i / 2 * 32 + j % 16 * 2 + i % 2;
}

#endif
