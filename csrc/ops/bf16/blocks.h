/* blocks.h: the product of blocks without what surrounds it in bf16_product, for kernels that multiply the same left operand from step to
 * step, and want the sums where they lie. Not for amx, where such kernels write out the tiles.
 */
#ifndef NNC_OPS_BF16_BLOCKS_H
#define NNC_OPS_BF16_BLOCKS_H

#include "ops/low_op.h"

/* a: [steps][rows][32]. c [rows, 32], whose first `width` columns are wanted, = or += A B, for at least one step; first: =. */
void KERNEL(bf16_block)(float *c, const float *a, const nnc_bf16 *b, size_t rows, size_t width, size_t steps, int first);

#endif
