/* low_op.h: what every file of a kernel of low precision includes, in place of op.h. It is compiled once per instruction set, amx
 * among them, and for float alone. */
#ifndef NNC_OPS_LOW_OP_H
#define NNC_OPS_LOW_OP_H

#include "ops/low_kernels.h"
#include "ops/op.h"

/* Whether this is the build for amx, which alone may use ops/amx.h. */
#define NNC_IS_amx 1
#define NNC_IS_(isa) NNC_IS_##isa
#define NNC_IS(isa) NNC_IS_(isa)
#if NNC_IS(NNC_ISA)
#define NNC_HAVE_AMX 1
#else
#define NNC_HAVE_AMX 0
#endif

#ifndef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

#define NNC_LOW_KERNEL(name) nnc_##name KERNEL(name);
#include "ops/ops.def"

#endif
