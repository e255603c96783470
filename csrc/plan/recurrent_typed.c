/* recurrent_typed.c: the driver of RNN, GRU and LSTM layers.
 *
 * Forward: the input products of a few steps ahead, W_ih x + b_ih, are one matrix product per sample; then the cell takes those
 * steps for all samples of the range. Backward goes the same way in reverse, and each chunk's dx = dgates W_ih^T follows it. A range
 * of samples never waits for another. The weight gradients are sums over samples and, within, over time, in this order:
 *
 *   dW_ih[first:last] = x^T dgates        one product over time x batch where the gates lie without gaps, else sample by sample
 *   dW_hh[first:last] = h_before^T dgates, sample by sample
 *
 * Time steps at and beyond a sample's length give zeros forward and backward; nnc_fetch_steps has set the input to zero there, so
 * that the sums over time need not know of lengths. */
#include <math.h>
#include <string.h>

#include "plan/engine.h"
#include "plan/recurrent.h"

typedef struct {
  nnc_recurrent r;
  nnc_regions regions;
  nnc_packed packed;
  real *base, *weights; /* regions, and derived weights */
  size_t capacity;
  int training;
} nnc_layer_run;

static nnc_layer_run layer_of(const nnc_run *run, const nnc_op *op) {
  nnc_layer_run l = {.r = nnc_recurrent_of(run->plan, op), .training = run->work == NULL};
  nnc_recurrent_layout(&l.r, l.training, sizeof(real), &l.regions);
  nnc_recurrent_pack_layout(&l.r, l.training, sizeof(real), &l.packed);
  l.capacity = l.training ? run->plan->rows_reserved : run->work_rows;
  l.base = l.training ? run->arena + op->saved : run->work + op->work * run->work_rows;
  l.weights = l.training ? run->arena + op->packed : run->packed + op->weights;
  return l;
}

static real *region(const nnc_layer_run *l, nnc_region i) { return l->base + l->regions.first[i] * l->capacity; }

static const real *param_of(const nnc_run *run, const nnc_op *op, size_t slot) {
  return op->param[slot] == NNC_NONE ? NULL : run->params + run->plan->param[op->param[slot]].layout.offset;
}

/* Samples [first, last), time steps [from, to) of direction d. */
typedef struct {
  size_t first, last, from, to, d;
} nnc_window;

/* What forward and backward have in common. In inference the gates hold one chunk, and one direction at a time. */
static nnc_recurrence recurrence(const nnc_run *run, const nnc_layer_run *l, const nnc_window *w) {
  const nnc_recurrent *r = &l->r;
  const size_t step = r->kept * r->hidden, d = l->training ? w->d : 0, state = r->states * r->hidden;
  nnc_recurrence c = {
      .cell = r->cell,
      .reverse = w->d == 1,
      .rows = w->last - w->first,
      .steps = w->to - w->from,
      .hidden = r->hidden,
      .first_step = w->from,
      .lengths = run->lengths ? run->lengths + w->first : NULL,
      .gates_row = l->regions.gates_row,
      .gates_step = step,
      .h_row = l->regions.state_row,
      .h_step = r->hidden,
      .final_row = state,
  };
  real *gates = region(l, NNC_REGION_GATES) + (d * l->capacity + w->first) * c.gates_row;
  c.gates = gates + (l->training ? w->from * step : 0);
  c.dgates = c.gates;
  if (l->training) {
    const size_t at = (d * l->capacity + w->first) * c.h_row + w->from * r->hidden;
    c.h = region(l, NNC_REGION_H) + at;
    if (r->states == 2) c.c = region(l, NNC_REGION_C) + at;
  }
  c.forward = l->weights + w->d * l->packed.direction;
  c.backward = l->weights + w->d * l->packed.direction + l->packed.backward;
  c.scratch = region(l, NNC_REGION_SCRATCH) + w->first * l->regions.size[NNC_REGION_SCRATCH];
  return c;
}

/* The states of direction d that are handed from chunk to chunk, of all samples: [capacity, states, hidden]. */
static real *state_of(const nnc_layer_run *l, size_t d) {
  return region(l, NNC_REGION_STATE) + (l->training ? d * l->capacity : 0) * l->r.states * l->r.hidden;
}

/* Where a sequence begins: with what was handed over, with what was learned, or with zeros (NULL). */
static void begin(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w, nnc_recurrence *c) {
  const size_t per_state = l->r.directions * l->r.hidden;
  if (run->initial) {
    const real *at = run->initial + w->first * run->plan->carry + op->carry + w->d * l->r.hidden;
    c->h0 = at;
    c->c0 = l->r.states == 2 ? at + per_state : NULL;
    c->initial_row = run->plan->carry;
  } else if (l->r.learns_state) {
    for (size_t s = 0; s < l->r.states; s++) {
      const nnc_param *p = &run->plan->param[op->param[NNC_SLOT_INITIAL + s]].layout;
      *(s ? &c->c0 : &c->h0) = run->params + p->offset + w->d * p->ld;
    }
    c->initial_row = 0;
  }
}

static void input_products(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w,
                           const nnc_recurrence *c) {
  const nnc_recurrent *r = &l->r;
  const nnc_param *weight = &run->plan->param[op->param[4 * w->d + NNC_SLOT_W_IH]].layout;
  const real *bias = param_of(run, op, 4 * w->d + NNC_SLOT_B_IH);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  for (size_t i = 0; i < c->rows; i++)
    run->k->gemm((real *)c->gates + i * c->gates_row, x.at + (i * r->steps + w->from) * x.ld, run->params + weight->offset, bias,
                 c->steps, r->products * r->hidden, r->input, c->gates_step, x.ld, 1, weight->ld, 0);
}

/* The window that comes after `done` steps of direction d. */
static void turn(nnc_window *w, size_t steps, size_t done, int from_the_end) {
  const size_t left = steps - done, n = left < NNC_RECURRENT_CHUNK ? left : NNC_RECURRENT_CHUNK;
  w->from = from_the_end ? left - n : done;
  w->to = w->from + n;
}

/* Rows of `cols` numbers. */
static void copy_rows(real *to, const real *from, size_t rows, size_t cols, size_t to_row, size_t from_row) {
  for (size_t i = 0; i < rows; i++) memcpy(to + i * to_row, from + i * from_row, cols * sizeof(real));
}

static void recurrent_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_layer_run l = layer_of(run, op);
  const nnc_recurrent *r = &l.r;
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const size_t state = r->states * r->hidden;
  for (size_t d = 0; d < r->directions; d++) {
    nnc_window w = {first, last, 0, 0, d};
    real *final = state_of(&l, d) + first * state;
    for (size_t done = 0; done < r->steps; done += w.to - w.from) {
      turn(&w, r->steps, done, d == 1);
      nnc_recurrence c = recurrence(run, &l, &w);
      begin(run, op, &l, &w, &c);
      if (done) {
        c.h0 = final;
        c.c0 = r->states == 2 ? final + r->hidden : NULL;
        c.initial_row = state;
      }
      c.h_n = final;
      c.c_n = r->states == 2 ? final + r->hidden : NULL;
      if (r->sequences) {
        c.y = y.at + w.from * y.ld + d * r->hidden;
        c.y_row = r->steps * y.ld;
        c.y_step = y.ld;
      }
      input_products(run, op, &l, &w, &c);
      run->k->recurrent_forward(&c);
    }
    if (!r->sequences) copy_rows(y.at + d * r->hidden, final, last - first, r->hidden, y.ld, state);
    if (!run->final) continue;
    real *to = run->final + first * run->plan->carry + op->carry + d * r->hidden;
    for (size_t s = 0; s < r->states; s++)
      copy_rows(to + s * r->directions * r->hidden, final + s * r->hidden, last - first, r->hidden, run->plan->carry, state);
  }
}

/* dx of a chunk, sample by sample. The second direction adds to the first. */
static void input_gradients(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w,
                            const nnc_recurrence *c) {
  const nnc_recurrent *r = &l->r;
  const nnc_matrix dx = nnc_samples(run, run->grad, op->spec.input[0], w->first, w->last);
  const real *transposed = l->weights + w->d * l->packed.direction + l->packed.transposed;
  for (size_t i = 0; i < c->rows; i++)
    run->k->gemm(dx.at + (i * r->steps + w->from) * dx.ld, (const real *)c->dgates + i * c->gates_row, transposed, NULL, c->steps,
                 r->input, r->products * r->hidden, dx.ld, c->gates_step, 1, l->packed.ld, op->accumulates[0] || w->d);
}

static void recurrent_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_layer_run l = layer_of(run, op);
  const nnc_recurrent *r = &l.r;
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const size_t state = r->states * r->hidden, part = l.capacity * state;
  const int wanted = run->plan->value[op->spec.input[0]].needs_grad || run->input_grads;
  for (size_t d = 0; d < r->directions; d++) {
    nnc_window w = {first, last, 0, 0, d};
    /* Two places that take turns, then the gradient of the initial state. */
    real *dstate = region(&l, NNC_REGION_DSTATE) + 3 * d * part + first * state;
    real *incoming = dstate, *outgoing = dstate + part;
    for (size_t i = 0; i < last - first; i++) {
      memset(incoming + i * state, 0, state * sizeof(real));
      if (!r->sequences) memcpy(incoming + i * state, dy.at + i * dy.ld + d * r->hidden, r->hidden * sizeof(real));
    }
    for (size_t done = 0; done < r->steps; done += w.to - w.from) {
      turn(&w, r->steps, done, d == 0);
      if (r->truncate && w.from < (w.to - 1) / r->truncate * r->truncate) w.from = (w.to - 1) / r->truncate * r->truncate;
      nnc_recurrence c = recurrence(run, &l, &w);
      if (done + (w.to - w.from) == r->steps) outgoing = dstate + 2 * part;
      c.dh_n = incoming;
      c.dc_n = r->states == 2 ? incoming + r->hidden : NULL;
      c.dh0 = outgoing;
      c.dc0 = r->states == 2 ? outgoing + r->hidden : NULL;
      c.dinitial_row = state;
      if (r->sequences) {
        c.dy = dy.at + w.from * dy.ld + d * r->hidden;
        c.y_row = r->steps * dy.ld;
        c.y_step = dy.ld;
      }
      run->k->recurrent_backward(&c);
      if (wanted) input_gradients(run, op, &l, &w, &c);
      if (r->truncate && w.from && w.from % r->truncate == 0)
        for (size_t i = 0; i < last - first; i++) memset(outgoing + i * state, 0, state * sizeof(real));
      real *swapped = incoming;
      incoming = outgoing;
      outgoing = swapped;
    }
  }
}

/* Rows [first, last) of a weight gradient: the sum over samples and time of left^T dgates. The columns of dgates come in up to two
 * stretches, since what a GRU keeps for W_hh lies behind what it keeps for W_ih. */
typedef struct {
  const real *left;
  size_t row, step;
} nnc_left;

static void weight_gradient(const nnc_run *run, const nnc_layer_run *l, const real *dgates, nnc_left left, real *to, size_t ld,
                            size_t m, size_t n, size_t rows) {
  const size_t steps = l->r.steps, step = l->r.kept * l->r.hidden, row = l->regions.gates_row;
  const int flat = row == steps * step && left.row == steps * left.step;
  const size_t pieces = flat ? (rows ? 1 : 0) : rows, k = flat ? rows * steps : steps;
  if (!pieces)
    for (size_t i = 0; i < m; i++) memset(to + i * ld, 0, n * sizeof(real));
  for (size_t i = 0; i < pieces; i++)
    run->k->gemm(to, left.left + i * left.row, dgates + i * row, NULL, m, n, k, ld, 1, left.step, step, i > 0);
}

static void bias_gradient(const nnc_run *run, const nnc_layer_run *l, const real *dgates, real *to, size_t n, size_t rows) {
  for (size_t j = 0; j < n && !rows; j++) to[j] = 0;
  for (size_t i = 0; i < rows; i++)
    run->k->column_sum(to, dgates + i * l->regions.gates_row, l->r.steps, n, l->r.kept * l->r.hidden, i > 0);
}

static void recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_layer_run l = layer_of(run, op);
  const nnc_recurrent *r = &l.r;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  real *to = run->grads + p->offset + task->first * p->ld;
  if (task->slot >= NNC_SLOT_INITIAL) {
    const size_t s = (size_t)task->slot - NNC_SLOT_INITIAL, state = r->states * r->hidden;
    for (size_t d = task->first; d < task->last; d++)
      run->k->column_sum(run->grads + p->offset + d * p->ld,
                         region(&l, NNC_REGION_DSTATE) + (3 * d + 2) * l.capacity * state + s * r->hidden, rows, r->hidden, state,
                         0);
    return;
  }
  const size_t d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION, m = task->last - task->first, n = r->products * r->hidden;
  const real *dgates = region(&l, NNC_REGION_GATES) + d * l.capacity * l.regions.gates_row;
  real *bias = task->bias ? run->grads + run->plan->param[op->param[task->bias]].layout.offset : NULL;
  if (task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_IH) {
    const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], 0, rows);
    weight_gradient(run, &l, dgates, (nnc_left){x.at + task->first, r->steps * x.ld, x.ld}, to, p->ld, m, n, rows);
    if (bias) bias_gradient(run, &l, dgates, bias, n, rows);
    return;
  }
  const real *h = region(&l, NNC_REGION_H) + d * l.capacity * l.regions.state_row + d * r->hidden; /* reverse: from slot 1 on */
  const nnc_left left = {h + task->first, l.regions.state_row, r->hidden};
  const size_t shared = r->cell == NNC_CELL_GRU ? 2 * r->hidden : n;
  weight_gradient(run, &l, dgates, left, to, p->ld, m, shared, rows);
  if (bias) bias_gradient(run, &l, dgates, bias, shared, rows);
  if (shared == n) return;
  weight_gradient(run, &l, dgates + n, left, to + shared, p->ld, m, r->hidden, rows);
  if (bias) bias_gradient(run, &l, dgates + n, bias + shared, r->hidden, rows);
}

static void recurrent_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) {
  if (task->slot >= NNC_SLOT_INITIAL) return;
  const nnc_layer_run l = layer_of(run, op);
  const size_t d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  const real *w = run->params + p->offset;
  real *to = l.weights + d * l.packed.direction;
  if (task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_HH) {
    run->k->recurrent_pack(to, l.training ? to + l.packed.backward : NULL, w, l.r.cell, task->first, task->last, l.r.hidden, p->ld);
    if (task->first == 0) run->k->recurrent_pack_bias(to, param_of(run, op, 4 * d + NNC_SLOT_B_HH), l.r.cell, l.r.hidden);
  } else if (l.training && (run->plan->value[op->spec.input[0]].needs_grad || run->input_grads)) {
    run->k->transpose(to + l.packed.transposed + task->first, w + task->first * p->ld, task->last - task->first, p->cols,
                      l.packed.ld, p->ld);
  }
}

void nnc_prepare_recurrent(const nnc_run *run, const nnc_op *op) {
  const nnc_recurrent r = nnc_recurrent_of(run->plan, op);
  for (size_t d = 0; d < r.directions; d++) {
    const nnc_task task = {.slot = (int)d * NNC_SLOTS_PER_DIRECTION + NNC_SLOT_W_HH, .last = r.hidden};
    recurrent_prepare(run, op, &task);
  }
}

void NNC_TYPED(nnc_step_norms)(const nnc_plan *plan, int op, size_t rows, double *norms) {
  const nnc_progress nothing = {0};
  const nnc_run run = nnc_training_run(plan, &nothing, NULL, rows);
  const nnc_layer_run l = layer_of(&run, &plan->op[op]);
  const size_t n = l.r.products * l.r.hidden;
  for (size_t t = 0; t < l.r.steps; t++) {
    double sum = 0;
    for (size_t d = 0; d < l.r.directions; d++)
      for (size_t i = 0; i < rows; i++)
        sum += run.k->sum_squares(
            region(&l, NNC_REGION_GATES) + (d * l.capacity + i) * l.regions.gates_row + t * l.r.kept * l.r.hidden, n);
    norms[t] = sqrt(sum);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_recurrent) = {
    .forward = recurrent_forward,
    .backward = recurrent_backward,
    .gradient = recurrent_gradient,
    .prepare = recurrent_prepare,
};
