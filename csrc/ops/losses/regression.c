/* regression.c: losses of a prediction and a target number, with d = z - t, per row of C columns.
 *
 *   mean_squared_error               1/C sum d^2                                  2 d / C
 *   half_squared_error               1/2 sum d^2                                  d
 *   mean_absolute_error              1/C sum |d|                                  sign(d) / C, 0 at d = 0
 *   mean_absolute_percentage_error   100/C sum |d| / max(|t|, 1e-7)               100 sign(d) / max(|t|, 1e-7) / C
 *   huber                            1/C sum d^2/2 where |d| <= delta,            clip(d, -delta, delta) / C
 *                                        delta (|d| - delta/2) elsewhere
 *   poisson                          1/C sum z - t log(z + 1e-7)                  (1 - t / (z + 1e-7)) / C
 *
 * Nothing is saved: the slope is computed with the loss. Poisson is NaN where z < -1e-7, as its logarithm is.
 */
#include "ops/losses/losses.h"
#include "ops/vmath.h"

/* -1, 0, 1, or NaN. */
INLINE vec sign_of(vec d) { return loss_nan_from(d, vselect(d == 0, d, vcopysign(vset1(1), d))); }

INLINE loss_term squared_error(vec z, vec t, vec parameter UNUSED) {
  const vec d = z - t;
  return (loss_term){.loss = d * d, .slope = d + d};
}

INLINE loss_term half_of_squared_error(vec z, vec t, vec parameter UNUSED) {
  const vec d = z - t;
  return (loss_term){.loss = (real)0.5 * d * d, .slope = d};
}

INLINE loss_term absolute_error(vec z, vec t, vec parameter UNUSED) {
  const vec d = z - t;
  return (loss_term){.loss = vabs(d), .slope = sign_of(d)};
}

INLINE loss_term percentage_error(vec z, vec t, vec parameter UNUSED) {
  const vec d = z - t, percent = (real)100 / vmax(vset1((real)1e-7), vabs(t));
  return (loss_term){.loss = vabs(d) * percent, .slope = sign_of(d) * percent};
}

INLINE loss_term huber_error(vec z, vec t, vec delta) {
  const vec d = z - t, clipped = vmin(delta, vmax(-delta, d));
  /* c d - c^2 / 2 with c = clip(d) is both branches of huber at once */
  return (loss_term){.loss = clipped * (d - (real)0.5 * clipped), .slope = clipped};
}

INLINE loss_term poisson_deviance(vec z, vec t, vec parameter UNUSED) {
  const vec rate = z + (real)1e-7;
  return (loss_term){.loss = z - t * vlog(rate), .slope = (real)1 - t / rate};
}

void KERNEL(mean_squared_error)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(squared_error, 0, OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL));
}

void KERNEL(half_squared_error)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(half_of_squared_error, 0, OVER_COLUMNS_SUM, NNC_LOSS_BATCH(NULL));
}

void KERNEL(mean_absolute_error)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(absolute_error, 0, OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL));
}

void KERNEL(mean_absolute_percentage_error)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(percentage_error, 0, OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL));
}

void KERNEL(huber)(NNC_LOSS_PARAMETERS) { elementwise_loss(huber_error, attr[0], OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL)); }

void KERNEL(poisson)(NNC_LOSS_PARAMETERS) { elementwise_loss(poisson_deviance, 0, OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL)); }
