/* bf16_recurrent_backward: the gradients of the recurrent cells with products of bfloat16, for a group of at most 32 rows, from the last
 * step of the walk to the first.
 *
 *   P  = the product of the dgates of the step after with W_hh^T, k being its gates in order, each filled up to whole blocks
 *   dh = dy + (mask P + what is carried)
 *
 * dgates are rounded once, for this product and those with x, h and W_ih. All else is float32, by the formulas of cells.h, also what is
 * carried. So no bit depends on how steps are divided into calls.
 * The sum of dgates for the bias: each 16 rows of a step in order from +0, then the steps in the order of the walk.
 */
#include "ops/bf16/walk.h"

/* The position of a gate in the left operands of dgates. A GRU has n, r, z, q there: the product with W_ih takes the first three,
 * that with W_hh the last three. */
INLINE size_t place_of(const recurrent_walk *w, size_t gate) {
  static const unsigned char of_gru[] = {1, 2, 0, 3};
  return w->r->cell == NNC_CELL_GRU ? of_gru[gate] : gate;
}

/* The gradient of the cell of row i; dh is the whole gradient of h. */
INLINE void cell_backward(const recurrent_walk *w, nnc_cell cell, vec dh, size_t i, size_t j, size_t u, size_t lanes) {
  const nnc_recurrence *r = w->r;
  const float *gate = gates_row(w, r->gates, i) + u;
  float *carried = w->h + i * w->ld + u;
  vec d[4], rest = vset1(0);
  if (cell == NNC_CELL_LSTM) {
    const lstm_gates saved = {load_some(gate, lanes), load_some(gate + w->hidden, lanes), load_some(gate + 2 * w->hidden, lanes),
                              load_some(gate + 3 * w->hidden, lanes)};
    vec dc = vload(w->c + i * w->ld + u);
    lstm_gates to;
    lstm_derivative(&to, &dc, dh, &saved, load_some(state_row(w, r->c, w->before, i) + u, lanes),
                    load_some(state_row(w, r->c, w->after, i) + u, lanes));
    vstore(w->c + i * w->ld + u, dc);
    d[0] = to.i, d[1] = to.f, d[2] = to.g, d[3] = to.o;
  } else if (cell == NNC_CELL_GRU) {
    const gru_gates saved = {load_some(gate, lanes), load_some(gate + w->hidden, lanes), load_some(gate + 2 * w->hidden, lanes),
                             load_some(gate + 3 * w->hidden, lanes)};
    gru_gates to;
    rest = gru_derivative(&to, dh, &saved, load_some(state_row(w, r->h, w->before, i) + u, lanes));
    d[0] = to.r, d[1] = to.z, d[2] = to.n, d[3] = to.q;
  } else {
    const vec h = load_some(state_row(w, r->h, w->after, i) + u, lanes);
    d[0] = cell == NNC_CELL_TANH ? tanh_derivative(dh, h) : relu_derivative(dh, h);
  }
  vstore(carried, rest);
#pragma GCC unroll 4
  for (size_t g = 0; g < nnc_cell_gates(cell); g++) {
    vstore(w->d + (g * r->rows + i) * SIDE + u - j, d[g]);
    if (r->dgates) store_some(gates_row(w, r->dgates, i) + g * w->hidden + u, d[g], lanes);
  }
}

/* dgates of a panel become operands, and are added to the sums for the bias. */
static NOINLINE void write_gradients(const recurrent_walk *w, size_t j) {
  const nnc_bf16_recurrence *low = w->low;
  const size_t rows = w->r->rows, block = j / SIDE, first = w->gates - w->products; /* the first one of P */
  for (size_t g = 0; g < w->gates; g++) {
    const size_t place = place_of(w, g);
    const block_forms to = {.a = low->dgates_a ? low->dgates_a + ((w->t * w->gates + place) * w->blocks + block) * BLOCK : NULL,
                            .b = low->dgates_b + ((g * w->blocks + block) * low->stride + w->t) * BLOCK};
    float *floats = place < first ? NULL : w->floats_after + ((place - first) * w->blocks + block) * rows * SIDE;
    write_block(low, to, w->r->reverse ? 1 : -1, floats, low->bias_sums + g * w->ld + j, w->gates * w->ld, w->d + g * rows * SIDE,
                w->hidden - j, SIDE);
  }
}

/* dgates of the step after as the left operand of P. */
static void take_step_after(recurrent_walk *w, size_t step_after) {
  w->left.steps = w->products * w->blocks;
#if NNC_HAVE_AMX
  w->left.at = w->low->dgates_a + (step_after * w->gates + w->gates - w->products) * w->blocks * BLOCK + w->low->first * SIDE;
#else
  (void)step_after;
  float *const written = w->floats_after;
  w->floats_after = w->left.floats;
  w->left.floats = written;
#endif
}

/* P of a panel of units. */
static NOINLINE void product_backward(const recurrent_walk *w, size_t j, float *sums) {
  multiply_panel(sums, 1, &w->left, (const nnc_bf16 *)w->r->backward + j / SIDE * w->left.steps * BLOCK, w->r->rows, w->hidden - j);
}

/* mask P + what is carried. */
INLINE vec gradient_before(const recurrent_walk *w, const float *sums, size_t i, size_t j, size_t u, size_t lanes) {
  vec product = sums ? one_nan(vload(sums + i * SIDE + u - j)) : vset1(0);
  if (w->r->mask) product *= load_some((const float *)w->r->mask + i * w->r->mask_row + u, lanes);
  return product + vload(w->h + i * w->ld + u);
}

/* What is read of the step before. */
INLINE void prefetch_step(const recurrent_walk *w, nnc_cell cell, const float *dy, size_t i, size_t u) {
  const nnc_recurrence *r = w->r;
  const ptrdiff_t sign = r->reverse ? 1 : -1;
  const int has_gates = nnc_cell_gates(cell) > 1;
  const float *gate = gates_row(w, r->gates, i) + u + sign * (ptrdiff_t)r->gates_step;
  for (size_t g = 0; has_gates && g < nnc_cell_gates(cell); g++) __builtin_prefetch(gate + g * w->hidden);
  const float *state = state_row(w, cell == NNC_CELL_LSTM ? r->c : r->h, has_gates ? w->before : w->after, i);
  __builtin_prefetch(state + u + sign * (ptrdiff_t)r->h_step);
  if (dy) __builtin_prefetch(dy + u + sign * (ptrdiff_t)r->y_step);
}

/* sums: P, or NULL where there is no step after. */
INLINE void cells_backward(const recurrent_walk *w, nnc_cell cell, size_t j, const float *sums) {
  const nnc_recurrence *r = w->r;
  const size_t end = w->hidden - j < SIDE ? w->hidden : j + SIDE;
  for (size_t i = 0; i < r->rows; i++) {
    const int active = is_active(w, i);
    const float *dy = y_row(w, r->dy, i);
    for (size_t u = j; u < end; u += VL) {
      const size_t lanes = lanes_from(w->hidden, u);
      const vec before = gradient_before(w, sums, i, j, u, lanes);
      if (!active) {
        vstore(w->h + i * w->ld + u, before);
        for (size_t g = 0; g < w->gates; g++) vstore(w->d + (g * r->rows + i) * SIDE + u - j, vset1(0));
        continue;
      }
      prefetch_step(w, cell, dy, i, u);
      const vec dh = dy ? load_some(dy + u, lanes) + before : before;
      if (r->dh) store_some(state_row(w, r->dh, w->t, i) + u, dh, lanes);
      cell_backward(w, cell, dh, i, j, u, lanes);
    }
  }
}

PANELS(backward)

static void walk_backward(recurrent_walk *w) {
  const nnc_recurrence *r = w->r;
  for (size_t s = 0; s < r->steps; s++) {
    const size_t step_after = w->t;
    set_step(w, r->reverse ? s : r->steps - 1 - s);
    if (s) take_step_after(w, step_after);
    float *sums = w->sums, *next = w->ahead ? sums + MOST_SUMS : sums;
    if (s && w->ahead) product_backward(w, 0, sums);
    for (size_t j = 0; j < w->hidden; j += SIDE) {
      if (s && !w->ahead) product_backward(w, j, sums);
      else if (s && j + SIDE < w->hidden) product_backward(w, j + SIDE, next);
      backward_cells[r->cell](w, j, s ? sums : NULL);
      write_gradients(w, j);
      float *const done = sums;
      sums = next;
      next = done;
    }
    for (size_t i = 0; i < r->rows && r->lengths; i++) {
      if (is_active(w, i)) continue;
      copy_some(gates_row(w, r->dgates, i), NULL, w->gates * w->hidden);
      copy_some(state_row(w, r->dh, w->t, i), NULL, w->hidden);
    }
  }
  if (!r->dh0) return;
  if (r->steps) take_step_after(w, w->t);
  for (size_t j = 0; j < w->hidden; j += SIDE) {
    const size_t end = w->hidden - j < SIDE ? w->hidden : j + SIDE;
    if (r->steps) product_backward(w, j, w->sums);
    for (size_t i = 0; i < r->rows; i++)
      for (size_t u = j; u < end; u += VL) {
        const size_t lanes = lanes_from(w->hidden, u);
        store_some((float *)r->dh0 + i * r->dinitial_row + u, gradient_before(w, r->steps ? w->sums : NULL, i, j, u, lanes), lanes);
      }
  }
}

void KERNEL(bf16_recurrent_backward)(const nnc_bf16_recurrence *low) {
  float local[MOST_SUMS] __attribute__((aligned(64)));
  recurrent_walk w = walk_of(low, local);
  const nnc_recurrence *r = w.r;
  load_rows(&w, w.h, r->dh_n, r->final_row);
  if (r->cell == NNC_CELL_LSTM) load_rows(&w, w.c, r->dc_n, r->final_row);
  walk_backward(&w);
  if (r->cell == NNC_CELL_LSTM) save_rows(&w, r->dc0, w.c, r->dinitial_row);
}
