/* pack.c: a matrix of floats as operands of bfloat16. */
#include "ops/bf16/forms.h"

INLINE void pack_block(const block_forms *to, const float *x, size_t ldx, int half) {
  const size_t end = half == 1 ? HALF : SIDE;
  for (size_t r = half == 2 ? HALF : 0; r < end; r += 2, x += 2 * ldx)
    for (size_t c = 0; c < SIDE; c += VL) write_rounded(to, r, c, vload(x + c), vload(x + ldx + c), 1);
  if (!half) write_transposes(to);
  else if (to->bt) transpose_words(to->bt, to->a, (size_t)half - 1, (size_t)half);
}

void KERNEL(bf16_pack)(const nnc_bf16_forms *to, const float *x, size_t rows, size_t cols, size_t ldx) {
  const size_t row_blocks = nnc_bf16_blocks(rows), col_blocks = nnc_bf16_blocks(cols), whole = to->half ? HALF : SIDE;
  nnc_bf16 spare[2 * BLOCK] __attribute__((aligned(64)));
  for (size_t i = 0; i < row_blocks; i++) {
    for (size_t j = 0; j < col_blocks; j++) {
      const block_forms forms = forms_of(to, i, j, col_blocks, spare);
      const size_t height = rows - i * SIDE, width = cols - j * SIDE;
      const float *from = x + i * SIDE * ldx + j * SIDE;
      if (height >= whole && width >= SIDE) {
        pack_block(&forms, from, ldx, to->half);
        continue;
      }
      float padded[BLOCK] __attribute__((aligned(64))) = {0};
      for (size_t r = 0; r < SIDE && r < height; r++)
        memcpy(padded + r * SIDE, from + r * ldx, (width < SIDE ? width : SIDE) * sizeof(float));
      pack_block(&forms, padded, SIDE, to->half);
    }
  }
}
