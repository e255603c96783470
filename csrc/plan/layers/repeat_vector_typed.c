/* repeat_vector_typed.c: n copies of each sample, one line each. The gradient is the sum over the copies, in their order. */
#include <string.h>

#include "plan/engine.h"

static void repeat_vector_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const size_t n = (size_t)op->spec.size.repeat_vector.n;
  for (size_t r = 0; r < y.rows; r++) memcpy(y.at + r * y.ld, x.at + r / n * x.ld, y.cols * sizeof(real));
}

static void repeat_vector_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last), dy = nnc_samples(run, run->grad, op->out, first, last);
  const size_t n = (size_t)op->spec.size.repeat_vector.n;
  for (size_t i = 0; i < dx.rows; i++)
    run->k->column_sum(dx.at + i * dx.ld, dy.at + i * n * dy.ld, n, dy.cols, dy.ld, op->accumulates[0]);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_repeat_vector) = {
    .forward = repeat_vector_forward,
    .backward = repeat_vector_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
