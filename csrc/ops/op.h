/* op.h: what every file in ops/ includes. It is compiled once per instruction set and dtype; the build defines
 *   NNC_ISA   the suffix of the instruction set (baseline, avx2, avx512; amx for low precision alone, see low_op.h)
 *   NNC_BUILD_F64   0 for float, 1 for double
 * An op file defines its kernels as  void KERNEL(name)(...), which becomes nnc_<name>_<isa>_<dtype>.
 */
#ifndef NNC_OPS_OP_H
#define NNC_OPS_OP_H

#include "ops/kernels.h"
#include "ops/simd.h"

#define NNC_JOIN_(name, isa, dtype) nnc_##name##_##isa##_##dtype
#define NNC_JOIN(name, isa, dtype) NNC_JOIN_(name, isa, dtype)
#if NNC_BUILD_F64
#define KERNEL(name) NNC_JOIN(name, NNC_ISA, f64)
#define NNC_TYPED(name) name##_f64
#else
#define KERNEL(name) NNC_JOIN(name, NNC_ISA, f32)
#define NNC_TYPED(name) name##_f32
#endif

/* Every kernel declared with the type of its slot, so that a mismatch is a compile error. */
#define NNC_ACTIVATION(name, saves, scope, attributes)      \
  NNC_TYPED(nnc_activation_forward) KERNEL(name##_forward); \
  NNC_TYPED(nnc_activation_backward) KERNEL(name##_backward);
#define NNC_LOSS(name, target, attributes) NNC_TYPED(nnc_loss) KERNEL(name);
#define NNC_OPTIMIZER(name, moments, attributes) NNC_TYPED(nnc_optimizer) KERNEL(name);
#define NNC_KERNEL(name) NNC_TYPED(nnc_##name) KERNEL(name);
#include "ops/ops.def"

#endif
