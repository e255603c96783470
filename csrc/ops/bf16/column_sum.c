/* column_sum.c: sums of columns in blocks of 32 rows, the order in which the epilogue of a product sums them. */
#include "ops/bf16/finish.h"

void KERNEL(bf16_column_sum)(float *y, const float *x, size_t rows, size_t cols, size_t ldx) {
  for (size_t q = 0; q < cols; q++) y[q] = 0;
  for (size_t top = 0; top < rows; top += NNC_BF16_SIDE) {
    for (size_t q = 0; q < cols; q++) {
      float sum = 0;
      for (size_t r = top; r < rows && r < top + NNC_BF16_SIDE; r++) sum += x[r * ldx + q];
      y[q] = one_nan(y[q] + one_nan(sum));
    }
  }
}
