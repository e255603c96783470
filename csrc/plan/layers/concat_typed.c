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

/* Joined in time with lengths, only the valid steps of each input are copied, one after the other, sample by sample. Zeros follow. */
typedef struct {
  size_t step;            /* numbers in a step */
  const int64_t *lengths; /* NULL: all steps are valid */
  size_t steps;
} nnc_track;

static nnc_track track_of(const nnc_run *run, int value) {
  const nnc_value *v = &run->plan->value[value];
  return (nnc_track){v->lines * v->cols / v->shape.dim[0], nnc_lengths_of(run, value), v->shape.dim[0]};
}

static size_t valid(const nnc_track *t, size_t sample) { return t->lengths ? (size_t)t->lengths[sample] : t->steps; }

static real *sample_of(const nnc_run *run, real *const *base, int value, size_t i) {
  return base[value] + i * run->plan->value[value].lines * run->ld[value];
}

static int packs_steps(const nnc_run *run, const nnc_op *op) {
  return nnc_joins_time(run->plan, op) && nnc_lengths_of(run, op->out);
}

static void join_steps(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  for (size_t i = first; i < last; i++) {
    real *to = sample_of(run, run->act, op->out, i);
    for (int j = 0; j < op->spec.n_inputs; j++) {
      const nnc_track x = track_of(run, op->spec.input[j]);
      const size_t n = valid(&x, i) * x.step;
      memcpy(to, sample_of(run, run->act, op->spec.input[j], i), n * sizeof *to);
      to += n;
    }
  }
  nnc_clear_padding(run, run->act, op->out, first, last);
}

static void part_steps(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  for (size_t i = first; i < last; i++) {
    const real *from = sample_of(run, run->grad, op->out, i);
    for (int j = 0; j < op->spec.n_inputs; j++) {
      const int in = op->spec.input[j];
      const nnc_track x = track_of(run, in);
      const size_t n = valid(&x, i) * x.step;
      real *to = sample_of(run, run->grad, in, i);
      if (run->plan->value[in].needs_grad || run->input_grads) {
        if (op->accumulates[j]) {
          run->k->accumulate(to, from, 1, n, n, n);
        } else {
          memcpy(to, from, n * sizeof *to);
          memset(to + n, 0, (x.steps * x.step - n) * sizeof *to);
        }
      }
      from += n;
    }
  }
}

static void concat_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (packs_steps(run, op)) {
    join_steps(run, op, first, last);
    return;
  }
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
  if (packs_steps(run, op)) {
    part_steps(run, op, first, last);
    return;
  }
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
