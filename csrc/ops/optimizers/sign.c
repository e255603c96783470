/* sign.c: updates that use only the sign of a direction, not its length: Lion (Chen et al. 2023, algorithm 2) and Rprop (Riedmiller
 * and Braun 1993, with the second variant of weight backtracking that torch.optim.Rprop has).
 *
 * lion       attr beta1, beta2;  moment[0] m;  derived[0] 1 - lr weight_decay
 *            w = w (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g
 *
 * rprop      attr eta_minus, eta_plus, step_min, step_max;  moment: last gradient p, size of the step s (lr at step 1)
 *            g p > 0: s = min(eta_plus s, step_max);  g p < 0: s = max(eta_minus s, step_min), g = 0
 *            w -= sign(g) s;  p = g
 *
 * The sign of 0 is 0 and that of NaN is NaN.
 */
#include "ops/optimizers/optimizers.h"

enum { FIRST = 1 };
enum { LION_RATE, LION_DECAY, BETA1, FRESH1, BETA2, FRESH2, LION_SCALARS };
enum { START, ETA_MINUS, ETA_PLUS, STEP_MIN, STEP_MAX, RPROP_SCALARS };

INLINE vec vsign(vec x) { return vselect((x > 0) | (x < 0), vcopysign(vset1(1), x), x); }

INLINE void lion_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  (void)variant;
  const vec direction = vfma(scalar[FRESH1], g, scalar[BETA1] * at->moment[0]);
  at->param = vfma(-scalar[LION_RATE], vsign(direction), at->param * scalar[LION_DECAY]);
  at->moment[0] = vfma(scalar[FRESH2], g, scalar[BETA2] * at->moment[0]);
}

INLINE void rprop_step(optimizer_lanes *at, vec g, const vec *scalar, int variant) {
  const vec turn = g * at->moment[0], size = variant & FIRST ? scalar[START] : at->moment[1];
  const ivec same = turn > 0, opposite = turn < 0;
  const vec factor = vselect(same, scalar[ETA_PLUS], vselect(opposite, scalar[ETA_MINUS], vset1(1)));
  g = vselect(opposite, vset1(0), g);
  at->moment[1] = vmin(scalar[STEP_MAX], vmax(scalar[STEP_MIN], size * factor));
  at->moment[0] = g;
  at->param = vfma(-vsign(g), at->moment[1], at->param);
}

void KERNEL(lion)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const double beta1 = update->attr[0], beta2 = update->attr[1];
  const gradient_recipe recipe = gradient_recipe_of(update, 0);
  const vec scalar[LION_SCALARS] = {
      [LION_RATE] = vset1((real)update->lr), [LION_DECAY] = vset1((real)update->derived[0]),
      [BETA1] = vset1((real)beta1),          [FRESH1] = vset1((real)(1 - beta1)),
      [BETA2] = vset1((real)beta2),          [FRESH2] = vset1((real)(1 - beta2)),
  };
  if (gradient_is_plain(update, 0)) update_span(lion_step, 1, 0, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(lion_step, 1, 0, 0, param, moment, grad, n, &recipe, scalar);
}

void KERNEL(rprop)(real *param, real *const *moment, const real *grad, size_t n, const nnc_update *update) {
  const gradient_recipe recipe = gradient_recipe_of(update, 1);
  const vec scalar[RPROP_SCALARS] = {
      [START] = vset1((real)update->lr),         [ETA_MINUS] = vset1((real)update->attr[0]),
      [ETA_PLUS] = vset1((real)update->attr[1]), [STEP_MIN] = vset1((real)update->attr[2]),
      [STEP_MAX] = vset1((real)update->attr[3]),
  };
  if (update->step == 1) update_span(rprop_step, 3, FIRST, 0, param, moment, grad, n, &recipe, scalar);
  else if (gradient_is_plain(update, 1)) update_span(rprop_step, 3, 0, 1, param, moment, grad, n, &recipe, scalar);
  else update_span(rprop_step, 3, 0, 0, param, moment, grad, n, &recipe, scalar);
}
