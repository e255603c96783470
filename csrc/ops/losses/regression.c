/* regression.c: losses of a prediction and a target number, with d = z - t, per row of C columns.
 *
 *   mean_squared_error               1/C sum d^2                                  2 d / C
 *   half_squared_error               1/2 sum d^2                                  d
 *   mean_absolute_error              1/C sum |d|                                  sign(d) / C, 0 at d = 0
 *   mean_absolute_percentage_error   100/C sum |d| / max(|t|, 1e-7)               100 sign(d) / max(|t|, 1e-7) / C
 *   huber                            1/C sum d^2/2 where |d| <= delta,            clip(d, -delta, delta) / C
 *                                        delta (|d| - delta/2) elsewhere
 *   poisson                          1/C sum z - t log(z + 1e-7)                  (1 - t / (z + 1e-7)) / C
 *   mean_squared_logarithmic_error   1/C sum (l(z) - l(t))^2,                     2 (l(z) - l(t)) / (1 + z) / C where z > 1e-7, else 0
 *                                        l(x) = log(1 + max(x, 1e-7))      (Keras)
 *   log_cosh                         1/C sum log cosh d                           tanh(d) / C
 *   quantile                         1/C sum max(q (t - z), (q - 1) (t - z))      -q / C where z < t, (1 - q) / C where z > t, else 0
 *
 * log cosh d is log1p(2 sinh(d / 2)^2) where |d| < 1, so that small errors keep their digits, and |d| + log1p(exp(-2 |d|)) - log 2
 * elsewhere. q is one number, or one for each column.
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

INLINE loss_term logarithmic_error(vec z, vec t, loss_attributes at UNUSED) {
  const vec least = vset1((real)1e-7), above = vmax(least, z), d = vlog1p(above) - vlog1p(vmax(least, t));
  return (loss_term){.loss = d * d, .slope = loss_nan_from(z, vselect(z > least, 2 * d / (1 + above), vset1(0)))};
}

INLINE loss_term log_cosh_error(vec z, vec t, loss_attributes at UNUSED) {
  const vec d = z - t, size = vabs(d), e = vexpm1(vmin(vset1(1), (real)0.5 * size)), sinh2 = e + e / (1 + e); /* 2 sinh(size / 2) */
  const vec small = vlog1p((real)0.5 * sinh2 * sinh2), large = size + (vlog1p_unit(vexp(-2 * size)) - (real)0.69314718055994530942);
  return (loss_term){.loss = vselect(size < 1, small, large), .slope = vtanh(d)};
}

INLINE loss_term pinball(vec z, vec t, loss_attributes at) {
  const vec q = at.of_column, d = t - z, slope = vselect(d > 0, -q, vselect(d < 0, 1 - q, vset1(0)));
  return (loss_term){.loss = vmax(q * d, (q - 1) * d), .slope = loss_nan_from(z, slope)};
}

LOSS_TERMS(logarithmic_error)
LOSS_TERMS(log_cosh_error)
LOSS_TERMS(pinball)

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

void KERNEL(mean_squared_logarithmic_error)(NNC_LOSS_PARAMETERS) {
  KERNEL(loss_by_terms)(terms_of_logarithmic_error, (loss_attributes){.first = vset1(0)}, NULL, NNC_LOSS_BATCH(NULL));
}

void KERNEL(log_cosh)(NNC_LOSS_PARAMETERS) {
  KERNEL(loss_by_terms)(terms_of_log_cosh_error, (loss_attributes){.first = vset1(0)}, NULL, NNC_LOSS_BATCH(NULL));
}

void KERNEL(quantile)(NNC_LOSS_PARAMETERS) {
  KERNEL(loss_by_terms)(terms_of_pinball, (loss_attributes){.first = vset1(0)}, attr, NNC_LOSS_BATCH(NULL));
}
