/* finish.h: what becomes of a finished block of a product (nnc_bf16_result). */
#ifndef NNC_OPS_BF16_FINISH_H
#define NNC_OPS_BF16_FINISH_H

#include "ops/bf16/forms.h"

/* Not a number: one of all, because payloads depend on the order of an instruction's operands, and AMX has another one. */
INLINE vec one_nan(vec x) {
  const vec nan = vset1(__builtin_nanf(""));
#if defined(__AVX512F__)
  return (vec)_mm512_mask_mov_ps((__m512)x, _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q), (__m512)nan);
#else
  return vselect(x == x, x, nan);
#endif
}

/* Columns [0, n) of the lanes that begin at column c, as a mask. */
INLINE ivec lanes_below(size_t n, size_t c) {
  static const integer number[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ivec lane;
  memcpy(&lane, number, sizeof lane);
  return lane + (integer)c < (integer)n;
}

/* The words of saved numbers that are positive. */
INLINE ivec are_positive(const nnc_bf16 *saved) {
#if defined(__AVX512F__)
  const ivec words = (ivec)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)saved));
#elif defined(__AVX2__)
  const ivec words = (ivec)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)saved));
#else
  ivec words;
  for (int l = 0; l < VL; l++) words[l] = (int16_t)saved[l];
#endif
  return words > 0;
}

/* The part of a result that belongs to a block. */
typedef struct {
  const nnc_bf16_result *to;
  const float *c;
  float *rows, *sums;
  const float *bias;
  const nnc_bf16 *mask;
  size_t height, width;
  block_forms forms;
} finished;

/* y of columns [c, c + VL) of one row, which is also written to rows and added to the sums. */
INLINE vec finish_lanes(const finished *at, size_t r, size_t c, vec bias, vec *sum, int is_whole) {
  vec y = vload(at->c + r * SIDE + c);
  if (!is_whole && r >= at->height) return (vec){0};
  if (at->bias) y += bias;
  if (at->to->relu) y = vmax(vset1(0), y);
  if (at->mask) y = (vec)((ivec)y & are_positive(at->mask + r * SIDE + c));
  y = one_nan(y);
  size_t lanes = VL;
  if (!is_whole) {
    y = (vec)((ivec)y & lanes_below(at->width, c));
    lanes = at->width <= c ? 0 : at->width - c < VL ? at->width - c : VL;
  }
  *sum += y;
  if (at->rows) {
    float *row = at->rows + r * at->to->ld + c;
    if (lanes == VL) vstore(row, at->to->accumulate ? one_nan(vload(row) + y) : y);
    else if (lanes) vstore_n(row, at->to->accumulate ? one_nan(vload_n(row, lanes) + y) : y, lanes);
  }
  return y;
}

INLINE void finish_columns(const finished *at, int is_whole) {
  for (size_t c = 0; c < SIDE; c += VL) {
    const size_t lanes = is_whole || at->width >= c + VL ? VL : at->width <= c ? 0 : at->width - c;
    const vec bias = !at->bias ? (vec){0} : lanes == VL ? vload(at->bias + c) : lanes ? vload_n(at->bias + c, lanes) : (vec){0};
    vec sum = {0};
    for (size_t r = 0; r < SIDE; r += 2) {
      const vec even = finish_lanes(at, r, c, bias, &sum, is_whole), odd = finish_lanes(at, r + 1, c, bias, &sum, is_whole);
      write_pair(&at->forms, r, c, rounded(even), rounded(odd));
    }
    if (!at->sums || !lanes) continue;
    if (lanes == VL) vstore(at->sums + c, one_nan(sum));
    else vstore_n(at->sums + c, one_nan(sum), lanes);
  }
  write_transposes(&at->forms);
}

static NOINLINE void finish_whole(const finished *at) { finish_columns(at, 1); }
static NOINLINE void finish_part(const finished *at) { finish_columns(at, 0); }

/* c [32, 32]: block (i, j) of [m, n]; what lies beyond m and n is not read, or comes to nothing. */
static inline void finish_block(const nnc_bf16_result *to, const float *c, size_t i, size_t j, size_t m, size_t n) {
  const size_t top = i * SIDE, left = j * SIDE, col_blocks = nnc_bf16_blocks(n);
  nnc_bf16 spare[2 * BLOCK] __attribute__((aligned(64)));
  const finished at = {
      .to = to,
      .c = c,
      .rows = to->rows ? to->rows + top * to->ld + left : NULL,
      .sums = to->column_sums ? to->column_sums + i * to->ldsums + left : NULL,
      .bias = to->bias ? to->bias + left : NULL,
      .mask = to->mask ? to->mask + (i * col_blocks + j) * BLOCK : NULL,
      .height = m - top,
      .width = n - left,
      .forms = forms_of(&to->forms, i, j, col_blocks, spare),
  };
  if (at.height >= SIDE && at.width >= SIDE) finish_whole(&at);
  else finish_part(&at);
}

#endif
