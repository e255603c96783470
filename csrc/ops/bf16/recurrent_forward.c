/* bf16_recurrent_forward: the recurrent cells with products of bfloat16, for a group of at most 32 rows, from step to step.
 *
 *   z = (x's product + h's product) + (b_ih + b_hh), of all gates; a GRU's n keeps the two apart: W_in x + b_in, W_hn h + b_hn
 *
 * Each product is a sum from +0 by itself (low_kernels.h). h is multiplied with the mask and then rounded, once. All else is float32, by
 * the formulas of cells.h: the cell's state, and what is saved. So no bit depends on how steps are divided into calls.
 */
#include "ops/bf16/walk.h"

/* A matrix as a left operand, and its transpose, whose columns of blocks are `stride` apart. */
static NOINLINE void write_left(const nnc_bf16_recurrence *low, left_operand *to, nnc_bf16 *at, const float *x, size_t cols,
                                size_t ld) {
  for (size_t s = 0; s < to->steps; s++) {
    const block_forms forms = {.a = NNC_HAVE_AMX ? to->blocks + s * BLOCK : NULL, .at = at ? at + s * low->stride * BLOCK : NULL};
    write_block(low, forms, to->floats + s * low->r.rows * SIDE, NULL, 0, x + s * SIDE, cols - s * SIDE, ld);
  }
  to->at = to->blocks + low->first * SIDE;
}

/* b_ih + b_hh; of the last gate of a GRU both, one after the other. */
static void load_bias(const recurrent_walk *w) {
  const float *ih = w->low->bias_ih, *hh = w->low->bias_hh;
  for (size_t g = 0; g < w->products; g++) {
    const int apart = w->r->cell == NNC_CELL_GRU && g == 2;
    for (size_t u = 0; u < w->hidden; u++) {
      const float x = ih ? ih[g * w->hidden + u] : 0, h = hh ? hh[g * w->hidden + u] : 0;
      w->bias[g * w->ld + u] = apart ? x : x + h;
      if (apart) w->bias[(g + 1) * w->ld + u] = h;
    }
  }
}

/* The operands of the step: the state before it, or what the mask lets through of it, and x. */
static void write_operands(recurrent_walk *w) {
  const nnc_bf16_recurrence *low = w->low;
  const nnc_recurrence *r = w->r;
  const float *from = w->h;
  if (r->mask) {
    for (size_t i = 0; i < r->rows; i++) {
      const float *mask = (const float *)r->mask + i * r->mask_row;
      for (size_t u = 0; u < w->hidden; u++) w->masked[i * w->ld + u] = w->h[i * w->ld + u] * mask[u];
    }
    from = w->masked;
  }
  write_left(low, &w->left, low->h_at ? low->h_at + w->t * BLOCK : NULL, from, w->hidden, w->ld);
  if (low->x)
    write_left(low, &w->x, low->x_at ? low->x_at + w->t * BLOCK : NULL, low->x + w->t * low->x_step, low->input, low->x_row);
}

/* The sums of row i for one vector of units: those of x, whose gates are x_gate apart, and of h. */
typedef struct {
  const float *x, *h, *bias;
  size_t x_gate, ld;
} unit_sums;

INLINE vec x_sum(const unit_sums *at, size_t g, size_t lanes) { return load_some(at->x + g * at->x_gate, lanes); }
INLINE vec h_sum(const unit_sums *at, size_t g) { return vload(at->h + g * BLOCK); }
INLINE vec bias_of(const unit_sums *at, size_t g) { return vload(at->bias + g * at->ld); }
INLINE vec sum_of(const unit_sums *at, size_t g, size_t lanes) {
  return one_nan((x_sum(at, g, lanes) + h_sum(at, g)) + bias_of(at, g));
}

INLINE void save_gates(const recurrent_walk *w, float *to, vec a, vec b, vec c, vec d, size_t lanes) {
  store_some(to, a, lanes);
  store_some(to + w->hidden, b, lanes);
  store_some(to + 2 * w->hidden, c, lanes);
  store_some(to + 3 * w->hidden, d, lanes);
}

/* What is saved is written far away, where nothing else prefetches it. */
INLINE void prefetch_saved(const recurrent_walk *w, const float *gate, const float *state) {
  const nnc_recurrence *r = w->r;
  const ptrdiff_t next = r->reverse ? -(ptrdiff_t)r->gates_step : (ptrdiff_t)r->gates_step;
  for (size_t g = 0; g < w->gates; g++) __builtin_prefetch(gate + next + (ptrdiff_t)(g * w->hidden), 1);
  __builtin_prefetch(state + (r->reverse ? -(ptrdiff_t)r->h_step : (ptrdiff_t)r->h_step), 1);
}

/* The cell of row i for one vector of units, from unit u on. */
INLINE void cell_forward(const recurrent_walk *w, nnc_cell cell, const unit_sums *sums, size_t i, size_t u, size_t lanes) {
  const nnc_recurrence *r = w->r;
  float *state = w->h + i * w->ld + u;
  float *gate = r->h || r->c ? gates_row(w, r->gates, i) + u : NULL; /* where what is saved goes */
  vec h;
  if (cell == NNC_CELL_LSTM) {
    lstm_gates to;
    vec c = vload(w->c + i * w->ld + u);
    h = lstm_of_sums(&to, &c, sum_of(sums, 0, lanes), sum_of(sums, 1, lanes), sum_of(sums, 2, lanes), sum_of(sums, 3, lanes));
    vstore(w->c + i * w->ld + u, c);
    if (gate) {
      float *kept = state_row(w, r->c, w->after, i) + u;
      store_some(kept, c, lanes);
      save_gates(w, gate, to.i, to.f, to.g, to.o, lanes);
      prefetch_saved(w, gate, kept);
    }
  } else if (cell == NNC_CELL_GRU) {
    const vec n = one_nan(x_sum(sums, 2, lanes) + bias_of(sums, 2)), q = one_nan(h_sum(sums, 2) + bias_of(sums, 3));
    gru_gates to;
    h = gru_of_sums(&to, sum_of(sums, 0, lanes), sum_of(sums, 1, lanes), n, q, vload(state));
    if (gate) {
      save_gates(w, gate, to.r, to.z, to.n, to.q, lanes);
      prefetch_saved(w, gate, state_row(w, r->h, w->after, i) + u);
    }
  } else {
    h = cell == NNC_CELL_TANH ? tanh_of_sum(sum_of(sums, 0, lanes)) : relu_of_sum(sum_of(sums, 0, lanes));
  }
  vstore(state, h);
  if (r->y) {
    float *y = y_row(w, r->y, i) + u;
    store_some(y, h, lanes);
    if (gate) __builtin_prefetch(y + (r->reverse ? -(ptrdiff_t)r->y_step : (ptrdiff_t)r->y_step), 1);
  }
  if (r->h) store_some(state_row(w, r->h, w->after, i) + u, h, lanes);
}

/* The products of a panel of units. */
static NOINLINE void products_forward(const recurrent_walk *w, size_t j, float *sums) {
  const size_t of_panel = j / SIDE * w->products, rows = w->r->rows, width = w->hidden - j;
  multiply_panel(sums, w->products, &w->left, (const nnc_bf16 *)w->r->forward + of_panel * w->left.steps * BLOCK, rows, width);
  if (w->low->x)
    multiply_panel(sums + w->products * BLOCK, w->products, &w->x, w->low->x_forward + of_panel * w->x.steps * BLOCK, rows, width);
}

INLINE void cells_forward(const recurrent_walk *w, nnc_cell cell, size_t j, const float *sums) {
  const nnc_recurrence *r = w->r;
  const size_t end = w->hidden - j < SIDE ? w->hidden : j + SIDE;
  for (size_t i = 0; i < r->rows; i++) {
    if (!is_active(w, i)) continue;
    for (size_t u = j; u < end; u += VL) {
      const size_t lanes = lanes_from(w->hidden, u);
      unit_sums at = {.h = sums + i * SIDE + u - j, .bias = w->bias + u, .ld = w->ld};
      at.x_gate = w->low->x ? BLOCK : w->low->in_panels ? SIDE : w->hidden;
      if (w->low->x) at.x = at.h + w->products * BLOCK;
      else at.x = gates_row(w, r->gates, i) + (w->low->in_panels ? w->products * j + u - j : u);
      cell_forward(w, cell, &at, i, u, lanes);
    }
  }
}

PANELS(forward)

static void walk_forward(recurrent_walk *w) {
  const nnc_recurrence *r = w->r;
  for (size_t s = 0; s < r->steps; s++) {
    set_step(w, r->reverse ? r->steps - 1 - s : s);
    write_operands(w);
    float *sums = w->sums, *next = w->ahead ? sums + MOST_SUMS : sums;
    if (w->ahead) products_forward(w, 0, sums);
    for (size_t j = 0; j < w->hidden; j += SIDE) {
      if (!w->ahead) products_forward(w, j, sums);
      else if (j + SIDE < w->hidden) products_forward(w, j + SIDE, next);
      forward_cells[r->cell](w, j, sums);
      float *const done = sums;
      sums = next;
      next = done;
    }
    for (size_t i = 0; i < r->rows && r->lengths; i++) {
      if (is_active(w, i)) continue;
      copy_some(y_row(w, r->y, i), NULL, w->hidden);
      copy_some(state_row(w, r->h, w->after, i), w->h + i * w->ld, w->hidden);
      if (r->cell == NNC_CELL_LSTM) copy_some(state_row(w, r->c, w->after, i), w->c + i * w->ld, w->hidden);
    }
  }
}

void KERNEL(bf16_recurrent_forward)(const nnc_bf16_recurrence *low) {
  float local[MOST_SUMS] __attribute__((aligned(64)));
  recurrent_walk w = walk_of(low, local);
  const nnc_recurrence *r = w.r;
  const size_t slot = r->reverse ? r->steps : 0;
  load_bias(&w);
  load_rows(&w, w.h, r->h0, r->initial_row);
  if (r->h) save_rows(&w, state_row(&w, r->h, slot, 0), w.h, r->h_row);
  if (r->cell == NNC_CELL_LSTM) {
    load_rows(&w, w.c, r->c0, r->initial_row);
    if (r->c) save_rows(&w, state_row(&w, r->c, slot, 0), w.c, r->h_row);
  }
  walk_forward(&w);
  save_rows(&w, r->h_n, w.h, r->final_row);
  if (r->cell == NNC_CELL_LSTM) save_rows(&w, r->c_n, w.c, r->final_row);
}
