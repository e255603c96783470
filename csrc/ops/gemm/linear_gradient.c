/* linear_gradient: the gradients of a dense layer's weight and bias over a batch, dw = x^T dz and db[j] = sum over r of dz[r, j],
 * in one pass over dz. (With y = x W + b: d loss / d W[i, j] = sum over r of x[r, i] dz[r, j].)
 *
 * Order of accumulation: each dw[i, j] is one chain of multiply-adds and each db[j] one chain of additions, from zero, in
 * increasing row, on every path. So the bits do not depend on the split of m and n or on whether db is computed. They are those of
 * gemm and column_sum.
 *
 * Paths: for a layer of a small network, gemm would take too long to choose among its paths, and db is only one more
 * accumulator beside those of dw:
 *   narrow    dz no wider than a vector: its row against each of m elements of x, all of dw in registers (linear_gradient_rows.inc)
 *   column    dz is one column: a row of x against its one element, lanes along m
 *   others    gemm and column_sum
 * Without masked loads (baseline) all go to gemm.
 */
#include "ops/op.h"

#if NNC_VECTOR_BYTES > 16

#if defined(__AVX512F__)
enum { MOST_ROWS = 16 };
#else
enum { MOST_ROWS = 12 };
#endif

typedef void rows_function(real *dw, real *db, const real *x, const real *dz, size_t n, size_t rows, size_t lddw, size_t ldx,
                           size_t lddz);

#define ROWS_(m) rows_##m
#define ROWS(m) ROWS_(m)
#define M 1
#include "ops/gemm/linear_gradient_rows.inc"
#define M 2
#include "ops/gemm/linear_gradient_rows.inc"
#define M 3
#include "ops/gemm/linear_gradient_rows.inc"
#define M 4
#include "ops/gemm/linear_gradient_rows.inc"
#define M 5
#include "ops/gemm/linear_gradient_rows.inc"
#define M 6
#include "ops/gemm/linear_gradient_rows.inc"
#define M 7
#include "ops/gemm/linear_gradient_rows.inc"
#define M 8
#include "ops/gemm/linear_gradient_rows.inc"
#define M 9
#include "ops/gemm/linear_gradient_rows.inc"
#define M 10
#include "ops/gemm/linear_gradient_rows.inc"
#define M 11
#include "ops/gemm/linear_gradient_rows.inc"
#define M 12
#include "ops/gemm/linear_gradient_rows.inc"
#if defined(__AVX512F__)
#define M 13
#include "ops/gemm/linear_gradient_rows.inc"
#define M 14
#include "ops/gemm/linear_gradient_rows.inc"
#define M 15
#include "ops/gemm/linear_gradient_rows.inc"
#define M 16
#include "ops/gemm/linear_gradient_rows.inc"
#endif

static rows_function *const by_rows[MOST_ROWS + 1] = {NULL,    rows_1,  rows_2,  rows_3,  rows_4,  rows_5,  rows_6,
                                                      rows_7,  rows_8,  rows_9,  rows_10, rows_11, rows_12,
#if defined(__AVX512F__)
                                                      rows_13, rows_14, rows_15, rows_16
#endif
};

static void column(real *dw, real *db, const real *x, const real *dz, size_t m, size_t rows, size_t ldx, size_t lddz) {
  vec acc = {0}, sum = {0};
  for (size_t r = 0; r < rows; r++, x += ldx, dz += lddz) {
    const vec y = vset1(*dz);
    acc = vfma(vload_n(x, m), y, acc);
    sum += y;
  }
  vstore_n(dw, acc, m);
  if (db) *db = sum[0];
}
#endif

void KERNEL(linear_gradient)(real *dw, real *db, const real *x, const real *dz, size_t m, size_t n, size_t rows, size_t lddw,
                             size_t ldx, size_t lddz) {
#if NNC_VECTOR_BYTES > 16
  if (n == 1 && lddw == 1 && m <= VL) {
    column(dw, db, x, dz, m, rows, ldx, lddz);
    return;
  }
  if (n <= VL && m && m <= MOST_ROWS) {
    by_rows[m](dw, db, x, dz, n, rows, lddw, ldx, lddz);
    return;
  }
#endif
  KERNEL(gemm)(dw, x, dz, NULL, m, n, rows, lddw, 1, ldx, lddz, 0);
  if (db) KERNEL(column_sum)(db, dz, rows, n, lddz, 0);
}
