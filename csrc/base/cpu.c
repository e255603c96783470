/* cpu.c: detection of the CPU, without state. The compiler's builtin reads CPUID and XCR0. So an AVX-512 CPU counts as one without
 * AVX-512 if the operating system does not save the wide registers. Clang's builtin does not know AMX, so the same is done here. */
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Tiles, their products of bfloat16 and of int8, which came together with AVX512_BF16; and the system saves tiles. */
static int has_amx(void) {
  enum { AVX512_BF16 = 1 << 5, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25, OSXSAVE = 1 << 27, TILES = 3 << 17 };
  const unsigned all = AMX_BF16 | AMX_TILE | AMX_INT8;
  unsigned a, b, c, d, state, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
  __asm__("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
  if ((state & TILES) != TILES || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & all) != all) return 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & AVX512_BF16;
}
#endif

int nnc_cpu_has(nnc_isa isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  switch (isa) {
    case NNC_ISA_BASELINE: return 1;
    case NNC_ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case NNC_ISA_AVX512:
      return nnc_cpu_has(NNC_ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    case NNC_ISA_AMX: return nnc_cpu_has(NNC_ISA_AVX512) && has_amx();
    default: return 0;
  }
#else
  return isa == NNC_ISA_BASELINE;
#endif
}

nnc_isa nnc_cpu_best(void) {
  nnc_isa best = NNC_ISA_BASELINE;
  for (nnc_isa isa = NNC_ISA_BASELINE; isa < NNC_ISA_COUNT; isa++)
    if (nnc_cpu_has(isa)) best = isa;
  return best;
}
