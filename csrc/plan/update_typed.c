/* update_typed.c: from the gradient buffer to new parameters: clipping by global norm, then one pass per span. */
#include <math.h>

#include "plan/engine.h"

/* Spans are cut into pieces of this many elements, which the members share. */
enum { PIECE = 16 << 10 };

void nnc_update_range(const nnc_run *run, const nnc_update *update, const nnc_param_options *options, size_t offset, size_t n) {
  if (!options->trainable) return;
  nnc_update own = *update;
  own.weight_decay = options->weight_decay;
  own.l1 = options->l1;
  own.l2 = options->l2;
  if (options->lr_scale != 1 || options->weight_decay != update->weight_decay) { /* both go into the derived scalars */
    own.lr *= options->lr_scale;
    nnc_optimizer_prepare(run->plan->optimizer.optimizer, &own);
  }
  real *moment[NNC_MAX_MOMENTS];
  for (int i = 0; i < NNC_MAX_MOMENTS; i++) moment[i] = run->plan->moments[i] ? (real *)run->plan->moments[i] + offset : NULL;
  run->k->optimizer[run->plan->optimizer.optimizer](run->params + offset, moment, run->grads + offset, n, &own);
}

/* The norm of all trainable gradients: one partial sum per parameter, added up in order by every member alike. */
static double gradient_norm(const nnc_run *run, nnc_member *self) {
  const nnc_plan *plan = run->plan;
  size_t first, last;
  double sum = 0;
  nnc_share(self, (size_t)plan->n_params, &first, &last);
  for (size_t i = first; i < last; i++)
    plan->norm_partial[i] = plan->param[i].options.trainable
                                ? run->k->sum_squares(run->grads + plan->param[i].layout.offset, plan->param[i].elements)
                                : 0;
  nnc_barrier(self);
  for (int i = 0; i < plan->n_params; i++) sum += plan->norm_partial[i];
  return sqrt(sum);
}

void nnc_run_update(const nnc_run *run, nnc_member *self, const nnc_update *update) {
  const nnc_plan *plan = run->plan;
  nnc_update scaled = *update;
  if (plan->optimizer.clip_norm > 0) {
    const double factor = plan->optimizer.clip_norm / (gradient_norm(run, self) + 1e-6); /* as PyTorch */
    if (!(factor >= 1)) scaled.grad_scale = factor;
  }
  size_t piece = 0;
  for (int s = 0; s < plan->n_spans; s++)
    for (size_t at = 0; at < plan->span[s].elements; at += PIECE, piece++) {
      if (piece % (size_t)self->size != (size_t)self->rank) continue;
      const size_t left = plan->span[s].elements - at;
      nnc_update_range(run, &scaled, &plan->span[s].options, plan->span[s].offset + at, left < PIECE ? left : PIECE);
    }
}
