/* smooth.c: activations that use an exponential. Backward gets the value that ops.def names: y if the derivative is a polynomial in
 * y, else x.
 *
 *   sigmoid      s(x) = 1 / (1 + exp(-x))           dy y (1 - y)
 *   tanh         tanh(x)                            dy (1 - y^2)
 *   elu          x > 0 ? x : alpha expm1(x)         y > 0 ? dy : dy (y + alpha)
 *   selu         scale elu(x) with its own alpha    y > 0 ? dy scale : dy (y + scale alpha)
 *   gelu         x Phi(x)                           dy (Phi(x) + x phi(x))
 *   gelu_tanh    x s(2u)                            dy (s + x s (1 - s) 2u')
 *   silu         x s(x)                             dy (s + x s (1 - s))
 *   softplus     log(1 + exp(beta x)) / beta        dy s(beta x);  identity where beta x > threshold
 *   mish         x w, w = tanh(log(1 + exp(x)))     dy (w + x (1 - w^2) s(x))
 *   celu         x > 0 ? x : alpha expm1(x / alpha) y > 0 ? dy : dy (1 + y / alpha)
 *   log_sigmoid  log s(x) = min(x, 0) - log(1 + z)  -dy expm1(y), z = exp(-|x|)
 *   tanhshrink   x - tanh(x)                        dy tanh(x)^2
 *   exp          exp(x)                             dy y
 *
 * Phi and phi are the normal distribution and its density; u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks and Gimpel 2016), and
 * (1 + tanh(u)) / 2 = s(2u), which is accurate in the lower tail. gelu is accurate there too, where PyTorch's
 * x (1 + erf(x / sqrt2)) / 2 has no correct digits below -5. elu uses the sign of y, which equals the sign of x only if
 * alpha >= 0; the caller must reject a negative alpha.
 * With z = exp(-|x|), mish has w = (1 + 2z) / (1 + 2z + 2z^2) for x >= 0 and (z^2 + 2z) / (z^2 + 2z + 2) for x < 0, and 1 - w
 * likewise without a difference: nothing overflows or cancels. celu: alpha > 0. tanhshrink loses digits towards 0, as PyTorch's does.
 * Accuracy: that of the vmath.h function and of the one to three operations written here; mish 6 ULP.
 */
#include "ops/activations/activations.h"
#include "ops/vmath.h"

INLINE vec sigmoid_value(vec x, activation_attributes at UNUSED) { return vsigmoid(x); }
INLINE void sigmoid_values(vec *y, const vec *x, size_t n, activation_attributes at UNUSED) { vsigmoid_each(y, x, n); }
INLINE vec sigmoid_gradient(vec dy, vec y, activation_attributes at UNUSED) { return dy * (1 - y) * y; }

INLINE vec tanh_value(vec x, activation_attributes at UNUSED) { return vtanh(x); }
INLINE vec tanh_gradient(vec dy, vec y, activation_attributes at UNUSED) { return dy * vfma(-y, y, vset1(1)); }

INLINE vec elu_value(vec x, activation_attributes at) { return vselect(x > 0, x, at.first * vexpm1(x)); }
INLINE vec elu_gradient(vec dy, vec y, activation_attributes at) { return vselect(y > 0, dy, dy * (y + at.first)); }

/* Klambauer et al. 2017, with as many digits as PyTorch has. */
#define SELU_SCALE ((real)1.0507009873554804934193349852946)
#define SELU_SLOPE ((real)(1.0507009873554804934193349852946 * 1.6732632423543772848170429916717))
INLINE vec selu_value(vec x, activation_attributes at UNUSED) { return vselect(x > 0, SELU_SCALE * x, SELU_SLOPE * vexpm1(x)); }
INLINE vec selu_gradient(vec dy, vec y, activation_attributes at UNUSED) {
  return dy * vselect(y > 0, vset1(SELU_SCALE), y + SELU_SLOPE);
}

INLINE vec gelu_value(vec x, activation_attributes at UNUSED) {
  vec density;
  return x * vnormal(x, &density);
}
INLINE vec gelu_gradient(vec dy, vec x, activation_attributes at UNUSED) {
  vec density;
  const vec probability = vnormal(x, &density);
  return dy * vfma(x, density, probability);
}

#define GELU_LINEAR ((real)1.5957691216057307118) /* 2 sqrt(2 / pi) */
#define GELU_CUBIC ((real)(1.5957691216057307118 * 0.044715))
INLINE vec gelu_tanh_value(vec x, activation_attributes at UNUSED) {
  return x * vsigmoid(x * vfma(vset1(GELU_CUBIC), x * x, vset1(GELU_LINEAR)));
}
INLINE vec gelu_tanh_gradient(vec dy, vec x, activation_attributes at UNUSED) {
  const vec c = vmin(vset1(40), vmax(vset1(-40), x)); /* outside of this, s is 0 or 1, and x^2 may overflow */
  const vec square = c * c;
  vec complement;
  const vec s = vsigmoid_pair(c * vfma(vset1(GELU_CUBIC), square, vset1(GELU_LINEAR)), &complement);
  const vec steepness = c * vfma(vset1(3 * GELU_CUBIC), square, vset1(GELU_LINEAR));
  return dy * vfma(s * complement, steepness, s);
}

INLINE vec silu_value(vec x, activation_attributes at UNUSED) { return x * vsigmoid(x); }
INLINE vec silu_gradient(vec dy, vec x, activation_attributes at UNUSED) {
  vec complement;
  const vec s = vsigmoid_pair(x, &complement);
  return dy * vfma(s * complement, x, s);
}

INLINE vec softplus_value(vec x, activation_attributes at) {
  const vec scaled = at.first * x;
  return vselect(scaled > at.second, x, vsoftplus(scaled) / at.first);
}
INLINE vec softplus_gradient(vec dy, vec x, activation_attributes at) {
  const vec scaled = at.first * x;
  return vselect(scaled > at.second, dy, dy * vsigmoid(scaled));
}

/* tanh(softplus(x)), 1 minus it, and sigmoid(x). */
INLINE vec mish_weight(vec x, vec *rest, vec *s) {
  const vec z = vexp(-vabs(x)), above = vset1(1) + 2 * z, below = vfma(z, z, 2 * z);
  const ivec positive = x > 0;
  const vec part = vselect(positive, 2 * z * z, vset1(2)), most = vselect(positive, above, below), sum = most + part;
  *rest = part / sum;
  *s = vselect(positive, vset1(1), z) / (1 + z);
  return most / sum;
}
INLINE vec mish_value(vec x, activation_attributes at UNUSED) {
  vec rest, s;
  return x * mish_weight(x, &rest, &s);
}
INLINE vec mish_gradient(vec dy, vec x, activation_attributes at UNUSED) {
  vec rest, s;
  const vec w = mish_weight(x, &rest, &s);
  return dy * vfma(x * s, rest * (1 + w), w);
}

INLINE vec celu_value(vec x, activation_attributes at) { return vselect(x > 0, x, at.first * vexpm1(x / at.first)); }
INLINE vec celu_gradient(vec dy, vec y, activation_attributes at) { return vselect(y > 0, dy, dy * (1 + y / at.first)); }

INLINE vec log_sigmoid_value(vec x, activation_attributes at UNUSED) { return vmin(vset1(0), x) - vlog1p_unit(vexp(-vabs(x))); }
INLINE vec log_sigmoid_gradient(vec dy, vec y, activation_attributes at UNUSED) { return -dy * vexpm1(y); }

INLINE vec tanhshrink_value(vec x, activation_attributes at UNUSED) { return x - vtanh(x); }
INLINE vec tanhshrink_gradient(vec dy, vec x, activation_attributes at UNUSED) {
  const vec t = vtanh(x);
  return dy * t * t;
}

INLINE vec exp_value(vec x, activation_attributes at UNUSED) { return vexp(x); }
INLINE vec exp_gradient(vec dy, vec y, activation_attributes at UNUSED) { return dy * y; }

ACTIVATION_WITH_VALUES(sigmoid, 0)
ACTIVATION_LONG(tanh, 0, 0)
ACTIVATION_LONG(elu, 1, 0)
ACTIVATION_LONG(selu, 0, 0)
ACTIVATION_LONG(gelu, 0, ONCE)
ACTIVATION_LONG(gelu_tanh, 0, ONCE)
ACTIVATION_LONG(silu, 0, ONCE)
ACTIVATION_LONG(softplus, 2, ONCE)
ACTIVATION_LONG(mish, 0, ONCE)
ACTIVATION_PLAIN(celu, 1, 0)
ACTIVATION_PLAIN(log_sigmoid, 0, ONCE)
ACTIVATION_PLAIN(tanhshrink, 0, ONCE)
ACTIVATION_PLAIN(exp, 0, 0)
