/* product.c: products of bfloat16 blocks; low_kernels.h has the order in which they sum. */
#include "ops/low_op.h"

#if NNC_HAVE_AMX
#include "ops/bf16/tiles_amx.h"
#else
#include "ops/bf16/blocks.h"
#include "ops/bf16/fma.h"

void KERNEL(bf16_block)(float *c, const float *a, const nnc_bf16 *b, size_t rows, size_t width, size_t steps, int first) {
  multiply_block(c, a, b, rows, width, steps, 0, first, b + steps * BLOCK);
}
#endif

void KERNEL(bf16_product_ahead)(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k,
                                int transposed, size_t across, fetch_list *list) {
  multiply(to, a, b, m, n, k, transposed, across, list);
}

void KERNEL(bf16_product)(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k) {
  KERNEL(bf16_product_ahead)(to, a, b, m, n, k, 0, 0, NULL);
}

void KERNEL(bf16_product_at)(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k,
                             size_t across) {
  KERNEL(bf16_product_ahead)(to, a, b, m, n, k, 1, across, NULL);
}
