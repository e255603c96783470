/* dispatch.c: from an instruction set to its tables. The build defines NNC_HAVE_X86 where the AVX variants were compiled. */
#include "ops/kernels.h"

#define NNC_VARIANTS(dtype)                                                                    \
  extern const nnc_kernels_##dtype nnc_kernels_baseline_##dtype;                               \
  extern const nnc_kernels_##dtype nnc_kernels_avx2_##dtype;                                   \
  extern const nnc_kernels_##dtype nnc_kernels_avx512_##dtype;                                 \
  const nnc_kernels_##dtype *nnc_kernels_for_##dtype(nnc_isa isa) {                            \
    return NNC_WIDE(isa == NNC_ISA_AVX512 ? &nnc_kernels_avx512_##dtype                        \
                    : isa == NNC_ISA_AVX2 ? &nnc_kernels_avx2_##dtype :) &nnc_kernels_baseline_##dtype; \
  }
#if NNC_HAVE_X86
#define NNC_WIDE(...) __VA_ARGS__
#else
#define NNC_WIDE(...)
#endif

NNC_VARIANTS(f32)
NNC_VARIANTS(f64)
