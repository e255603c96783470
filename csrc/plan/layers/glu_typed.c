/* glu_typed.c: the gated linear unit (Dauphin et al. 2017): y = a s(b), a and b being the halves of the last dimension, s the sigmoid.
 * da = dy s(b), db = dy a s(b) (1 - s(b)). Made of the kernels of its parts; backward computes s(b) again. */
#include "plan/engine.h"

static void glu_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  run->k->activation_forward[NNC_ACTIVATION_sigmoid](y.at, x.at + y.cols, y.rows, y.cols, y.ld, x.ld, NULL);
  run->k->multiply(y.at, y.at, x.at, y.rows, y.cols, y.ld, y.ld, x.ld, 0);
}

static void glu_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix x = nnc_samples(run, run->act, in, first, last), dx = nnc_samples(run, run->grad, in, first, last);
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const size_t cols = dy.cols;
  real *to = nnc_place_gradient(run, op, 0, dx), *gate = to + cols;
  run->k->activation_forward[NNC_ACTIVATION_sigmoid](to, x.at + cols, dy.rows, cols, dx.ld, x.ld, NULL);
  run->k->multiply(gate, dy.at, x.at, dy.rows, cols, dx.ld, dy.ld, x.ld, 0);
  run->k->activation_backward[NNC_ACTIVATION_sigmoid](gate, gate, to, dy.rows, cols, dx.ld, dx.ld, dx.ld, NULL);
  run->k->multiply(to, to, dy.at, dy.rows, cols, dx.ld, dx.ld, dy.ld, 0);
  nnc_add_gradient(run, op, 0, dx, to);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_glu) = {
    .forward = glu_forward,
    .backward = glu_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
