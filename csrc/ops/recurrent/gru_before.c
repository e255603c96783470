/* recurrent_gru_before: the gated recurrent unit as in Cho et al. 2014, with the reset before the product, as ONNX has it by default.
 *
 *   r = s(a_r + W_hr m h + b_hr)    z = s(a_z + W_hz m h + b_hz)    p = r m h    n = tanh(a_n + W_hn p + b_hn)
 *   h' = (1 - z) n + z h = n + z (h - n)                            a = W_ih x + b_ih, s the logistic function, m the mask
 *
 *   da_n = dh' (1 - z) (1 - n^2)    da_z = dh' (h - n) z (1 - z)    dp = W_hn^T da_n    da_r = dp p (1 - r)
 *   dh = dh' z + dp r m + m (W_hr^T da_r + W_hz^T da_z)
 *
 * Saved for backward, of each step: r, z, n, p in gates, and h.
 * A step is two products, one after the other, each with its part of the cell: forward for r and z, then for n; backward of da_r and da_z of the
 * step after, then of da_n. So it walks by itself. Cells are functions, and few people need this one: it is built small.
 * Order of accumulation: recurrent.h; dp is added to what is carried.
 */
#include "ops/recurrent/cells.h"
#include "ops/recurrent/recurrent.h"

#define NOINLINE static __attribute__((noinline))

NOINLINE void reset_cell(const recurrent_block *b, const real *product, size_t i, size_t u, size_t lanes) {
  const size_t hidden = b->hidden;
  real *gate = b->now.gates + b->gates_at[i] + u;
  const int saves = b->now.h_after != NULL;
  prefetch_gates(b, gate, 3);
  vec s[2];
  for (size_t g = 0; g < 2; g++) {
    s[g] = vsigmoid(vload(product + g * VL) + load_lanes_of(gate + g * hidden, lanes));
    store_lanes_of(gate + g * hidden, s[g], lanes);
  }
  const vec p = s[0] * vload((b->r->mask ? b->masked : b->h[0]) + i * b->ld + u);
  vstore(b->c + i * b->ld + u, p);
  if (saves) store_lanes_of(gate + 3 * hidden, p, lanes);
}

NOINLINE void new_cell(const recurrent_block *b, const real *product, size_t i, size_t u, size_t lanes) {
  const size_t hidden = b->hidden;
  real *gate = b->now.gates + b->gates_at[i] + u;
  const vec n = vtanh(vload(product) + load_lanes_of(gate + 2 * hidden, lanes)), z = load_lanes_of(gate + hidden, lanes);
  store_lanes_of(gate + 2 * hidden, n, lanes);
  store_state(b, gru_before_state(z, n, vload(b->h[0] + i * b->ld + u)), i, u, lanes, 1);
}

/* A product of the step and its part of the cell. z: the product, where it is there already. */
NOINLINE void step_forward(const recurrent_block *b, const real *left, const real *panel, const real *z, size_t ldz, size_t k,
                           size_t gates) {
  const size_t hidden = b->hidden, vectors = vectors_of(hidden);
  for (size_t v = 0, units, width; v < vectors; v += units, panel += width * VL * (hidden + 1)) {
    units = next_units(gates, vectors - v);
    width = units * gates;
    const recurrent_tiles *tiles = &KERNEL(recurrent_tiles)[width];
    for (size_t i = 0, rows; i < b->active; i += rows) {
      real out[MAX_ROWS * MAX_VECS * VL] __attribute__((aligned(64)));
      rows = next_rows(b->active - i, tiles->rows);
      if (z) take_products(out, z, ldz, hidden, gates, v * VL, units, i, rows);
      else tiles->tile[rows](out, left + i * b->ld, panel, panel + width * VL, k, b->ld * sizeof(real));
      for (size_t j = 0; j < units; j++) {
        const size_t u = (v + j) * VL, lanes = hidden - u < VL ? hidden - u : VL;
        for (size_t q = 0; q < rows; q++) (gates == 2 ? reset_cell : new_cell)(b, out + (q * width + j) * VL, i + q, u, lanes);
      }
    }
  }
}

NOINLINE void copy(real *to, const real *from, size_t n) { copy_row(to, from, n); }
NOINLINE void fill(real *scratch, const real *from, size_t n) { fill_row(scratch, from, n); }
NOINLINE void begin(recurrent_block *b, const nnc_recurrence *r, size_t first) { begin_block(b, r, first); }
NOINLINE void set_step(recurrent_block *b, size_t s, int backwards) {
  const nnc_recurrence *r = b->r;
  const int descends = (r->reverse != 0) != backwards;
  begin_step(b, descends ? r->steps - 1 - s : s, descends);
}

/* A block of rows: one step after the other. */
static void forward_block(recurrent_block *b) {
  const nnc_recurrence *r = b->r;
  const size_t hidden = r->hidden;
  const real *panel = (const real *)r->forward;
  for (size_t s = 0; s < r->steps; s++) {
    set_step(b, s, 0);
    const real *left = product_operand(b), *z = NULL;
    const size_t k = s == 0 && !r->h0 ? 0 : hidden; /* a state of zeros contributes nothing */
    size_t ldz = 0;
    if (r->multiply && b->active) z = (const real *)r->multiply(r->context, left, b->active, b->ld, &ldz);
    step_forward(b, left, panel, z, ldz, k, 2);
    if (z) z = (const real *)r->multiply_rest(r->context, b->c, b->active, b->ld, &ldz);
    step_forward(b, b->c, panel + rest_of_forward(hidden), z, ldz, k, 1);
    for (size_t i = b->active; i < b->rows; i++) {
      const real *h = b->h[0] + i * b->ld;
      copy(b->h[1] + i * b->ld, h, hidden);
      copy(sequence_of(b->now.y, b->y_at[i]), NULL, hidden);
      copy(sequence_of(b->now.h_after, b->h_at[i]), h, hidden);
    }
    real *const h = b->h[0];
    b->h[0] = b->h[1];
    b->h[1] = h;
  }
}

void KERNEL(gru_before_forward)(const nnc_recurrence *r) {
  for (size_t first = 0; first < r->rows; first += BLOCK) {
    recurrent_block b;
    begin(&b, r, first);
    b.h[0] = (real *)r->scratch;
    b.h[1] = b.h[0] + b.rows * b.ld;
    b.c = b.h[1] + b.rows * b.ld;
    b.masked = b.c + b.rows * b.ld;
    for (size_t i = 0; i < b.rows; i++) {
      const real *h0 = row_of(&b, r->h0, r->initial_row, i);
      fill(b.h[0] + i * b.ld, h0, r->hidden);
      copy(sequence_of(at_slot(r->h, r->h_step, r->reverse ? r->steps : 0), b.h_at[i]), h0, r->hidden);
    }
    forward_block(&b);
    for (size_t i = 0; i < b.rows; i++) copy(row_of(&b, r->h_n, r->final_row, i), b.h[0] + i * b.ld, r->hidden);
  }
}

NOINLINE void new_gradient(const recurrent_block *b, vec dh, size_t i, size_t u, size_t lanes) {
  const size_t hidden = b->hidden;
  const real *gate = b->now.gates + b->gates_at[i] + u, *before = b->now.h_before + b->h_at[i] + u;
  const vec z = load_lanes_of(gate + hidden, lanes), n = load_lanes_of(gate + 2 * hidden, lanes);
  prefetch_gates(b, gate, 4);
  prefetch_state(b, before);
  vec d[2];
  vstore(b->dh + i * b->ld + u, gru_before_derivative(d, dh, z, n, load_lanes_of(before, lanes)));
  real *to = b->now.dgates + b->gates_at[i] + u, *next = b->g[1] + i * b->ldg + u;
  for (size_t g = 0; g < 2; g++) {
    store_lanes_of(to + (g + 1) * hidden, d[g], lanes);
    store_lanes_of(next + (g + 1) * hidden, d[g], lanes);
  }
}

NOINLINE void reset_gradient(const recurrent_block *b, vec dp, size_t i, size_t u, size_t lanes) {
  const nnc_recurrence *call = b->r;
  real *to = b->now.dgates + b->gates_at[i] + u, *carried = b->dh + i * b->ld + u;
  const vec r = load_lanes_of(b->now.gates + b->gates_at[i] + u, lanes), h = load_lanes_of(b->now.h_before + b->h_at[i] + u, lanes);
  const vec mask = call->mask ? load_lanes_of(row_of(b, call->mask, call->mask_row, i) + u, lanes) : vset1(1);
  const vec p = r * (h * mask), dr = dp * p * (1 - r);
  vstore(carried, vfma(dp, r * mask, vload(carried)));
  store_lanes_of(to, dr, lanes);
  store_lanes_of(to + 3 * b->hidden, p, lanes);
  store_lanes_of(b->g[1] + i * b->ldg + u, dr, lanes);
}

/* The first part of a step of `count` rows; of the last walk, dh0. */
NOINLINE void new_step(const recurrent_block *b, size_t count, size_t k, int last) {
  backward_step(b, 3, count, k, last, new_gradient);
}

/* The second part: dp of each unit, and what becomes of it. */
NOINLINE void reset_step(const recurrent_block *b) {
  static const real zero[MAX_VECS * VL] __attribute__((aligned(64)));
  const size_t hidden = b->hidden, vectors = vectors_of(hidden);
  const real *panel = (const real *)b->r->backward;
  for (size_t v = 0, width; v < vectors; v += width) {
    width = panel_units(vectors - v);
    const recurrent_tiles *tiles = &KERNEL(recurrent_tiles)[width];
    panel += width * VL * 2 * hidden; /* columns of r and z */
    for (size_t i = 0, rows; i < b->active; i += rows) {
      real out[MAX_ROWS * MAX_VECS * VL] __attribute__((aligned(64)));
      rows = next_rows(b->active - i, tiles->rows);
      tiles->tile[rows](out, b->g[1] + i * b->ldg + 2 * hidden, zero, panel, hidden, b->ldg * sizeof(real));
      for (size_t j = 0; j < width; j++) {
        const size_t u = (v + j) * VL, lanes = hidden - u < VL ? hidden - u : VL;
        for (size_t q = 0; q < rows; q++) reset_gradient(b, vload(out + (q * width + j) * VL), i + q, u, lanes);
      }
    }
    panel += width * VL * hidden;
  }
}

void KERNEL(gru_before_backward)(const nnc_recurrence *r) {
  const size_t hidden = r->hidden;
  for (size_t first = 0; first < r->rows; first += BLOCK) {
    recurrent_block b;
    begin(&b, r, first);
    b.ldg = 3 * b.ld;
    b.g[0] = (real *)r->scratch;
    b.g[1] = b.g[0] + b.rows * b.ldg;
    b.dh = b.g[1] + b.rows * b.ldg;
    b.carried = 1;
    for (size_t i = 0; i < b.rows; i++) {
      copy(b.g[0] + i * b.ldg, NULL, 3 * hidden);
      fill(b.dh + i * b.ld, row_of(&b, r->dh_n, r->final_row, i), hidden);
    }
    for (size_t s = 0; s < r->steps; s++) {
      set_step(&b, s, 1);
      new_step(&b, b.active, s == 0 ? 0 : 2 * hidden, 0);
      reset_step(&b);
      for (size_t i = b.active; i < b.rows; i++) {
        copy(b.g[1] + i * b.ldg, b.g[0] + i * b.ldg, 3 * hidden);
        copy(b.now.dgates + b.gates_at[i], NULL, 4 * hidden);
        copy(sequence_of(b.now.dh, b.h_at[i]), NULL, hidden);
      }
      real *const g = b.g[0];
      b.g[0] = b.g[1];
      b.g[1] = g;
    }
    if (r->dh0) new_step(&b, b.rows, 2 * hidden, 1);
  }
}
