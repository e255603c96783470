/* fpstate.h: sets flush-to-zero for a C call, and restores the caller's floating-point state afterwards.
 *
 * Operations on denormals take about a hundred cycles on many CPUs, and networks do not need denormals. The mode is per thread, so
 * every worker sets and restores it. Restoring the whole register also restores the caller's exception flags. nnc_fp_default
 * restores the default during a call from the core into Python. */
#ifndef NNC_BASE_FPSTATE_H
#define NNC_BASE_FPSTATE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <immintrin.h>
typedef unsigned nnc_fpstate;
static inline nnc_fpstate nnc_fp_enter(void) {
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(0x9FC0u); /* all exceptions masked, round to nearest, FTZ and DAZ */
  return saved;
}
static inline nnc_fpstate nnc_fp_default(void) {
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(0x1F80u);
  return saved;
}
static inline void nnc_fp_leave(nnc_fpstate saved) { _mm_setcsr(saved); }
#elif defined(__aarch64__)
typedef uint64_t nnc_fpstate;
static inline nnc_fpstate nnc_fp_enter(void) {
  uint64_t saved, flush;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  flush = saved | (UINT64_C(1) << 24);
  __asm__ volatile("msr fpcr, %0" : : "r"(flush));
  return saved;
}
static inline nnc_fpstate nnc_fp_default(void) {
  uint64_t saved, keep;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  keep = saved & ~(UINT64_C(1) << 24);
  __asm__ volatile("msr fpcr, %0" : : "r"(keep));
  return saved;
}
static inline void nnc_fp_leave(nnc_fpstate saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }
#else
typedef int nnc_fpstate;
static inline nnc_fpstate nnc_fp_enter(void) { return 0; }
static inline nnc_fpstate nnc_fp_default(void) { return 0; }
static inline void nnc_fp_leave(nnc_fpstate saved) { (void)saved; }
#endif

#endif
