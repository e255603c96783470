/* activations.c: element-wise activations, forward and backward, in PyTorch's definitions. f'(.) is written in terms of what
 * ops.def says is saved: the output y where that suffices, the input x otherwise. */
#include <math.h>

#include "ops/op.h"
#include "ops/vmath.h"

typedef struct {
  vec a, b;
} attributes;

/* Both loops of one activation. Contiguous batches run flat; a tail goes through the same vector function. */
#define ELEMENTWISE(name, attr_count) ELEMENTWISE_(name, f_##name, attr_count)
#define ELEMENTWISE_(name, f, attr_count)                                                                                              \
  void KERNEL(name##_forward)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, const double *attr) {        \
    const attributes at = {vset1(attr_count > 0 ? (real)attr[0] : 0), vset1(attr_count > 1 ? (real)attr[1] : 0)};                     \
    if (ldy == cols && ldx == cols) cols *= rows, rows = 1;                                                                          \
    for (size_t i = 0; i < rows; i++, y += ldy, x += ldx) {                                                                          \
      size_t j = 0;                                                                                                                  \
      for (; j + VL <= cols; j += VL) vstore(y + j, f(vload(x + j), at));                                                         \
      if (j < cols) vstore_n(y + j, f(vload_n(x + j, cols - j), at), cols - j);                                                   \
    }                                                                                                                                \
  }                                                                                                                                  \
  void KERNEL(name##_backward)(real *dx, const real *dy, const real *saved, size_t rows, size_t cols, size_t lddx, size_t lddy,      \
                               size_t ldsaved, const double *attr) {                                                                 \
    const attributes at = {vset1(attr_count > 0 ? (real)attr[0] : 0), vset1(attr_count > 1 ? (real)attr[1] : 0)};                     \
    if (lddx == cols && lddy == cols && ldsaved == cols) cols *= rows, rows = 1;                                                     \
    for (size_t i = 0; i < rows; i++, dx += lddx, dy += lddy, saved += ldsaved) {                                                    \
      size_t j = 0;                                                                                                                  \
      for (; j + VL <= cols; j += VL) vstore(dx + j, vload(dy + j) * f##_slope(vload(saved + j), at));                            \
      if (j < cols) vstore_n(dx + j, vload_n(dy + j, cols - j) * f##_slope(vload_n(saved + j, cols - j), at), cols - j);          \
    }                                                                                                                                \
  }

#define UNUSED __attribute__((unused))
#define PLAIN attributes at UNUSED

INLINE vec one_where(ivec mask) { return vselect(mask, vset1(1), vset1(0)); }

INLINE vec f_identity(vec x, PLAIN) { return x; }
INLINE vec f_identity_slope(vec y UNUSED, PLAIN) { return vset1(1); }
INLINE vec f_step(vec x, attributes at) { return vselect(x != x, x, one_where(x > at.a)); }
INLINE vec f_step_slope(vec y, PLAIN) { return vset1(0) * y; }
INLINE vec f_sigmoid(vec x, PLAIN) { return vsigmoid(x); }
INLINE vec f_sigmoid_slope(vec y, PLAIN) { return y * (vset1(1) - y); }
INLINE vec f_tanh(vec x, PLAIN) { return vtanh(x); }
INLINE vec f_tanh_slope(vec y, PLAIN) { return vset1(1) - y * y; }
INLINE vec f_relu(vec x, PLAIN) { return vselect(x <= 0, vset1(0), x); }
INLINE vec f_relu_slope(vec y, PLAIN) { return one_where(y > 0); }
INLINE vec f_leaky_relu(vec x, attributes at) { return vselect(x > 0, x, x * at.a); }
INLINE vec f_leaky_relu_slope(vec y, attributes at) { return vselect(y > 0, vset1(1), at.a); }
INLINE vec f_elu(vec x, attributes at) { return vselect(x > 0, x, at.a * vexpm1(x)); }
INLINE vec f_elu_slope(vec y, attributes at) { return vselect(y > 0, vset1(1), y + at.a); }

/* Klambauer et al. 2017, the constants to float64 precision. */
#define SELU_ALPHA ((real)1.6732632423543772848170429916717)
#define SELU_SCALE ((real)1.0507009873554804934193349852946)
INLINE vec f_selu(vec x, PLAIN) { return SELU_SCALE * vselect(x > 0, x, SELU_ALPHA * vexpm1(x)); }
INLINE vec f_selu_slope(vec y, PLAIN) { return vselect(y > 0, vset1(SELU_SCALE), y + SELU_SCALE * SELU_ALPHA); }

/* Normal distribution function, per lane through the C library. */
INLINE vec normal_cdf(vec x) {
  for (int i = 0; i < VL; i++) x[i] = (real)(0.5 * erfc(-(double)x[i] * 0.70710678118654752440));
  return x;
}
INLINE vec f_gelu(vec x, PLAIN) { return x * normal_cdf(x); }
INLINE vec f_gelu_slope(vec x, PLAIN) {
  return normal_cdf(x) + x * vexp((real)-0.5 * x * x) * (real)0.39894228040143267794;
}

/* Hendrycks and Gimpel 2016: 0.5 x (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3). */
#define GELU_C ((real)0.79788456080286535588)
INLINE vec f_gelu_tanh(vec x, PLAIN) { return x * vsigmoid((real)2 * GELU_C * (x + (real)0.044715 * x * x * x)); }
INLINE vec f_gelu_tanh_slope(vec x, PLAIN) {
  const vec s = vsigmoid((real)2 * GELU_C * (x + (real)0.044715 * x * x * x));
  return s + x * s * (vset1(1) - s) * (real)2 * GELU_C * (vset1(1) + (real)(3 * 0.044715) * x * x);
}
INLINE vec f_silu(vec x, PLAIN) { return x * vsigmoid(x); }
INLINE vec f_silu_slope(vec x, PLAIN) {
  const vec s = vsigmoid(x);
  return s * (vset1(1) + x * (vset1(1) - s));
}
INLINE vec f_softplus(vec x, attributes at) { return vselect(x * at.a > at.b, x, vsoftplus(x * at.a) / at.a); }
INLINE vec f_softplus_slope(vec x, attributes at) { return vselect(x * at.a > at.b, vset1(1), vsigmoid(x * at.a)); }
INLINE vec f_softsign(vec x, PLAIN) { return x / (vset1(1) + vabs(x)); }
INLINE vec f_softsign_slope(vec y, PLAIN) { return (vset1(1) - vabs(y)) * (vset1(1) - vabs(y)); }
INLINE vec f_hardtanh(vec x, attributes at) { return vselect(x < at.a, at.a, vselect(x > at.b, at.b, x)); }
INLINE vec f_hardtanh_slope(vec y, attributes at) { return one_where((y > at.a) & (y < at.b)); }

ELEMENTWISE(identity, 0)
ELEMENTWISE(tanh, 0)
ELEMENTWISE(sigmoid, 0)
ELEMENTWISE(step, 1)
ELEMENTWISE(relu, 0)
ELEMENTWISE(leaky_relu, 1)
ELEMENTWISE(elu, 1)
ELEMENTWISE(selu, 0)
ELEMENTWISE(gelu, 0)
ELEMENTWISE(gelu_tanh, 0)
ELEMENTWISE(silu, 0)
ELEMENTWISE(softplus, 2)
ELEMENTWISE(softsign, 0)
ELEMENTWISE(hardtanh, 2)
