/* dropout_typed.c: inverted dropout (Srivastava et al. 2014). The mask is a function of (seed, step, op, row, column); forward keeps it
 * for backward. Outside training it is the identity. */
#include <string.h>

#include "plan/engine.h"

static void copy_rows(nnc_matrix to, nnc_matrix from) {
  for (size_t i = 0; i < to.rows; i++) memcpy(to.at + i * to.ld, from.at + i * from.ld, to.cols * sizeof(real));
}

/* From sample `first` on. */
static int8_t *mask_of(const nnc_run *run, const nnc_op *op, size_t first) {
  const nnc_value *v = &run->plan->value[op->out];
  return (int8_t *)(run->arena + op->saved) + first * v->lines * v->cols;
}

static void dropout_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  if (!nnc_op_trains(run, op)) {
    copy_rows(y, x);
    return;
  }
  const nnc_words words = nnc_words_of(run, op);
  run->k->dropout(y.at, mask_of(run, op, first), x.at, y.rows, y.cols, y.ld, x.ld,
                  (run->rows_before + first) * run->plan->value[op->out].lines, op->spec.attr.dropout.p, words.key, words.stream);
}

static void dropout_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  const nnc_matrix to = {nnc_place_gradient(run, op, 0, dx), dx.rows, dx.cols, dx.ld};
  if (nnc_op_trains(run, op))
    run->k->dropout_backward(to.at, mask_of(run, op, first), dy.at, dy.rows, dy.cols, to.ld, dy.ld, op->spec.attr.dropout.p);
  else copy_rows(to, dy);
  nnc_add_gradient(run, op, 0, dx, to.at);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_dropout) = {
    .forward = dropout_forward,
    .backward = dropout_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
