/* state_typed.c: the last h or c of a recurrent layer as a separate value, [directions, hidden]. Forward copies it from the
 * recurrent op directly before it. Backward has nothing to compute, because that op starts with the gradient of this value. */
#include <string.h>

#include "plan/engine.h"
#include "plan/layers/recurrent/recurrent.h"

static void state_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_op *of = &run->plan->op[run->plan->value[op->spec.input[0]].producer];
  const nnc_recurrent r = nnc_recurrent_of(run->plan, of);
  const size_t sample = run->plan->value[op->out].lines * run->ld[op->out];
  for (size_t d = 0; d < r.directions; d++) {
    size_t row;
    const real *from = nnc_last_state(run, of, (size_t)op->spec.size.state.is_cell_state, d, &row);
    for (size_t i = first; i < last; i++)
      memcpy(run->act[op->out] + i * sample + d * r.hidden, from + i * row, r.hidden * sizeof(real));
  }
}

/* This op comes between the recurrent op and all other readers of its result. So in backward it is the first writer of the gradient
 * only if there is no other reader. */
static void state_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dx = nnc_samples(run, run->grad, op->spec.input[0], first, last);
  for (size_t i = 0; i < dx.rows && !op->accumulates[0]; i++) memset(dx.at + i * dx.ld, 0, dx.cols * sizeof(real));
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_state) = {
    .forward = state_forward,
    .backward = state_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
