/* pool.c: pooling over the valid time steps of one sample.
 *
 *   mean   y = (x[0] + x[1] + ... + x[length - 1]) / length     dx[t] = dy / length
 *   max    y = max over t of x[t]                               dx[t] = dy for the first t with x[t] == y, else 0
 *   last   y = x[length - 1]                                    dx[length - 1] = dy
 *
 * dx is 0 beyond the length. NaN is passed on; the first NaN of a column is its maximum. Nothing is saved: backward reads x and y. The
 * sum of a column is one chain in increasing t, so it does not depend on the steps after the length. Columns do not depend on each
 * other. Accuracy: the mean rounds once per step; the others are exact.
 */
#include "ops/op.h"

enum { MOST = 4 }; /* vectors side by side, which hides the latency of their sums */

INLINE vec load_columns(const real *p, size_t n) { return n == VL ? vload(p) : vload_n(p, n); }
INLINE void store_columns(real *p, vec v, size_t n) {
  if (n == VL) vstore(p, v);
  else vstore_n(p, v, n);
}

INLINE vec larger(vec a, vec b) { return vselect((a >= b) | (a != a), a, b); }

/* `vecs` whole vectors of columns, or `lanes` columns. Both are constants, or the last lanes. */
INLINE void pool_columns(real *y, const real *x, size_t length, size_t ldx, int is_mean, size_t vecs, size_t lanes) {
  vec found[MOST];
  for (size_t v = 0; v < vecs; v++) found[v] = load_columns(x + v * VL, lanes);
  for (size_t t = 1; t < length; t++) {
    x += ldx;
    for (size_t v = 0; v < vecs; v++) {
      const vec next = load_columns(x + v * VL, lanes);
      found[v] = is_mean ? found[v] + next : larger(found[v], next);
    }
  }
  for (size_t v = 0; v < vecs; v++) store_columns(y + v * VL, is_mean ? found[v] / vset1((real)length) : found[v], lanes);
}

INLINE void pool_all(real *y, const real *x, size_t length, size_t cols, size_t ldx, int is_mean) {
  size_t j = 0;
  for (; cols - j >= MOST * VL; j += MOST * VL) pool_columns(y + j, x + j, length, ldx, is_mean, MOST, VL);
  for (; cols - j >= VL; j += VL) pool_columns(y + j, x + j, length, ldx, is_mean, 1, VL);
  if (j < cols) pool_columns(y + j, x + j, length, ldx, is_mean, 1, cols - j);
}

void KERNEL(pool_forward)(real *y, const real *x, size_t length, size_t cols, size_t ldx, nnc_pool pool) {
  if (pool == NNC_POOL_LAST) memcpy(y, x + (length - 1) * ldx, cols * sizeof *y);
  else if (pool == NNC_POOL_MEAN) pool_all(y, x, length, cols, ldx, 1);
  else pool_all(y, x, length, cols, ldx, 0);
}

void KERNEL(pool_backward)(real *dx, const real *dy, const real *x, const real *y, size_t steps, size_t length, size_t cols,
                           size_t lddx, size_t ldx, nnc_pool pool) {
  for (size_t j = 0; j < cols; j += VL) {
    const size_t n = cols - j < VL ? cols - j : VL;
    vec gradient = load_columns(dy + j, n);
    if (pool == NNC_POOL_MEAN) gradient = gradient / vset1((real)length);
    const vec top = load_columns(y + j, n);
    for (size_t t = 0; t < length; t++) {
      vec own = gradient;
      if (pool == NNC_POOL_MAX) {
        const vec here = load_columns(x + t * ldx + j, n);
        const ivec is_top = (here == top) | ((here != here) & (top != top));
        own = vselect(is_top, gradient, vset1(0));
        gradient = vselect(is_top, vset1(0), gradient); /* the first one takes it all */
      } else if (pool == NNC_POOL_LAST && t + 1 < length) {
        own = vset1(0);
      }
      store_columns(dx + t * lddx + j, own, n);
    }
    for (size_t t = length; t < steps; t++) store_columns(dx + t * lddx + j, vset1(0), n);
  }
}
