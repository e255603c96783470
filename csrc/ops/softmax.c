/* softmax.c: activations of a whole row, forward and backward. Sums over a row run in an order that depends on its length alone.
 *
 *   softmax       y = exp(x - max x) / sum exp(x - max x)       dx = y (dy - sum(dy y))
 *   log_softmax   y = x - max x - log sum exp(x - max x)        dx = dy - exp(y) sum dy
 */
#include "ops/op.h"
#include "ops/vmath.h"

static real row_maximum(const real *x, size_t cols) {
  vec most = vset1(x[0]);
  size_t j = 0;
  for (; j + VL <= cols; j += VL) most = vmax(vload(x + j), most);
  real m = vmaximum(most);
  for (; j < cols; j++) m = x[j] > m ? x[j] : m;
  return m;
}

/* Sum over a row of f(lane): the tail's missing lanes must be 0. */
#define ROW_SUM(result, cols, whole, tail)                 \
  do {                                                     \
    vec sum = vset1(0);                                    \
    size_t j = 0;                                          \
    for (; j + VL <= (cols); j += VL) sum += (whole);      \
    if (j < (cols)) {                                      \
      const size_t n = (cols) - j;                         \
      sum += (tail);                                       \
    }                                                      \
    result = vsum(sum);                                    \
  } while (0)

INLINE vec lanes(vec v, size_t n) {
  real buffer[VL];
  vstore(buffer, v);
  return vload_n(buffer, n);
}

void KERNEL(softmax_forward)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx,
                             const double *attr __attribute__((unused))) {
  for (size_t i = 0; i < rows; i++, y += ldy, x += ldx) {
    const vec m = vset1(row_maximum(x, cols));
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(y + j, vexp(vload(x + j) - m));
    if (j < cols) vstore_n(y + j, vexp(vload_n(x + j, cols - j) - m), cols - j);
    real total;
    ROW_SUM(total, cols, vload(y + j), vload_n(y + j, n));
    const vec scale = vset1(1 / total);
    for (j = 0; j + VL <= cols; j += VL) vstore(y + j, vload(y + j) * scale);
    if (j < cols) vstore_n(y + j, vload_n(y + j, cols - j) * scale, cols - j);
  }
}

void KERNEL(softmax_backward)(real *dx, const real *dy, const real *saved, size_t rows, size_t cols, size_t lddx, size_t lddy,
                              size_t ldsaved, const double *attr __attribute__((unused))) {
  for (size_t i = 0; i < rows; i++, dx += lddx, dy += lddy, saved += ldsaved) {
    real total;
    ROW_SUM(total, cols, vload(dy + j) * vload(saved + j), vload_n(dy + j, n) * vload_n(saved + j, n));
    const vec t = vset1(total);
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(dx + j, vload(saved + j) * (vload(dy + j) - t));
    if (j < cols) vstore_n(dx + j, vload_n(saved + j, cols - j) * (vload_n(dy + j, cols - j) - t), cols - j);
  }
}

void KERNEL(log_softmax_forward)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx,
                                 const double *attr __attribute__((unused))) {
  for (size_t i = 0; i < rows; i++, y += ldy, x += ldx) {
    const real most = row_maximum(x, cols);
    const vec m = vset1(most);
    real total;
    ROW_SUM(total, cols, vexp(vload(x + j) - m), lanes(vexp(vload_n(x + j, n) - m), n));
    const vec logs = vlog(vset1(total));
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(y + j, vload(x + j) - m - logs);
    if (j < cols) vstore_n(y + j, vload_n(x + j, cols - j) - m - logs, cols - j);
  }
}

void KERNEL(log_softmax_backward)(real *dx, const real *dy, const real *saved, size_t rows, size_t cols, size_t lddx, size_t lddy,
                                  size_t ldsaved, const double *attr __attribute__((unused))) {
  for (size_t i = 0; i < rows; i++, dx += lddx, dy += lddy, saved += ldsaved) {
    real total;
    ROW_SUM(total, cols, vload(dy + j), vload_n(dy + j, n));
    const vec t = vset1(total);
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(dx + j, vload(dy + j) - vexp(vload(saved + j)) * t);
    if (j < cols) vstore_n(dx + j, vload_n(dy + j, cols - j) - vexp(vload_n(saved + j, cols - j)) * t, cols - j);
  }
}
