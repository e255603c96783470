/* forms.h: floats rounded to bfloat16, and a block of 32 x 32 of them in the forms of an operand (low_kernels.h).
 *
 * All forms move words of 32 bits that hold two numbers. A row of a left operand is 16 words of two adjacent columns; a right
 * operand is, for each half of the columns, 16 x 16 words of two adjacent rows, which need no shuffle. Then x^T as a right operand is
 * x as a left one, both halves of it transposed word by word, and x^T as a left operand of amx is x as a right one, likewise. Multiply-adds
 * take x^T as x lies.
 */
#ifndef NNC_OPS_BF16_FORMS_H
#define NNC_OPS_BF16_FORMS_H

#include "ops/low_op.h"
#include "ops/tile.h"
#include "ops/transpose/tile.h"

enum { SIDE = NNC_BF16_SIDE, HALF = SIDE / 2, BLOCK = NNC_BF16_BLOCK, TILE_WORDS = HALF * SIDE };

INLINE uvec uvset1(uinteger x) { return (uvec){0} + x; }

/* Rounded to bfloat16 in the upper half of each lane; the lower half is undefined. x is neither denormal nor NaN, but for 0x7FC00000. */
INLINE uvec rounded(vec x) {
  const uvec bits = (uvec)x;
  return bits + 0x7FFF + (bits >> 16 & 1);
}

/* The same for any number: denormals become zeros with their sign, NaN is quieted. A multiplication does both, as denormals are flushed
 * (base/fpstate.h). */
INLINE uvec rounded_any(vec x) {
#if defined(__x86_64__) || defined(__aarch64__)
  vec one = vset1(1);
  PIN(one);
  const vec y = x * one;
  return (uvec)y + ((0x7FFF + ((uvec)y >> 16 & 1)) & (uvec)(y == y));
#else
  const uvec bits = (uvec)x, is_small = (uvec)((ivec)(bits & 0x7F800000) == 0);
  return (uvec)vselect(x == x, (vec)rounded(x), (vec)(bits | 0x00400000)) & ~(is_small >> 1);
#endif
}

/* The upper halves of the lanes, side by side. */
INLINE void store_upper(nnc_bf16 *to, uvec x) {
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16((__m512i)(x >> 16)));
#elif defined(__AVX2__)
  const __m256i low = (__m256i)((ivec)x >> 16); /* with their sign, so that nothing is cut off */
  _mm_storeu_si128((__m128i *)to, _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
#elif defined(__SSE2__)
  const __m128i low = (__m128i)((ivec)x >> 16);
  _mm_storel_epi64((__m128i *)to, _mm_packs_epi32(low, low));
#elif defined(__ARM_NEON)
  vst1_u16(to, vshrn_n_u32((uint32x4_t)x, 16));
#else
  for (int l = 0; l < VL; l++) to[l] = (nnc_bf16)(x[l] >> 16);
#endif
}

/* Of two rows: the words of a right operand. */
INLINE uvec paired(uvec even, uvec odd) { return (even >> 16) | (odd & 0xFFFF0000); }

INLINE void store_words(nnc_bf16 *to, uvec x) { vstore((float *)to, (vec)x); }

/* Where the forms of a block are written; a and b also where their transposes need them. */
typedef struct {
  nnc_bf16 *a, *b, *at, *bt;
} block_forms;

/* Of block (i, j) of a matrix that is col_blocks wide; spare: two blocks for what is needed, but not wanted. */
INLINE block_forms forms_of(const nnc_bf16_forms *to, size_t i, size_t j, size_t col_blocks, nnc_bf16 *spare) {
  const size_t along = (i * col_blocks + j) * BLOCK, across = (j * to->stride + i) * BLOCK;
  return (block_forms){
      .a = to->a    ? to->a + along
           : to->bt ? spare
                    : NULL,
      .b = to->b                    ? to->b + across
           : to->at && NNC_HAVE_AMX ? spare + BLOCK
                                    : NULL,
      .at = to->at ? to->at + across : NULL,
      .bt = to->bt ? to->bt + along : NULL,
  };
}

#if !NNC_HAVE_AMX
/* Columns [c, c + VL) of rows r and r + 1, r being even, rounded. */
INLINE void write_words(const block_forms *to, size_t r, size_t c, uvec even, uvec odd) {
  const size_t at = r * SIDE + c;
  if (to->a) {
    store_upper(to->a + at, even);
    store_upper(to->a + at + SIDE, odd);
  }
  if (to->at) {
    store_upper(to->at + at, even);
    store_upper(to->at + at + SIDE, odd);
  }
  if (to->b) store_words(to->b + c / HALF * TILE_WORDS + r / 2 * SIDE + c % HALF * 2, paired(even, odd));
}
#endif

/* The same of any numbers; any: as rounded_any. */
INLINE void write_rounded(const block_forms *to, size_t r, size_t c, vec even, vec odd, int any) {
#if NNC_HAVE_AMX
  const size_t a = r * SIDE + c, b = c / HALF * TILE_WORDS + r / 2 * SIDE + c % HALF * 2;
  (void)any; /* the instruction rounds any number */
  static const uint16_t pairs[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
  if (to->a) {
    _mm256_storeu_si256((__m256i *)(to->a + a), _mm512_castsi512_si256(both));
    _mm256_storeu_si256((__m256i *)(to->a + a + SIDE), _mm512_extracti64x4_epi64(both, 1));
  }
  if (to->b) _mm512_storeu_si512(to->b + b, _mm512_permutexvar_epi16(_mm512_loadu_si512(pairs), both));
#else
  write_words(to, r, c, any ? rounded_any(even) : rounded(even), any ? rounded_any(odd) : rounded(odd));
#endif
}
INLINE void write_pair(const block_forms *to, size_t r, size_t c, vec even, vec odd) { write_rounded(to, r, c, even, odd, 0); }

/* 16 x 16 words, for each half of a block. */
static NOINLINE void transpose_words(nnc_bf16 *to, const nnc_bf16 *from, size_t half, size_t end) {
  for (; half < end; half++)
    transpose_tile((real *)(to + half * TILE_WORDS), (const real *)(from + half * TILE_WORDS), HALF, HALF, HALF, HALF);
}

/* After all pairs of rows. */
INLINE void write_transposes(const block_forms *to) {
  if (to->bt) transpose_words(to->bt, to->a, 0, 2);
  if (to->at && NNC_HAVE_AMX) transpose_words(to->at, to->b, 0, 2);
}

#endif
