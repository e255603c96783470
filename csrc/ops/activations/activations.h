/* activations.h: common code of the element-wise activations, from a vector of elements to a batch of rows.
 *
 * An activation defines its value and its gradient for one vector. ACTIVATION makes both kernels from them. A batch without gaps
 * between its rows is processed as one long row, so that a narrow layer has no tail per row. Any other batch is processed row by
 * row. The bits of an element depend only on that element, because tails use the same function as whole vectors.
 */
#ifndef NNC_OPS_ACTIVATIONS_H
#define NNC_OPS_ACTIVATIONS_H

#include "ops/op.h"

/* attr[0] and attr[1] in every lane, if the activation has them. */
typedef struct {
  vec first, second;
} activation_attributes;

/* Vectors per iteration of forward. Each vector is one long chain of dependent operations, and the processor looks ahead over few
 * of them. */
enum { SIDE_BY_SIDE = 4 };

typedef vec activation_value(vec x, activation_attributes at);
typedef void activation_values(vec *y, const vec *x, size_t n, activation_attributes at);
typedef vec activation_gradient(vec dy, vec saved, activation_attributes at);

INLINE activation_attributes activation_read(int count, const double *attr) {
  activation_attributes at = {{0}, {0}};
  if (count > 0) at.first = vset1((real)attr[0]);
  if (count > 1) at.second = vset1((real)attr[1]);
  return at;
}

/* Whether long functions have one piece of code for whole vectors and for the last part of one, which is half of it. Without masks,
 * that takes longer. */
enum { ONCE = !FEW_REGISTERS };

/* Columns of a row from j on; once is a constant. */
INLINE void activation_rest(activation_value *f, activation_attributes at, real *y, const real *x, size_t j, size_t cols,
                            int once) {
  if (once) {
#pragma GCC unroll 1
    for (; j < cols; j += VL) {
      const size_t lanes = cols - j < VL ? cols - j : VL;
      store_lanes_of(y + j, f(load_lanes_of(x + j, lanes), at), lanes);
    }
    return;
  }
  for (; j + VL <= cols; j += VL) vstore(y + j, f(vload(x + j), at));
  if (j < cols) vstore_n(y + j, f(vload_n(x + j, cols - j), at), cols - j);
}

INLINE void activation_forward(activation_value *f, activation_values *each, activation_attributes at, real *y, const real *x,
                               size_t rows, size_t cols, size_t ldy, size_t ldx, int once) {
  if (ldy == cols && ldx == cols) {
    cols *= rows;
    rows = 1;
  }
  for (; rows; rows--, y += ldy, x += ldx) {
    size_t j = 0;
    for (; j + SIDE_BY_SIDE * VL <= cols; j += SIDE_BY_SIDE * VL) {
      vec v[SIDE_BY_SIDE];
#pragma GCC unroll 8
      for (size_t i = 0; i < SIDE_BY_SIDE; i++) v[i] = vload(x + j + i * VL);
      each(v, v, SIDE_BY_SIDE, at);
#pragma GCC unroll 8
      for (size_t i = 0; i < SIDE_BY_SIDE; i++) vstore(y + j + i * VL, v[i]);
    }
    activation_rest(f, at, y, x, j, cols, once);
  }
}

/* The same without vectors side by side: a third of the code, for activations that are used less often. */
INLINE void activation_forward_plain(activation_value *f, activation_attributes at, real *y, const real *x, size_t rows,
                                     size_t cols, size_t ldy, size_t ldx) {
  if (ldy == cols && ldx == cols) {
    cols *= rows;
    rows = 1;
  }
  for (; rows; rows--, y += ldy, x += ldx) activation_rest(f, at, y, x, 0, cols, ONCE);
}

INLINE void activation_backward(activation_gradient *g, activation_attributes at, real *dx, const real *dy, const real *saved,
                                size_t rows, size_t cols, size_t lddx, size_t lddy, size_t ldsaved, int once) {
  if (lddx == cols && lddy == cols && ldsaved == cols) {
    cols *= rows;
    rows = 1;
  }
  for (; rows; rows--, dx += lddx, dy += lddy, saved += ldsaved) {
    size_t j = 0;
    if (once) {
#pragma GCC unroll 1
      for (; j < cols; j += VL) {
        const size_t lanes = cols - j < VL ? cols - j : VL;
        store_lanes_of(dx + j, g(load_lanes_of(dy + j, lanes), load_lanes_of(saved + j, lanes), at), lanes);
      }
      continue;
    }
    for (; j + VL <= cols; j += VL) vstore(dx + j, g(vload(dy + j), vload(saved + j), at));
    if (j < cols) vstore_n(dx + j, g(vload_n(dy + j, cols - j), vload_n(saved + j, cols - j), at), cols - j);
  }
}

#define UNUSED __attribute__((unused))

/* The kernels of an activation from name_value and name_gradient; count is how many attributes it has. An activation is LONG if its
 * value takes many operations; once: ONCE if its gradient does too, else 0. */
#define ACTIVATION(name, count)                                                           \
  INLINE void name##_values(vec *y, const vec *x, size_t n, activation_attributes at) {   \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < n; i++) y[i] = name##_value(x[i], at); \
  }                                                                                       \
  ACTIVATION_WITH_VALUES(name, count)

#define ACTIVATION_BACKWARD(name, count, once)                                                                                   \
  void KERNEL(name##_backward)(real * dx, const real *dy, const real *saved, size_t rows, size_t cols, size_t lddx, size_t lddy, \
                               size_t ldsaved, const double *attr UNUSED) {                                                      \
    activation_backward(name##_gradient, activation_read(count, attr), dx, dy, saved, rows, cols, lddx, lddy, ldsaved, once);    \
  }

/* The same for an activation that defines name_values, which processes several vectors in parallel. */
#define ACTIVATION_WITH_VALUES(name, count)                                                                       \
  void KERNEL(name##_forward)(real * y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx,          \
                              const double *attr UNUSED) {                                                        \
    activation_forward(name##_value, name##_values, activation_read(count, attr), y, x, rows, cols, ldy, ldx, 0); \
  }                                                                                                               \
  ACTIVATION_BACKWARD(name, count, 0)

#define ACTIVATION_LONG(name, count, once)                                                               \
  INLINE void name##_values(vec *y, const vec *x, size_t n, activation_attributes at) {                  \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < n; i++) y[i] = name##_value(x[i], at);                \
  }                                                                                                      \
  void KERNEL(name##_forward)(real * y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, \
                              const double *attr UNUSED) {                                               \
    const activation_attributes at = activation_read(count, attr);                                       \
    if (FEW_REGISTERS) activation_forward_plain(name##_value, at, y, x, rows, cols, ldy, ldx);           \
    else activation_forward(name##_value, name##_values, at, y, x, rows, cols, ldy, ldx, ONCE);          \
  }                                                                                                      \
  ACTIVATION_BACKWARD(name, count, once)

/* The same for an activation that is used less often. */
#define ACTIVATION_PLAIN(name, count, once)                                                              \
  void KERNEL(name##_forward)(real * y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, \
                              const double *attr UNUSED) {                                               \
    activation_forward_plain(name##_value, activation_read(count, attr), y, x, rows, cols, ldy, ldx);    \
  }                                                                                                      \
  ACTIVATION_BACKWARD(name, count, once)

#endif
