/* walk.h: common parts of the recurrent kernels of bfloat16, forward and backward: the rows of a call, from step to step, and how
 * they become operands.
 *
 * Units are processed in panels of 32, with all their gates: the product of a panel, then its cells while it is in the first-level cache.
 */
#ifndef NNC_OPS_BF16_WALK_H
#define NNC_OPS_BF16_WALK_H

#include "base/scratch.h"
#include "ops/bf16/panel.h"
#include "ops/recurrent/cells.h"

typedef struct {
  const nnc_bf16_recurrence *low;
  const nnc_recurrence *r;
  size_t hidden, blocks, ld, products, gates;
  size_t t;             /* the step */
  size_t before, after; /* the slots of the state */
  left_operand left, x; /* h or dgates; x */
  float *floats_after;  /* backward: what becomes the floats of dgates */
  float *bias;          /* forward: [4, ld], the last one of a GRU's q */
  float *h;             /* [rows, ld]: forward: the state; backward: the part of dh that is carried */
  float *c;             /* the cell's own state, or its gradient */
  float *masked;        /* forward: mask h */
  float *d;             /* backward: dgates of a panel, [gates][rows, 32] */
  int ahead;            /* the products of the next panel are begun before the cells of this one */
  float *sums;          /* of a panel: [products][32, 32]; forward with x: of x behind it */
} recurrent_walk;

/* Sums of a panel, of h and of x. */
enum { MOST_SUMS = 2 * 4 * BLOCK };
_Static_assert(2 * MOST_SUMS * sizeof(float) <= NNC_SCRATCH_BYTES, "the sums of two panels have to fit into the scratch");

/* Without scratch memory, `local` holds the sums of one panel. */
static recurrent_walk walk_of(const nnc_bf16_recurrence *low, float *local) {
  float *scratch = nnc_scratch();
  const nnc_recurrence *r = &low->r;
  const size_t blocks = nnc_bf16_blocks(r->hidden), ld = blocks * SIDE;
  recurrent_walk w = {.low = low,
                      .r = r,
                      .hidden = r->hidden,
                      .blocks = blocks,
                      .ld = ld,
                      .products = nnc_cell_products(r->cell),
                      .gates = nnc_cell_gates(r->cell),
                      .sums = scratch ? scratch : local,
                      .ahead = PANEL_AHEAD && scratch};
  float *at = r->scratch;
  w.left = (left_operand){.blocks = (nnc_bf16 *)at, .steps = blocks};
  at += blocks * BLOCK / 2;
  w.x = (left_operand){.blocks = (nnc_bf16 *)at, .steps = low->x ? nnc_bf16_blocks(low->input) : 0};
  at += w.x.steps * BLOCK / 2;
  w.bias = at;
  w.h = w.bias + 4 * ld;
  w.c = w.h + r->rows * ld;
  w.masked = w.c + r->rows * ld;
  w.d = w.masked + r->rows * ld;
  w.left.floats = w.d + r->rows * w.gates * SIDE;
  w.x.floats = w.left.floats + r->rows * ld;
  w.floats_after = w.left.floats + r->rows * w.products * ld;
  return w;
}

INLINE void set_step(recurrent_walk *w, size_t t) {
  w->t = t;
  w->before = w->r->reverse ? t + 1 : t;
  w->after = w->r->reverse ? t : t + 1;
}

INLINE int is_active(const recurrent_walk *w, size_t i) {
  return !w->r->lengths || w->r->lengths[i] > (int64_t)(w->r->first_step + w->t);
}

/* The first lanes of a vector, mostly all of them. The code for both cases would be twice as long, and hardly faster. */
INLINE vec load_some(const float *p, size_t lanes) {
#if defined(__AVX512F__)
  return vload_n(p, lanes);
#else
  return lanes == VL ? vload(p) : vload_n(p, lanes);
#endif
}
INLINE void store_some(float *p, vec v, size_t lanes) {
#if defined(__AVX512F__)
  vstore_n(p, v, lanes);
#else
  if (lanes == VL) vstore(p, v);
  else vstore_n(p, v, lanes);
#endif
}

/* Row i of a step or slot; NULL stays NULL. */
INLINE float *row_at(const void *buffer, size_t step, size_t t, size_t row, size_t i) {
  return buffer ? (float *)buffer + t * step + i * row : NULL;
}
INLINE float *gates_row(const recurrent_walk *w, const void *buffer, size_t i) {
  return row_at(buffer, w->r->gates_step, w->t, w->r->gates_row, i);
}
INLINE float *y_row(const recurrent_walk *w, const void *buffer, size_t i) {
  return row_at(buffer, w->r->y_step, w->t, w->r->y_row, i);
}
INLINE float *state_row(const recurrent_walk *w, const void *buffer, size_t slot, size_t i) {
  return row_at(buffer, w->r->h_step, slot, w->r->h_row, i);
}

static void copy_some(float *to, const float *from, size_t n) {
  if (!to) return;
  if (from) memcpy(to, from, n * sizeof *to);
  else memset(to, 0, n * sizeof *to);
}

static void load_rows(const recurrent_walk *w, float *to, const float *from, size_t row) {
  for (size_t i = 0; i < w->r->rows; i++) copy_some(to + i * w->ld, from ? from + i * row : NULL, w->hidden);
}
static void save_rows(const recurrent_walk *w, float *to, const float *from, size_t row) {
  for (size_t i = 0; to && i < w->r->rows; i++) copy_some(to + i * row, from + i * w->ld, w->hidden);
}

/* A block of a matrix as operands: forms, in rows `first` on, and, for multiply-adds, floats [rows][32]. The sums of each 16 rows, in
 * order from +0, are added to sums, sums_half apart. What is not wanted is NULL. next: from a block of at and b to that of the next step. */
INLINE void write_block(const nnc_bf16_recurrence *low, block_forms to, ptrdiff_t next, float *floats, float *sums,
                        size_t sums_half, const float *x, size_t cols, size_t ld) {
  const size_t rows = low->r.rows, fill = rows < low->fill ? low->fill : rows;
  vec sum[VECS_OF_ROW] = {{0}};
#if NNC_HAVE_AMX
  nnc_bf16 spare[BLOCK] __attribute__((aligned(64)));
  (void)floats, (void)next;
  if (to.at) to.b = spare;
#endif
  for (size_t i = 0; i < fill; i += 2) {
#pragma GCC unroll 8
    for (size_t v = 0; v < VECS_OF_ROW; v++) {
      const size_t c = v * VL, lanes = lanes_from(cols, c);
      const vec even = i < rows ? load_some(x + i * ld + c, lanes) : vset1(0);
      const vec odd = i + 1 < rows ? load_some(x + (i + 1) * ld + c, lanes) : vset1(0);
      if (sums) sum[v] = (sum[v] + even) + odd;
#if NNC_HAVE_AMX
      write_rounded(&to, low->first + i, c, even, odd, 1);
#else
      const uvec low_even = rounded_any(even) & 0xFFFF0000, low_odd = rounded_any(odd) & 0xFFFF0000;
      if (floats && i < rows) vstore(floats + i * SIDE + c, (vec)low_even);
      if (floats && i + 1 < rows) vstore(floats + (i + 1) * SIDE + c, (vec)low_odd);
      write_words(&to, low->first + i, c, low_even, low_odd);
#endif
    }
#if !NNC_HAVE_AMX
    const ptrdiff_t line = next * BLOCK + (ptrdiff_t)((low->first + i) * SIDE);
    if (to.at) {
      __builtin_prefetch(to.at + line, 1);
      __builtin_prefetch(to.at + line + SIDE, 1);
    }
    if (to.b) {
      __builtin_prefetch(to.b + line, 1);
      __builtin_prefetch(to.b + line + SIDE, 1);
    }
#endif
    if (!sums || i >= rows || (i + 2 != NNC_BF16_HALF && i + 2 < rows)) continue;
    for (size_t v = 0; v < VECS_OF_ROW; v++) {
      vstore(sums + v * VL, vload(sums + v * VL) + one_nan(vset1(0) + one_nan(sum[v])));
      sum[v] = vset1(0);
    }
    sums += sums_half;
  }
#if NNC_HAVE_AMX
  const size_t pair = low->first / 2;
  for (size_t half = 0; to.at && half < 2; half++)
    transpose_tile((float *)to.at + half * TILE_WORDS / 2 + pair, (const float *)spare + half * TILE_WORDS / 2 + pair * HALF,
                   (fill + 1) / 2, HALF, HALF, HALF);
#endif
}

/* The cells of a panel, once per cell. They read copies, which no store of a number can change. */
typedef void panel_cells(const recurrent_walk *w, size_t j, const float *sums);
#define PANEL(direction, name, cell)                                                                  \
  static NOINLINE void direction##_##name(const recurrent_walk *given, size_t j, const float *sums) { \
    const nnc_recurrence r = *given->r;                                                               \
    recurrent_walk w = *given;                                                                        \
    w.r = &r;                                                                                         \
    cells_##direction(&w, cell, j, sums);                                                             \
  }
#define PANELS(direction)                                                              \
  PANEL(direction, tanh, NNC_CELL_TANH)                                                \
  PANEL(direction, relu, NNC_CELL_RELU)                                                \
  PANEL(direction, gru, NNC_CELL_GRU)                                                  \
  PANEL(direction, lstm, NNC_CELL_LSTM)                                                \
  static panel_cells *const direction##_cells[] = {[NNC_CELL_TANH] = direction##_tanh, \
                                                   [NNC_CELL_RELU] = direction##_relu, \
                                                   [NNC_CELL_GRU] = direction##_gru,   \
                                                   [NNC_CELL_LSTM] = direction##_lstm};

#endif
