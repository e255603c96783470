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
    write_block(low, forms, low->r.reverse ? -1 : 1, to->floats + s * low->r.rows * SIDE, NULL, 0, x + s * SIDE, cols - s * SIDE,
                ld);
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
  if (!low->x) return;
  const float *x = low->x + w->t * low->x_step, *next = r->reverse ? x - low->x_step : x + low->x_step;
  for (size_t i = 0; i < r->rows; i++) /* of which each row is far from the one before */
    for (size_t c = 0; c < low->input; c += 64 / sizeof *x) __builtin_prefetch(next + i * low->x_row + c);
  write_left(low, &w->x, low->x_at ? low->x_at + w->t * BLOCK : NULL, x, low->input, low->x_row);
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

/* Where a row lies, from its first unit on: the state, what is saved of it, and the output. */
typedef struct {
  float *h, *c, *gates, *saved_h, *saved_c, *y;
  ptrdiff_t next_gates, next_state, next_y; /* to the next step */
} row_places;

INLINE row_places places_of(const recurrent_walk *w, nnc_cell cell, size_t i) {
  const nnc_recurrence *r = w->r;
  const ptrdiff_t sign = r->reverse ? -1 : 1;
  const int saves = r->h || r->c;
  return (row_places){
      .h = w->h + i * w->ld,
      .c = cell == NNC_CELL_LSTM ? w->c + i * w->ld : NULL,
      .gates = saves && nnc_cell_gates(cell) > 1 ? gates_row(w, r->gates, i) : NULL,
      .saved_h = state_row(w, r->h, w->after, i),
      .saved_c = cell == NNC_CELL_LSTM && saves ? state_row(w, r->c, w->after, i) : NULL,
      .y = y_row(w, r->y, i),
      .next_gates = sign * (ptrdiff_t)r->gates_step,
      .next_state = sign * (ptrdiff_t)r->h_step,
      .next_y = saves ? sign * (ptrdiff_t)r->y_step : 0,
  };
}

/* What is saved is written far away, where nothing else prefetches it. */
INLINE void prefetch_saved(const recurrent_walk *w, const row_places *at, const float *state, size_t u) {
  for (size_t g = 0; g < w->gates; g++) __builtin_prefetch(at->gates + u + at->next_gates + (ptrdiff_t)(g * w->hidden), 1);
  __builtin_prefetch(state + u + at->next_state, 1);
}

/* The cell of a row for one vector of units, from unit u on. */
INLINE void cell_forward(const recurrent_walk *w, nnc_cell cell, const unit_sums *sums, const row_places *at, size_t u,
                         size_t lanes) {
  vec h;
  if (cell == NNC_CELL_LSTM) {
    lstm_gates to;
    vec c = vload(at->c + u);
    h = lstm_of_sums(&to, &c, sum_of(sums, 0, lanes), sum_of(sums, 1, lanes), sum_of(sums, 2, lanes), sum_of(sums, 3, lanes));
    vstore(at->c + u, c);
    if (at->gates) {
      store_some(at->saved_c + u, c, lanes);
      save_gates(w, at->gates + u, to.i, to.f, to.g, to.o, lanes);
      prefetch_saved(w, at, at->saved_c, u);
    }
  } else if (cell == NNC_CELL_GRU) {
    const vec n = one_nan(x_sum(sums, 2, lanes) + bias_of(sums, 2)), q = one_nan(h_sum(sums, 2) + bias_of(sums, 3));
    gru_gates to;
    h = gru_of_sums(&to, sum_of(sums, 0, lanes), sum_of(sums, 1, lanes), n, q, vload(at->h + u));
    if (at->gates) {
      save_gates(w, at->gates + u, to.r, to.z, to.n, to.q, lanes);
      prefetch_saved(w, at, at->saved_h, u);
    }
  } else {
    h = cell == NNC_CELL_TANH ? tanh_of_sum(sum_of(sums, 0, lanes)) : relu_of_sum(sum_of(sums, 0, lanes));
  }
  vstore(at->h + u, h);
  if (at->y) {
    store_some(at->y + u, h, lanes);
    if (at->next_y) __builtin_prefetch(at->y + u + at->next_y, 1);
  }
  if (at->saved_h) {
    store_some(at->saved_h + u, h, lanes);
    if (nnc_cell_gates(cell) == 1) __builtin_prefetch(at->saved_h + u + at->next_state, 1);
  }
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
  const size_t hidden = w->hidden, ld = w->ld, end = hidden - j < SIDE ? hidden : j + SIDE;
  const int has_x = w->low->x != NULL, in_panels = w->low->in_panels;
  const float *const bias = w->bias;
  for (size_t i = 0; i < r->rows; i++) {
    if (!is_active(w, i)) continue;
    const row_places at = places_of(w, cell, i);
    const float *const of_h = sums + i * SIDE;
    const float *const of_x = has_x ? of_h + w->products * BLOCK : gates_row(w, r->gates, i) + (in_panels ? w->products * j : j);
    for (size_t u = j; u < end; u += VL) {
      const unit_sums from = {of_x + u - j, of_h + u - j, bias + u, has_x ? BLOCK : in_panels ? SIDE : hidden, ld};
      cell_forward(w, cell, &from, &at, u, lanes_from(hidden, u));
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
