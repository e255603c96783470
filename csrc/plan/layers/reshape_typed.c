/* reshape_typed.c: the same numbers in another shape. Usually a view (see passes/fuse.c); a copy if a padded line becomes several
 * lines. */
#include <string.h>

#include "plan/engine.h"

/* Sample i of a dense value, as one line or several. */
static real *sample(const nnc_run *run, real *const *base, int value, size_t i) {
  return base[value] + i * run->plan->value[value].lines * run->ld[value];
}

static size_t numbers(const nnc_run *run, const nnc_op *op) {
  const nnc_value *v = &run->plan->value[op->out];
  return v->lines * v->cols;
}

static void reshape_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  for (size_t i = first; i < last; i++)
    memcpy(sample(run, run->act, op->out, i), sample(run, run->act, op->spec.input[0], i), numbers(run, op) * sizeof(real));
}

static void reshape_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  const size_t n = numbers(run, op);
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  for (size_t i = first; i < last; i++) {
    real *dx = sample(run, run->grad, in, i);
    const real *dy = sample(run, run->grad, op->out, i);
    if (op->accumulates[0]) run->k->accumulate(dx, dy, 1, n, n, n);
    else memcpy(dx, dy, n * sizeof(real));
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_reshape) = {
    .forward = reshape_forward,
    .backward = reshape_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
