/* maximum_typed.c: the larger of two values, or the smaller one, element by element. The gradient goes to the one that is chosen, half
 * to each where they are equal. More inputs are a chain of such ops. */
#include "plan/engine.h"

static void maximum_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const nnc_matrix a = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix b = nnc_samples(run, run->act, op->spec.input[1], first, last);
  run->k->maximum(y.at, a.at, b.at, y.rows, y.cols, y.ld, a.ld, b.ld, op->spec.size[0] != 0);
}

static void maximum_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  for (int j = 0; j < 2; j++) {
    const int in = op->spec.input[j];
    if (!run->plan->value[in].needs_grad && !run->input_grads) continue;
    const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
    const nnc_matrix own = nnc_samples(run, run->act, in, first, last);
    const nnc_matrix other = nnc_samples(run, run->act, op->spec.input[1 - j], first, last);
    real *to = op->accumulates[j] ? run->arena + op->packed + (dx.at - run->grad[in]) : dx.at;
    run->k->maximum_backward(to, dy.at, own.at, other.at, dx.rows, dx.cols, dx.ld, dy.ld, own.ld, other.ld, op->spec.size[0] != 0);
    if (op->accumulates[j]) run->k->accumulate(dx.at, to, dx.rows, dx.cols, dx.ld, dx.ld);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_maximum) = {
    .forward = maximum_forward,
    .backward = maximum_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
