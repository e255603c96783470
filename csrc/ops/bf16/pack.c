/* pack.c: a matrix of floats as operands of bfloat16. */
#include "ops/bf16/forms.h"

void KERNEL(bf16_pack)(const nnc_bf16_forms *to, const float *x, size_t rows, size_t cols, size_t ldx) {
  const size_t row_blocks = nnc_bf16_blocks(rows), col_blocks = nnc_bf16_blocks(cols);
  for (size_t i = 0; i < row_blocks; i++) {
    for (size_t j = 0; j < col_blocks; j++) {
      float y[NNC_BF16_BLOCK] = {0};
      for (size_t r = 0; r < NNC_BF16_SIDE && i * NNC_BF16_SIDE + r < rows; r++)
        for (size_t c = 0; c < NNC_BF16_SIDE && j * NNC_BF16_SIDE + c < cols; c++)
          y[r * NNC_BF16_SIDE + c] = x[(i * NNC_BF16_SIDE + r) * ldx + j * NNC_BF16_SIDE + c];
      write_forms(to, y, i, j, col_blocks);
    }
  }
}
