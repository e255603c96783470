/* piecewise.c: activations that need no exponential. x is the input, y the output, which backward gets.
 *
 *   identity      x                          dy
 *   step          1 if x > threshold else 0  0 everywhere: layers before it do not learn
 *   relu          max(x, 0)                  y <= 0 ? 0 : dy
 *   leaky_relu    x > 0 ? x : slope x        y > 0 ? dy : slope dy
 *   hardtanh      min(max(x, lo), hi)        y <= lo or y >= hi ? 0 : dy
 *   softsign      x / (1 + |x|)              dy (1 - |y|)^2
 *   hardsigmoid   min(max(x + 3, 0), 6) / 6  0 < y < 1 ? dy / 6 : 0
 *   hardswish     x hardsigmoid(x)           x <= -3 ? 0 : x < 3 ? dy (x / 3 + 1/2) : dy;  from x
 *   hardshrink    |x| <= l ? 0 : x           y = 0 ? 0 : dy
 *   softshrink    x - l, x + l, or 0         y = 0 ? 0 : dy
 *   threshold     x <= threshold ? value : x x <= threshold ? 0 : dy;  from x
 *
 * NaN is passed on, forward as in PyTorch. At and beyond the kinks, and for NaN in backward, the branch is PyTorch's too.
 * leaky_relu's derivative uses the sign of y, which equals the sign of x only if slope >= 0; the caller must reject a negative
 * slope, and a negative l. ReLU6 is hardtanh from 0 to 6.
 * Accuracy: softsign, hardsigmoid and hardswish 1.5 ULP; the others are exact except for one product.
 */
#include "ops/activations/activations.h"

INLINE vec step_value(vec x, activation_attributes at) { return vselect(x > at.first, vset1(1), vselect(x == x, vset1(0), x)); }
INLINE vec step_gradient(vec dy UNUSED, vec y UNUSED, activation_attributes at UNUSED) { return vset1(0); }

INLINE vec relu_value(vec x, activation_attributes at UNUSED) { return vmax(vset1(0), x); }
INLINE vec relu_gradient(vec dy, vec y, activation_attributes at UNUSED) { return vselect(y <= 0, vset1(0), dy); }

INLINE vec leaky_relu_value(vec x, activation_attributes at) { return vselect(x > 0, x, at.first * x); }
INLINE vec leaky_relu_gradient(vec dy, vec y, activation_attributes at) { return vselect(y > 0, dy, at.first * dy); }

INLINE vec hardtanh_value(vec x, activation_attributes at) { return vmin(at.second, vmax(at.first, x)); }
INLINE vec hardtanh_gradient(vec dy, vec y, activation_attributes at) {
  return vselect((y <= at.first) | (y >= at.second), vset1(0), dy);
}

INLINE vec softsign_value(vec x, activation_attributes at UNUSED) { return x / (1 + vabs(x)); }
INLINE vec softsign_gradient(vec dy, vec y, activation_attributes at UNUSED) {
  const vec rest = 1 - vabs(y);
  return dy * rest * rest;
}

INLINE vec hardsigmoid_value(vec x, activation_attributes at UNUSED) { return vmin(vset1(6), vmax(vset1(0), x + 3)) / 6; }
INLINE vec hardsigmoid_gradient(vec dy, vec y, activation_attributes at UNUSED) {
  return vselect((y > 0) & (y < 1), dy / 6, vset1(0));
}

INLINE vec hardswish_value(vec x, activation_attributes at) { return x * hardsigmoid_value(x, at); }
INLINE vec hardswish_gradient(vec dy, vec x, activation_attributes at UNUSED) {
  return vselect(x <= -3, vset1(0), vselect(x < 3, dy * (x / 3 + (real)0.5), dy));
}

INLINE vec hardshrink_value(vec x, activation_attributes at) { return vselect((x >= -at.first) & (x <= at.first), vset1(0), x); }
INLINE vec softshrink_value(vec x, activation_attributes at) {
  return vselect(x > at.first, x - at.first, vselect(x < -at.first, x + at.first, vselect(x == x, vset1(0), x)));
}
INLINE vec hardshrink_gradient(vec dy, vec y, activation_attributes at UNUSED) { return vselect(y == 0, vset1(0), dy); }
INLINE vec softshrink_gradient(vec dy, vec y, activation_attributes at) { return hardshrink_gradient(dy, y, at); }

INLINE vec threshold_value(vec x, activation_attributes at) { return vselect(x <= at.first, at.second, x); }
INLINE vec threshold_gradient(vec dy, vec x, activation_attributes at) { return vselect(x <= at.first, vset1(0), dy); }

/* Copies rows; in place there is nothing to do. */
static void copy_rows(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx) {
  if (y == x) return;
  if (ldy == cols && ldx == cols) {
    cols *= rows;
    rows = rows ? 1 : 0;
  }
  for (; rows; rows--, y += ldy, x += ldx) memmove(y, x, cols * sizeof(real));
}

void KERNEL(identity_forward)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, const double *attr UNUSED) {
  copy_rows(y, x, rows, cols, ldy, ldx);
}

void KERNEL(identity_backward)(real *dx, const real *dy, const real *saved UNUSED, size_t rows, size_t cols, size_t lddx,
                               size_t lddy, size_t ldsaved UNUSED, const double *attr UNUSED) {
  copy_rows(dx, dy, rows, cols, lddx, lddy);
}

ACTIVATION(step, 1)
ACTIVATION(relu, 0)
ACTIVATION(leaky_relu, 1)
ACTIVATION(hardtanh, 2)
ACTIVATION(softsign, 0)
ACTIVATION_PLAIN(hardsigmoid, 0, 0)
ACTIVATION(hardswish, 0)
ACTIVATION_PLAIN(hardshrink, 1, 0)
ACTIVATION_PLAIN(softshrink, 1, 0)
ACTIVATION_PLAIN(threshold, 2, 0)
