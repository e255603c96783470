/* prelu.c: PReLU (He et al. 2015), a rectifier whose slope on the negative side is learned.
 *
 *   y = x where x > 0, else slope * x      dx = dy where x > 0, else slope * dy      dslope = sum of dy * x where not x > 0
 *
 * Only x is saved. per_column: slope and dslope have one number per column, otherwise one for the whole matrix. dslope is added to.
 * Per column, the sum is one chain in increasing row. For a single number, each row is a row_sum (simd.h), and these are added in
 * increasing row. So the caller may process blocks of rows one after the other and gets the bits of one call.
 */
#include "ops/op.h"

INLINE vec rectify(vec x, vec value, vec slope) { return vselect(x > vset1(0), value, slope * value); }

static void apply(real *y, const real *value, const real *x, const real *slope, size_t rows, size_t cols, size_t ldy,
                  size_t ldvalue, size_t ldx, int per_column) {
  const vec one = vset1(*slope);
  for (size_t i = 0; i < rows; i++, y += ldy, value += ldvalue, x += ldx) {
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(y + j, rectify(vload(x + j), vload(value + j), per_column ? vload(slope + j) : one));
    if (j < cols) {
      const size_t n = cols - j;
      vstore_n(y + j, rectify(vload_n(x + j, n), vload_n(value + j, n), per_column ? vload_n(slope + j, n) : one), n);
    }
  }
}

void KERNEL(prelu_forward)(real *y, const real *x, const real *slope, size_t rows, size_t cols, size_t ldy, size_t ldx,
                           int per_column) {
  apply(y, x, x, slope, rows, cols, ldy, ldx, ldx, per_column);
}

void KERNEL(prelu_backward)(real *dx, const real *dy, const real *x, const real *slope, size_t rows, size_t cols, size_t lddx,
                            size_t lddy, size_t ldx, int per_column) {
  apply(dx, dy, x, slope, rows, cols, lddx, lddy, ldx, per_column);
}

/* Where x > 0, a plain product would turn an infinite dy into NaN; so the value is selected instead. */
INLINE vec share(vec dy, vec x) { return vselect(x > vset1(0), vset1(0), dy * x); }

void KERNEL(prelu_gradient)(real *dslope, const real *dy, const real *x, size_t rows, size_t cols, size_t lddy, size_t ldx,
                            int per_column) {
  for (size_t i = 0; i < rows; i++, dy += lddy, x += ldx) {
    row_sum sum = {0};
    size_t j = 0;
    for (; j + VL <= cols; j += VL) {
      const vec s = share(vload(dy + j), vload(x + j));
      if (per_column) vstore(dslope + j, vload(dslope + j) + s);
      else sum = sum_add(sum, s);
    }
    if (j < cols) {
      const size_t n = cols - j;
      const vec s = share(vload_n(dy + j, n), vload_n(x + j, n));
      if (per_column) vstore_n(dslope + j, vload_n(dslope + j, n) + s, n);
      else sum = sum_add(sum, s);
    }
    if (!per_column) *dslope += sum_total(sum)[0];
  }
}
