/* sgd.c: stochastic gradient descent, as torch.optim.SGD has it (Sutskever et al. 2013, with the learning rate outside
 * the momentum buffer), or with the learning rate inside, as in that paper, Keras and scikit-learn.
 *
 *   attr       momentum, dampening, nesterov, lr_in_momentum
 *   moment[0]  momentum buffer b, where momentum != 0
 *   derived    the factor of g and that of d: 1, lr; or lr, 1 with momentum and lr_in_momentum
 *
 *   g *= derived[0];  b = g at step 1, else momentum b + (1 - dampening) g
 *   d = b, or g + momentum b with nesterov, or g without momentum;  w -= derived[1] d
 */
#include "ops/optimizers/optimizers.h"

enum { PLAIN_DESCENT, FIRST_MOMENTUM, MOMENTUM, NESTEROV = 4 /* may be added to the two before */ };

INLINE void sgd_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  const vec lr = scalar[0], momentum = scalar[1], fresh = scalar[2];
  vec direction = g;
  if (variant != PLAIN_DESCENT) {
    g *= scalar[3];
    at->moment[0] = (variant & ~NESTEROV) == FIRST_MOMENTUM ? g : vfma(fresh, g, momentum * at->moment[0]);
    direction = variant & NESTEROV ? vfma(momentum, at->moment[0], g) : at->moment[0];
  }
  at->param = vfma(-lr, direction, at->param);
}

void KERNEL(sgd)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const double momentum = update->attr[0], dampening = update->attr[1];
  const int nesterov = update->attr[2] != 0, plain = gradient_is_plain(update, 1);
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  const vec scalar[4] = {vset1((real)update->derived[1]), vset1((real)momentum), vset1((real)(1 - dampening)),
                         vset1((real)update->derived[0])};
  if (momentum == 0) {
    if (plain) update_span(sgd_step, 0, PLAIN_DESCENT, 1, param, moment, grad, n, &recipe, scalar);
    else update_span(sgd_step, 0, PLAIN_DESCENT, 0, param, moment, grad, n, &recipe, scalar);
  } else if (update->step == 1) {
    if (nesterov) update_span(sgd_step, 1, FIRST_MOMENTUM | NESTEROV, 0, param, moment, grad, n, &recipe, scalar);
    else update_span(sgd_step, 1, FIRST_MOMENTUM, 0, param, moment, grad, n, &recipe, scalar);
  } else if (nesterov) {
    if (plain) update_span(sgd_step, 1, MOMENTUM | NESTEROV, 1, param, moment, grad, n, &recipe, scalar);
    else update_span(sgd_step, 1, MOMENTUM | NESTEROV, 0, param, moment, grad, n, &recipe, scalar);
  } else {
    if (plain) update_span(sgd_step, 1, MOMENTUM, 1, param, moment, grad, n, &recipe, scalar);
    else update_span(sgd_step, 1, MOMENTUM, 0, param, moment, grad, n, &recipe, scalar);
  }
}
