/* cpu.c: detection of the CPU. The compiler's builtin reads CPUID and XCR0. So an AVX-512 CPU counts as one without AVX-512 if the
 * operating system does not save the wide registers. Clang's builtin does not know AMX: see tiles.h. */
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/tiles.h"

int nnc_cpu_has(nnc_isa isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  switch (isa) {
    case NNC_ISA_BASELINE: return 1;
    case NNC_ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case NNC_ISA_AVX512:
      return nnc_cpu_has(NNC_ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    case NNC_ISA_AMX: return nnc_cpu_has(NNC_ISA_AVX512) && __builtin_cpu_supports("avx512bf16") && nnc_tiles_exist();
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

int nnc_cpu_has_vnni(int wide) {
#if defined(__x86_64__)
  if (wide) return __builtin_cpu_supports("avx512vnni");
  /* Clang's builtin does not know AVX-VNNI. CPUID takes microseconds in a virtual machine, so that it is asked once. */
  static _Atomic int known;
  if (!known) {
    unsigned a = 0, b, c, d;
    known = __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1 ? 1 : -1;
  }
  return known > 0;
#else
  (void)wide;
  return 0;
#endif
}
