/* slice_typed.c: slice and take, parts of one dimension: y[..., j, ...] = x[..., i(j), ...]. A sample is `outer` rows, which start at
 * that dimension; each of its indices stands for `inner` numbers. A take may read an index several times: its gradient is the sum, in
 * the order of j. */
#include <string.h>

#include "plan/engine.h"

typedef struct {
  nnc_section range;
  size_t outer, inner, size; /* per sample; size: numbers in a row of the input */
} nnc_rows_part;

static nnc_rows_part part_of(const nnc_run *run, const nnc_op *op) {
  const nnc_shape *in = &run->plan->value[op->spec.input[0]].shape;
  nnc_rows_part part = {nnc_section_of(run->plan, op), 1, 1, 0};
  for (int d = 0; d < in->rank; d++)
    if (d != part.range.axis) *(d < part.range.axis ? &part.outer : &part.inner) *= in->dim[d];
  part.size = in->dim[part.range.axis] * part.inner;
  return part;
}

/* Samples [first, last) of a value as rows. A sample of several lines is dense; one of a single line is one row. */
static nnc_matrix rows_of(const nnc_run *run, real *const *base, int value, const nnc_rows_part *part, size_t first, size_t last) {
  const size_t sample = run->plan->value[value].lines * run->ld[value], outer = part->outer;
  return (nnc_matrix){base[value] + first * sample, (last - first) * outer, 0, sample / outer};
}

static size_t position(const nnc_rows_part *part, size_t j) {
  const nnc_section *range = &part->range;
  if (!range->list) return (size_t)((int64_t)range->first + (int64_t)j * range->step) * part->inner;
  return range->list[j] < 0 ? part->size - (size_t)-range->list[j] * part->inner : (size_t)range->list[j] * part->inner;
}

static void slice_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_rows_part part = part_of(run, op);
  const nnc_matrix x = rows_of(run, run->act, op->spec.input[0], &part, first, last);
  const nnc_matrix y = rows_of(run, run->act, op->out, &part, first, last);
  const size_t n = part.range.count, inner = part.inner;
  for (size_t i = 0; i < y.rows; i++) {
    const real *from = x.at + i * x.ld;
    real *to = y.at + i * y.ld;
    if (part.range.step == 1) memcpy(to, from + position(&part, 0), n * inner * sizeof(real));
    else if (inner == 1)
      for (size_t j = 0; j < n; j++) to[j] = from[position(&part, j)];
    else
      for (size_t j = 0; j < n; j++) memcpy(to + j * inner, from + position(&part, j), inner * sizeof(real));
  }
}

static void slice_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_rows_part part = part_of(run, op);
  const nnc_matrix dx = rows_of(run, run->grad, in, &part, first, last);
  const nnc_matrix dy = rows_of(run, run->grad, op->out, &part, first, last);
  const size_t joined = part.range.step == 1 ? part.range.count : 1, width = joined * part.inner;
  const int adds = op->accumulates[0] || part.range.list;
  for (size_t i = 0; i < dx.rows; i++) {
    real *to = dx.at + i * dx.ld;
    const real *from = dy.at + i * dy.ld;
    if (!op->accumulates[0]) memset(to, 0, part.size * sizeof(real));
    for (size_t j = 0; j < part.range.count; j += joined) {
      real *at = to + position(&part, j);
      const real *piece = from + j * part.inner;
      if (adds)
        for (size_t k = 0; k < width; k++) at[k] += piece[k];
      else
        for (size_t k = 0; k < width; k++) at[k] = piece[k];
    }
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_slice) = {
    .forward = slice_forward,
    .backward = slice_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_take) = {
    .forward = slice_forward,
    .backward = slice_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
