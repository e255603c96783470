/* lbfgs.c: the kernel part of L-BFGS. It changes no parameter. It stores the gradient of the whole objective, penalties included,
 * where the search reads it.
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
