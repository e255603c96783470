/* bf16_recurrent: the recurrent cells with products of bfloat16, for a group of at most 32 rows, from step to step.
 *
 *   forward    z = (x's product + h's product) + (b_ih + b_hh), of all gates; a GRU's n keeps the two apart: W_in x + b_in, W_hn h + b_hn
 *   backward   P = the product of the dgates of the step after with W_hh^T, k being its gates in order, each filled up to whole blocks
 *              dh = dy + (mask P + what is carried)
 *
 * Each product is a sum from +0 by itself (low_kernels.h). h, multiplied with the mask, and dgates are rounded once. All else is
 * float32, by the formulas of cells.h: the cell's state, what is saved, and what is carried, which is what a later call of the walk
 * starts from. So no bit depends on how steps are divided into calls.
 * The sum of dgates for the bias: each 16 rows of a step in order from +0, then the steps in the order of the walk.
 *
 * Units are processed in panels of 32, with all their gates: the product of a panel, then its cells while it is in the first-level cache.
 */
#include "ops/bf16/forms.h"
#include "ops/recurrent/cells.h"

typedef struct {
  const nnc_bf16_recurrence *low;
  const nnc_recurrence *r;
  nnc_cell cell;
  size_t hidden, blocks, ld, products, gates;
  float *bias;          /* forward: [4, ld], the last one of a GRU's q */
  nnc_bf16 *left;       /* forward: the left operand */
  float *h;             /* [rows, ld]: forward: the state; backward: the part of dh that is carried */
  float *c;             /* the cell's own state, or its gradient */
  float *masked;        /* forward: mask h */
  float *sums;          /* [rows, products * 32], of a panel */
  float *d;             /* backward: dgates of a panel, [gates][rows, 32] */
  size_t t;             /* the step */
  size_t before, after; /* the slots of the state */
} recurrent_walk;

static recurrent_walk walk_of(const nnc_bf16_recurrence *low) {
  const nnc_recurrence *r = &low->r;
  const size_t blocks = nnc_bf16_blocks(r->hidden), ld = blocks * SIDE;
  recurrent_walk w = {.low = low,
                      .r = r,
                      .cell = r->cell,
                      .hidden = r->hidden,
                      .blocks = blocks,
                      .ld = ld,
                      .products = nnc_cell_products(r->cell),
                      .gates = nnc_cell_gates(r->cell)};
  float *at = r->scratch;
  w.left = (nnc_bf16 *)at;
  w.bias = at + blocks * BLOCK / 2;
  w.h = w.bias + 4 * ld;
  w.c = w.h + r->rows * ld;
  w.masked = w.c + r->rows * ld;
  w.sums = w.masked + r->rows * ld;
  w.d = w.sums + r->rows * w.products * SIDE;
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

INLINE size_t lanes_from(const recurrent_walk *w, size_t u) { return w->hidden - u < VL ? w->hidden - u : VL; }
INLINE vec load_some(const float *p, size_t lanes) { return lanes == VL ? vload(p) : vload_n(p, lanes); }
INLINE void store_some(float *p, vec v, size_t lanes) {
  if (lanes == VL) vstore(p, v);
  else vstore_n(p, v, lanes);
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

/* One block of an operand, from rows of a matrix: a, whose rows begin at 0, and b or at, which begin at `first`. */
typedef struct {
  nnc_bf16 *a, *b, *at;
} operand_block;

static void write_block(const nnc_bf16_recurrence *low, operand_block to, const float *x, size_t cols, size_t ld) {
  nnc_bf16 spare[BLOCK] __attribute__((aligned(64)));
  const size_t rows = low->r.rows, fill = to.b || to.at ? low->fill : rows, pair = low->first / 2;
  if (to.at) to.b = spare;
  for (size_t i = 0; i < fill; i += 2) {
    for (size_t c = 0; c < SIDE; c += VL) {
      const size_t left = c < cols ? cols - c : 0, lanes = left < VL ? left : VL;
      const uvec even = rounded_any(i < rows ? load_some(x + i * ld + c, lanes) : vset1(0));
      const uvec odd = rounded_any(i + 1 < rows ? load_some(x + (i + 1) * ld + c, lanes) : vset1(0));
      if (to.a) {
        store_upper(to.a + i * SIDE + c, even);
        store_upper(to.a + (i + 1) * SIDE + c, odd);
      }
      if (to.b) store_words(to.b + c / HALF * TILE_WORDS + (pair + i / 2) * SIDE + c % HALF * 2, paired(even, odd));
    }
  }
  for (size_t half = 0; to.at && half < 2; half++)
    transpose_tile((float *)to.at + half * TILE_WORDS / 2 + pair, (const float *)spare + half * TILE_WORDS / 2 + pair * HALF,
                   fill / 2, HALF, HALF, HALF);
}

/* A matrix as left operands, and its transpose, whose columns of blocks are `stride` apart. */
static void write_left(const nnc_bf16_recurrence *low, nnc_bf16 *a, nnc_bf16 *at, const float *x, size_t cols, size_t ld) {
  for (size_t c = 0; c < cols; c += SIDE) {
    write_block(low, (operand_block){.a = a, .at = at}, x + c, cols - c, ld);
    if (a) a += BLOCK;
    if (at) at += low->stride * BLOCK;
  }
}

/* Forward ----------------------------------------------------------------------------------------------------------------- */

/* b_ih + b_hh; of the last gate of a GRU both, one after the other. */
static void load_bias(const recurrent_walk *w) {
  const float *ih = w->low->bias_ih, *hh = w->low->bias_hh;
  for (size_t g = 0; g < w->products; g++) {
    const int apart = w->cell == NNC_CELL_GRU && g == 2;
    for (size_t u = 0; u < w->hidden; u++) {
      const float x = ih ? ih[g * w->hidden + u] : 0, h = hh ? hh[g * w->hidden + u] : 0;
      w->bias[g * w->ld + u] = apart ? x : x + h;
      if (apart) w->bias[(g + 1) * w->ld + u] = h;
    }
  }
}

/* The operand of the step: the state before it, or what the mask lets through of it. */
static void pack_operand(const recurrent_walk *w) {
  const nnc_recurrence *r = w->r;
  const float *from = w->h;
  if (r->mask) {
    for (size_t i = 0; i < r->rows; i++) {
      const float *mask = (const float *)r->mask + i * r->mask_row;
      for (size_t u = 0; u < w->hidden; u++) w->masked[i * w->ld + u] = w->h[i * w->ld + u] * mask[u];
    }
    from = w->masked;
  }
  const nnc_bf16_recurrence *low = w->low;
  write_left(low, w->left, low->h_at ? low->h_at + w->t * BLOCK : NULL, from, w->hidden, w->ld);
  if (low->x_at) write_left(low, NULL, low->x_at + w->t * BLOCK, low->x + w->t * low->x_step, low->input, low->x_row);
}

/* The sum of gate g for one vector of units; x: the input product. */
INLINE vec sum_of(const recurrent_walk *w, const float *gate, const float *product, size_t g, size_t u, size_t lanes) {
  return (load_some(gate + g * w->hidden, lanes) + vload(product + g * SIDE)) + vload(w->bias + g * w->ld + u);
}

INLINE void save_gates(const recurrent_walk *w, float *to, vec a, vec b, vec c, vec d, size_t lanes) {
  store_some(to, a, lanes);
  store_some(to + w->hidden, b, lanes);
  store_some(to + 2 * w->hidden, c, lanes);
  store_some(to + 3 * w->hidden, d, lanes);
}

/* The cell of row i for one vector of units, from unit u on. */
INLINE void cell_forward(const recurrent_walk *w, nnc_cell cell, const float *product, size_t i, size_t u, size_t lanes) {
  const nnc_recurrence *r = w->r;
  float *gate = gates_row(w, r->gates, i) + u, *state = w->h + i * w->ld + u;
  vec h;
  if (cell == NNC_CELL_LSTM) {
    vec sum[4];
#pragma GCC unroll 4
    for (size_t g = 0; g < 4; g++) sum[g] = sum_of(w, gate, product, g, u, lanes);
    lstm_gates to;
    vec c = vload(w->c + i * w->ld + u);
    h = lstm_of_sums(&to, &c, sum[0], sum[1], sum[2], sum[3]);
    vstore(w->c + i * w->ld + u, c);
    if (r->c) {
      store_some(state_row(w, r->c, w->after, i) + u, c, lanes);
      save_gates(w, gate, to.i, to.f, to.g, to.o, lanes);
    }
  } else if (cell == NNC_CELL_GRU) {
    const vec q = vload(product + 2 * SIDE) + vload(w->bias + 3 * w->ld + u);
    const vec n = load_some(gate + 2 * w->hidden, lanes) + vload(w->bias + 2 * w->ld + u);
    gru_gates to;
    h = gru_of_sums(&to, sum_of(w, gate, product, 0, u, lanes), sum_of(w, gate, product, 1, u, lanes), n, q, vload(state));
    if (r->h) save_gates(w, gate, to.r, to.z, to.n, to.q, lanes);
  } else {
    const vec sum = sum_of(w, gate, product, 0, u, lanes);
    h = cell == NNC_CELL_TANH ? tanh_of_sum(sum) : relu_of_sum(sum);
  }
  vstore(state, h);
  if (r->y) store_some(y_row(w, r->y, i) + u, h, lanes);
  if (r->h) store_some(state_row(w, r->h, w->after, i) + u, h, lanes);
}

INLINE void walk_forward(recurrent_walk *w, nnc_cell cell) {
  const nnc_recurrence *r = w->r;
  const size_t wide = w->products * SIDE;
  const nnc_bf16_result to = {.rows = w->sums, .ld = wide};
  for (size_t s = 0; s < r->steps; s++) {
    set_step(w, r->reverse ? r->steps - 1 - s : s);
    pack_operand(w);
    const nnc_bf16 *weights = r->forward;
    for (size_t j = 0; j < w->hidden; j += SIDE, weights += w->products * w->blocks * BLOCK) {
      const size_t end = w->hidden - j < SIDE ? w->hidden : j + SIDE;
      KERNEL(bf16_product)(&to, w->left, weights, r->rows, wide, w->ld);
      for (size_t i = 0; i < r->rows; i++) {
        if (!is_active(w, i)) continue;
        for (size_t u = j; u < end; u += VL) {
          const size_t lanes = lanes_from(w, u);
          const float *product = w->sums + i * wide + u - j;
          if (lanes == VL) cell_forward(w, cell, product, i, u, VL);
          else cell_forward(w, cell, product, i, u, lanes);
        }
      }
    }
    for (size_t i = 0; i < r->rows && r->lengths; i++) {
      if (is_active(w, i)) continue;
      copy_some(y_row(w, r->y, i), NULL, w->hidden);
      copy_some(state_row(w, r->h, w->after, i), w->h + i * w->ld, w->hidden);
      if (cell == NNC_CELL_LSTM) copy_some(state_row(w, r->c, w->after, i), w->c + i * w->ld, w->hidden);
    }
  }
}

void KERNEL(bf16_recurrent_forward)(const nnc_bf16_recurrence *low) {
  recurrent_walk w = walk_of(low);
  const nnc_recurrence *r = w.r;
  const size_t slot = r->reverse ? r->steps : 0;
  load_bias(&w);
  load_rows(&w, w.h, r->h0, r->initial_row);
  if (r->h) save_rows(&w, state_row(&w, r->h, slot, 0), w.h, r->h_row);
  if (w.cell == NNC_CELL_LSTM) {
    load_rows(&w, w.c, r->c0, r->initial_row);
    if (r->c) save_rows(&w, state_row(&w, r->c, slot, 0), w.c, r->h_row);
  }
  switch (w.cell) {
    case NNC_CELL_LSTM: walk_forward(&w, NNC_CELL_LSTM); break;
    case NNC_CELL_GRU: walk_forward(&w, NNC_CELL_GRU); break;
    case NNC_CELL_TANH: walk_forward(&w, NNC_CELL_TANH); break;
    default: walk_forward(&w, NNC_CELL_RELU);
  }
  save_rows(&w, r->h_n, w.h, r->final_row);
  if (w.cell == NNC_CELL_LSTM) save_rows(&w, r->c_n, w.c, r->final_row);
}

/* Backward ---------------------------------------------------------------------------------------------------------------- */

/* The position of a gate in the left operands of dgates. A GRU has n, r, z, q there: the product with W_ih takes the first three,
 * that with W_hh the last three. */
INLINE size_t place_of(const recurrent_walk *w, size_t gate) {
  static const unsigned char of_gru[] = {1, 2, 0, 3};
  return w->cell == NNC_CELL_GRU ? of_gru[gate] : gate;
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
static void pack_gradients(const recurrent_walk *w, size_t j) {
  const nnc_bf16_recurrence *low = w->low;
  const size_t cols = w->hidden - j < SIDE ? w->hidden - j : SIDE, block = j / SIDE;
  for (size_t g = 0; g < w->gates; g++) {
    const float *d = w->d + g * w->r->rows * SIDE;
    const operand_block to = {.a = low->dgates_a + ((w->t * w->gates + place_of(w, g)) * w->blocks + block) * BLOCK,
                              .b = low->dgates_b + ((g * w->blocks + block) * low->stride + w->t) * BLOCK};
    write_block(low, to, d, cols, SIDE);
    for (size_t i = 0; i < w->r->rows; i += NNC_BF16_HALF) {
      const size_t left = w->r->rows - i;
      float sums[SIDE], *all = low->bias_sums + (i / NNC_BF16_HALF * w->gates + g) * w->ld + j;
      KERNEL(bf16_column_sum)(sums, d + i * SIDE, left < NNC_BF16_HALF ? left : NNC_BF16_HALF, cols, SIDE);
      for (size_t u = 0; u < cols; u++) all[u] += sums[u];
    }
  }
}

/* P for one panel, into sums [rows, 32]. */
INLINE void product_backward(const recurrent_walk *w, size_t step_after, size_t j) {
  const size_t k = w->products * w->ld;
  const nnc_bf16 *left = w->low->dgates_a + (step_after * w->gates + w->gates - w->products) * w->blocks * BLOCK;
  const nnc_bf16_result to = {.rows = w->sums, .ld = SIDE};
  KERNEL(bf16_product)(&to, left, (const nnc_bf16 *)w->r->backward + j * k, w->r->rows, SIDE, k);
}

/* mask P + what is carried. */
INLINE vec gradient_before(const recurrent_walk *w, int has_product, size_t i, size_t j, size_t u, size_t lanes) {
  vec product = has_product ? vload(w->sums + i * SIDE + u - j) : vset1(0);
  if (w->r->mask) product *= load_some((const float *)w->r->mask + i * w->r->mask_row + u, lanes);
  return product + vload(w->h + i * w->ld + u);
}

INLINE void walk_backward(recurrent_walk *w, nnc_cell cell) {
  const nnc_recurrence *r = w->r;
  size_t step_after = 0;
  for (size_t s = 0; s < r->steps; s++, step_after = w->t) {
    set_step(w, r->reverse ? s : r->steps - 1 - s);
    for (size_t j = 0; j < w->hidden; j += SIDE) {
      const size_t end = w->hidden - j < SIDE ? w->hidden : j + SIDE;
      if (s) product_backward(w, step_after, j);
      for (size_t i = 0; i < r->rows; i++) {
        const int active = is_active(w, i);
        const float *dy = y_row(w, r->dy, i);
        for (size_t u = j; u < end; u += VL) {
          const size_t lanes = lanes_from(w, u);
          const vec before = gradient_before(w, s > 0, i, j, u, lanes);
          if (!active) {
            vstore(w->h + i * w->ld + u, before);
            for (size_t g = 0; g < w->gates; g++) vstore(w->d + (g * r->rows + i) * SIDE + u - j, vset1(0));
            continue;
          }
          const vec dh = dy ? load_some(dy + u, lanes) + before : before;
          if (r->dh) store_some(state_row(w, r->dh, w->t, i) + u, dh, lanes);
          if (lanes == VL) cell_backward(w, cell, dh, i, j, u, VL);
          else cell_backward(w, cell, dh, i, j, u, lanes);
        }
      }
      pack_gradients(w, j);
    }
    for (size_t i = 0; i < r->rows && r->lengths; i++) {
      if (is_active(w, i)) continue;
      copy_some(gates_row(w, r->dgates, i), NULL, w->gates * w->hidden);
      copy_some(state_row(w, r->dh, w->t, i), NULL, w->hidden);
    }
  }
  for (size_t j = 0; r->dh0 && j < w->hidden; j += SIDE) {
    const size_t end = w->hidden - j < SIDE ? w->hidden : j + SIDE;
    if (r->steps) product_backward(w, step_after, j);
    for (size_t i = 0; i < r->rows; i++)
      for (size_t u = j; u < end; u += VL) {
        const size_t lanes = lanes_from(w, u);
        store_some((float *)r->dh0 + i * r->dinitial_row + u, gradient_before(w, r->steps > 0, i, j, u, lanes), lanes);
      }
  }
}

void KERNEL(bf16_recurrent_backward)(const nnc_bf16_recurrence *low) {
  recurrent_walk w = walk_of(low);
  const nnc_recurrence *r = w.r;
  load_rows(&w, w.h, r->dh_n, r->final_row);
  if (w.cell == NNC_CELL_LSTM) load_rows(&w, w.c, r->dc_n, r->final_row);
  switch (w.cell) {
    case NNC_CELL_LSTM: walk_backward(&w, NNC_CELL_LSTM); break;
    case NNC_CELL_GRU: walk_backward(&w, NNC_CELL_GRU); break;
    case NNC_CELL_TANH: walk_backward(&w, NNC_CELL_TANH); break;
    default: walk_backward(&w, NNC_CELL_RELU);
  }
  if (w.cell == NNC_CELL_LSTM) save_rows(&w, r->dc0, w.c, r->dinitial_row);
}
