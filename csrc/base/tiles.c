/* tiles.c: see tiles.h. The compiler's functions for tiles are not used here or elsewhere: those of GCC 12 tell it neither that a load
 * reads memory nor that LDTILECFG reads all of its operand, so it removes the stores before them. */
#define _GNU_SOURCE
#include "base/tiles.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };    /* of arch_prctl */
enum { OSXSAVE = 1 << 27 };                              /* CPUID 1, ECX */
enum { BF16 = 1 << 22, TILE = 1 << 24, INT8 = 1 << 25 }; /* CPUID 7.0, EDX */
enum { SAVED = 3 << 17 };                                /* XCR0: configuration and data */

/* The emulator of the tests (tests/csrc/amx) defines it. No library does, so elsewhere its address is null: a process without the
 * emulator cannot believe that there are tiles. */
__attribute__((weak, visibility("default"))) int nncore_amx_emulator(void);

static int cpu_has_tiles(void) {
  const unsigned wanted = BF16 | TILE | INT8;
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & wanted) != wanted) return 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & SAVED) == SAVED;
}

int nnc_tiles_exist(void) { return cpu_has_tiles() || (nncore_amx_emulator && nncore_amx_emulator()); }

/* A refusal is not final: the thread with the small stack may have ended by the next request. */
static atomic_int answer;

int nnc_tiles_answer(void) { return atomic_load_explicit(&answer, memory_order_relaxed); }

int nnc_tiles_permit(void) {
  if (nnc_tiles_answer() <= 0) atomic_store(&answer, syscall(SYS_arch_prctl, (long)REQUEST_PERMISSION, (long)TILE_DATA) ? -1 : 1);
  return nnc_tiles_answer() > 0;
}

void nnc_tiles_configure(void) {
  static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } full = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
  __asm__ volatile("ldtilecfg %0" : : "m"(full));
}

void nnc_tiles_release(void) { __asm__ volatile("tilerelease" : : : "memory"); }

#else

int nnc_tiles_exist(void) { return 0; }
int nnc_tiles_permit(void) { return 0; }
int nnc_tiles_answer(void) { return 0; }
void nnc_tiles_configure(void) {}
void nnc_tiles_release(void) {}

#endif
