/* python_typed.c: ops that the caller computes. The driver hands out the arrays of the whole batch and waits for the answer; which
 * thread may call, and who waits, is the walk's business (over_batch). Nothing is saved for backward but inputs and result, which
 * stay where they are. The gradients of the parameters are written by the caller, while it is in backward. */
#include "base/fpstate.h"
#include "plan/engine.h"

static nnc_array array_of(const nnc_run *run, real *const *base, int value, size_t first) {
  return (nnc_array){nnc_samples(run, base, value, first, first).at, run->ld[value]};
}

void nnc_call_out(const nnc_run *run, nnc_call *call) {
  call->block = run->block;
  call->training = run->training;
  const nnc_fpstate inside = nnc_fp_default();
  if (run->plan->caller.call(run->plan->caller.context, call)) *run->failed = 1;
  nnc_fp_leave(inside);
}

static void python_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  nnc_call call = {.kind = NNC_CALL_FORWARD, .index = (int)(op - run->plan->op), .rows = last - first};
  call.y = array_of(run, run->act, op->out, first);
  for (int j = 0; j < op->spec.n_inputs; j++) call.x[j] = array_of(run, run->act, op->spec.input[j], first);
  nnc_call_out(run, &call);
  nnc_clear_padding(run, run->act, op->out, first, last); /* the caller may have made NaN of it */
}

static void python_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  nnc_call call = {.kind = NNC_CALL_BACKWARD, .index = (int)(op - run->plan->op), .rows = last - first};
  call.adds_params = op->next != NNC_NONE;
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
    .gradient = nnc_no_gradient, /* backward has it */
    .prepare = nnc_nothing_to_prepare,
};
