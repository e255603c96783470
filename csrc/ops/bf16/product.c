/* product.c: products of bfloat16 blocks. */
#include "ops/bf16/finish.h"
#include "ops/bf16/scalar.h"

void KERNEL(bf16_product)(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k) {
  const size_t steps = nnc_bf16_blocks(k);
  for (size_t i = 0; i < nnc_bf16_blocks(m); i++) {
    for (size_t j = 0; j < nnc_bf16_blocks(n); j++) {
      float c[NNC_BF16_BLOCK] = {0};
      for (size_t r = 0; r < NNC_BF16_SIDE && i * NNC_BF16_SIDE + r < m; r++)
        for (size_t q = 0; q < NNC_BF16_SIDE; q++)
          c[r * NNC_BF16_SIDE + q] = scalar_product(a + i * steps * NNC_BF16_BLOCK, b + j * steps * NNC_BF16_BLOCK, r, q, steps);
      finish_block(to, c, i, j, m, n);
    }
  }
}
