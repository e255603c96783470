/* recurrent.h: common code of the recurrent cells: the packed weights, the product with them in register tiles, and the forward and
 * backward loops over time, panels of units and tiles of rows, into which the formulas of a cell are inserted.
 *
 * Forward, step by step: one tile of the recurrent product W h + b, whose columns are all gates of some units; then the cell for
 * these units, while the tile is in the first-level cache. Backward, from the last step: one tile of W^T dgates of the following
 * step, whose columns are units; then the cell's derivative for these units. h and dgates of a step are stored contiguously in
 * scratch, twice, as the left operands of the next product.
 * Order of accumulation: each element of a product is one chain of multiply-adds in increasing k, from its bias (backward: 0). Then
 * the input product is added (backward: dy, and the cell's own carried gradient). So no bit depends on the tiles.
 * A mask multiplies h before the product, and the product of backward.
 *
 * A call takes at most BLOCK rows at once, in order of decreasing length: the rows that take part in a step are the first ones.
 */
#ifndef NNC_OPS_RECURRENT_H
#define NNC_OPS_RECURRENT_H

#include "ops/op.h"

enum { BLOCK = NNC_RECURRENT_ROWS };

/* Widest and highest tiles, by the registers there are: a tile is that many vectors wide and high at most. */
enum { MAX_VECS = 4, MAX_ROWS = 8 };

/* out[rows][vecs][VL] = start[vecs][VL] + a[rows, k] b[k][vecs][VL]; rows of a are lda bytes apart. */
typedef void recurrent_product(real *out, const real *a, const real *start, const real *b, size_t k, size_t lda);

/* By width; rows of a step are cut into tiles of at most `rows`. */
typedef struct {
  recurrent_product *const *tile;
  size_t rows;
} recurrent_tiles;
extern const recurrent_tiles KERNEL(recurrent_tiles)[MAX_VECS + 1];

/* Units are divided into panels. A panel of a cell with gates is VL units with their gates wide. Otherwise (tanh, relu, and
 * backward) it is several vectors of units wide, limited by the number of remaining ones. */
INLINE size_t panel_units(size_t rest) {
#if defined(__AVX512F__)
  return rest <= 3 ? rest : rest == 4 ? 2 : 3;
#else
  return rest == 1 || rest == 3 ? rest : 2;
#endif
}
INLINE size_t next_units(size_t gates, size_t rest) { return gates == 1 ? panel_units(rest) : 1; }

/* Whole vectors that hidden units fill. */
INLINE size_t vectors_of(size_t hidden) { return (hidden + VL - 1) / VL; }

/* The height of the next tile: as large as possible, with the last two balanced. */
INLINE size_t next_rows(size_t rest, size_t limit) { return rest <= limit ? rest : rest >= 2 * limit ? limit : (rest + 1) / 2; }

/* The four gates of a unit vector, `hidden` apart. */
INLINE void store_gates(real *to, size_t hidden, vec first, vec second, vec third, vec fourth, size_t lanes) {
  store_lanes_of(to, first, lanes);
  store_lanes_of(to + hidden, second, lanes);
  store_lanes_of(to + 2 * hidden, third, lanes);
  store_lanes_of(to + 3 * hidden, fourth, lanes);
}
INLINE vec load_or_zero(const real *p, size_t lanes) { return p ? load_lanes_of(p, lanes) : vset1(0); }

/* The buffers of a call at one step; NULL where there is none. before and after are the slots of the state. */
typedef struct {
  real *gates, *dgates, *y, *h_before, *h_after, *c_before, *c_after, *dh;
  const real *dy;
  ptrdiff_t next, next_y, next_h; /* how far the next step of gates, y and h lies away, in the direction of the walk */
} recurrent_step;

/* The rows of one block. In the buffers of the call, row i lies gates_at[i], y_at[i] or h_at[i] behind the first one; in scratch
 * the rows lie in the block's order, ld or ldg apart, in whole vectors. */
typedef struct {
  const nnc_recurrence *r;
  size_t hidden, rows, active;
  size_t ld, ldg; /* of a state, of all gates */
  real *h[2];     /* forward: the state before the step, and after */
  real *c;        /* forward: the cell's own state; backward: its gradient */
  real *masked;   /* forward: the state before the step times the mask, where there is one */
  real *g[2];     /* backward: dgates of the step after, and of this one */
  real *dh;       /* backward: gradient of h that does not come through dgates, where it is carried */
  int carried;
  recurrent_step now;
  size_t order[BLOCK]; /* number of the row in the call */
  size_t gates_at[BLOCK], y_at[BLOCK], h_at[BLOCK];
} recurrent_block;

/* Row i of the block in a buffer [rows, hidden] of the call; NULL stays NULL. */
INLINE real *row_of(const recurrent_block *b, const void *buffer, size_t distance, size_t i) {
  return buffer ? (real *)buffer + b->order[i] * distance : NULL;
}
INLINE real *sequence_of(real *at_step, size_t offset) { return at_step ? at_step + offset : NULL; }

/* The cell for one vector of units of row i of the block, from unit u on; z[gate] is the recurrent product. */
typedef void recurrent_cell(const recurrent_block *b, const real *z, size_t i, size_t u, size_t lanes);

/* The same backwards: dh is the whole gradient of h. */
typedef void recurrent_cell_gradient(const recurrent_block *b, vec dh, size_t i, size_t u, size_t lanes);

/* Orders the rows from `first` on by decreasing length, equal ones as they come. */
INLINE void begin_block(recurrent_block *b, const nnc_recurrence *r, size_t first) {
  b->r = r;
  b->hidden = r->hidden;
  b->ld = nnc_recurrent_padded(r->hidden) + 16;
  b->rows = r->rows - first < BLOCK ? r->rows - first : BLOCK;
  b->active = r->lengths ? 0 : b->rows;
  for (size_t i = 0; i < b->rows; i++) {
    size_t at = i;
    if (r->lengths)
      for (; at && r->lengths[b->order[at - 1]] < r->lengths[first + i]; at--) b->order[at] = b->order[at - 1];
    b->order[at] = first + i;
  }
  for (size_t i = 0; i < b->rows; i++) {
    const size_t row = b->order[i], group = r->group ? row / r->group : 0, within = row - group * r->group;
    b->gates_at[i] = group * r->gates_group + within * r->gates_row;
    b->h_at[i] = group * r->h_group + within * r->h_row;
    b->y_at[i] = row * r->y_row;
  }
}

INLINE real *at_slot(const void *buffer, size_t distance, size_t slot) { return buffer ? (real *)buffer + slot * distance : NULL; }

INLINE void begin_step(recurrent_block *b, size_t t, int descending) {
  const nnc_recurrence *r = b->r;
  const size_t before = r->reverse ? t + 1 : t, after = r->reverse ? t : t + 1;
  b->now = (recurrent_step){
      .gates = at_slot(r->gates, r->gates_step, t),
      .dgates = at_slot(r->dgates, r->gates_step, t),
      .y = at_slot(r->y, r->y_step, t),
      .dy = at_slot(r->dy, r->y_step, t),
      .dh = at_slot(r->dh, r->h_step, t),
      .h_before = at_slot(r->h, r->h_step, before),
      .h_after = at_slot(r->h, r->h_step, after),
      .c_before = at_slot(r->c, r->h_step, before),
      .c_after = at_slot(r->c, r->h_step, after),
      .next = descending ? -(ptrdiff_t)r->gates_step : (ptrdiff_t)r->gates_step,
      .next_y = descending ? -(ptrdiff_t)r->y_step : (ptrdiff_t)r->y_step,
      .next_h = descending ? -(ptrdiff_t)r->h_step : (ptrdiff_t)r->h_step,
  };
  if (!r->lengths) return;
  const int64_t now = (int64_t)(r->first_step + t);
  while (b->active && r->lengths[b->order[b->active - 1]] <= now) b->active--;
  while (b->active < b->rows && r->lengths[b->order[b->active]] > now) b->active++;
}

/* Copies a row of hidden numbers. NULL is 0 as a source and nothing as a target. Scratch is made of whole vectors. */
INLINE void copy_row(real *to, const real *from, size_t n) {
  if (!to) return;
  size_t j = 0;
  for (; j + VL <= n; j += VL) vstore(to + j, from ? vload(from + j) : vset1(0));
  if (j < n) vstore_n(to + j, from ? vload_n(from + j, n - j) : vset1(0), n - j);
}
INLINE void fill_row(real *scratch, const real *from, size_t n) {
  for (size_t j = 0; j < n; j += VL) vstore(scratch + j, load_or_zero(from ? from + j : NULL, n - j < VL ? n - j : VL));
}

/* The data of the next step are too far from those of this step for the hardware to predict, so they are prefetched for cells with
 * gates. Cells without gates have less to fetch than the prefetches cost. */
INLINE void prefetch_gates(const recurrent_block *b, const real *gates, size_t count) {
  for (size_t g = 0; g < count; g++) __builtin_prefetch(gates + b->now.next + (ptrdiff_t)(g * b->hidden));
}
INLINE void prefetch_state(const recurrent_block *b, const real *state) { __builtin_prefetch(state + b->now.next_h); }

/* Where h goes; has_gates is a constant. */
INLINE void store_state(const recurrent_block *b, vec h, size_t i, size_t u, size_t lanes, int has_gates) {
  vstore(b->h[1] + i * b->ld + u, h);
  if (b->now.y) {
    real *y = b->now.y + b->y_at[i] + u;
    store_lanes_of(y, h, lanes);
    if (has_gates) __builtin_prefetch(y + b->now.next_y, 1);
  }
  if (b->now.h_after) {
    real *saved = b->now.h_after + b->h_at[i] + u;
    store_lanes_of(saved, h, lanes);
    if (has_gates) __builtin_prefetch(saved + b->now.next_h, 1);
  }
}

/* The left operand of the recurrent product: the state before the step, or what the mask lets through of it. */
INLINE const real *product_operand(const recurrent_block *b) {
  const nnc_recurrence *r = b->r;
  if (!r->mask) return b->h[0];
  for (size_t i = 0; i < b->active; i++) {
    const real *mask = row_of(b, r->mask, r->mask_row, i);
    for (size_t u = 0; u < b->hidden; u += VL) {
      const size_t lanes = b->hidden - u < VL ? b->hidden - u : VL;
      vstore(b->masked + i * b->ld + u, vload(b->h[0] + i * b->ld + u) * load_lanes_of(mask + u, lanes));
    }
  }
  return b->masked;
}

/* Rows [i, i + rows) of the products of some units, from z, in the order of a tile. */
static __attribute__((noinline, unused)) void take_products(real *out, const real *z, size_t ldz, size_t hidden, size_t gates,
                                                            size_t u, size_t units, size_t i, size_t rows) {
  for (size_t q = i; q < i + rows; q++)
    for (size_t j = 0; j < units; j++)
      for (size_t g = 0; g < gates; g++, out += VL) vstore(out, vload(z + q * ldz + g * hidden + u + j * VL));
}

INLINE void walk_forward(const nnc_recurrence *r, size_t gates, recurrent_cell *cell) {
  const size_t hidden = r->hidden, vectors = vectors_of(hidden);
  for (size_t first = 0; first < r->rows; first += BLOCK) {
    recurrent_block b;
    begin_block(&b, r, first);
    b.h[0] = (real *)r->scratch;
    b.h[1] = b.h[0] + b.rows * b.ld;
    b.c = b.h[1] + b.rows * b.ld;
    b.masked = b.c + b.rows * b.ld;
    const size_t slot = r->reverse ? r->steps : 0;
    for (size_t i = 0; i < b.rows; i++) {
      const real *h0 = row_of(&b, r->h0, r->initial_row, i), *c0 = row_of(&b, r->c0, r->initial_row, i);
      fill_row(b.h[0] + i * b.ld, h0, hidden);
      copy_row(sequence_of(at_slot(r->h, r->h_step, slot), b.h_at[i]), h0, hidden);
      if (r->cell != NNC_CELL_LSTM) continue;
      fill_row(b.c + i * b.ld, c0, hidden);
      copy_row(sequence_of(at_slot(r->c, r->h_step, slot), b.h_at[i]), c0, hidden);
    }
    for (size_t s = 0; s < r->steps; s++) {
      begin_step(&b, r->reverse ? r->steps - 1 - s : s, r->reverse);
      const real *panel = (const real *)r->forward, *left = product_operand(&b);
      const size_t k = s == 0 && !r->h0 ? 0 : hidden; /* a state of zeros contributes nothing */
      size_t ldz = 0;
      const real *z = r->multiply && b.active ? (const real *)r->multiply(r->context, left, b.active, b.ld, &ldz) : NULL;
      for (size_t v = 0, units; v < vectors && b.active; v += units) {
        units = next_units(gates, vectors - v);
        const size_t width = units * gates;
        const recurrent_tiles *tiles = &KERNEL(recurrent_tiles)[width];
        for (size_t i = 0, rows; i < b.active; i += rows) {
          real out[MAX_ROWS * MAX_VECS * VL] __attribute__((aligned(64)));
          rows = next_rows(b.active - i, tiles->rows);
          if (z) take_products(out, z, ldz, hidden, gates, v * VL, units, i, rows);
          else tiles->tile[rows](out, left + i * b.ld, panel, panel + width * VL, k, b.ld * sizeof(real));
          for (size_t j = 0; j < units; j++) {
            const size_t u = (v + j) * VL;
            if (hidden - u >= VL)
              for (size_t q = 0; q < rows; q++) cell(&b, out + (q * width + j) * VL, i + q, u, VL);
            else
              for (size_t q = 0; q < rows; q++) cell(&b, out + (q * width + j) * VL, i + q, u, hidden - u);
          }
        }
        panel += width * VL * (hidden + 1);
      }
      for (size_t i = b.active; i < b.rows; i++) {
        const real *h = b.h[0] + i * b.ld;
        copy_row(b.h[1] + i * b.ld, h, hidden);
        copy_row(sequence_of(b.now.y, b.y_at[i]), NULL, hidden);
        copy_row(sequence_of(b.now.h_after, b.h_at[i]), h, hidden);
        if (r->cell == NNC_CELL_LSTM) copy_row(sequence_of(b.now.c_after, b.h_at[i]), b.c + i * b.ld, hidden);
      }
      real *const h = b.h[0];
      b.h[0] = b.h[1];
      b.h[1] = h;
    }
    for (size_t i = 0; i < b.rows; i++) {
      copy_row(row_of(&b, r->h_n, r->final_row, i), b.h[0] + i * b.ld, hidden);
      if (r->cell == NNC_CELL_LSTM) copy_row(row_of(&b, r->c_n, r->final_row, i), b.c + i * b.ld, hidden);
    }
  }
}

/* For cells whose h is not carried past the product: the gradient dh_n is used once. Without lengths, this is in the first step. */
INLINE void clear_dh(const recurrent_block *b, size_t i, size_t u) {
  if (b->carried) vstore(b->dh + i * b->ld + u, vset1(0));
}

/* dgates of the step after, times W^T, for `count` rows, and what a cell does with them; of the last walk, dh0. k is 0 where there
 * is no step after. */
INLINE void backward_step(const recurrent_block *b, size_t gates, size_t count, size_t k, int last,
                          recurrent_cell_gradient *gradient) {
  static const real zero[MAX_VECS * VL] __attribute__((aligned(64)));
  const nnc_recurrence *r = b->r;
  const size_t hidden = r->hidden, vectors = vectors_of(hidden);
  const real *panel = (const real *)r->backward;
  for (size_t v = 0, width; v < vectors; v += width) {
    width = panel_units(vectors - v);
    const recurrent_tiles *tiles = &KERNEL(recurrent_tiles)[width];
    for (size_t i = 0, rows; i < count; i += rows) {
      real out[MAX_ROWS * MAX_VECS * VL] __attribute__((aligned(64)));
      rows = next_rows(count - i, tiles->rows);
      tiles->tile[rows](out, b->g[0] + i * b->ldg, zero, panel, k, b->ldg * sizeof(real));
      for (size_t j = 0; j < width; j++) {
        const size_t u = (v + j) * VL, lanes = hidden - u < VL ? hidden - u : VL;
        for (size_t q = i; q < i + rows; q++) {
          vec product = vload(out + ((q - i) * width + j) * VL);
          if (r->mask) product *= load_lanes_of(row_of(b, r->mask, r->mask_row, q) + u, lanes);
          if (b->carried) product += vload(b->dh + q * b->ld + u);
          if (last) {
            store_lanes_of(row_of(b, r->dh0, r->dinitial_row, q) + u, product, lanes);
            continue;
          }
          if (gates > 1 && b->now.dy) __builtin_prefetch(b->now.dy + b->y_at[q] + u + b->now.next_y);
          const vec dh = b->now.dy ? load_lanes_of(b->now.dy + b->y_at[q] + u, lanes) + product : product;
          if (b->now.dh) store_lanes_of(b->now.dh + b->h_at[q] + u, dh, lanes);
          if (lanes == VL) gradient(b, dh, q, u, VL);
          else gradient(b, dh, q, u, lanes);
        }
      }
    }
    panel += width * VL * gates * hidden;
  }
}

INLINE void walk_backward(const nnc_recurrence *r, size_t gates, recurrent_cell_gradient *gradient) {
  const size_t hidden = r->hidden, columns = nnc_cell_gates(r->cell) * hidden;
  for (size_t first = 0; first < r->rows; first += BLOCK) {
    recurrent_block b;
    begin_block(&b, r, first);
    b.ldg = gates * b.ld;
    b.g[0] = (real *)r->scratch;
    b.g[1] = b.g[0] + b.rows * b.ldg;
    b.dh = b.g[1] + b.rows * b.ldg;
    b.c = b.dh + b.rows * b.ld;
    for (size_t i = 0; i < b.rows; i++) {
      copy_row(b.g[0] + i * b.ldg, NULL, gates * hidden);
      fill_row(b.dh + i * b.ld, row_of(&b, r->dh_n, r->final_row, i), hidden);
      fill_row(b.c + i * b.ld, row_of(&b, r->dc_n, r->final_row, i), hidden);
    }
    for (size_t s = 0; s < r->steps; s++) {
      begin_step(&b, r->reverse ? s : r->steps - 1 - s, !r->reverse);
      b.carried = r->cell == NNC_CELL_GRU || (r->dh_n && (s == 0 || r->lengths));
      backward_step(&b, gates, b.active, s == 0 ? 0 : gates * hidden, 0, gradient);
      for (size_t i = b.active; i < b.rows; i++) {
        copy_row(b.g[1] + i * b.ldg, b.g[0] + i * b.ldg, gates * hidden);
        copy_row(b.now.dgates + b.gates_at[i], NULL, columns);
        copy_row(sequence_of(b.now.dh, b.h_at[i]), NULL, hidden);
      }
      real *const g = b.g[0];
      b.g[0] = b.g[1];
      b.g[1] = g;
    }
    b.carried = r->cell == NNC_CELL_GRU || (r->dh_n && r->lengths);
    if (r->dh0) backward_step(&b, gates, b.rows, gates * hidden, 1, gradient);
    if (r->cell == NNC_CELL_LSTM)
      for (size_t i = 0; i < b.rows; i++) copy_row(row_of(&b, r->dc0, r->dinitial_row, i), b.c + i * b.ld, hidden);
  }
}

#define NNC_CELLS(name)                                \
  void KERNEL(name##_forward)(const nnc_recurrence *); \
  void KERNEL(name##_backward)(const nnc_recurrence *);
NNC_CELLS(rnn)
NNC_CELLS(gru)
NNC_CELLS(lstm)
#undef NNC_CELLS

#endif
