/* recurrent_typed.c: the driver of RNN, GRU and LSTM layers; forward_typed.c and backward_typed.c hold its passes.
 *
 * A range of samples, in groups, never waits for another. Time steps after a sample's length give zeros forward and backward.
 * nnc_clear_padding has set the input to zero there, so that the sums over time need not check lengths. */
#include <math.h>

#include "plan/layers/recurrent/windows.h"

nnc_recurrent_layer nnc_recurrent_layer_of(const nnc_run *run, const nnc_op *op, size_t samples) {
  nnc_recurrent_layer l; /* every field is set: clearing it would cost a stream a hundredth of a step */
  l.r = nnc_recurrent_of(run->plan, op);
  l.training = run->work == NULL;
  nnc_recurrent_layout(&l.r, l.training, sizeof(real), &l.regions);
  nnc_recurrent_pack_layout(&l.r, l.training, sizeof(real), &l.packed);
  l.capacity = l.training ? run->plan->rows_reserved : run->work_rows;
  if (l.training) l.capacity += (l.r.group - l.capacity % l.r.group) % l.r.group;
  l.samples = samples;
  l.drops = l.training && l.r.dropout > 0 && nnc_op_trains(run, op);
  l.slots = l.training || l.r.steps < NNC_RECURRENT_CHUNK ? l.r.steps : NNC_RECURRENT_CHUNK;
  l.base = l.training ? run->arena + op->saved : run->work + op->work * run->work_rows;
  l.weights = l.training ? run->arena + op->packed : run->packed + op->weights;
  return l;
}

/* In inference the gates have memory for one chunk and one direction. */
nnc_recurrence nnc_recurrence_of(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w) {
  const nnc_recurrent *r = &l->r;
  const int64_t *lengths = nnc_lengths_of(run, op->spec.input[0]);
  const size_t inside = w->first & (r->group - 1); /* groups are powers of 2; a division would cost a tenth of a step of a stream */
  const nnc_group g = group_at(l, w->first - inside);
  const size_t gates_row = l->regions.gates_row, h_row = l->regions.state_row;
  nnc_recurrence c = {
      .cell = r->cell,
      .reverse = w->d == 1,
      .rows = w->last - w->first,
      .steps = w->to - w->from,
      .hidden = r->hidden,
      .first_step = w->from,
      .lengths = lengths ? lengths + w->first : NULL,
      .group = g.count,
      .gates_group = g.count * l->slots * gates_row,
      .gates_row = gates_row,
      .gates_step = g.count * gates_row,
      .h_group = g.count * (l->slots + 1) * h_row,
      .h_row = h_row,
      .h_step = g.count * h_row,
      .final_row = r->states * r->hidden,
      .mask = mask_of(l, w->d, w->first),
      .mask_row = r->directions * r->hidden,
  };
  c.gates = gates_of(l, l->training ? w->d : 0, g, l->training ? w->from : 0) + inside * gates_row;
  c.dgates = c.gates;
  if (l->training) {
    c.h = h_of(l, w->d, g, w->from) + inside * h_row;
    if (r->states == 2) c.c = (real *)c.h + (region(l, NNC_REGION_C) - region(l, NNC_REGION_H));
  }
  c.forward = l->weights + w->d * l->packed.direction;
  c.backward = l->weights + w->d * l->packed.direction + l->packed.backward;
  c.scratch = region(l, NNC_REGION_SCRATCH) + w->first * l->regions.size[NNC_REGION_SCRATCH];
  return c;
}

const real *nnc_last_state(const nnc_run *run, const nnc_op *op, size_t which, size_t d, size_t *row) {
  const nnc_recurrent_layer l = nnc_recurrent_layer_of(run, op, 0);
  *row = l.r.states * l.r.hidden;
  return state_of(&l, d) + which * l.r.hidden;
}

/* Whole groups together, then the rest; with products of bfloat16, group by group. */
static void in_groups(const nnc_run *run, const nnc_op *op, size_t first, size_t last, size_t samples,
                      void (*groups)(const nnc_run *, const nnc_op *, const nnc_recurrent_layer *, size_t, size_t)) {
  const nnc_recurrent_layer l = nnc_recurrent_layer_of(run, op, samples);
  if (l.r.bf16) {
    for (size_t end; first < last; first = end) { /* they may begin within a group */
      end = first - first % l.r.group + l.r.group;
      groups(run, op, &l, first, end < last ? end : last);
    }
    return;
  }
  const size_t whole = last - last % NNC_SAMPLE_GROUP;
  if (first < whole) groups(run, op, &l, first, whole);
  if (whole < last) groups(run, op, &l, whole, last);
}

static void recurrent_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  in_groups(run, op, first, last, run->work ? last : run->rows, nnc_recurrent_forward_groups);
}

static void recurrent_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  in_groups(run, op, first, last, run->rows, nnc_recurrent_backward_groups);
}

static void recurrent_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) {
  if (task->slot >= NNC_SLOT_INITIAL) return;
  const nnc_recurrent_layer l = nnc_recurrent_layer_of(run, op, 0);
  const size_t d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  const real *w = (real *)p->data;
  real *to = l.weights + d * l.packed.direction;
  const int of_state = task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_HH;
  if (of_state ? l.r.bf16 : l.r.bf16_input) {
    nnc_bf16_recurrent_prepare(run, op, &l, task);
    return;
  }
  if (of_state && l.r.cell == NNC_CELL_GRU_BEFORE) {
    if (l.training)
      run->k->transpose(to + task->first, w + task->first * p->ld, task->last - task->first, p->cols, l.packed.hidden_ld, p->ld);
  } else if (of_state) {
    run->k->recurrent_pack(to, l.training ? to + l.packed.backward : NULL, w, l.r.cell, task->first, task->last, l.r.hidden, p->ld);
    if (task->first) return;
    const int bias = (int)d * NNC_SLOTS_PER_DIRECTION + NNC_SLOT_B_HH;
    run->k->recurrent_pack_bias(to, nnc_values_of(run, op, bias), l.r.cell, l.r.hidden);
  } else if (l.training && (run->plan->value[op->spec.input[0]].needs_grad || run->input_grads)) {
    run->k->transpose(to + l.packed.transposed + task->first, w + task->first * p->ld, task->last - task->first, p->cols,
                      l.packed.ld, p->ld);
  }
}

void nnc_prepare_recurrent(const nnc_run *run, const nnc_op *op) {
  const nnc_recurrent r = nnc_recurrent_of(run->plan, op);
  for (size_t d = 0; d < r.directions; d++) {
    const int slot = (int)d * NNC_SLOTS_PER_DIRECTION;
    const nnc_task state = {.slot = slot + NNC_SLOT_W_HH, .last = r.hidden},
                   input = {.slot = slot + NNC_SLOT_W_IH, .last = r.input};
    if (!r.int8) recurrent_prepare(run, op, &state);
    if (r.bf16_input) recurrent_prepare(run, op, &input);
  }
}

void NNC_TYPED(nnc_step_norms)(const nnc_plan *plan, int op, size_t rows, double *norms) {
  const nnc_progress nothing = {0};
  const nnc_run run = nnc_training_run(plan, &nothing, NULL, rows);
  const nnc_recurrent_layer l = nnc_recurrent_layer_of(&run, &plan->op[op], rows);
  const size_t n = l.r.products * l.r.hidden;
  for (size_t t = 0; t < l.r.steps; t++) {
    double sum = 0;
    for (size_t d = 0; d < l.r.directions; d++) {
      if (l.r.bf16_input) sum += nnc_bf16_step_squares(&l, d, t);
      for (size_t i = 0; i < rows && !l.r.bf16_input; i++) {
        const nnc_group g = group_at(&l, i - i % l.r.group);
        sum += run.k->sum_squares(gates_of(&l, d, g, t) + (i - g.first) * l.regions.gates_row, n);
      }
    }
    norms[t] = sqrt(sum);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_recurrent) = {
    .forward = recurrent_forward,
    .backward = recurrent_backward,
    .gradient = nnc_recurrent_gradient,
    .prepare = recurrent_prepare,
};
