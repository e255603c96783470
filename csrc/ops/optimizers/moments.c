/* moments.c: relatives of Adam, with the same two running means: Adamax (Kingma and Ba 2015, algorithm 2), NAdam (Dozat
 * 2016) and RAdam (Liu et al. 2020), as torch.optim has them.
 *
 *   m += (1 - beta1) (g - m), and except in adamax v = beta2 v + (1 - beta2) g^2
 *
 * adamax     attr beta1, beta2, eps;  moment m, u;  derived[0] lr / (1 - beta1^step)
 *            u = max(beta2 u, |g| + eps);  w -= derived[0] m / u
 *
 * nadam      attr beta1, beta2, eps, momentum_decay, decoupled_weight_decay;  moment m, v
 *            mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), M_t = mu_1 mu_2 ... mu_t
 *            derived  lr (1 - mu_t) / (1 - M_t), lr mu_(t+1) / (1 - M_(t+1)), 1 / sqrt(1 - beta2^step), 1 - lr weight_decay
 *            w -= (derived[0] g + derived[1] m) / (sqrt(v) derived[2] + eps)
 *
 * radam      attr beta1, beta2, eps, decoupled_weight_decay;  moment m, v
 *            derived  lr / (1 - beta1^step), times rect_t sqrt(1 - beta2^step) where the variance is tractable;
 *                     1 where it is, else 0;  unused;  1 - lr weight_decay
 *            w -= derived[0] m / (sqrt(v) + eps), or derived[0] m where it is not
 *
 * With decoupled weight decay (nadam, radam), w *= derived[3] comes first.
 */
#include "ops/optimizers/optimizers.h"

enum { DECOUPLED = 1, RECTIFIED = 2 };
enum { RATE, NEXT_RATE, CORRECTION, DECAY, FRESH1, BETA2, FRESH2, EPS, SCALARS };

INLINE void fill_scalars(vec *scalar, const nnc_update *update) {
  for (int i = 0; i < 4; i++) scalar[i] = vset1((real)update->derived[i]);
  scalar[FRESH1] = vset1((real)(1 - update->attr[0]));
  scalar[BETA2] = vset1((real)update->attr[1]);
  scalar[FRESH2] = vset1((real)(1 - update->attr[1]));
  scalar[EPS] = vset1((real)update->attr[2]);
}

INLINE void average_first(optimizer_lanes *at, vec g, const vec *scalar) {
  at->moment[0] = vfma(scalar[FRESH1], g - at->moment[0], at->moment[0]);
}

INLINE void average_both(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  if (variant & DECOUPLED) at->param *= scalar[DECAY];
  average_first(at, g, scalar);
  at->moment[1] = vfma(scalar[FRESH2] * g, g, scalar[BETA2] * at->moment[1]);
}

INLINE void adamax_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  (void)variant;
  average_first(at, g, scalar);
  at->moment[1] = vmax(scalar[BETA2] * at->moment[1], vabs(g) + scalar[EPS]);
  at->param -= scalar[RATE] * at->moment[0] / at->moment[1];
}

INLINE void nadam_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  average_both(at, g, scalar, variant);
  const vec spread = vfma(vsqrt(at->moment[1]), scalar[CORRECTION], scalar[EPS]);
  at->param -= vfma(scalar[RATE], g, scalar[NEXT_RATE] * at->moment[0]) / spread;
}

INLINE void radam_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  average_both(at, g, scalar, variant);
  const vec step = scalar[RATE] * at->moment[0];
  at->param -= variant & RECTIFIED ? step / (vsqrt(at->moment[1]) + scalar[EPS]) : step;
}

void KERNEL(adamax)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  vec scalar[SCALARS];
  fill_scalars(scalar, update);
  if (gradient_is_plain(update, 1)) update_span(adamax_step, 3, 0, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(adamax_step, 3, 0, 0, param, moment, grad, n, &recipe, scalar);
}

void KERNEL(nadam)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const int decoupled = update->attr[4] != 0;
  const gradient_recipe recipe = gradient_recipe_of(update, !decoupled);
  vec scalar[SCALARS];
  fill_scalars(scalar, update);
  if (decoupled) update_span(nadam_step, 3, DECOUPLED, 0, param, moment, grad, n, &recipe, scalar);
  else if (gradient_is_plain(update, 1)) update_span(nadam_step, 3, 0, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(nadam_step, 3, 0, 0, param, moment, grad, n, &recipe, scalar);
}

void KERNEL(radam)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const int decoupled = update->attr[3] != 0;
  const gradient_recipe recipe = gradient_recipe_of(update, !decoupled);
  vec scalar[SCALARS];
  fill_scalars(scalar, update);
  switch ((decoupled ? DECOUPLED : 0) | (update->derived[1] != 0 ? RECTIFIED : 0)) {
    case 0: update_span(radam_step, 3, 0, 0, param, moment, grad, n, &recipe, scalar); break;
    case DECOUPLED: update_span(radam_step, 3, DECOUPLED, 0, param, moment, grad, n, &recipe, scalar); break;
    case RECTIFIED:
      if (gradient_is_plain(update, 1)) update_span(radam_step, 3, RECTIFIED, 1, param, moment, grad, n, &recipe, scalar);
      else update_span(radam_step, 3, RECTIFIED, 0, param, moment, grad, n, &recipe, scalar);
      break;
    default: update_span(radam_step, 3, DECOUPLED | RECTIFIED, 0, param, moment, grad, n, &recipe, scalar); break;
  }
}
