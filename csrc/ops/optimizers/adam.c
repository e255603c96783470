/* adam.c: Adam (Kingma and Ba 2015, algorithm 1), AdamW (Loshchilov and Hutter 2019, algorithm 2) and their AMSGrad
 * variants (Reddi et al. 2018), as torch.optim has them.
 *
 *   attr       beta1, beta2, eps, amsgrad, epsilon_hat
 *   moment     m, v, and with amsgrad the largest v so far
 *   derived    lr / (1 - beta1^step), 1 / sqrt(1 - beta2^step), 1 - lr weight_decay (adamw),
 *              eps, or eps derived[1] under epsilon_hat (the last lines of section 2 of the paper; Keras, scikit-learn)
 *
 *   adamw: w *= 1 - lr weight_decay
 *   m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
 *   w -= derived[0] m / (sqrt(v) derived[1] + derived[3]), with the largest v instead of v under amsgrad
 */
#include "ops/optimizers/optimizers.h"

enum { AMSGRAD = 1, DECOUPLED = 2 };
enum { RATE, CORRECTION, DECAY, FRESH1, BETA2, FRESH2, EPS, SCALARS };

INLINE void adam_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  if (variant & DECOUPLED) at->param *= scalar[DECAY];
  at->moment[0] = vfma(scalar[FRESH1], g - at->moment[0], at->moment[0]);
  at->moment[1] = vfma(scalar[FRESH2] * g, g, scalar[BETA2] * at->moment[1]);
  vec v = at->moment[1];
  if (variant & AMSGRAD) v = at->moment[2] = vmax(at->moment[2], v);
  const vec spread = vfma(vsqrt(v), scalar[CORRECTION], scalar[EPS]);
  at->param -= scalar[RATE] * at->moment[0] / spread;
}

INLINE void adam_span(int decoupled, real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const double beta1 = update->attr[0], beta2 = update->attr[1];
  const int amsgrad = update->attr[3] != 0, plain = gradient_is_plain(update, !decoupled);
  const gradient_recipe recipe = gradient_recipe_of(update, !decoupled);
  const vec scalar[SCALARS] = {
      [RATE] = vset1((real)update->derived[0]),
      [CORRECTION] = vset1((real)update->derived[1]),
      [DECAY] = vset1((real)update->derived[2]),
      [FRESH1] = vset1((real)(1 - beta1)),
      [BETA2] = vset1((real)beta2),
      [FRESH2] = vset1((real)(1 - beta2)),
      [EPS] = vset1((real)update->derived[3]),
  };
  const int variant = decoupled ? DECOUPLED : 0;
  if (amsgrad) update_span(adam_step, 7, variant | AMSGRAD, 0, param, moment, grad, n, &recipe, scalar);
  else if (plain) update_span(adam_step, 3, variant, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(adam_step, 3, variant, 0, param, moment, grad, n, &recipe, scalar);
}

void KERNEL(adam)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  adam_span(0, param, moment, grad, n, update);
}

void KERNEL(adamw)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  adam_span(1, param, moment, grad, n, update);
}
