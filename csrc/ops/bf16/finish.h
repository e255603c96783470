/* finish.h: what becomes of a block of a product (nnc_bf16_result). */
#ifndef NNC_OPS_BF16_FINISH_H
#define NNC_OPS_BF16_FINISH_H

#include "ops/bf16/forms.h"

/* Not a number: one of all, because the payloads depend on the order of an instruction's operands. */
INLINE float one_nan(float x) { return x == x ? x : __builtin_nanf(""); }

/* c: block (i, j) of [m, n], which becomes y. */
static inline void finish_block(const nnc_bf16_result *to, float *c, size_t i, size_t j, size_t m, size_t n) {
  const size_t top = i * NNC_BF16_SIDE, left = j * NNC_BF16_SIDE, col_blocks = nnc_bf16_blocks(n);
  const size_t rows = m - top < NNC_BF16_SIDE ? m - top : NNC_BF16_SIDE, cols = n - left < NNC_BF16_SIDE ? n - left : NNC_BF16_SIDE;
  for (size_t r = 0; r < NNC_BF16_SIDE; r++) {
    for (size_t q = 0; q < NNC_BF16_SIDE; q++) {
      float *y = c + r * NNC_BF16_SIDE + q;
      if (r >= rows || q >= cols) {
        *y = 0;
        continue;
      }
      if (to->bias) *y += to->bias[left + q];
      if (to->relu && 0 > *y) *y = 0;
      if (to->mask && (int16_t)to->mask[(i * col_blocks + j) * NNC_BF16_BLOCK + r * NNC_BF16_SIDE + q] <= 0) *y = 0;
      *y = one_nan(*y);
      if (to->rows) {
        float *at = to->rows + (top + r) * to->ld + left + q;
        *at = to->accumulate ? one_nan(*at + *y) : *y;
      }
    }
  }
  if (to->column_sums) {
    for (size_t q = 0; q < cols; q++) {
      float sum = 0;
      for (size_t r = 0; r < rows; r++) sum += c[r * NNC_BF16_SIDE + q];
      to->column_sums[i * to->ldsums + left + q] = one_nan(sum);
    }
  }
  write_forms(&to->forms, c, i, j, col_blocks);
}

#endif
