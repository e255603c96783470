/* permute_typed.c: the dimensions of each sample in another order: y[i0, i1, ...] = x with i_k at its dimension dims[k]. */
#include <string.h>

#include "plan/engine.h"

/* How to walk through a sample of the input in the order of the output. */
typedef struct {
  int rank;
  size_t dim[NNC_MAX_RANK], step[NNC_MAX_RANK]; /* of the output; distance in the input */
  size_t outer, inner;                          /* numbers in all dimensions but the last, in the last */
} nnc_walk;

static nnc_walk walk_of(const nnc_run *run, const nnc_op *op) {
  const nnc_shape *in = &run->plan->value[op->spec.input[0]].shape, *out = &run->plan->value[op->out].shape;
  size_t distance[NNC_MAX_RANK], step = 1;
  nnc_walk walk = {.rank = out->rank, .outer = 1};
  for (int d = in->rank - 1; d >= 0; step *= in->dim[d--]) distance[d] = step;
  for (int d = 0; d < out->rank; d++) {
    walk.dim[d] = out->dim[d];
    walk.step[d] = distance[op->spec.size.permute.dims[d] - 1];
    if (d < out->rank - 1) walk.outer *= out->dim[d];
  }
  walk.inner = out->dim[out->rank - 1];
  return walk;
}

/* The position in the input of the first number of line `line` of the output. */
static size_t position(const nnc_walk *walk, size_t line) {
  size_t at = 0;
  for (int d = walk->rank - 2; d >= 0; line /= walk->dim[d--]) at += line % walk->dim[d] * walk->step[d];
  return at;
}

static real *sample(const nnc_run *run, real *const *base, int value, size_t i) {
  return base[value] + i * run->plan->value[value].lines * run->ld[value];
}

static void permute_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_walk walk = walk_of(run, op);
  const size_t step = walk.step[walk.rank - 1];
  for (size_t i = first; i < last; i++) {
    const real *x = sample(run, run->act, op->spec.input[0], i);
    real *y = sample(run, run->act, op->out, i);
    if (walk.rank == 2 && step != 1) {
      run->k->transpose(y, x, walk.inner, walk.outer, walk.inner, walk.outer);
      continue;
    }
    for (size_t line = 0; line < walk.outer; line++, y += walk.inner) {
      const real *from = x + position(&walk, line);
      if (step == 1) memcpy(y, from, walk.inner * sizeof(real));
      else
        for (size_t j = 0; j < walk.inner; j++) y[j] = from[j * step];
    }
  }
}

static void permute_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_walk walk = walk_of(run, op);
  const size_t step = walk.step[walk.rank - 1];
  for (size_t i = first; i < last; i++) {
    real *dx = sample(run, run->grad, in, i);
    const real *dy = sample(run, run->grad, op->out, i);
    for (size_t line = 0; line < walk.outer; line++, dy += walk.inner) {
      real *to = dx + position(&walk, line);
      for (size_t j = 0; j < walk.inner; j++) to[j * step] = op->accumulates[0] ? to[j * step] + dy[j] : dy[j];
    }
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_permute) = {
    .forward = permute_forward,
    .backward = permute_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
