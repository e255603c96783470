/* kernel_interface.c: all functions of this library that callers of single kernels need, in one struct. A second extension gets its
 * address instead of a second copy of the library. So a process has one thread pool, one state, and one copy of each kernel. */
#include "nncore.h"

/* One more than the instruction sets: the baseline whose multiply-adds are rounded once. */
static const nnc_kernels_f32 *kernels_for_f32(nnc_isa isa) {
  return isa == NNC_ISA_COUNT ? nnc_kernels_for_f32_exact(NNC_ISA_BASELINE) : nnc_kernels_for_f32(isa);
}
static const nnc_kernels_f64 *kernels_for_f64(nnc_isa isa) {
  return nnc_kernels_for_f64(isa == NNC_ISA_COUNT ? NNC_ISA_BASELINE : isa);
}
static const nnc_low_kernels *low_kernels_for(nnc_isa isa) {
  return nnc_low_kernels_for(isa == NNC_ISA_COUNT ? NNC_ISA_BASELINE : isa);
}

const nnc_kernel_interface *nnc_get_kernel_interface(void) {
  static const nnc_kernel_interface interface = {
      .size = sizeof(nnc_kernel_interface),
      .table_size = sizeof(nnc_kernels_f32),
      .update_size = sizeof(nnc_update),
      .recurrence_size = sizeof(nnc_recurrence),
      .low_table_size = sizeof(nnc_low_kernels),
      .kernels_for_f32 = kernels_for_f32,
      .kernels_for_f64 = kernels_for_f64,
      .low_kernels_for = low_kernels_for,
      .tiles_permit = nnc_tiles_permit,
      .tiles_configure = nnc_tiles_configure,
      .tiles_release = nnc_tiles_release,
      .isa_names = nnc_isa_names,
      .losses = nnc_losses,
      .optimizers = nnc_optimizers,
      .optimizer_prepare = nnc_optimizer_prepare,
      .optimizer_uses = nnc_optimizer_uses,
  };
  return &interface;
}
