/* lbfgs.c: the part of L-BFGS that is an update like the others: none of the parameters, but the gradient of everything
 * that is minimised, penalties included, is put where whoever runs the search reads it.
 *
 *   moment[0]  g
 */
#include "ops/optimizers/optimizers.h"

INLINE void lbfgs_gradient(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  (void)scalar, (void)variant;
  at->moment[0] = g;
}

void KERNEL(lbfgs)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  update_span(lbfgs_gradient, 1, 0, 0, param, moment, grad, n, &recipe, NULL);
}
