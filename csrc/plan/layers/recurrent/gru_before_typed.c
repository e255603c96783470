/* gru_before_typed.c: the steps of GRU(reset_after=False). The reset comes before a product, so each step has two products, one after the
 * other, which kernels for products compute; ops/recurrent/gru_before.c has the rest of a step, and its formulas.
 *
 * Rows are independent: a row that has no step any more is multiplied with the others, and what comes out is not read. So no bit depends on how
 * rows are divided, and how steps are divided into windows. */
#include "plan/layers/recurrent/windows.h"

static nnc_before rows_from(const nnc_before *all, size_t first) {
  nnc_before b = *all;
  const size_t left = b.c->rows - first;
  b.first = first;
  b.rows = left < NNC_RECURRENT_ROWS ? left : NNC_RECURRENT_ROWS;
  b.ld = nnc_recurrent_padded(b.c->hidden) + 16;
  b.h = (real *)b.c->scratch + first * 8 * b.ld;
  b.left = b.h + b.rows * b.ld;
  b.operand = b.left + b.rows * b.ld;
  b.product = b.operand + b.rows * 3 * b.ld;
  return b;
}

/* W left + b of `gates` gates from `gate` on. Returns where it is, in rows *row apart. */
static const real *multiply(const nnc_before *b, size_t t, const real *left, size_t left_row, size_t gate, size_t gates,
                            size_t *row) {
  const nnc_recurrent *r = &b->l->r;
  const int slot = (int)b->w->d * NNC_SLOTS_PER_DIRECTION;
  const real *bias = nnc_values_of(b->run, b->op, slot + NNC_SLOT_B_HH);
  if (bias) bias += gate * r->hidden;
  *row = 3 * b->ld;
  if (r->int8) return nnc_int8_before(b->int8, left, b->rows, left_row, gate, gates, row);
  if (r->bf16) {
    nnc_bf16_before(b, t, left, left_row, gate, gates, bias);
  } else {
    const nnc_param *weight = &b->run->plan->param[b->op->param[slot + NNC_SLOT_W_HH]].layout;
    b->run->k->gemm(b->product, left, (real *)weight->data + gate * r->hidden, bias, b->rows, gates * r->hidden, r->hidden, *row,
                    left_row, 1, weight->ld, 0);
  }
  return b->product;
}

/* dgates W^T of these gates. */
static void multiply_back(const nnc_before *b, size_t gate, size_t gates) {
  const nnc_recurrent *r = &b->l->r;
  const real *transposed = b->l->weights + b->w->d * b->l->packed.direction + b->l->packed.backward;
  if (r->bf16) {
    nnc_bf16_before_back(b, gate, gates);
    return;
  }
  const size_t ld = b->l->packed.hidden_ld;
  b->run->k->gemm(b->product, b->operand + gate * r->hidden, transposed + gate * r->hidden * ld, NULL, b->rows, r->hidden,
                  gates * r->hidden, 3 * b->ld, 3 * b->ld, 1, ld, 0);
}

/* A half of step t of all rows, group by group. */
static void half_step(const nnc_before *b, size_t t, const real *product, size_t product_row, int backwards, int second) {
  const nnc_recurrence *c = b->c;
  const size_t slot = c->reverse == backwards ? t + 1 : t; /* of the state after the step; backward: before it */
  for (size_t i = 0, n; i < b->rows; i += n) {
    const size_t row = b->first + i, group = row / c->group, inside = row % c->group;
    n = c->group - inside < b->rows - i ? c->group - inside : b->rows - i;
    const nnc_gru_step s = {
        .rows = n,
        .hidden = c->hidden,
        .ld = b->ld,
        .lengths = c->lengths ? c->lengths + row : NULL,
        .step = (int64_t)(c->first_step + t),
        .gates = (real *)c->gates + t * c->gates_step + group * c->gates_group + inside * c->gates_row,
        .gates_row = c->gates_row,
        .product = product ? product + i * product_row : NULL,
        .product_row = product_row,
        .h = b->h + i * b->ld,
        .left = (c->mask ? b->left : b->h) + i * b->ld,
        .operand = b->operand + i * 3 * b->ld,
        .operand_row = 3 * b->ld,
        .y = backwards ? (c->dy ? (real *)c->dy + t * c->y_step + row * c->y_row : NULL)
                       : (c->y ? (real *)c->y + t * c->y_step + row * c->y_row : NULL),
        .y_row = c->y_row,
        .saved = c->h ? (real *)c->h + slot * c->h_step + group * c->h_group + inside * c->h_row : NULL,
        .saved_row = c->h_row,
        .saves = c->h != NULL,
        .mask = c->mask ? (const real *)c->mask + row * c->mask_row : NULL,
        .mask_row = c->mask_row,
    };
    (backwards ? b->run->k->gru_before_backward : b->run->k->gru_before_forward)(&s, second);
  }
}

/* Rows of the call to or from those of scratch memory; NULL is 0. */
static void load(const nnc_before *b, const void *from, size_t distance) {
  for (size_t i = 0; i < b->rows; i++) {
    real *to = b->h + i * b->ld;
    if (from) memcpy(to, (const real *)from + (b->first + i) * distance, b->c->hidden * sizeof(real));
    else memset(to, 0, b->c->hidden * sizeof(real));
  }
}

static void forward_rows(const nnc_before *b) {
  const nnc_recurrence *c = b->c;
  size_t row;
  load(b, c->h0, c->initial_row);
  for (size_t i = 0; c->h && i < b->rows; i++) {
    const size_t at = b->first + i, slot = c->reverse ? c->steps : 0;
    memcpy((real *)c->h + slot * c->h_step + at / c->group * c->h_group + at % c->group * c->h_row, b->h + i * b->ld,
           c->hidden * sizeof(real));
  }
  for (size_t s = 0; s < c->steps; s++) {
    const size_t t = c->reverse ? c->steps - 1 - s : s;
    for (size_t i = 0; c->mask && i < b->rows; i++)
      for (size_t u = 0; u < c->hidden; u++)
        b->left[i * b->ld + u] = b->h[i * b->ld + u] * ((const real *)c->mask)[(b->first + i) * c->mask_row + u];
    const real *product = multiply(b, t, c->mask ? b->left : b->h, b->ld, 0, 2, &row);
    half_step(b, t, product, row, 0, 0);
    product = multiply(b, t, b->operand, 3 * b->ld, 2, 1, &row);
    half_step(b, t, product, row, 0, 1);
  }
  for (size_t i = 0; c->h_n && i < b->rows; i++)
    memcpy((real *)c->h_n + (b->first + i) * c->final_row, b->h + i * b->ld, c->hidden * sizeof(real));
}

void nnc_before_forward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                               const nnc_recurrence *c, const nnc_int8_products *int8) {
  const nnc_before all = {.run = run, .op = op, .l = l, .w = w, .c = c, .int8 = int8};
  if (l->r.bf16_input) nnc_bf16_before_inputs(run, op, l, w, c);
  for (size_t first = 0; first < c->rows; first += NNC_RECURRENT_ROWS) {
    const nnc_before b = rows_from(&all, first);
    forward_rows(&b);
  }
}

static void backward_rows(const nnc_before *b) {
  const nnc_recurrence *c = b->c;
  load(b, c->dh_n, c->final_row);
  for (size_t s = 0; s < c->steps; s++) {
    const size_t t = c->reverse ? s : c->steps - 1 - s;
    if (s) multiply_back(b, 0, 2);
    half_step(b, t, s ? b->product : NULL, 3 * b->ld, 1, 0);
    if (b->l->r.bf16) nnc_bf16_before_pack(b, t, 1, 2);
    multiply_back(b, 2, 1);
    half_step(b, t, b->product, 3 * b->ld, 1, 1);
    if (!b->l->r.bf16) continue;
    nnc_bf16_before_pack(b, t, 0, 1);
    if (b->l->r.bf16_input) nnc_bf16_before_dx(b, t);
  }
  multiply_back(b, 0, 2);
  for (size_t i = 0; i < b->rows; i++) {
    const real *mask = c->mask ? (const real *)c->mask + (b->first + i) * c->mask_row : NULL;
    real *to = (real *)c->dh0 + (b->first + i) * c->dinitial_row;
    for (size_t u = 0; u < c->hidden; u++) {
      const real of = b->product[i * 3 * b->ld + u];
      to[u] = (mask ? of * mask[u] : of) + b->h[i * b->ld + u];
    }
  }
}

void nnc_before_backward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                const nnc_recurrence *c) {
  const nnc_before all = {.run = run, .op = op, .l = l, .w = w, .c = c};
  for (size_t first = 0; first < c->rows; first += NNC_RECURRENT_ROWS) {
    const nnc_before b = rows_from(&all, first);
    backward_rows(&b);
  }
}
