/* low_table.c: fills the table of the kernels of low precision of one instruction set. A missing kernel is a link error. */
#include "ops/low_op.h"

extern const nnc_low_kernels KERNEL(low_kernels);
const nnc_low_kernels KERNEL(low_kernels) = {
#define NNC_LOW_KERNEL(name) .name = KERNEL(name),
#include "ops/ops.def"
};
