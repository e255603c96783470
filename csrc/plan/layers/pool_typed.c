/* pool_typed.c: pooling over the valid time steps of each sample: mean, maximum, or the last one. */
#include "plan/engine.h"

/* A sample as steps of `size` numbers each. Several lines are dense. */
typedef struct {
  size_t steps, size;
  const int64_t *lengths; /* NULL: all steps are valid */
} nnc_steps;

static nnc_steps steps_of(const nnc_run *run, const nnc_op *op) {
  const nnc_value *x = &run->plan->value[op->spec.input[0]];
  const size_t steps = x->shape.dim[0];
  return (nnc_steps){steps, x->lines * x->cols / steps, nnc_lengths_of(run, op->spec.input[0])};
}

static size_t length_of(const nnc_steps *s, size_t sample) { return s->lengths ? (size_t)s->lengths[sample] : s->steps; }

static real *sample(const nnc_run *run, real *const *base, int value, size_t i) {
  return base[value] + i * run->plan->value[value].lines * run->ld[value];
}

static void pool_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_steps s = steps_of(run, op);
  for (size_t i = first; i < last; i++)
    run->k->pool_forward(sample(run, run->act, op->out, i), sample(run, run->act, op->spec.input[0], i), length_of(&s, i), s.size,
                         s.size, (nnc_pool)op->spec.size.pool.mode);
}

static void pool_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_steps s = steps_of(run, op);
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  real *to = nnc_place_gradient(run, op, 0, dx);
  for (size_t i = first; i < last; i++)
    run->k->pool_backward(to + (i - first) * run->plan->value[in].lines * run->ld[in], sample(run, run->grad, op->out, i),
                          sample(run, run->act, in, i), sample(run, run->act, op->out, i), s.steps, length_of(&s, i), s.size,
                          s.size, s.size, (nnc_pool)op->spec.size.pool.mode);
  nnc_add_gradient(run, op, 0, dx, to);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_pool) = {
    .forward = pool_forward,
    .backward = pool_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
