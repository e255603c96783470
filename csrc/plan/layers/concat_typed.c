/* concat_typed.c: values joined along one dimension. A sample is `outer` rows, where the rows start at the joined dimension. Each
 * input provides a part of each row of the result. Forward copies these parts, and backward copies the same parts of the gradient.
 * */
#include <string.h>

#include "plan/engine.h"

/* Samples [first, last) of a value as [samples * outer] rows, which start at the joined dimension. A sample of several lines is
 * dense; one of a single line has outer == 1. */
static nnc_matrix rows_of(const nnc_run *run, real *const *base, int value, size_t axis, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  const size_t sample = v->lines * run->ld[value];
  size_t outer = 1, cols = 1;
  for (size_t d = 0; d < (size_t)v->shape.rank; d++) *(d < axis ? &outer : &cols) *= v->shape.dim[d];
  return (nnc_matrix){base[value] + first * sample, (last - first) * outer, cols, sample / outer};
}

static size_t axis_of(const nnc_run *run, const nnc_op *op) {
  const int64_t axis = op->spec.size.concat.axis;
  return (size_t)(axis < 0 ? axis + run->plan->value[op->out].shape.rank : axis - 1);
}

static void copy(real *to, size_t ldto, const real *from, size_t ldfrom, size_t rows, size_t cols) {
  for (size_t i = 0; i < rows; i++) memcpy(to + i * ldto, from + i * ldfrom, cols * sizeof *to);
}

static void concat_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const size_t axis = axis_of(run, op);
  const nnc_matrix y = rows_of(run, run->act, op->out, axis, first, last);
  size_t at = 0;
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const nnc_matrix x = rows_of(run, run->act, op->spec.input[j], axis, first, last);
    copy(y.at + at, y.ld, x.at, x.ld, x.rows, x.cols);
    at += x.cols;
  }
}

static void concat_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const size_t axis = axis_of(run, op);
  const nnc_matrix dy = rows_of(run, run->grad, op->out, axis, first, last);
  size_t at = 0;
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const int in = op->spec.input[j];
    const nnc_matrix dx = rows_of(run, run->grad, in, axis, first, last);
    const real *piece = dy.at + at;
    at += dx.cols;
    if (!run->plan->value[in].needs_grad && !run->input_grads) continue;
    if (op->accumulates[j]) run->k->accumulate(dx.at, piece, dx.rows, dx.cols, dx.ld, dy.ld);
    else copy(dx.at, dx.ld, piece, dy.ld, dx.rows, dx.cols);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_concat) = {
    .forward = concat_forward,
    .backward = concat_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
