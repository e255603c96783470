/* panel.h: the products of one left operand with some columns of blocks, for a kernel that multiplies from step to step. */
#ifndef NNC_OPS_BF16_PANEL_H
#define NNC_OPS_BF16_PANEL_H

#include "ops/bf16/blocks.h"
#include "ops/bf16/finish.h"
#if NNC_HAVE_AMX
#include "ops/amx.h"
#endif

/* With tiles, the product of the next panel should be begun before the cells of this one, which are computed meanwhile. */
enum { PANEL_AHEAD = NNC_HAVE_AMX };

/* A left operand of at most 32 rows, with its `steps` blocks of k. For tiles, it lies at `at`, and `blocks` is memory for one. Otherwise it
 * consists of the floats [steps][rows][32]. */
typedef struct {
  nnc_bf16 *blocks;
  const nnc_bf16 *at;
  float *floats;
  size_t steps;
} left_operand;

#if NNC_HAVE_AMX
/* c [32, 32] = A B. The left operand is read again and again, the right one once per step. */
static NOINLINE void multiply_tiles(float *c, const nnc_bf16 *a, const nnc_bf16 *b, size_t steps, int two_rows, int two_columns) {
  enum { ROW = SIDE * sizeof(float), LINE = 64 };
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
  for (; steps; steps--, a += BLOCK, b += BLOCK) {
    TILE_LOAD(4, a, LINE);
    TILE_LOAD_ONCE(6, b, LINE);
    TILE_BF16(0, 4, 6);
    if (two_rows) {
      TILE_LOAD(5, a + TILE_WORDS, LINE);
      TILE_BF16(2, 5, 6);
    }
    if (!two_columns) continue;
    TILE_LOAD_ONCE(7, b + TILE_WORDS, LINE);
    TILE_BF16(1, 4, 7);
    if (two_rows) TILE_BF16(3, 5, 7);
  }
  TILE_STORE(0, c, ROW);
  if (two_columns) TILE_STORE(1, c + HALF, ROW);
  if (two_rows) TILE_STORE(2, c + HALF * SIDE, ROW);
  if (two_rows && two_columns) TILE_STORE(3, c + HALF * SIDE + HALF, ROW);
}
#endif

/* c [count][32, 32] = A B, for `count` columns of blocks of b, of which the first `width` columns are wanted. */
INLINE void multiply_panel(float *c, size_t count, const left_operand *left, const nnc_bf16 *b, size_t rows, size_t width) {
#if NNC_HAVE_AMX
  for (size_t g = 0; g < count; g++)
    multiply_tiles(c + g * BLOCK, left->at, b + g * left->steps * BLOCK, left->steps, rows > HALF, width > HALF);
#else
  enum { CHUNK = 16 * 1024 }; /* bytes of the left operand that are multiplied at once, in the first cache */
  const size_t most = CHUNK / (rows * SIDE * sizeof(float));
  for (size_t s = 0, length; s < left->steps; s += length) {
    length = left->steps - s < most ? left->steps - s : most;
    for (size_t g = 0; g < count; g++)
      KERNEL(bf16_block)(c + g * BLOCK, left->floats + s * rows * SIDE, b + (g * left->steps + s) * BLOCK, rows, width, length, !s);
  }
#endif
}

#endif
