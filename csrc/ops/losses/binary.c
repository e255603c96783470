/* binary.c: losses between probabilities, element by element, per row of C columns.
 *
 *   binary_crossentropy          -1/C sum t log p + (1 - t) log(1 - p)        (p - t) / (p (1 - p)) / C
 *   binary_crossentropy_logits    1/C sum max(z, 0) - z t + log1p(exp(-|z|))  (sigmoid(z) - t) / C,  pred = sigmoid(z)
 *   kl_divergence                 sum t log(t / p)                            -t / p where 1e-7 <= p <= 1, else 0
 *
 * Label smoothing s turns t into t (1 - s) + s / 2. binary_crossentropy clips p to [1e-7, 1 - 1e-7] as Keras does. Outside of this
 * range the slope is that at the bound, not the zero of the clipped function: an output that is certain and wrong must still be
 * able to learn. kl_divergence clips t and p to [1e-7, 1], and its slope is exactly that of the clipped function.
 * binary_crossentropy_logits is finite for every finite z. With q = exp(-|z|) / (1 + exp(-|z|)), the probability of the less likely
 * class, the slope is q - t or (1 - t) - q. So no digits cancel if the prediction is right. An infinite logit costs 0 if it is
 * right and infinity if it is wrong.
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

INLINE loss_term divergence(vec z, vec target, vec parameter UNUSED) {
  const vec t = loss_clip(target, (real)1e-7, 1), p = loss_clip(z, (real)1e-7, 1), ratio = t / p;
  return (loss_term){.loss = t * vlog(ratio), .slope = loss_nan_from(z, vselect(p == z, -ratio, vset1(0)))};
}

void KERNEL(binary_crossentropy)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(crossentropy_of_probability, attr[0], OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL));
}

void KERNEL(binary_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  elementwise_loss(crossentropy_of_logit, attr[0], OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(pred));
}

void KERNEL(kl_divergence)(NNC_LOSS_PARAMETERS) { elementwise_loss(divergence, 0, OVER_COLUMNS_SUM, NNC_LOSS_BATCH(NULL)); }
