/* softmax.c: activations of a whole row, forward and backward. y is saved.
 *
 *   softmax       y = exp(x - max x) / sum exp(x - max x)       dx = y (dy - sum(dy y))
 *   log_softmax   y = x - max x - log sum exp(x - max x)        dx = dy - exp(y) sum(dy)
 *
 * A row with a NaN, with an infinity, or of -inf alone gives NaN, as in PyTorch; single -inf give probability 0.
 * Order of accumulation: VL partial sums, column j in lane j % VL, then by halving (vsum_all); a row's bits depend on that row
 * and cols alone. A row that fits one vector stays in a register from load to store.
 * Accuracy: softmax 4 ULP + the sum's rounding, (cols / VL + log2 VL) / 2 ULP at most.
 */
#include "ops/op.h"
#include "ops/vmath.h"

#define UNUSED __attribute__((unused))
#define LOWEST ((real)-INFINITY)

static vec row_maximum(const real *x, size_t cols) {
  vec top = vset1(LOWEST);
  size_t j = 0;
  for (; j + VL <= cols; j += VL) top = vmax(top, vload(x + j));
  if (j < cols) top = vmax(top, vload_fill(x + j, cols - j, LOWEST));
  return vmax_all(top);
}

void KERNEL(softmax_forward)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, const double *attr UNUSED) {
  if (cols <= VL) {
    for (; rows; rows--, y += ldy, x += ldx) {
      const vec v = vload_fill(x, cols, LOWEST), e = vexp(v - vmax_all(v));
      vstore_n(y, e / vsum_all(e), cols);
    }
    return;
  }
  for (; rows; rows--, y += ldy, x += ldx) {
    const vec top = row_maximum(x, cols);
    vec sum = {0};
    size_t j = 0;
    for (; j + VL <= cols; j += VL) {
      const vec e = vexp(vload(x + j) - top);
      sum += e;
      vstore(y + j, e);
    }
    if (j < cols) {
      const vec e = vexp(vload_fill(x + j, cols - j, LOWEST) - top);
      sum += e;
      vstore_n(y + j, e, cols - j);
    }
    const vec share = 1 / vsum_all(sum);
    for (j = 0; j + VL <= cols; j += VL) vstore(y + j, vload(y + j) * share);
    if (j < cols) vstore_n(y + j, vload_n(y + j, cols - j) * share, cols - j);
  }
}

void KERNEL(softmax_backward)(real *dx, const real *dy, const real *y, size_t rows, size_t cols, size_t lddx, size_t lddy,
                              size_t ldy, const double *attr UNUSED) {
  if (cols <= VL) {
    for (; rows; rows--, dx += lddx, dy += lddy, y += ldy) {
      const vec p = vload_n(y, cols), d = vload_n(dy, cols);
      vstore_n(dx, p * (d - vsum_all(p * d)), cols);
    }
    return;
  }
  for (; rows; rows--, dx += lddx, dy += lddy, y += ldy) {
    vec sum = {0};
    size_t j = 0;
    for (; j + VL <= cols; j += VL) sum = vfma(vload(dy + j), vload(y + j), sum);
    if (j < cols) sum = vfma(vload_n(dy + j, cols - j), vload_n(y + j, cols - j), sum);
    const vec mean = vsum_all(sum);
    for (j = 0; j + VL <= cols; j += VL) vstore(dx + j, vload(y + j) * (vload(dy + j) - mean));
    if (j < cols) vstore_n(dx + j, vload_n(y + j, cols - j) * (vload_n(dy + j, cols - j) - mean), cols - j);
  }
}

void KERNEL(log_softmax_forward)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx,
                                 const double *attr UNUSED) {
  if (cols <= VL) {
    for (; rows; rows--, y += ldy, x += ldx) {
      const vec v = vload_fill(x, cols, LOWEST), d = v - vmax_all(v);
      vstore_n(y, d - vlog(vsum_all(vexp(d))), cols);
    }
    return;
  }
  for (; rows; rows--, y += ldy, x += ldx) {
    const vec top = row_maximum(x, cols);
    vec sum = {0};
    size_t j = 0;
    for (; j + VL <= cols; j += VL) sum += vexp(vload(x + j) - top);
    if (j < cols) sum += vexp(vload_fill(x + j, cols - j, LOWEST) - top);
    const vec scale = vlog(vsum_all(sum));
    for (j = 0; j + VL <= cols; j += VL) vstore(y + j, vload(x + j) - top - scale);
    if (j < cols) vstore_n(y + j, vload_n(x + j, cols - j) - top - scale, cols - j);
  }
}

void KERNEL(log_softmax_backward)(real *dx, const real *dy, const real *y, size_t rows, size_t cols, size_t lddx, size_t lddy,
                                  size_t ldy, const double *attr UNUSED) {
  if (cols <= VL) {
    for (; rows; rows--, dx += lddx, dy += lddy, y += ldy) {
      const vec d = vload_n(dy, cols);
      vstore_n(dx, vfma(-vexp(vload_n(y, cols)), vsum_all(d), d), cols);
    }
    return;
  }
  for (; rows; rows--, dx += lddx, dy += lddy, y += ldy) {
    vec sum = {0};
    size_t j = 0;
    for (; j + VL <= cols; j += VL) sum += vload(dy + j);
    if (j < cols) sum += vload_n(dy + j, cols - j);
    const vec total = vsum_all(sum);
    for (j = 0; j + VL <= cols; j += VL) vstore(dx + j, vfma(-vexp(vload(y + j)), total, vload(dy + j)));
    if (j < cols) vstore_n(dx + j, vfma(-vexp(vload_n(y + j, cols - j)), total, vload_n(dy + j, cols - j)), cols - j);
  }
}
