/* multiply_typed.c: y = a b, element by element; da = dy b and db = dy a. More factors are a chain of such ops. */
#include "plan/engine.h"

static void multiply_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const nnc_matrix a = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix b = nnc_samples(run, run->act, op->spec.input[1], first, last);
  run->k->multiply(y.at, a.at, b.at, y.rows, y.cols, y.ld, a.ld, b.ld, 0);
}

static void multiply_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  for (int j = 0; j < 2; j++) {
    const int in = op->spec.input[j];
    if (!run->plan->value[in].needs_grad && !run->input_grads) continue;
    const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
    const nnc_matrix other = nnc_samples(run, run->act, op->spec.input[1 - j], first, last);
    run->k->multiply(dx.at, dy.at, other.at, dx.rows, dx.cols, dx.ld, dy.ld, other.ld, op->accumulates[j]);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_multiply) = {
    .forward = multiply_forward,
    .backward = multiply_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
