/* binary.c: losses between probabilities, element by element, per row of C columns.
 *
 *   binary_crossentropy          -1/C sum t log p + (1 - t) log(1 - p)        (p - t) / (p (1 - p)) / C
 *   binary_crossentropy_logits    1/C sum max(z, 0) - z t + log1p(exp(-|z|))  (sigmoid(z) - t) / C,  pred = sigmoid(z)
 *   weighted_…                    the same with w t in place of t, w = pos_weight, one or one for each column
 *   binary_focal_…                1/C sum a m^gamma times the above, m = t (1 - p) + (1 - t) p the probability of being wrong,
 *                                     a = t alpha + (1 - t) (1 - alpha), or 1 where alpha < 0                       (Lin et al. 2017)
 *   kl_divergence                 sum t log(t / p)                            -t / p where 1e-7 <= p <= 1, else 0
 *
 * Label smoothing s turns t into t (1 - s) + s / 2. binary_crossentropy clips p to [1e-7, 1 - 1e-7] as Keras does. Outside of this
 * range the slope is that at the bound, not the zero of the clipped function: an output that is certain and wrong must still be
 * able to learn. kl_divergence clips t and p to [1e-7, 1], and its slope is exactly that of the clipped function.
 * binary_crossentropy_logits is finite for every finite z. With q = exp(-|z|) / (1 + exp(-|z|)), the probability of the less likely
 * class, the slope is q - t or (1 - t) - q. So no digits cancel if the prediction is right. An infinite logit costs 0 if it is
 * right and infinity if it is wrong. The focal losses are Keras's; m comes from q, so that it keeps its digits towards 0. The relative
 * error of m^gamma is that of exp(gamma log m), which grows with gamma |log m|.
 */
#include "ops/losses/losses.h"
#include "ops/vmath.h"

INLINE vec smoothed(vec t, vec smoothing) { return vfma(smoothing, (real)0.5 - t, t); }

INLINE loss_term crossentropy_of_probability(vec z, vec target, vec smoothing) {
  const vec t = smoothed(target, smoothing), p = loss_clip(z, (real)1e-7, (real)(1 - 1e-7));
  return (loss_term){.loss = -(t * vlog(p) + ((real)1 - t) * vlog1p(-p)), .slope = (p - t) / (p * ((real)1 - p))};
}

/* log(1 + e) for 0 <= e <= 1: 2 atanh(s) with s = e / (2 + e) <= 1/3, s^2 <= 1/9, so no range reduction is needed. Minimax in the
 * relative error of the result: 2^-27.5 (f32), 2^-58.6 (f64), rounding of the coefficients included. */
INLINE vec log1p_of_unit(vec e) {
#if NNC_BUILD_F64
  static const real c[] = {0x1.5c5c43eeec36cp-3, 0x1.55cf281b47a3ap-4, 0x1.efd19ba9b96acp-4, 0x1.10682db0180a3p-3,
                           0x1.3b1dd3c911185p-3, 0x1.745cb4580b842p-3, 0x1.c71c741a1569cp-3, 0x1.2492492090ec4p-2,
                           0x1.99999999a06c7p-2, 0x1.5555555555535p-1};
#else
  static const real c[] = {0x1.1ed7bep-2f, 0x1.1ebd0ep-2f, 0x1.99d208p-2f, 0x1.555502p-1f};
#endif
  const vec s = e / ((real)2 + e), z = s * s;
  vec polynomial_of_z = vset1(c[0]);
  for (size_t i = 1; i < sizeof c / sizeof *c; i++) polynomial_of_z = vfma(polynomial_of_z, z, vset1(c[i]));
  return vfma(s * z, polynomial_of_z, s + s);
}

INLINE loss_term crossentropy_of_logit(vec z, vec target, vec smoothing) {
  const vec t = smoothed(target, smoothing), other = (real)1 - t, size = vabs(z), e = vexp(-size), q = e / ((real)1 + e);
  const ivec positive = z > 0;
  const vec missed = vselect(positive, other, t); /* the part of the target on the other side of z */
  const vec linear = vselect(missed == 0, vset1(0), size * missed);
  return (loss_term){
      .loss = linear + log1p_of_unit(e), .slope = vselect(positive, other - q, q - t), .pred = vselect(positive, (real)1 - q, q)};
}

/* w t log p + (1 - t) log(1 - p). */
INLINE loss_term weighted_of_probability(vec z, vec target, loss_attributes at) {
  const vec t = smoothed(target, at.first), p = loss_clip(z, (real)1e-7, (real)(1 - 1e-7)), heavy = at.of_column * t;
  return (loss_term){.loss = -(heavy * vlog(p) + ((real)1 - t) * vlog1p(-p)), .slope = ((real)1 - t) / ((real)1 - p) - heavy / p};
}

INLINE loss_term weighted_of_logit(vec z, vec target, loss_attributes at) {
  const vec t = smoothed(target, at.first), other = (real)1 - t, heavy = at.of_column * t;
  const vec size = vabs(z), e = vexp(-size), q = e / ((real)1 + e), rest = (real)1 - q;
  const ivec positive = z > 0;
  const vec missed = vselect(positive, other, heavy);
  const vec linear = vselect(missed == 0, vset1(0), size * missed);
  return (loss_term){.loss = linear + (heavy + other) * log1p_of_unit(e),
                     .slope = vselect(positive, other * rest - heavy * q, other * q - heavy * rest),
                     .pred = vselect(positive, rest, q)};
}

/* second: gamma. third: alpha, below 0 for none. */
INLINE vec focus(vec wrong, vec gamma) { return vselect(gamma == 0, vset1(1), vexp(gamma * vlog(wrong))); }
INLINE vec balance(vec t, vec alpha) { return vselect(alpha < 0, vset1(1), t * alpha + ((real)1 - t) * ((real)1 - alpha)); }

INLINE loss_term focal_of_probability(vec z, vec target, loss_attributes at) {
  const loss_term plain = crossentropy_of_probability(z, target, at.first);
  const vec t = smoothed(target, at.first), other = (real)1 - t, p = loss_clip(z, (real)1e-7, (real)(1 - 1e-7));
  const vec wrong = t * ((real)1 - p) + other * p, factor = balance(t, at.third) * focus(wrong, at.second);
  return (loss_term){.loss = factor * plain.loss, .slope = factor * (plain.slope - at.second * (t - other) / wrong * plain.loss)};
}

/* p (1 - p) / m is finite, and nothing is wrong where it is 0. */
INLINE loss_term focal_of_logit(vec z, vec target, loss_attributes at) {
  const loss_term plain = crossentropy_of_logit(z, target, at.first);
  const vec t = smoothed(target, at.first), other = (real)1 - t, e = vexp(-vabs(z)), q = e / ((real)1 + e), rest = (real)1 - q;
  const vec wrong = vselect(z > 0, t * q + other * rest, t * rest + other * q), spread = q * rest;
  const vec part = vselect((spread == 0) | (wrong == 0), vset1(0), spread / wrong * plain.loss);
  const vec factor = balance(t, at.third) * focus(wrong, at.second);
  return (loss_term){.loss = vselect(factor == 0, factor, factor * plain.loss),
                     .slope = factor * (plain.slope - at.second * (t - other) * part),
                     .pred = plain.pred};
}

INLINE loss_term divergence(vec z, vec target, vec parameter UNUSED) {
  const vec t = loss_clip(target, (real)1e-7, 1), p = loss_clip(z, (real)1e-7, 1), ratio = t / p;
  return (loss_term){.loss = t * vlog(ratio), .slope = loss_nan_from(z, vselect(p == z, -ratio, vset1(0)))};
}

LOSS_TERMS(weighted_of_probability)
LOSS_TERMS(weighted_of_logit)
LOSS_TERMS(focal_of_probability)
LOSS_TERMS(focal_of_logit)

void KERNEL(binary_crossentropy)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(crossentropy_of_probability, attr[0], OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL));
}

void KERNEL(binary_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(crossentropy_of_logit, attr[0], OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(pred));
}

void KERNEL(kl_divergence)(NNC_LOSS_PARAMETERS) { elementwise_loss(divergence, 0, OVER_COLUMNS_SUM, NNC_LOSS_BATCH(NULL)); }

INLINE loss_attributes smoothing_gamma_alpha(const double *attr) {
  return (loss_attributes){.first = vset1((real)attr[0]), .second = vset1((real)attr[1]), .third = vset1((real)attr[2])};
}

void KERNEL(weighted_binary_crossentropy)(NNC_LOSS_PARAMETERS) {
  const loss_attributes at = {.first = vset1((real)attr[0])};
  KERNEL(loss_by_terms)(terms_of_weighted_of_probability, at, attr + 1, NNC_LOSS_BATCH(NULL));
}

void KERNEL(weighted_binary_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  const loss_attributes at = {.first = vset1((real)attr[0])};
  KERNEL(loss_by_terms)(terms_of_weighted_of_logit, at, attr + 1, NNC_LOSS_BATCH(pred));
}

void KERNEL(binary_focal_crossentropy)(NNC_LOSS_PARAMETERS) {
  KERNEL(loss_by_terms)(terms_of_focal_of_probability, smoothing_gamma_alpha(attr), NULL, NNC_LOSS_BATCH(NULL));
}

void KERNEL(binary_focal_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  KERNEL(loss_by_terms)(terms_of_focal_of_logit, smoothing_gamma_alpha(attr), NULL, NNC_LOSS_BATCH(pred));
}
