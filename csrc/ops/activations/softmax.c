/* softmax.c: activations of a whole row, forward and backward. y is saved.
 *
 *   softmax       y = exp(x - max x) / sum exp(x - max x)       dx = y (dy - sum(dy y))
 *   log_softmax   y = x - max x - log sum exp(x - max x)        dx = dy - exp(y) sum(dy)
 *
 * A row that contains NaN or +inf, or only -inf, gives NaN, as in PyTorch. Single -inf give probability 0.
 * Order of accumulation: that of a row_sum (simd.h): 16 partial sums in float, 8 in double, column j in number j % 16 (8), then by
 * halving. So it depends only on cols, not on the instruction set.
 * Accuracy: softmax 3 ULP and what rounding the sum adds, (cols / 16 + 4) / 2 ULP at most (double: cols / 8 + 3).
 *
 * Each kernel defines the result of one row. Short rows are collected in a buffer and stored several at a time. Otherwise, in place
 * and without gaps between rows, the masked store of a row would be followed by the load of the next row. That load overlaps the
 * lanes of the store and would wait for it, in every row (57 instead of 24 ns for 10 columns with AVX-512).
 */
#include "ops/op.h"
#include "ops/vmath.h"

#define UNUSED __attribute__((unused))
#define LOWEST ((real) - INFINITY)
enum { SHORT_VECTORS = 4, ROWS_AT_ONCE = 8 };

/* A row of cols columns: whole vectors up to column end, then a vector of 1 to VL lanes. padded: the destination has memory for all
 * lanes of that last vector. */
typedef struct {
  size_t end, last;
  int padded;
} row_shape;

INLINE void put_last(real *y, vec v, row_shape row) {
  if (row.padded) {
    vstore(y + row.end, v);
  } else {
    vstore_n(y + row.end, v, row.last);
  }
}

typedef void forward_row(real *y, const real *x, row_shape row);
typedef void backward_row(real *dx, const real *dy, const real *y, row_shape row);

INLINE void softmax_row(real *y, const real *x, row_shape row) {
  const vec rest = vload_fill(x + row.end, row.last, LOWEST);
  vec top = rest;
  row_sum sum = {0};
  for (size_t j = 0; j < row.end; j += VL) top = vmax(top, vload(x + j));
  top = vmax_all(top);
  for (size_t j = 0; j < row.end; j += VL) {
    const vec e = vexp(vload(x + j) - top);
    sum = sum_add(sum, e);
    vstore(y + j, e);
  }
  const vec e = vexp(rest - top), share = 1 / sum_total(sum_add(sum, e));
  for (size_t j = 0; j < row.end; j += VL) vstore(y + j, vload(y + j) * share);
  put_last(y, e * share, row);
}

INLINE void softmax_gradient(real *dx, const real *dy, const real *y, row_shape row) {
  const vec p = vload_n(y + row.end, row.last), d = vload_n(dy + row.end, row.last);
  row_sum sum = {0};
  for (size_t j = 0; j < row.end; j += VL) sum = sum_fma(sum, vload(dy + j), vload(y + j));
  const vec mean = sum_total_unsigned(sum_fma(sum, d, p));
  for (size_t j = 0; j < row.end; j += VL) vstore(dx + j, vload(y + j) * (vload(dy + j) - mean));
  put_last(dx, p * (d - mean), row);
}

INLINE void log_softmax_row(real *y, const real *x, row_shape row) {
  const vec rest = vload_fill(x + row.end, row.last, LOWEST);
  vec top = rest;
  row_sum sum = {0};
  for (size_t j = 0; j < row.end; j += VL) top = vmax(top, vload(x + j));
  top = vmax_all(top);
  for (size_t j = 0; j < row.end; j += VL) sum = sum_add(sum, vexp(vload(x + j) - top));
  const vec scale = vlog(sum_total(sum_add(sum, vexp(rest - top))));
  for (size_t j = 0; j < row.end; j += VL) vstore(y + j, vload(x + j) - top - scale);
  put_last(y, rest - top - scale, row);
}

INLINE void log_softmax_gradient(real *dx, const real *dy, const real *y, row_shape row) {
  const vec p = vexp(vload_n(y + row.end, row.last)), d = vload_n(dy + row.end, row.last);
  row_sum sum = {0};
  for (size_t j = 0; j < row.end; j += VL) sum = sum_add(sum, vload(dy + j));
  const vec total = sum_total(sum_add(sum, d));
  for (size_t j = 0; j < row.end; j += VL) vstore(dx + j, vfma(-vexp(vload(y + j)), total, vload(dy + j)));
  put_last(dx, vfma(-p, total, d), row);
}

INLINE row_shape shape_of(size_t cols) {
  const size_t end = cols ? (cols - 1) / VL * VL : 0;
  return (row_shape){end, cols - end, end < SHORT_VECTORS * VL};
}

INLINE void release(real *y, const real *held, row_shape row) {
  for (size_t j = 0; j < row.end; j += VL) vstore(y + j, vload(held + j));
  vstore_n(y + row.end, vload(held + row.end), row.last);
}

INLINE void forward_rows(forward_row *f, real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx) {
  row_shape row = shape_of(cols);
  if (!row.padded) {
    for (; rows; rows--, y += ldy, x += ldx) f(y, x, row);
    return;
  }
  real held[ROWS_AT_ONCE][SHORT_VECTORS * VL] __attribute__((aligned(NNC_VECTOR_BYTES)));
  for (size_t first = 0; first < rows; first += ROWS_AT_ONCE) {
    const size_t n = rows - first < ROWS_AT_ONCE ? rows - first : ROWS_AT_ONCE;
    for (size_t i = 0; i < n; i++) f(held[i], x + (first + i) * ldx, row);
    for (size_t i = 0; i < n; i++) release(y + (first + i) * ldy, held[i], row);
  }
}

INLINE void backward_rows(backward_row *g, real *dx, const real *dy, const real *y, size_t rows, size_t cols, size_t lddx,
                          size_t lddy, size_t ldy) {
  row_shape row = shape_of(cols);
  if (!row.padded) {
    for (; rows; rows--, dx += lddx, dy += lddy, y += ldy) g(dx, dy, y, row);
    return;
  }
  real held[ROWS_AT_ONCE][SHORT_VECTORS * VL] __attribute__((aligned(NNC_VECTOR_BYTES)));
  for (size_t first = 0; first < rows; first += ROWS_AT_ONCE) {
    const size_t n = rows - first < ROWS_AT_ONCE ? rows - first : ROWS_AT_ONCE;
    for (size_t i = 0; i < n; i++) g(held[i], dy + (first + i) * lddy, y + (first + i) * ldy, row);
    for (size_t i = 0; i < n; i++) release(dx + (first + i) * lddx, held[i], row);
  }
}

#define ROW_ACTIVATION(name)                                                                                                     \
  void KERNEL(name##_forward)(real * y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx,                         \
                              const double *attr UNUSED) {                                                                       \
    forward_rows(name##_row, y, x, rows, cols, ldy, ldx);                                                                        \
  }                                                                                                                              \
  void KERNEL(name##_backward)(real * dx, const real *dy, const real *saved, size_t rows, size_t cols, size_t lddx, size_t lddy, \
                               size_t ldsaved, const double *attr UNUSED) {                                                      \
    backward_rows(name##_gradient, dx, dy, saved, rows, cols, lddx, lddy, ldsaved);                                              \
  }

ROW_ACTIVATION(softmax)
ROW_ACTIVATION(log_softmax)
