/* update_typed.c: from the gradient buffer to new parameters: clipping by norm, one pass per span, then constraints. The moving
 * average of the parameters follows the update while they are in cache. */
#include <math.h>

#include "plan/engine.h"

/* Spans are cut into pieces of this many elements, which the threads process. */
enum { PIECE = 4 << 10 };

/* The first update starts the average. */
static double average_momentum(const nnc_plan *plan, const nnc_update *update) {
  return update->step == 1 ? 0 : plan->optimizer.ema_momentum;
}

static inline nnc_update update_of(const nnc_run *run, const nnc_update *update, const nnc_param_options *options) {
  nnc_update own = *update;
  own.weight_decay = options->weight_decay;
  own.l1 = options->l1 * update->grad_scale * update->penalty_scale; /* the gradients of the penalties are clipped too */
  own.l2 = options->l2 * update->grad_scale * update->penalty_scale;
  if (options->lr_scale != 1 || options->weight_decay != update->weight_decay) { /* the derived scalars depend on both */
    own.lr *= options->lr_scale;
    nnc_optimizer_prepare(run->plan->optimizer.optimizer, &own);
  }
  return own;
}

nnc_update nnc_update_of(const nnc_run *run, const nnc_update *update, const nnc_param_options *options) {
  return update_of(run, update, options);
}

static void update_trainable(const nnc_run *run, const nnc_update *update, const nnc_param_options *options, real *values,
                             size_t offset, size_t n) {
  const nnc_update own = update_of(run, update, options);
  real *moment[NNC_MAX_MOMENTS];
  for (int i = 0; i < NNC_MAX_MOMENTS; i++) moment[i] = run->plan->moments[i] ? (real *)run->plan->moments[i] + offset : NULL;
  run->k->optimizer[run->plan->optimizer.optimizer](values, moment, run->grads + offset, n, &own);
}

void nnc_update_average(const nnc_run *run, const nnc_update *update, const nnc_parameter *param, size_t offset, size_t n) {
  const nnc_plan *plan = run->plan;
  const real *values = (real *)param->layout.data + (offset - param->layout.offset);
  if (plan->average) run->k->average((real *)plan->average + offset, values, 1, n, n, average_momentum(plan, update));
}

void nnc_update_range(const nnc_run *run, const nnc_update *update, const nnc_parameter *param, size_t offset, size_t n) {
  const nnc_param_options *options = &param->options;
  real *values = (real *)param->layout.data + (offset - param->layout.offset);
  if (options->trainable) update_trainable(run, update, options, values, offset, n);
  if (options->trainable && options->max_norm > 0) return; /* the average follows after the constraint */
  if (run->plan->average) nnc_update_average(run, update, param, offset, n);
}

/* The squared norm of a gradient including that of the penalties: element j of a row goes to partial sum j % 8. Gaps between rows
 * are 0. */
static double penalised_square(const nnc_run *run, const nnc_parameter *p, double scale) {
  const real *g = run->grads + p->layout.offset, *w = (real *)p->layout.data;
  const double l1 = p->options.l1 * scale, l2 = 2 * p->options.l2 * scale;
  double sum[8] = {0};
  for (size_t r = 0; r < p->layout.rows; r++)
    for (size_t j = 0; j < p->layout.cols; j++) {
      const size_t at = r * p->layout.ld + j;
      const double x = (double)w[at], whole = (double)g[at] + l2 * x + (x > 0 ? l1 : x < 0 ? -l1 : 0);
      sum[j % 8] += whole * whole;
    }
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static double square(const nnc_run *run, const nnc_parameter *p, double penalty_scale) {
  if (!p->options.trainable) return 0;
  if (p->options.l1 != 0 || p->options.l2 != 0) return penalised_square(run, p, penalty_scale);
  return run->k->sum_squares(run->grads + p->layout.offset, p->elements);
}

/* The squared norm of each parameter's gradient, 0 where it is not trained. */
static void square_norms(const nnc_run *run, nnc_thread *self, double penalty_scale) {
  const nnc_plan *plan = run->plan;
  size_t first, last;
  nnc_partition(self, (size_t)plan->n_params, &first, &last);
  for (size_t i = first; i < last; i++) plan->norm_partial[i] = square(run, &plan->param[i], penalty_scale);
  nnc_barrier(self);
}

/* The factor for all gradients together. Every thread adds the norms in the same order. As in PyTorch. */
static double scale_of_all(const nnc_plan *plan) {
  double sum = 0;
  for (int i = 0; i < plan->n_params; i++) sum += plan->norm_partial[i];
  const double factor = plan->optimizer.clip_norm / (sqrt(sum) + 1e-6);
  return factor >= 1 ? 1 : factor; /* NaN is kept */
}

/* The factor for one parameter's gradient. As in Keras. */
static double scale_of_one(const nnc_plan *plan, int param) {
  const double norm = sqrt(plan->norm_partial[param]);
  return norm <= plan->optimizer.clip_norm_each ? 1 : plan->optimizer.clip_norm_each / norm;
}

void nnc_run_update(const nnc_run *run, nnc_thread *self, const nnc_update *update) {
  const nnc_plan *plan = run->plan;
  nnc_update scaled = *update;
  if (plan->optimizer.clip_norm > 0 || plan->optimizer.clip_norm_each > 0) square_norms(run, self, update->penalty_scale);
  if (plan->optimizer.clip_norm > 0) scaled.grad_scale = scale_of_all(plan);
  size_t piece = 0;
  for (int s = 0; s < plan->n_spans; s++) {
    if (plan->optimizer.clip_norm_each > 0) scaled.grad_scale = scale_of_one(plan, plan->span[s].param);
    for (size_t at = 0; at < plan->span[s].elements; at += PIECE, piece++) {
      if (self->size > 1 && piece % (size_t)self->size != (size_t)self->rank) continue;
      const size_t left = plan->span[s].elements - at;
      nnc_update_range(run, &scaled, &plan->param[plan->span[s].param], plan->span[s].offset + at, left < PIECE ? left : PIECE);
    }
  }
  if (!plan->constrained) return;
  nnc_barrier(self);
  nnc_run_constraints(run, self, average_momentum(plan, update));
}
