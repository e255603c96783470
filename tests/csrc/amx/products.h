/* products.h: what the tile products compute, one element of the result after the other.
 *
 * TDPBF16PS, as measured on the hardware: the even and the odd elements of a row are two chains of fused multiply-adds from +0, then
 * c + (even + odd). Each operation rounds to the nearest even number. Denormal operands count as zero, and a result that is below
 * 2^-126 after rounding to 24 bits becomes zero. The first NaN of the operands passes through, made quiet. */
#ifndef AMX_PRODUCTS_H
#define AMX_PRODUCTS_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  uint8_t row[16][64];
} amx_tile;

static const uint32_t amx_default_nan = 0xFFC00000;

static inline float amx_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline uint32_t amx_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}
static inline uint32_t amx_word(const void *at) {
  uint32_t word;
  memcpy(&word, at, 4);
  return word;
}
static inline float amx_without_denormals(float x) { return amx_bits(x) & 0x7F800000 ? x : amx_float(amx_bits(x) & 0x80000000); }
static inline float amx_quiet(float x) { return amx_float(amx_bits(x) | 0x00400000); }

/* a b + c of numbers without denormals. A small result is computed 2^64 times as large, where rounding to 24 bits shows whether it is
 * below 2^-126. A result below 2^-90 beside a larger c is the zero of a cancellation, as a and b have 8 bits. */
static float amx_rounded(float a, float b, float c) {
  const float up = 0x1p64f, near = fmaf(a, b, c);
  if (!(fabsf(near) < 0x1p-90f) || fabsf(c) > 0x1p-60f) return near;
  const float scaled = fabsf(a) < fabsf(b) ? fmaf(a * up, b, c * up) : fmaf(a, b * up, c * up);
  return fabsf(scaled) < 0x1p-62f ? copysignf(0, scaled) : scaled / up;
}

static float amx_multiply_add(float a, float b, float c) {
  a = amx_without_denormals(a), b = amx_without_denormals(b), c = amx_without_denormals(c);
  if (isnan(a)) return amx_quiet(a);
  if (isnan(b)) return amx_quiet(b);
  if (isnan(c)) return amx_quiet(c);
  const float y = amx_rounded(a, b, c);
  return isnan(y) ? amx_float(amx_default_nan) : y;
}

static float amx_add(float x, float y) {
  x = amx_without_denormals(x), y = amx_without_denormals(y);
  if (isnan(x)) return amx_quiet(x);
  if (isnan(y)) return amx_quiet(y);
  const float s = amx_rounded(x, 1, y);
  return isnan(s) ? amx_float(amx_default_nan) : s;
}

/* One element: a row of `pairs` pairs, and a column of pairs that lie 64 bytes apart. */
static float amx_bf16_element(float c, const uint8_t *a, const uint8_t *b, int pairs) {
  float even = 0, odd = 0;
  for (int k = 0; k < pairs; k++) {
    const uint32_t x = amx_word(a + 4 * k), y = amx_word(b + 64 * k);
    even = amx_multiply_add(amx_float(x << 16), amx_float(y << 16), even);
    odd = amx_multiply_add(amx_float(x & 0xFFFF0000), amx_float(y & 0xFFFF0000), odd);
  }
  return amx_add(c, amx_add(even, odd));
}

/* 16 elements by the CPU's own multiply-adds, with flush-to-zero set by the caller: the same but for the payloads of NaN. */
__attribute__((target("avx512f"), noinline)) static void amx_bf16_row(float *c, const uint8_t *a, const uint8_t *b, int pairs) {
  const __m512i high = _mm512_set1_epi32((int)0xFFFF0000);
  __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
  for (int k = 0; k < pairs; k++) {
    const __m512i x = _mm512_set1_epi32((int)amx_word(a + 4 * k)), y = _mm512_loadu_si512(b + 64 * k);
    even = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(y, 16)), even);
    odd = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(x, high)), _mm512_castsi512_ps(_mm512_and_si512(y, high)), odd);
  }
  _mm512_storeu_ps(c, _mm512_add_ps(_mm512_loadu_ps(c), _mm512_add_ps(even, odd)));
}

/* One row of `columns` elements. */
static void amx_bf16_elements(uint8_t *to, const uint8_t *a, const uint8_t *b, int pairs, int columns, int is_fast) {
  float c[16], fast[16];
  memcpy(c, to, sizeof c);
  memcpy(fast, to, sizeof c);
  if (is_fast) {
    _mm_setcsr(0x9FC0); /* flush to zero, denormals are zero */
    amx_bf16_row(fast, a, b, pairs);
    _mm_setcsr(0x1F80);
  }
  for (int n = 0; n < columns; n++) {
    const float y = is_fast && !isnan(fast[n]) ? fast[n] : amx_bf16_element(c[n], a, b + 4 * n, pairs);
    memcpy(to + 4 * n, &y, 4);
  }
}

/* One element of the products of bytes: groups of four, summed up modulo 2^32. */
static void amx_bytes_element(uint8_t *to, const uint8_t *a, const uint8_t *b, int groups, int a_signed, int b_signed) {
  uint32_t c = amx_word(to);
  for (int k = 0; k < groups; k++)
    for (int i = 0; i < 4; i++) {
      const uint8_t x = a[4 * k + i], y = b[64 * k + i];
      c += (uint32_t)((a_signed ? (int8_t)x : x) * (b_signed ? (int8_t)y : y));
    }
  memcpy(to, &c, 4);
}

#endif
