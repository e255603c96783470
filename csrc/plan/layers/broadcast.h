/* broadcast.h: merges of values whose shapes differ. Dimensions of size 1, and missing leading ones, are broadcast to those of the
 * result, as in NumPy, except for the batch. The lines of the result are then processed one by one, each with the corresponding
 * lines of the inputs. An input of one column provides its number for all columns. The gradient of a broadcast input is a sum: over
 * the lines of a sample in increasing order, and over the columns of a line in increasing order. Typed; see engine.h.
 */
#ifndef NNC_PLAN_BROADCAST_H
#define NNC_PLAN_BROADCAST_H

#include <string.h>

#include "plan/engine.h"

/* One value of a merge, in the samples of a run. */
typedef struct {
  const nnc_shape *shape;
  nnc_matrix m;
  size_t lines; /* of one sample */
} nnc_operand;

static inline nnc_operand nnc_operand_of(const nnc_run *run, real *const *base, int value, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  return (nnc_operand){&v->shape, nnc_samples(run, base, value, first, last), v->lines};
}

/* Whether an input of a merge differs in shape from its result. */
static inline int nnc_is_broadcast(const nnc_run *run, const nnc_op *op) {
  const nnc_value *v = run->plan->value, *out = &v[op->out];
  for (int j = 0; j < op->spec.n_inputs; j++)
    if (v[op->spec.input[j]].lines != out->lines || v[op->spec.input[j]].cols != out->cols) return 1;
  return 0;
}

/* The line of `x` that corresponds to line `line` of the result, in one sample. */
static inline real *nnc_broadcast_line(const nnc_operand *x, const nnc_operand *result, size_t sample, size_t line) {
  const nnc_shape *out = result->shape, *in = x->shape;
  size_t at = 0, step = 1;
  for (int d = out->rank - 2, k = in->rank - 2; d >= 0 && k >= 0; d--, k--) {
    if (in->dim[k] > 1) at += line % out->dim[d] * step;
    step *= in->dim[k];
    line /= out->dim[d];
  }
  return x->m.at + (sample * x->lines + at) * x->m.ld;
}

static inline void nnc_clear_operand(const nnc_operand *x) {
  for (size_t r = 0; r < x->m.rows; r++) memset(x->m.at + r * x->m.ld, 0, x->m.cols * sizeof(real));
}

#endif
