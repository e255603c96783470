/* python_typed.c: ops that Python computes. The driver passes the arrays of the whole batch and waits for the result. walk_typed.c
 * (over_batch) decides which thread calls and which threads wait. Only inputs and results are saved for backward, in their own
 * memory. The gradients of the parameters are written by Python during backward. */
#include "base/fpstate.h"
#include "base/tiles.h"
#include "plan/engine.h"

static nnc_array array_of(const nnc_run *run, real *const *base, int value, size_t first) {
  return (nnc_array){nnc_samples(run, base, value, first, first).at, run->ld[value]};
}

/* Others may use the tiles for something else, and expect their own floating-point state. */
static nnc_fpstate leave_core(const nnc_run *run) {
  const nnc_fpstate inside = nnc_fp_default();
  nnc_tiles_leave(nnc_plan_has_tiles(run->plan));
  return inside;
}

static void return_to_core(const nnc_run *run, nnc_fpstate inside, int has_failed) {
  if (has_failed) *run->failed = 1;
  nnc_fp_leave(inside);
  nnc_tiles_enter(nnc_plan_has_tiles(run->plan));
}

void nnc_call_out(const nnc_run *run, nnc_call *call) {
  call->block = run->block;
  const int is_op = call->kind == NNC_CALL_FORWARD || call->kind == NNC_CALL_BACKWARD;
  call->training = is_op ? nnc_op_trains(run, &run->plan->op[call->index]) : run->training;
  const nnc_fpstate inside = leave_core(run);
  return_to_core(run, inside, run->plan->caller.call(run->plan->caller.context, call));
}

void nnc_sum_over_ranks(const nnc_run *run, real *numbers, size_t n) {
  const nnc_fpstate inside = leave_core(run);
  return_to_core(run, inside, run->plan->ranks.sum(run->plan->caller.context, numbers, n, run->plan->dtype));
}

void nnc_gather_from_ranks(const nnc_run *run, void *records, size_t bytes) {
  const nnc_fpstate inside = leave_core(run);
  return_to_core(run, inside, run->plan->ranks.gather(run->plan->caller.context, records, bytes));
}

/* The number of valid steps of the samples from `first` on, for layers that ask for it. Their input is zero in the padding. */
static const int64_t *lengths_for(const nnc_run *run, const nnc_op *op, size_t first) {
  if (!op->spec.size.python.takes_lengths) return NULL;
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const int64_t *lengths = nnc_lengths_of(run, op->spec.input[j]);
    if (lengths) return lengths + first;
  }
  return NULL;
}

static void python_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  nnc_call call = {.kind = NNC_CALL_FORWARD, .index = (int)(op - run->plan->op), .rows = last - first};
  call.y = array_of(run, run->act, op->out, first);
  call.lengths = lengths_for(run, op, first);
  for (int j = 0; j < op->spec.n_inputs && call.lengths; j++) nnc_clear_padding(run, run->act, op->spec.input[j], first, last);
  for (int j = 0; j < op->spec.n_inputs; j++) call.x[j] = array_of(run, run->act, op->spec.input[j], first);
  nnc_call_out(run, &call);
  nnc_clear_padding(run, run->act, op->out, first, last); /* Python may have written NaN there */
}

static void python_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  nnc_call call = {.kind = NNC_CALL_BACKWARD, .index = (int)(op - run->plan->op), .rows = last - first};
  call.adds_params = op->next != NNC_NONE || run->accumulates;
  call.lengths = lengths_for(run, op, first);
  call.y = array_of(run, run->act, op->out, first);
  call.dy = array_of(run, run->grad, op->out, first);
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const int in = op->spec.input[j];
    call.x[j] = array_of(run, run->act, in, first);
    call.adds[j] = op->accumulates[j];
    if (run->plan->value[in].needs_grad || run->input_grads) call.dx[j] = array_of(run, run->grad, in, first);
  }
  nnc_call_out(run, &call);
  for (int j = 0; j < op->spec.n_inputs; j++)
    if (call.dx[j].data) nnc_clear_padding(run, run->grad, op->spec.input[j], first, last);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_python) = {
    .forward = python_forward,
    .backward = python_backward,
    .whole_batch = 1,
    .gradient = nnc_no_gradient, /* done by backward */
    .prepare = nnc_nothing_to_prepare,
};
