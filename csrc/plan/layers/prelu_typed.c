/* prelu_typed.c: PReLU with one slope for all, or one per channel: the first dimension of a sample. */
#include <string.h>

#include "plan/engine.h"

/* The division of a sample into blocks with one slope per block, or one per column. */
typedef struct {
  size_t blocks, lines; /* per sample; lines per block */
  int per_column;
} nnc_slopes;

static nnc_slopes slopes_of(const nnc_run *run, const nnc_op *op) {
  const nnc_value *v = &run->plan->value[op->out];
  const size_t slopes = (size_t)op->spec.size.prelu.num_parameters;
  if (slopes == 1) return (nnc_slopes){1, v->lines, 0};
  return v->shape.rank == 1 ? (nnc_slopes){1, 1, 1} : (nnc_slopes){slopes, v->lines / slopes, 0};
}

/* Block b of one sample. */
static nnc_matrix block_of(const nnc_run *run, real *const *base, int value, const nnc_slopes *s, size_t sample, size_t b) {
  nnc_matrix m = nnc_samples(run, base, value, sample, sample + 1);
  m.at += b * s->lines * m.ld;
  m.rows = s->lines;
  return m;
}

static void prelu_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_slopes s = slopes_of(run, op);
  const real *slope = nnc_values_of(run, op, 0);
  const int in = op->spec.input[0];
  if (s.blocks == 1) {
    const nnc_matrix x = nnc_samples(run, run->act, in, first, last), y = nnc_samples(run, run->act, op->out, first, last);
    run->k->prelu_forward(y.at, x.at, slope, x.rows, x.cols, y.ld, x.ld, s.per_column);
    return;
  }
  for (size_t i = first; i < last; i++)
    for (size_t b = 0; b < s.blocks; b++) {
      const nnc_matrix x = block_of(run, run->act, in, &s, i, b), y = block_of(run, run->act, op->out, &s, i, b);
      run->k->prelu_forward(y.at, x.at, slope + b, x.rows, x.cols, y.ld, x.ld, 0);
    }
}

static void prelu_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_slopes s = slopes_of(run, op);
  const real *slope = nnc_values_of(run, op, 0);
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  real *const from = nnc_place_gradient(run, op, 0, dx);
  if (s.blocks == 1) {
    const nnc_matrix x = nnc_samples(run, run->act, in, first, last), dy = nnc_samples(run, run->grad, op->out, first, last);
    run->k->prelu_backward(from, dy.at, x.at, slope, x.rows, x.cols, dx.ld, dy.ld, x.ld, s.per_column);
  }
  for (size_t i = first; i < last && s.blocks > 1; i++)
    for (size_t b = 0; b < s.blocks; b++) {
      const nnc_matrix x = block_of(run, run->act, in, &s, i, b), dy = block_of(run, run->grad, op->out, &s, i, b);
      const nnc_matrix to = block_of(run, run->grad, in, &s, i, b);
      run->k->prelu_backward(from + (to.at - dx.at), dy.at, x.at, slope + b, x.rows, x.cols, to.ld, dy.ld, x.ld, 0);
    }
  nnc_add_gradient(run, op, 0, dx, from);
}

static void prelu_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  (void)task; /* there is one, as there is one row of slopes */
  const nnc_slopes s = slopes_of(run, op);
  const int in = op->spec.input[0];
  real *slope = nnc_param_at(run, op, 0, run->grads);
  memset(slope, 0, (size_t)op->spec.size.prelu.num_parameters * sizeof(real));
  if (s.blocks == 1) {
    const nnc_matrix x = nnc_samples(run, run->act, in, 0, rows), dy = nnc_samples(run, run->grad, op->out, 0, rows);
    run->k->prelu_gradient(slope, dy.at, x.at, x.rows, x.cols, dy.ld, x.ld, s.per_column);
    return;
  }
  for (size_t i = 0; i < rows; i++)
    for (size_t b = 0; b < s.blocks; b++) {
      const nnc_matrix x = block_of(run, run->act, in, &s, i, b), dy = block_of(run, run->grad, op->out, &s, i, b);
      run->k->prelu_gradient(slope + b, dy.at, x.at, x.rows, x.cols, dy.ld, x.ld, 0);
    }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_prelu) = {
    .forward = prelu_forward,
    .backward = prelu_backward,
    .gradient = prelu_gradient,
    .prepare = nnc_nothing_to_prepare,
};
