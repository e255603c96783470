/* low_op.h: what every file of a kernel of low precision includes, in place of op.h. It is compiled once per instruction set, amx
 * among them, and for float alone. */
#ifndef NNC_OPS_LOW_OP_H
#define NNC_OPS_LOW_OP_H

#include "ops/low_kernels.h"
#include "ops/op.h"

#ifndef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

#define NNC_LOW_KERNEL(name) nnc_##name KERNEL(name);
#include "ops/ops.def"

#endif
