/* layer_norm_typed.c: layer normalisation over the last dimensions of a sample, and the activation that follows it. */
#include <string.h>

#include "plan/engine.h"

/* Groups of one sample of a value: one line with its padding, or parts of dense lines. */
typedef struct {
  size_t per_sample, size, distance;
} nnc_groups;

static nnc_groups groups_of(const nnc_run *run, const nnc_op *op, int value) {
  const size_t size = nnc_norm_size(op);
  return (nnc_groups){nnc_norm_groups(run->plan, op), size, run->plan->value[value].lines == 1 ? run->ld[value] : size};
}

static real *from_sample(const nnc_run *run, real *const *base, int value, size_t first) {
  return base[value] + first * run->plan->value[value].lines * run->ld[value];
}

/* Means, then reciprocal deviations, of all groups in the arena; NULL in inference. */
static real *means_of(const nnc_run *run, const nnc_op *op) { return run->arena ? run->arena + op->saved : NULL; }
static real *deviations_of(const nnc_run *run, const nnc_op *op) {
  return run->arena ? run->arena + op->saved + run->plan->rows_reserved * nnc_norm_groups(run->plan, op) : NULL;
}

static int epilogue_of(const nnc_run *run, const nnc_op *op) { return op->loss_fused && run->loss ? NNC_NONE : op->epilogue; }

/* With eps == 0, padding of equal numbers has deviation 0. Zeros replace NaN in the result and, for backward, the reciprocals. */
static void clear_padding(const nnc_run *run, const nnc_op *op, real *rstd, size_t per_sample, size_t first, size_t last) {
  const nnc_value *y = &run->plan->value[op->out];
  const int64_t *lengths = nnc_lengths_of(run, op->out);
  if (!lengths) return;
  nnc_clear_padding(run, run->act, op->out, first, last);
  const size_t steps = y->shape.dim[0], per_step = per_sample / steps;
  for (size_t i = first; i < last && rstd; i++) {
    const size_t length = (size_t)lengths[i];
    memset(rstd + i * per_sample + length * per_step, 0, (steps - length) * per_step * sizeof *rstd);
  }
}

static void layer_norm_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0], epilogue = epilogue_of(run, op);
  const nnc_groups x = groups_of(run, op, in), y = groups_of(run, op, op->out);
  real *mean = means_of(run, op), *rstd = deviations_of(run, op);
  const size_t skipped = mean ? first * x.per_sample : 0;
  run->k->layer_norm_forward(from_sample(run, run->act, op->out, first), mean ? mean + skipped : NULL, rstd ? rstd + skipped : NULL,
                             from_sample(run, run->act, in, first), nnc_values_of(run, op, 0), nnc_values_of(run, op, 1),
                             (last - first) * x.per_sample, x.size, y.distance, x.distance, op->spec.attr.layer_norm.eps);
  clear_padding(run, op, rstd, x.per_sample, first, last);
  if (epilogue == NNC_NONE) return;
  const nnc_matrix z = nnc_samples(run, run->act, op->out, first, last);
  run->k->activation_forward[epilogue](z.at, z.at, z.rows, z.cols, z.ld, z.ld, op->epilogue_attr.at);
}

static void layer_norm_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0], epilogue = epilogue_of(run, op);
  const nnc_groups x = groups_of(run, op, in), y = groups_of(run, op, op->out);
  if (epilogue != NNC_NONE) {
    const nnc_matrix dz = nnc_samples(run, run->grad, op->out, first, last),
                     saved = nnc_samples(run, run->act, op->out, first, last);
    run->k->activation_backward[epilogue](dz.at, dz.at, saved.at, dz.rows, dz.cols, dz.ld, dz.ld, saved.ld, op->epilogue_attr.at);
  }
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const size_t skipped = first * x.per_sample;
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  real *to = nnc_place_gradient(run, op, 0, dx);
  run->k->layer_norm_backward(to, means_of(run, op) + skipped, deviations_of(run, op) + skipped,
                              from_sample(run, run->grad, op->out, first), from_sample(run, run->act, in, first),
                              nnc_values_of(run, op, 0), (last - first) * x.per_sample, x.size, x.distance, y.distance, x.distance);
  nnc_add_gradient(run, op, 0, dx, to);
}

static void layer_norm_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const int in = op->spec.input[0];
  const nnc_groups x = groups_of(run, op, in), y = groups_of(run, op, op->out);
  run->k->layer_norm_gradient(nnc_param_at(run, op, 0, run->grads), nnc_param_at(run, op, 1, run->grads), means_of(run, op),
                              deviations_of(run, op), run->grad[op->out], run->act[in], task->first, task->last,
                              rows * x.per_sample, y.distance, x.distance);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_layer_norm) = {
    .forward = layer_norm_forward,
    .backward = layer_norm_backward,
    .gradient = layer_norm_gradient,
    .prepare = nnc_nothing_to_prepare,
};
