/* column_sum.c: sums of columns in blocks of 32 rows, the order in which the epilogue of a product sums them. */
#include "ops/bf16/finish.h"

/* A block of rows of VL columns, or fewer, added to y. */
INLINE void add_block(float *y, const float *x, size_t rows, size_t ldx, size_t lanes) {
  vec sum = {0};
  for (; rows; rows--, x += ldx) sum += lanes == VL ? vload(x) : vload_n(x, lanes);
  if (lanes == VL) vstore(y, one_nan(vload(y) + one_nan(sum)));
  else vstore_n(y, one_nan(vload_n(y, lanes) + one_nan(sum)), lanes);
}

void KERNEL(bf16_column_sum)(float *y, const float *x, size_t rows, size_t cols, size_t ldx) {
  memset(y, 0, cols * sizeof *y);
  for (size_t height; rows; rows -= height, x += height * ldx) {
    height = rows < SIDE ? rows : SIDE;
    size_t c = 0;
    for (; c + VL <= cols; c += VL) add_block(y + c, x + c, height, ldx, VL);
    if (c < cols) add_block(y + c, x + c, height, ldx, cols - c);
  }
}
