/* activation_typed.c: an activation that is not fused, because the op before it is no product or its result has other readers. */
#include "ops/registry.h"
#include "plan/engine.h"

static int fused(const nnc_run *run, const nnc_op *op) { return op->loss_fused && run->loss; }

static void activation_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (fused(run, op)) return;
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  run->k->activation_forward[op->spec.code](y.at, x.at, x.rows, x.cols, y.ld, x.ld, op->spec.attr.at);
}

static void activation_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (fused(run, op)) return;
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  const nnc_matrix saved = nnc_samples(run, run->act, nnc_activations[op->spec.code].saves_input ? in : op->out, first, last);
  real *to = nnc_place_gradient(run, op, 0, dx);
  run->k->activation_backward[op->spec.code](to, dy.at, saved.at, dy.rows, dy.cols, dx.ld, dy.ld, saved.ld, op->spec.attr.at);
  nnc_add_gradient(run, op, 0, dx, to);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_activation) = {
    .forward = activation_forward,
    .backward = activation_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
