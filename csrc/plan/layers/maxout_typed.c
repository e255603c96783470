/* maxout_typed.c: the largest of the pieces of each unit. The product before it computes the pieces. */
#include "plan/engine.h"

static void maxout_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  run->k->maxout_forward(y.at, x.at, y.rows, y.cols, (size_t)op->spec.size.maxout.pieces, y.ld, x.ld);
}

static void maxout_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix x = nnc_samples(run, run->act, in, first, last), dx = nnc_samples(run, run->grad, in, first, last);
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  real *to = nnc_place_gradient(run, op, 0, dx);
  run->k->maxout_backward(to, dy.at, x.at, dy.rows, dy.cols, (size_t)op->spec.size.maxout.pieces, dx.ld, dy.ld, x.ld);
  nnc_add_gradient(run, op, 0, dx, to);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_maxout) = {
    .forward = maxout_forward,
    .backward = maxout_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
