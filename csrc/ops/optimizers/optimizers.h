/* optimizers.h: common code of all updates: the preparation of the gradient, and the loop over the parameters.
 *
 * Per element, in this order: g = grad * grad_scale + l1 sign(w) + 2 l2 w; clip to +-clip_value; g += weight_decay w; then the
 * update itself. Penalties are part of the loss, so they are clipped too; weight decay is part of the update. Elements do not
 * depend on each other, so any split of the span gives the same bits. Scalars are passed as doubles and rounded to the dtype once
 * per call, as in PyTorch.
 */
#ifndef NNC_OPS_OPTIMIZERS_H
#define NNC_OPS_OPTIMIZERS_H

#include <math.h>

#include "ops/op.h"

typedef struct {
  vec scale, limit, l1, l2, decay;
} gradient_recipe;

/* decay_joins_gradient: 0 for decoupled weight decay, which the update applies itself. */
INLINE gradient_recipe gradient_recipe_of(const nnc_update *update, int decay_joins_gradient) {
  return (gradient_recipe){
      .scale = vset1((real)update->grad_scale),
      .limit = vset1(update->clip_value > 0 ? (real)update->clip_value : (real)INFINITY),
      .l1 = vset1((real)update->l1),
      .l2 = vset1((real)(2 * update->l2)),
      .decay = vset1(decay_joins_gradient ? (real)update->weight_decay : 0),
  };
}

/* True if the gradient is used without changes, which is worth a separate loop. */
INLINE int gradient_is_plain(const nnc_update *update, int decay_joins_gradient) {
  return update->grad_scale == 1 && !(update->clip_value > 0) && update->l1 == 0 && update->l2 == 0 &&
         (update->weight_decay == 0 || !decay_joins_gradient);
}

/* NaN stays NaN. Penalties that are 0 leave g as it is for every finite w. */
INLINE vec gradient_ready(vec grad, vec w, const gradient_recipe *recipe) {
  const vec penalty = vfma(recipe->l2, w, vselect(w == 0, vset1(0), vcopysign(recipe->l1, w)));
  const vec g = vmin(recipe->limit, vmax(-recipe->limit, vfma(recipe->scale, grad, penalty)));
  return vfma(recipe->decay, w, g);
}

/* One vector of parameters and its moments, in registers. */
typedef struct {
  vec param, moment[3];
} optimizer_lanes;

/* The update of one vector: `scalar` are the scalars of this step, `uses` a constant bit per moment, `variant` a constant. */
typedef void optimizer_function(optimizer_lanes *at, vec g, const vec *scalar, int variant);

INLINE void update_lanes(optimizer_function *update, int uses, int variant, int plain, real *param, real *const *moment,
                         const real *grad, size_t i, size_t n, const gradient_recipe *recipe, const vec *scalar) {
  optimizer_lanes at;
  at.param = n == VL ? vload(param + i) : vload_n(param + i, n);
  for (int m = 0; m < 3; m++)
    if (uses >> m & 1) at.moment[m] = n == VL ? vload(moment[m] + i) : vload_n(moment[m] + i, n);
  const vec g = n == VL ? vload(grad + i) : vload_n(grad + i, n);
  update(&at, plain ? g : gradient_ready(g, at.param, recipe), scalar, variant);
  for (int m = 0; m < 3; m++)
    if (uses >> m & 1) {
      if (n == VL) vstore(moment[m] + i, at.moment[m]);
      else vstore_n(moment[m] + i, at.moment[m], n);
    }
  if (n == VL) vstore(param + i, at.param);
  else vstore_n(param + i, at.param, n);
}

INLINE void update_span(optimizer_function *update, int uses, int variant, int plain, real *param, real *const *moment,
                        const real *grad, size_t n, const gradient_recipe *recipe, const vec *scalar) {
  size_t i = 0;
  for (; i + VL <= n; i += VL) update_lanes(update, uses, variant, plain, param, moment, grad, i, VL, recipe, scalar);
  if (i < n) update_lanes(update, uses, variant, plain, param, moment, grad, i, n - i, recipe, scalar);
}

#endif
