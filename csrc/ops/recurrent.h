/* recurrent.h: what the recurrent cells share: the packed weights, the product with them in register tiles, and the two walks,
 * over time, panels of units and tiles of rows, that a cell's formulas are put into.
 *
 * Forward, step by step: one tile of the recurrent product W h + b, whose columns are all gates of some units; then the cell for
 * these units, while the tile is in the first cache. Backward, from the last step: one tile of W^T dgates of the step after, whose
 * columns are units; then the cell's derivative for these units. h and dgates of a step are kept side by side in scratch, twice, as
 * the left operands of the next product.
 * Order of accumulation: each element of a product is one chain of multiply-adds from its bias (backward: 0) on, in
 * increasing k; then comes the input product (backward: dy, and what the cell carries). So no bit depends on the tiles.
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

/* Units are taken in panels. A panel of a cell with gates is VL units and their gates wide. Elsewhere (tanh, relu, and
 * backward) it is some vectors of units wide, of the rest there are. */
INLINE size_t panel_units(size_t rest) {
#if defined(__AVX512F__)
  return rest <= 4 ? rest : rest % 4 == 0 || rest == 7 ? 4 : 3;
#else
  return rest == 1 || rest == 3 ? rest : 2;
#endif
}
INLINE size_t next_units(size_t gates, size_t rest) { return gates == 1 ? panel_units(rest) : 1; }

/* Whole vectors that hidden units fill. */
INLINE size_t vectors_of(size_t hidden) { return (hidden + VL - 1) / VL; }

/* The height of the next tile: as high as possible, the last two equalised. */
INLINE size_t next_rows(size_t rest, size_t limit) { return rest <= limit ? rest : rest >= 2 * limit ? limit : (rest + 1) / 2; }

INLINE vec load_lanes_of(const real *p, size_t lanes) { return lanes == VL ? vload(p) : vload_n(p, lanes); }
INLINE void store_lanes_of(real *p, vec v, size_t lanes) {
  if (lanes == VL) vstore(p, v);
  else vstore_n(p, v, lanes);
}
INLINE vec load_or_zero(const real *p, size_t lanes) { return p ? load_lanes_of(p, lanes) : vset1(0); }

/* The rows of one block at one step. Buffers of the call are found through order; those of scratch lie in the block's order, ld
 * apart, whole vectors. */
typedef struct {
  const nnc_recurrence *r;
  size_t order[BLOCK]; /* row of the call */
  size_t rows, active;
  size_t t, before, after; /* step, and the slots of its states */
  size_t ld, ldg;          /* of a state, of all gates */
  real *h[2];              /* forward: the state before the step, and after */
  real *c;                 /* forward: the cell's own state; backward: its gradient */
  real *g[2];              /* backward: dgates of the step after, and of this one */
  real *dh;                /* backward: gradient of h that does not come through dgates */
} recurrent_block;

/* The element of a sequence at step (or slot) t, for a row of the block. NULL stays NULL. */
#define AT(b, buffer, row_stride, step_stride, i, t) \
  ((b)->r->buffer ? (real *)(b)->r->buffer + (b)->order[i] * (b)->r->row_stride + (t) * (b)->r->step_stride : NULL)

/* The cell for one vector of units of row i of the block, from unit u on; z[gate] is the recurrent product. */
typedef void recurrent_cell(const recurrent_block *b, const real *z, size_t i, size_t u, size_t lanes);

/* The same backwards: dh is the whole gradient of h. */
typedef void recurrent_cell_gradient(const recurrent_block *b, vec dh, size_t i, size_t u, size_t lanes);

/* Orders the rows from `first` on by decreasing length, equal ones as they come. */
INLINE void begin_block(recurrent_block *b, const nnc_recurrence *r, size_t first) {
  b->r = r;
  b->rows = r->rows - first < BLOCK ? r->rows - first : BLOCK;
  b->active = r->lengths ? 0 : b->rows;
  for (size_t i = 0; i < b->rows; i++) {
    size_t at = i;
    if (r->lengths)
      for (; at && r->lengths[b->order[at - 1]] < r->lengths[first + i]; at--) b->order[at] = b->order[at - 1];
    b->order[at] = first + i;
  }
}

INLINE void begin_step(recurrent_block *b, size_t t) {
  const nnc_recurrence *r = b->r;
  b->t = t;
  b->before = r->reverse ? t + 1 : t;
  b->after = r->reverse ? t : t + 1;
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

INLINE void walk_forward(const nnc_recurrence *r, size_t gates, recurrent_cell *cell) {
  const size_t hidden = r->hidden, vectors = vectors_of(hidden);
  for (size_t first = 0; first < r->rows; first += BLOCK) {
    recurrent_block b;
    begin_block(&b, r, first);
    b.ld = nnc_recurrent_padded(hidden) + 16;
    b.h[0] = (real *)r->scratch;
    b.h[1] = b.h[0] + b.rows * b.ld;
    b.c = b.h[1] + b.rows * b.ld;
    const size_t slot = r->reverse ? r->steps : 0;
    for (size_t i = 0; i < b.rows; i++) {
      const real *h0 = AT(&b, h0, initial_row, initial_row, i, 0), *c0 = AT(&b, c0, initial_row, initial_row, i, 0);
      fill_row(b.h[0] + i * b.ld, h0, hidden);
      copy_row(AT(&b, h, h_row, h_step, i, slot), h0, hidden);
      if (r->cell != NNC_CELL_LSTM) continue;
      fill_row(b.c + i * b.ld, c0, hidden);
      copy_row(AT(&b, c, h_row, h_step, i, slot), c0, hidden);
    }
    for (size_t s = 0; s < r->steps; s++) {
      begin_step(&b, r->reverse ? r->steps - 1 - s : s);
      const real *panel = (const real *)r->forward;
      for (size_t v = 0, units; v < vectors && b.active; v += units) {
        units = next_units(gates, vectors - v);
        const size_t width = units * gates;
        const recurrent_tiles *tiles = &KERNEL(recurrent_tiles)[width];
        for (size_t i = 0, rows; i < b.active; i += rows) {
          real out[MAX_ROWS * MAX_VECS * VL] __attribute__((aligned(64)));
          rows = next_rows(b.active - i, tiles->rows);
          tiles->tile[rows](out, b.h[0] + i * b.ld, panel, panel + width * VL, hidden, b.ld * sizeof(real));
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
        copy_row(AT(&b, y, y_row, y_step, i, b.t), NULL, hidden);
        copy_row(AT(&b, h, h_row, h_step, i, b.after), h, hidden);
        if (r->cell == NNC_CELL_LSTM) copy_row(AT(&b, c, h_row, h_step, i, b.after), b.c + i * b.ld, hidden);
      }
      real *const h = b.h[0];
      b.h[0] = b.h[1];
      b.h[1] = h;
    }
    for (size_t i = 0; i < b.rows; i++) {
      copy_row(AT(&b, h_n, final_row, final_row, i, 0), b.h[0] + i * b.ld, hidden);
      if (r->cell == NNC_CELL_LSTM) copy_row(AT(&b, c_n, final_row, final_row, i, 0), b.c + i * b.ld, hidden);
    }
  }
}

/* dgates of the step after, times W^T, for `count` rows, and what a cell does with them; of the last walk, dh0. */
INLINE void backward_step(const recurrent_block *b, size_t gates, size_t count, int last, recurrent_cell_gradient *gradient) {
  static const real zero[MAX_VECS * VL] __attribute__((aligned(64)));
  const nnc_recurrence *r = b->r;
  const size_t hidden = r->hidden, vectors = vectors_of(hidden), k = gates * hidden;
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
          const vec product = vload(out + ((q - i) * width + j) * VL) + vload(b->dh + q * b->ld + u);
          if (last) {
            store_lanes_of(AT(b, dh0, dinitial_row, dinitial_row, q, 0) + u, product, lanes);
            continue;
          }
          const real *dy = AT(b, dy, y_row, y_step, q, b->t);
          const vec dh = dy ? load_lanes_of(dy + u, lanes) + product : product;
          real *whole = AT(b, dh, h_row, h_step, q, b->t);
          if (whole) store_lanes_of(whole + u, dh, lanes);
          if (lanes == VL) gradient(b, dh, q, u, VL);
          else gradient(b, dh, q, u, lanes);
        }
      }
    }
    panel += width * VL * k;
  }
}

INLINE void walk_backward(const nnc_recurrence *r, size_t gates, recurrent_cell_gradient *gradient) {
  const size_t hidden = r->hidden, columns = nnc_cell_gates(r->cell) * hidden;
  for (size_t first = 0; first < r->rows; first += BLOCK) {
    recurrent_block b;
    begin_block(&b, r, first);
    b.ld = nnc_recurrent_padded(hidden) + 16;
    b.ldg = gates * b.ld;
    b.g[0] = (real *)r->scratch;
    b.g[1] = b.g[0] + b.rows * b.ldg;
    b.dh = b.g[1] + b.rows * b.ldg;
    b.c = b.dh + b.rows * b.ld;
    for (size_t i = 0; i < b.rows; i++) {
      copy_row(b.g[0] + i * b.ldg, NULL, gates * hidden);
      fill_row(b.dh + i * b.ld, AT(&b, dh_n, final_row, final_row, i, 0), hidden);
      fill_row(b.c + i * b.ld, AT(&b, dc_n, final_row, final_row, i, 0), hidden);
    }
    for (size_t s = 0; s < r->steps; s++) {
      begin_step(&b, r->reverse ? s : r->steps - 1 - s);
      backward_step(&b, gates, b.active, 0, gradient);
      for (size_t i = b.active; i < b.rows; i++) {
        copy_row(b.g[1] + i * b.ldg, b.g[0] + i * b.ldg, gates * hidden);
        copy_row(AT(&b, dgates, gates_row, gates_step, i, b.t), NULL, columns);
        copy_row(AT(&b, dh, h_row, h_step, i, b.t), NULL, hidden);
      }
      real *const g = b.g[0];
      b.g[0] = b.g[1];
      b.g[1] = g;
    }
    if (r->dh0) backward_step(&b, gates, b.rows, 1, gradient);
    if (r->cell == NNC_CELL_LSTM)
      for (size_t i = 0; i < b.rows; i++) copy_row(AT(&b, dc0, dinitial_row, dinitial_row, i, 0), b.c + i * b.ld, hidden);
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
