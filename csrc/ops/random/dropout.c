/* dropout.c: y = x * keep / (1 - p), keep being 0 or 1. Backward does the same to dy, with the mask that forward has saved: a byte
 * per element, with all bits set or none. Reading it takes a fraction of the time of drawing it again from its counter (random.h).
 *
 * An element is kept where its word >= ceil(p * 2^32), that is where word / 2^32 >= p. 1 / (1 - p) is rounded to the dtype once. A
 * dropped element is x * 0, so NaN stays NaN; p >= 1 - 2^-32 gives plain zeros.
 */
#include <math.h>

#include "ops/op.h"
#include "ops/random/random.h"

/* A byte per lane, and back. GCC 12 compiles __builtin_convertvector between these widths lane by lane. */
INLINE void store_mask(int8_t *to, ivec keep, size_t n) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  _mm512_mask_cvtepi64_storeu_epi8(to, (__mmask8)((1u << n) - 1), (__m512i)keep);
#elif defined(__AVX512F__)
  _mm512_mask_cvtepi32_storeu_epi8(to, (__mmask16)((1u << n) - 1), (__m512i)keep);
#else
  int8_t bytes[VL];
  for (size_t i = 0; i < VL; i++) bytes[i] = (int8_t)keep[i];
  memcpy(to, bytes, n);
#endif
}

INLINE ivec load_mask(const int8_t *from, size_t n) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (ivec)_mm512_cvtepi8_epi64(_mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), from));
#elif defined(__AVX512F__)
  return (ivec)_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), from));
#else
  int8_t bytes[16] = {0};
  memcpy(bytes, from, n);
#if defined(__AVX2__) && NNC_BUILD_F64
  return (ivec)_mm256_cvtepi8_epi64(_mm_loadu_si128((const __m128i *)bytes));
#elif defined(__AVX2__)
  return (ivec)_mm256_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)bytes));
#else
  ivec keep;
  for (size_t i = 0; i < VL; i++) keep[i] = bytes[i];
  return keep;
#endif
#endif
}

/* All bits of lane i set where word[i] >= threshold. */
INLINE ivec kept(const uint32_t *word, uint32_t threshold) {
  uint32_t lane __attribute__((vector_size(VL * sizeof(uint32_t))));
  memcpy(&lane, word, sizeof lane);
  return (ivec)(__builtin_convertvector(lane, uvec) >= (uvec){0} + threshold);
}

static int drops_all(double p) { return !(ceil(p * 0x1p32) < 0x1p32); }

static void zeros(real *y, size_t rows, size_t cols, size_t ld) {
  for (size_t r = 0; r < rows; r++) memset(y + r * ld, 0, cols * sizeof *y);
}

void KERNEL(dropout)(real *y, int8_t *mask, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double p,
                     const uint32_t key[2], const uint32_t stream[2]) {
  if (drops_all(p)) {
    zeros(y, rows, cols, ldy);
    return;
  }
  const uint32_t threshold = (uint32_t)ceil(p * 0x1p32);
  const vec scale = vset1((real)(1 / (1 - p)));
  for (size_t r = 0; r < rows; r++) {
    const real *xr = x + r * ldx;
    real *yr = y + r * ldy;
    int8_t *mr = mask ? mask + r * cols : NULL;
    for (size_t j = 0; j < cols;) {
      uint32_t word[SETS * WORDS];
      const size_t n = draw(word, j, cols, (uint32_t)(row0 + r), key, stream);
      for (size_t i = 0; i < n; i += VL) {
        const ivec keep = kept(word + i, threshold);
        const vec factor = vselect(keep, scale, vset1(0));
        const size_t left = n - i < VL ? n - i : VL;
        if (left == VL) vstore(yr + j + i, vload(xr + j + i) * factor);
        else vstore_n(yr + j + i, vload_n(xr + j + i, left) * factor, left);
        if (mr) store_mask(mr + j + i, keep, left);
      }
      j += n;
    }
  }
}

void KERNEL(dropout_backward)(real *dx, const int8_t *mask, const real *dy, size_t rows, size_t cols, size_t lddx, size_t lddy,
                              double p) {
  if (drops_all(p)) {
    zeros(dx, rows, cols, lddx);
    return;
  }
  const vec scale = vset1((real)(1 / (1 - p)));
  for (size_t r = 0; r < rows; r++, dx += lddx, dy += lddy, mask += cols)
    for (size_t j = 0; j < cols; j += VL) {
      const size_t left = cols - j < VL ? cols - j : VL;
      const vec factor = vselect(load_mask(mask + j, left), scale, vset1(0));
      if (left == VL) vstore(dx + j, vload(dy + j) * factor);
      else vstore_n(dx + j, vload_n(dy + j, left) * factor, left);
    }
}
