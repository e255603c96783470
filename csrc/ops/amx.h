/* amx.h: the tile instructions, for kernels that are compiled for amx. Nothing else in the library may contain them
 * (tests/csrc/amx looks).
 *
 * They are assembly because the intrinsics of GCC 12 lose stores: its loads do not say that they read memory, so that what was stored
 * for them is removed where it is overwritten later. Tiles are literals, 0 to 7, outside of the compiler's allocation of registers.
 * A function that uses them writes their numbers out; strides are in bytes. Each tile has 16 rows of 64 bytes: base/tiles.h configures
 * and releases them.
 */
#ifndef NNC_OPS_AMX_H
#define NNC_OPS_AMX_H

#include <stddef.h>

#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define TILE_LOAD(t, from, stride) \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"((ptrdiff_t)(stride)) : "memory")
/* For what is read once: it does not push out of the first cache what is read again. */
#define TILE_LOAD_ONCE(t, from, stride) \
  __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm" #t : : "r"(from), "r"((ptrdiff_t)(stride)) : "memory")
#define TILE_STORE(t, to, stride) \
  __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(to), "r"((ptrdiff_t)(stride)) : "memory")
/* c += a b: of pairs of bfloat16; of four signed bytes; of four unsigned bytes in a and signed ones in b. */
#define TILE_BF16(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#define TILE_INT8(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#define TILE_UINT8(c, a, b) __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

#endif
