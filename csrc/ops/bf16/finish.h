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

/* y where saved numbers are positive, else 0. */
INLINE vec where_positive(const nnc_bf16 *saved, vec y) {
#if defined(__AVX512F__)
  const __m256i words = _mm256_loadu_si256((const __m256i *)saved);
  return (vec)_mm512_maskz_mov_ps(_mm256_cmpgt_epi16_mask(words, _mm256_setzero_si256()), (__m512)y);
#else
#if defined(__AVX2__)
  const ivec words = (ivec)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)saved));
#else
  ivec words = {0};
  for (int l = 0; l < VL; l++) words[l] = (int16_t)saved[l];
#endif
  return (vec)((ivec)y & (words > 0));
#endif
}

enum { VECS_OF_ROW = SIDE / VL };

/* The part of a result that belongs to a block. */
typedef struct {
  const float *c;
  float *rows, *column_sums;
  size_t ld;
  int accumulate, relu;
  const float *bias;
  const nnc_bf16 *mask;
  size_t height, width;
  block_forms forms;
} finish_part;

/* And how far it is: the sums of the columns of the rows that are done. */
typedef struct {
  finish_part part;
  vec sums[VECS_OF_ROW];
  nnc_bf16 spare[2 * BLOCK] __attribute__((aligned(64)));
} finishing;

/* c [32, 32]: block (i, j) of [m, n]; what lies beyond m and n is not read, or comes to nothing. */
static inline void begin_finish(finishing *at, const nnc_bf16_result *to, const float *c, size_t i, size_t j, size_t m, size_t n) {
  const size_t top = i * SIDE, left = j * SIDE, col_blocks = nnc_bf16_blocks(n);
  at->part = (finish_part){
      .c = c,
      .rows = to->rows ? to->rows + top * to->ld + left : NULL,
      .column_sums = to->column_sums ? to->column_sums + i * to->ldsums + left : NULL,
      .ld = to->ld,
      .accumulate = to->accumulate,
      .relu = to->relu,
      .bias = to->bias ? to->bias + left : NULL,
      .mask = to->mask ? to->mask + (i * col_blocks + j) * BLOCK : NULL,
      .height = m - top,
      .width = n - left,
      .forms = forms_of(&to->forms, i, j, col_blocks, at->spare),
  };
}

INLINE int is_whole(const finish_part *at) { return at->height >= SIDE && at->width >= SIDE; }

INLINE size_t lanes_from(size_t width, size_t c) { return width >= c + VL ? VL : width <= c ? 0 : width - c; }

/* y of columns [c, c + VL) of one row, which is also written to rows. */
INLINE vec finish_lanes(const finish_part *at, size_t r, size_t c, vec bias, int whole) {
  if (!whole && r >= at->height) return (vec){0};
  const size_t lanes = whole ? VL : lanes_from(at->width, c);
  vec y = vload(at->c + r * SIDE + c);
  if (at->bias) y += bias;
  if (at->relu) y = vmax(vset1(0), y);
  if (at->mask) y = where_positive(at->mask + r * SIDE + c, y);
  y = one_nan(y);
  if (!whole) y = (vec)((ivec)y & lanes_below(at->width, c));
  if (at->rows && lanes) {
    float *row = at->rows + r * at->ld + c;
    store_lanes_of(row, at->accumulate ? one_nan(load_lanes_of(row, lanes) + y) : y, lanes);
  }
  return y;
}

/* Rows r and r + 1, r being even; one after the other. */
INLINE void finish_pair(const finish_part *at, size_t r, vec sums[VECS_OF_ROW], int whole) {
#pragma GCC unroll 8
  for (size_t v = 0; v < VECS_OF_ROW; v++) {
    const size_t c = v * VL;
    vec bias = {0};
    if (at->bias) bias = whole ? vload(at->bias + c) : load_lanes_of(at->bias + c, lanes_from(at->width, c));
    const vec even = finish_lanes(at, r, c, bias, whole), odd = finish_lanes(at, r + 1, c, bias, whole);
    if (at->column_sums && (whole || r < at->height)) sums[v] += even;
    if (at->column_sums && (whole || r + 1 < at->height)) sums[v] += odd; /* a sum of -0 stays that */
    write_pair(&at->forms, r, c, even, odd);
  }
}

/* After all of them. */
INLINE void end_finish(const finish_part *at, const vec sums[VECS_OF_ROW], int whole) {
  if (at->column_sums) {
#pragma GCC unroll 8
    for (size_t v = 0; v < VECS_OF_ROW; v++) {
      const size_t lanes = whole ? VL : lanes_from(at->width, v * VL);
      if (lanes) store_lanes_of(at->column_sums + v * VL, one_nan(sums[v]), lanes);
    }
  }
  write_transposes(&at->forms);
}

INLINE void finish_rows(const finish_part *at, int whole) {
  vec sums[VECS_OF_ROW] = {{0}};
  for (size_t r = 0; r < SIDE; r += 2) finish_pair(at, r, sums, whole);
  end_finish(at, sums, whole);
}

/* Whole blocks of the results that are most frequent: of what is written or NULL here, nothing is asked row by row. */
static NOINLINE void finish_plain(const finish_part *given) {
  const finish_part at = {.c = given->c, .rows = given->rows, .ld = given->ld};
  if (!at.rows) __builtin_unreachable();
  finish_rows(&at, 1);
}
static NOINLINE void finish_layer(const finish_part *given) {
  const finish_part at = {.c = given->c, .rows = given->rows, .ld = given->ld, .bias = given->bias, .relu = given->relu};
  if (!at.rows || !at.bias) __builtin_unreachable();
  finish_rows(&at, 1);
}
static NOINLINE void finish_activation(const finish_part *given) {
  const finish_part at = {.c = given->c, .bias = given->bias, .relu = 1, .forms = given->forms};
  if (!at.bias || !at.forms.a || !at.forms.at != !NNC_HAVE_AMX || !at.forms.b != !NNC_HAVE_AMX || at.forms.bt)
    __builtin_unreachable();
  finish_rows(&at, 1);
}
static NOINLINE void finish_gradient(const finish_part *given) {
  const finish_part at = {.c = given->c, .column_sums = given->column_sums, .mask = given->mask, .forms = given->forms};
  if (!at.mask || !at.column_sums || !at.forms.b || at.forms.at || at.forms.bt) __builtin_unreachable();
  finish_rows(&at, 1);
}
static NOINLINE void finish_whole(const finish_part *at) {
  const block_forms *to = &at->forms;
  const int rows_alone = at->rows && !at->accumulate && !at->mask && !at->column_sums && !to->a && !to->b && !to->at;
  const int forms_alone = !at->rows && !to->bt, has_b = to->b != NULL, has_at = to->at != NULL;
  if (rows_alone && at->bias) finish_layer(at);
  else if (rows_alone && !at->relu) finish_plain(at);
  else if (forms_alone && to->a && has_at == NNC_HAVE_AMX && has_b == NNC_HAVE_AMX && at->bias && at->relu && !at->mask &&
           !at->column_sums)
    finish_activation(at);
  else if (forms_alone && !has_at && has_b && at->mask && at->column_sums && !at->relu && !at->bias) finish_gradient(at);
  else finish_rows(at, 1);
}
static NOINLINE void finish_edge(const finish_part *at) { finish_rows(at, 0); }

static inline void finish_block(const nnc_bf16_result *to, const float *c, size_t i, size_t j, size_t m, size_t n) {
  finishing at;
  begin_finish(&at, to, c, i, j, m, n);
  if (is_whole(&at.part)) finish_whole(&at.part);
  else finish_edge(&at.part);
}

#endif
