/* merge.c: element-wise operations on two values. a and b are the inputs, y the result, dy its gradient.
 *
 *   combine    y = alpha a + beta b + gamma            weighted sums: Add, Subtract, Average, Rescaling; backward is one as well
 *   multiply   y = a b,  or y + a b                    forward, and backward: da = dy b
 *   maximum    y = a > b ? a : b, or the smaller one   backward: da = dy where a is chosen, dy / 2 where a == b, else 0
 *
 * NaN is passed on, as in PyTorch. Where an input is NaN, maximum passes the gradient to both. Nothing is saved: backward reads the
 * inputs. Elements do not depend on each other, so any split gives the same bits.
 * Accuracy: combine rounds once per added product; multiply and maximum are exact except for one rounding.
 */
#include "ops/op.h"

#define UNUSED __attribute__((unused))

typedef struct {
  vec alpha, beta, gamma;
} merge_options;

typedef vec merge_fn(vec a, vec b, vec c, const merge_options *o);

/* y = f(a, b, c) over a matrix, c being y itself or one more input. Each caller passes a constant f. */
INLINE void merge(real *y, const real *a, const real *b, const real *c, size_t rows, size_t cols, size_t ldy, size_t lda,
                  size_t ldb, size_t ldc, const merge_options *o, merge_fn *f) {
  if (ldy == cols && lda == cols && ldb == cols && ldc == cols) {
    cols *= rows;
    rows = rows != 0;
  }
  for (size_t i = 0; i < rows; i++, y += ldy, a += lda, b += ldb, c += ldc) {
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(y + j, f(vload(a + j), vload(b + j), vload(c + j), o));
    const size_t left = cols - j;
    if (left) vstore_n(y + j, f(vload_n(a + j, left), vload_n(b + j, left), vload_n(c + j, left), o), left);
  }
}

INLINE vec combine_one(vec a, vec b UNUSED, vec c UNUSED, const merge_options *o) { return vfma(o->alpha, a, o->gamma); }
INLINE vec combine_two(vec a, vec b, vec c UNUSED, const merge_options *o) { return vfma(o->beta, b, vfma(o->alpha, a, o->gamma)); }
INLINE vec product(vec a, vec b, vec c UNUSED, const merge_options *o UNUSED) { return a * b; }
INLINE vec product_added(vec a, vec b, vec c, const merge_options *o UNUSED) { return vfma(a, b, c); }
INLINE vec greater(vec a, vec b, vec c UNUSED, const merge_options *o UNUSED) { return vselect((a > b) | (a != a), a, b); }
INLINE vec lesser(vec a, vec b, vec c UNUSED, const merge_options *o UNUSED) { return vselect((a < b) | (a != a), a, b); }

/* a: the input whose gradient is computed, b: the other one, c: dy. */
INLINE vec share(vec a, vec b, vec dy, ivec beaten) { return vselect(beaten, vset1(0), vselect(a == b, dy * (real)0.5, dy)); }
INLINE vec greater_gradient(vec a, vec b, vec dy, const merge_options *o UNUSED) { return share(a, b, dy, a < b); }
INLINE vec lesser_gradient(vec a, vec b, vec dy, const merge_options *o UNUSED) { return share(a, b, dy, a > b); }

void KERNEL(combine)(real *y, const real *a, const real *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb,
                     double alpha, double beta, double gamma) {
  const merge_options o = {vset1((real)alpha), vset1((real)beta), vset1((real)gamma)};
  if (b) merge(y, a, b, a, rows, cols, ldy, lda, ldb, lda, &o, combine_two);
  else merge(y, a, a, a, rows, cols, ldy, lda, lda, lda, &o, combine_one);
}

void KERNEL(multiply)(real *y, const real *a, const real *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb,
                      int accumulate) {
  if (accumulate) merge(y, a, b, y, rows, cols, ldy, lda, ldb, ldy, NULL, product_added);
  else merge(y, a, b, a, rows, cols, ldy, lda, ldb, lda, NULL, product);
}

void KERNEL(maximum)(real *y, const real *a, const real *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb,
                     int is_minimum) {
  if (is_minimum) merge(y, a, b, a, rows, cols, ldy, lda, ldb, lda, NULL, lesser);
  else merge(y, a, b, a, rows, cols, ldy, lda, ldb, lda, NULL, greater);
}

void KERNEL(maximum_backward)(real *da, const real *dy, const real *a, const real *b, size_t rows, size_t cols, size_t ldda,
                              size_t lddy, size_t lda, size_t ldb, int is_minimum) {
  if (is_minimum) merge(da, a, b, dy, rows, cols, ldda, lda, ldb, lddy, NULL, lesser_gradient);
  else merge(da, a, b, dy, rows, cols, ldda, lda, ldb, lddy, NULL, greater_gradient);
}
