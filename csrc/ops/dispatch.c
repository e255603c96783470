/* dispatch.c: from an instruction set to its tables. The build defines NNC_HAVE_X86 if the AVX variants were compiled. Otherwise
 * nnc_cpu_has reports only the baseline, so no other table can be requested. AMX has the tables of AVX-512, but for low precision.
 * It defines NNC_HAVE_EXACT if the baseline rounds a multiply-add twice, and there is a table that rounds it once. */
#include "ops/kernels.h"
#include "ops/low_kernels.h"

#if NNC_HAVE_X86
#define NNC_TABLES(dtype) \
  {&nnc_kernels_baseline_##dtype, &nnc_kernels_avx2_##dtype, &nnc_kernels_avx512_##dtype, &nnc_kernels_avx512_##dtype}
#define NNC_LOW_TABLES \
  {&nnc_low_kernels_baseline_f32, &nnc_low_kernels_avx2_f32, &nnc_low_kernels_avx512_f32, &nnc_low_kernels_amx_f32}
#else
#define NNC_TABLES(dtype) {&nnc_kernels_baseline_##dtype}
#define NNC_LOW_TABLES {&nnc_low_kernels_baseline_f32}
#endif

extern const nnc_kernels_f32 nnc_kernels_baseline_f32, nnc_kernels_avx2_f32, nnc_kernels_avx512_f32;
extern const nnc_kernels_f64 nnc_kernels_baseline_f64, nnc_kernels_avx2_f64, nnc_kernels_avx512_f64;
extern const nnc_low_kernels nnc_low_kernels_baseline_f32, nnc_low_kernels_avx2_f32, nnc_low_kernels_avx512_f32,
    nnc_low_kernels_amx_f32;

const nnc_kernels_f32 *nnc_kernels_for_f32(nnc_isa isa) {
  static const nnc_kernels_f32 *const tables[] = NNC_TABLES(f32);
  return tables[isa];
}

const nnc_kernels_f32 *nnc_kernels_for_f32_exact(nnc_isa isa) {
#if NNC_HAVE_EXACT
  extern const nnc_kernels_f32 nnc_kernels_exact_f32;
  if (isa == NNC_ISA_BASELINE) return &nnc_kernels_exact_f32;
#endif
  return nnc_kernels_for_f32(isa);
}

const nnc_kernels_f64 *nnc_kernels_for_f64(nnc_isa isa) {
  static const nnc_kernels_f64 *const tables[] = NNC_TABLES(f64);
  return tables[isa];
}

const nnc_low_kernels *nnc_low_kernels_for(nnc_isa isa) {
  static const nnc_low_kernels *const tables[] = NNC_LOW_TABLES;
  return tables[isa];
}
