/* forms.h: a block of 32 x 32 floats written in the forms of an operand (low_kernels.h). */
#ifndef NNC_OPS_BF16_FORMS_H
#define NNC_OPS_BF16_FORMS_H

#include "ops/low_op.h"

/* Where an element of a block stands in a right operand. */
INLINE size_t pair_place(size_t k, size_t column) { return column / 16 * 512 + k / 2 * 32 + column % 16 * 2 + k % 2; }

/* y: block (i, j) of a matrix that is col_blocks wide. */
static inline void write_forms(const nnc_bf16_forms *to, const float *y, size_t i, size_t j, size_t col_blocks) {
  const size_t along = (i * col_blocks + j) * NNC_BF16_BLOCK, across = (j * to->stride + i) * NNC_BF16_BLOCK;
  for (size_t r = 0; r < NNC_BF16_SIDE; r++) {
    for (size_t c = 0; c < NNC_BF16_SIDE; c++) {
      const nnc_bf16 x = nnc_bf16_from_float(y[r * NNC_BF16_SIDE + c]);
      if (to->a) to->a[along + r * NNC_BF16_SIDE + c] = x;
      if (to->at) to->at[across + c * NNC_BF16_SIDE + r] = x;
      if (to->b) to->b[across + pair_place(r, c)] = x;
      if (to->bt) to->bt[along + pair_place(c, r)] = x;
    }
  }
}

#endif
