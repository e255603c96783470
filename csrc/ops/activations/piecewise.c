/* piecewise.c: activations that need no exponential. x is the input, y the output, which backward gets.
 *
 *   identity      x                          dy
 *   step          1 if x > threshold else 0  0 everywhere: a network behind it does not learn
 *   relu          max(x, 0)                  y <= 0 ? 0 : dy
 *   leaky_relu    x > 0 ? x : slope x        y > 0 ? dy : slope dy
 *   hardtanh      min(max(x, lo), hi)        y <= lo or y >= hi ? 0 : dy
 *   softsign      x / (1 + |x|)              dy (1 - |y|)^2
 *
 * A NaN comes through, forward as in PyTorch; so does its choice of branch at and beyond the kinks and for NaN in backward.
 * leaky_relu's derivative is read off y's sign, which is x's only where slope >= 0; a negative slope is for the caller to refuse.
 * Accuracy: softsign 1.5 ULP; the others are exact but for the one product.
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

/* Copies of rows; in place, nothing. */
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
