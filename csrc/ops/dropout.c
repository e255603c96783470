/* dropout.c: y = x * keep / (1 - p), keep being 0 or 1; forward and backward are this same function, so nothing is saved: the
 * mask is drawn again from its counter.
 *
 * Element (row, col) takes word col % 4 of the Philox4x32-10 block with the counter (col / 4, row0 + row, stream[0], stream[1]),
 * row0 + row modulo 2^32, and is kept where word >= ceil(p * 2^32), that is where word / 2^32 >= p. The mask depends on nothing
 * else: neither on the split of the rows, the leading dimensions, the instruction set nor the dtype. 1 / (1 - p) is rounded to the
 * dtype once. A dropped element is x * 0, so NaN stays NaN; p >= 1 - 2^-32 gives plain zeros.
 *
 * One block of the vector code is BLOCKS counters side by side in 64-bit lanes, whose upper halves hold whatever the widening
 * multiply left there: it ignores them, and the last step masks them away.
 */
#include <math.h>

#include "base/philox.h"
#include "ops/op.h"

typedef uint64_t wide __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef uint32_t words __attribute__((vector_size(NNC_VECTOR_BYTES)));

enum { BLOCKS = NNC_VECTOR_BYTES / sizeof(uint64_t), WORDS = 4 * BLOCKS };

/* The 64-bit product of the lower halves. */
INLINE wide multiply_wide(wide a, wide b) {
#if defined(__AVX512F__)
  return (wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__ARM_NEON)
  return (wide)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

/* In the order of interleave: even lanes hold the first half of the counters, odd lanes the second. */
INLINE wide counters_from(uint64_t first) {
  static const uint64_t offset[8] = {
#if NNC_VECTOR_BYTES == 64
      0, 4, 1, 5, 2,
      6, 3, 7
#elif NNC_VECTOR_BYTES == 32
      0, 2, 1, 3
#else
      0, 1
#endif
  };
  wide counter;
  memcpy(&counter, offset, sizeof counter);
  return counter + first;
}

/* The even 64-bit lanes of a and b, and the odd ones, alternating. */
INLINE void interleave(wide *even, wide *odd, wide a, wide b) {
#if NNC_VECTOR_BYTES == 64
  *even = __builtin_shuffle(a, b, (wide){0, 8, 2, 10, 4, 12, 6, 14});
  *odd = __builtin_shuffle(a, b, (wide){1, 9, 3, 11, 5, 13, 7, 15});
#elif NNC_VECTOR_BYTES == 32
  *even = __builtin_shuffle(a, b, (wide){0, 4, 2, 6});
  *odd = __builtin_shuffle(a, b, (wide){1, 5, 3, 7});
#else
  *even = __builtin_shuffle(a, b, (wide){0, 2});
  *odd = __builtin_shuffle(a, b, (wide){1, 3});
#endif
}

/* The words of columns 4 * block to 4 * block + WORDS - 1, in order. */
INLINE void draw(uint32_t word[WORDS], uint64_t block, uint32_t row, const uint32_t key[2], const uint32_t stream[2]) {
  const wide low = (wide){0} + 0xffffffffu, m0 = (wide){0} + NNC_PHILOX_M0, m1 = (wide){0} + NNC_PHILOX_M1;
  wide x0 = counters_from(block), x1 = (wide){0} + row, x2 = (wide){0} + stream[0], x3 = (wide){0} + stream[1];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < NNC_PHILOX_ROUNDS; round++) {
    const wide a = multiply_wide(x0, m0), b = multiply_wide(x2, m1);
    x0 = (b >> 32) ^ x1 ^ k0;
    x1 = b;
    x2 = (a >> 32) ^ x3 ^ k1;
    x3 = a;
    k0 += NNC_PHILOX_W0;
    k1 += NNC_PHILOX_W1;
  }
  wide even, odd;
  interleave(&even, &odd, (x0 & low) | x1 << 32, (x2 & low) | x3 << 32);
  memcpy(word, &even, sizeof even);
  memcpy(word + WORDS / 2, &odd, sizeof odd);
}

/* All bits of lane i set where word[i] >= threshold. */
INLINE ivec kept(const uint32_t *word, uint32_t threshold) {
  uint32_t lane __attribute__((vector_size(VL * sizeof(uint32_t))));
  memcpy(&lane, word, sizeof lane);
  return (ivec)(__builtin_convertvector(lane, uvec) >= (uvec){0} + threshold);
}

void KERNEL(dropout)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double p,
                     const uint32_t key[2], const uint32_t stream[2]) {
  const double threshold = ceil(p * 0x1p32);
  if (!(threshold < 0x1p32)) {
    for (size_t r = 0; r < rows; r++) memset(y + r * ldy, 0, cols * sizeof *y);
    return;
  }
  const vec scale = vset1((real)(1 / (1 - p)));
  for (size_t r = 0; r < rows; r++) {
    const real *xr = x + r * ldx;
    real *yr = y + r * ldy;
    for (size_t j = 0; j < cols; j += WORDS) {
      uint32_t word[WORDS];
      draw(word, j / 4, (uint32_t)(row0 + r), key, stream);
      for (size_t i = 0; i < WORDS && j + i < cols; i += VL) {
        const vec factor = vselect(kept(word + i, (uint32_t)threshold), scale, vset1(0));
        const size_t left = cols - j - i;
        if (left >= VL) vstore(yr + j + i, vload(xr + j + i) * factor);
        else vstore_n(yr + j + i, vload_n(xr + j + i, left) * factor, left);
      }
    }
  }
}
