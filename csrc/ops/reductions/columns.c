/* Kernels that process the columns of a matrix: column_sum (the gradient of a bias) and accumulate (y += x). They reduce over rows
 * only; a sum along a row belongs to its op.
 *
 * Order of accumulation: each column is one chain of additions in increasing row, so the bits do not depend on how columns are
 * split, and a split of the rows that passes on the sum (accumulate != 0) gives the same bits as one call.
 * Accuracy: |error| <= rows * eps * (|start| + sum |a[i, j]|).
 */
#include "ops/op.h"

/* vecs whole vectors side by side: as many independent chains, to hide the latency of an addition. Always called with a constant. */
INLINE void sum_vectors(real *sum, const real *a, size_t rows, size_t lda, int accumulate, size_t vecs) {
  vec acc[8];
  for (size_t v = 0; v < vecs; v++) acc[v] = accumulate ? vload(sum + v * VL) : (vec){0};
  for (size_t i = 0; i < rows; i++, a += lda) {
    for (size_t v = 0; v < vecs; v++) acc[v] += vload(a + v * VL);
  }
  for (size_t v = 0; v < vecs; v++) vstore(sum + v * VL, acc[v]);
}

/* The last cols < VL columns. Without cheap masks, and if there are columns before them, they are the end of a whole vector. */
static void sum_last(real *sum, const real *a, size_t rows, size_t cols, size_t lda, int accumulate, size_t before) {
#if !defined(__AVX512F__)
  if (before >= VL) {
    const size_t back = VL - cols;
    real total[VL];
    vstore(total, vload(sum - back));
    sum_vectors(total, a - back, rows, lda, accumulate, 1);
    memcpy(sum, total + back, cols * sizeof(real));
    return;
  }
#if NNC_VECTOR_BYTES == 16
  for (size_t j = 0; j < cols; j++) {
    real acc = accumulate ? sum[j] : 0;
    for (size_t i = 0; i < rows; i++) acc += a[i * lda + j];
    sum[j] = acc;
  }
  return;
#endif
#endif
  (void)before;
  vec acc = accumulate ? vload_n(sum, cols) : (vec){0};
  for (size_t i = 0; i < rows; i++, a += lda) acc += vload_n(a, cols);
  vstore_n(sum, acc, cols);
}

void KERNEL(column_sum)(real *sum, const real *a, size_t rows, size_t cols, size_t lda, int accumulate) {
  size_t j = 0;
  for (; cols - j >= 8 * VL; j += 8 * VL) sum_vectors(sum + j, a + j, rows, lda, accumulate, 8);
  if (cols - j >= 4 * VL) {
    sum_vectors(sum + j, a + j, rows, lda, accumulate, 4);
    j += 4 * VL;
  }
  if (cols - j >= 2 * VL) {
    sum_vectors(sum + j, a + j, rows, lda, accumulate, 2);
    j += 2 * VL;
  }
  if (cols - j >= VL) {
    sum_vectors(sum + j, a + j, rows, lda, accumulate, 1);
    j += VL;
  }
  if (j < cols) sum_last(sum + j, a + j, rows, cols - j, lda, accumulate, j);
}

void KERNEL(accumulate)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx) {
  if (ldy == cols && ldx == cols) {
    cols *= rows;
    ldy = ldx = cols;
    rows = 1;
  }
  for (; rows; rows--, y += ldy, x += ldx) {
    size_t j = 0;
    for (; j + VL <= cols; j += VL) vstore(y + j, vload(y + j) + vload(x + j));
    if (j < cols) vstore_n(y + j, vload_n(y + j, cols - j) + vload_n(x + j, cols - j), cols - j);
  }
}
