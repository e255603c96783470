/* gaussian_noise_typed.c: normal noise added while training; the derivative is 1. Outside training it is the identity. */
#include <string.h>

#include "plan/engine.h"

static void copy_rows(nnc_matrix to, nnc_matrix from) {
  for (size_t i = 0; i < from.rows; i++) memcpy(to.at + i * to.ld, from.at + i * from.ld, from.cols * sizeof(real));
}

static void gaussian_noise_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  if (!nnc_op_trains(run, op) || op->spec.attr.gaussian_noise.stddev == 0) {
    copy_rows(y, x);
    return;
  }
  const nnc_words words = nnc_words_of(run, op);
  run->k->gaussian_noise(y.at, x.at, y.rows, y.cols, y.ld, x.ld, (run->rows_before + first) * run->plan->value[op->out].lines,
                         op->spec.attr.gaussian_noise.stddev, words.key, words.stream);
}

static void gaussian_noise_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  if (op->accumulates[0]) run->k->accumulate(dx.at, dy.at, dx.rows, dx.cols, dx.ld, dy.ld);
  else copy_rows(dx, dy);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_gaussian_noise) = {
    .forward = gaussian_noise_forward,
    .backward = gaussian_noise_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
