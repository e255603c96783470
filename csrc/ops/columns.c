/* Kernels that walk down the columns of a matrix: column_sum (the gradient of a bias, the statistics of a batch) and
 * accumulate (y += x). They reduce over rows only; a sum along a row belongs to its op.
 *
 * Order of accumulation: each column is one chain of additions in increasing row, so the bits do not depend on how columns are
 * split, and a split of the rows that hands the sum on (accumulate != 0) gives the same bits as one call.
 * Accuracy: |error| <= (rows - 1) * eps * sum |a[i, j]|.
 */
#include "ops/op.h"

/* Columns are taken WIDE vectors at a time: enough independent chains to hide the latency of an addition. */
enum { WIDE = 8 };

void KERNEL(column_sum)(real *sum, const real *a, size_t rows, size_t cols, size_t lda, int accumulate) {
  size_t j = 0;
  for (; j + WIDE * VL <= cols; j += WIDE * VL) {
    vec acc[WIDE];
    const real *row = a + j;
#pragma GCC unroll 8
    for (size_t v = 0; v < WIDE; v++) acc[v] = accumulate ? vload(sum + j + v * VL) : (vec){0};
    for (size_t i = 0; i < rows; i++, row += lda) {
#pragma GCC unroll 8
      for (size_t v = 0; v < WIDE; v++) acc[v] += vload(row + v * VL);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < WIDE; v++) vstore(sum + j + v * VL, acc[v]);
  }
  for (; j + VL <= cols; j += VL) {
    vec acc = accumulate ? vload(sum + j) : (vec){0};
    const real *row = a + j;
    for (size_t i = 0; i < rows; i++, row += lda) acc += vload(row);
    vstore(sum + j, acc);
  }
  if (j < cols) {
    vec acc = accumulate ? vload_n(sum + j, cols - j) : (vec){0};
    const real *row = a + j;
    for (size_t i = 0; i < rows; i++, row += lda) acc += vload_n(row, cols - j);
    vstore_n(sum + j, acc, cols - j);
  }
}

void KERNEL(accumulate)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx) {
  for (; rows; rows--, y += ldy, x += ldx) {
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(y + j, vload(y + j) + vload(x + j));
    if (j < cols) vstore_n(y + j, vload_n(y + j, cols - j) + vload_n(x + j, cols - j), cols - j);
  }
}
