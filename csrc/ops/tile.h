/* tile.h: common code of the register tiles (gemm/tile.inc, recurrent/tile.inc): addresses in bytes, and macros that prevent GCC 12
 * from changing the register layout; gemm/tile.inc explains how.
 */
#ifndef NNC_OPS_TILE_H
#define NNC_OPS_TILE_H

#include "ops/simd.h"

#define STEP(pointer, bytes) ((const real *)((const char *)(pointer) + (bytes)))
#define HIDE(integer) __asm__("" : "+r"(integer))
#if defined(__x86_64__)
#define PIN(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define PIN(vector) __asm__("" : "+w"(vector))
#else
#define PIN(vector) ((void)0)
#endif

enum { VECS_PER_LINE = 64 / NNC_VECTOR_BYTES };

#endif
