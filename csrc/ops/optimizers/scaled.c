/* scaled.c: gradients divided by the root of an average or sum of past squares: Adagrad (Duchi, Hazan, Singer 2011), RMSprop
 * (Tieleman and Hinton 2012; centered: Graves 2013, equations 38-45) and Adadelta (Zeiler 2012), as torch.optim has them.
 *
 * adagrad    attr lr_decay, eps, initial_accumulator_value;  moment[0] sum s of g^2
 *            derived[0] lr / (1 + (step - 1) lr_decay)
 *            s += g^2;  w -= derived[0] g / (sqrt(s) + eps)
 *
 * rmsprop    attr alpha, eps, momentum, centered;  moment: mean v of g^2, momentum buffer b, mean a of g where centered
 *            v = alpha v + (1 - alpha) g^2;  a += (1 - alpha) (g - a)
 *            d = g / (sqrt(v) + eps), or g / (sqrt(v - a^2) + eps) where centered
 *            w -= lr d, or b = momentum b + d;  w -= lr b
 *
 * adadelta   attr rho, eps;  moment: mean v of g^2, mean u of d^2
 *            v = rho v + (1 - rho) g^2;  d = g sqrt(u + eps) / sqrt(v + eps);  u = rho u + (1 - rho) d^2;  w -= lr d
 *
 * Rounding can make v - a^2 slightly negative if a gradient stays constant. PyTorch's root is NaN then; here it is 0.
 */
#include "ops/optimizers/optimizers.h"

enum { WITH_MOMENTUM = 2, CENTERED = 4 }; /* the bits of the moments that they use */
enum { RATE, EPS, ALPHA, FRESH, MOMENTUM, SCALARS };

INLINE void adagrad_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  (void)variant;
  at->moment[0] = vfma(g, g, at->moment[0]);
  at->param -= scalar[RATE] * g / (vsqrt(at->moment[0]) + scalar[EPS]);
}

INLINE void rmsprop_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  vec spread = at->moment[0] = vfma(scalar[FRESH] * g, g, scalar[ALPHA] * at->moment[0]);
  if (variant & CENTERED) {
    const vec mean = at->moment[2] = vfma(scalar[FRESH], g - at->moment[2], at->moment[2]);
    spread = vmax(vset1(0), vfma(-mean, mean, spread));
  }
  vec direction = g / (vsqrt(spread) + scalar[EPS]);
  if (variant & WITH_MOMENTUM) direction = at->moment[1] = vfma(scalar[MOMENTUM], at->moment[1], direction);
  at->param = vfma(-scalar[RATE], direction, at->param);
}

/* ALPHA and FRESH are rho and 1 - rho. */
INLINE void adadelta_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  (void)variant;
  at->moment[0] = vfma(scalar[FRESH] * g, g, scalar[ALPHA] * at->moment[0]);
  const vec direction = vsqrt(at->moment[1] + scalar[EPS]) / vsqrt(at->moment[0] + scalar[EPS]) * g;
  at->moment[1] = vfma(scalar[FRESH] * direction, direction, scalar[ALPHA] * at->moment[1]);
  at->param = vfma(-scalar[RATE], direction, at->param);
}

void KERNEL(adagrad)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  const vec scalar[SCALARS] = {[RATE] = vset1((real)update->derived[0]), [EPS] = vset1((real)update->attr[1])};
  if (gradient_is_plain(update, 1)) update_span(adagrad_step, 1, 0, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(adagrad_step, 1, 0, 0, param, moment, grad, n, &recipe, scalar);
}

void KERNEL(rmsprop)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const double alpha = update->attr[0], eps = update->attr[1], momentum = update->attr[2];
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  const vec scalar[SCALARS] = {
      [RATE] = vset1((real)update->lr),   [EPS] = vset1((real)eps),           [ALPHA] = vset1((real)alpha),
      [FRESH] = vset1((real)(1 - alpha)), [MOMENTUM] = vset1((real)momentum),
  };
  switch ((momentum != 0 ? WITH_MOMENTUM : 0) | (update->attr[3] != 0 ? CENTERED : 0)) {
    case 0:
      if (gradient_is_plain(update, 1)) update_span(rmsprop_step, 1, 0, 1, param, moment, grad, n, &recipe, scalar);
      else update_span(rmsprop_step, 1, 0, 0, param, moment, grad, n, &recipe, scalar);
      break;
    case WITH_MOMENTUM: update_span(rmsprop_step, 3, WITH_MOMENTUM, 0, param, moment, grad, n, &recipe, scalar); break;
    case CENTERED: update_span(rmsprop_step, 5, CENTERED, 0, param, moment, grad, n, &recipe, scalar); break;
    default: update_span(rmsprop_step, 7, WITH_MOMENTUM | CENTERED, 0, param, moment, grad, n, &recipe, scalar); break;
  }
}

void KERNEL(adadelta)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const double rho = update->attr[0], eps = update->attr[1];
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  const vec scalar[SCALARS] = {
      [RATE] = vset1((real)update->lr),
      [EPS] = vset1((real)eps),
      [ALPHA] = vset1((real)rho),
      [FRESH] = vset1((real)(1 - rho)),
  };
  if (gradient_is_plain(update, 1)) update_span(adadelta_step, 3, 0, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(adadelta_step, 3, 0, 0, param, moment, grad, n, &recipe, scalar);
}
