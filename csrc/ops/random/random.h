/* random.h: vectors of random words from Philox4x32-10 (see base/philox.h), for the ops that draw one word per element.
 *
 * Element (row, col) takes word col % 4 of the block with the counter (col / 4, row, stream[0], stream[1]), row modulo 2^32. The
 * words depend on nothing else: neither on how rows are split, the leading dimensions, the instruction set nor the dtype.
 *
 * A set is BLOCKS contiguous counters in 64-bit lanes. The upper halves contain remainders of the widening multiply, which ignores
 * them; the last step masks them. The ten rounds are one chain of dependent multiplications, so several sets are processed in
 * parallel.
 */
#ifndef NNC_OPS_RANDOM_H
#define NNC_OPS_RANDOM_H

#include "base/philox.h"
#include "ops/simd.h"

typedef uint64_t wide __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef uint32_t words __attribute__((vector_size(NNC_VECTOR_BYTES)));

enum { BLOCKS = NNC_VECTOR_BYTES / sizeof(uint64_t), WORDS = 4 * BLOCKS, SETS = 4 };

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
  *even = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
  *odd = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif NNC_VECTOR_BYTES == 32
  *even = __builtin_shufflevector(a, b, 0, 4, 2, 6);
  *odd = __builtin_shufflevector(a, b, 1, 5, 3, 7);
#else
  *even = __builtin_shufflevector(a, b, 0, 2);
  *odd = __builtin_shufflevector(a, b, 1, 3);
#endif
}

/* The words of columns 4 * block to 4 * block + sets * WORDS - 1, in order. Always called with a constant number of sets. */
INLINE void draw_sets(uint32_t *word, uint64_t block, uint32_t row, const uint32_t key[2], const uint32_t stream[2], size_t sets) {
  const wide low = (wide){0} + 0xffffffffu, m0 = (wide){0} + NNC_PHILOX_M0, m1 = (wide){0} + NNC_PHILOX_M1;
  wide x0[SETS], x1[SETS], x2[SETS], x3[SETS];
  for (size_t s = 0; s < sets; s++) {
    x0[s] = counters_from(block + s * BLOCKS);
    x1[s] = (wide){0} + row;
    x2[s] = (wide){0} + stream[0];
    x3[s] = (wide){0} + stream[1];
  }
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < NNC_PHILOX_ROUNDS; round++) {
    for (size_t s = 0; s < sets; s++) {
      const wide a = multiply_wide(x0[s], m0), b = multiply_wide(x2[s], m1);
      x0[s] = (b >> 32) ^ x1[s] ^ k0;
      x1[s] = b;
      x2[s] = (a >> 32) ^ x3[s] ^ k1;
      x3[s] = a;
    }
    k0 += NNC_PHILOX_W0;
    k1 += NNC_PHILOX_W1;
  }
  for (size_t s = 0; s < sets; s++) {
    wide even, odd;
    interleave(&even, &odd, (x0[s] & low) | x1[s] << 32, (x2[s] & low) | x3[s] << 32);
    memcpy(word + s * WORDS, &even, sizeof even);
    memcpy(word + s * WORDS + WORDS / 2, &odd, sizeof odd);
  }
}

/* The words of the columns from `col` on, a multiple of 4; returns how many columns they are for. */
INLINE size_t draw(uint32_t word[SETS * WORDS], size_t col, size_t cols, uint32_t row, const uint32_t key[2],
                   const uint32_t stream[2]) {
  if (cols - col > (SETS - 1) * WORDS) {
    draw_sets(word, col / 4, row, key, stream, SETS);
    return cols - col < SETS * WORDS ? cols - col : SETS * WORDS;
  }
  draw_sets(word, col / 4, row, key, stream, 1);
  return cols - col < WORDS ? cols - col : WORDS;
}

#endif
