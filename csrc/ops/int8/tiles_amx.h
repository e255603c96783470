/* tiles_amx.h: products of 8-bit integers in the tiles of AMX, for several rows: 32 rows times 32 columns at once. The thread has
 * entered the tile state (base/tiles.h), so that all tiles have 16 rows of 64 bytes.
 *
 * Tiles 0 to 3 hold sums, 4 and 5 rows of inputs, 6 and 7 blocks of weights: 64 numbers of k at a time. Where k ends before, inputs are
 * zeros, and what stands behind the block is multiplied by them. */
#ifndef NNC_OPS_INT8_TILES_AMX_H
#define NNC_OPS_INT8_TILES_AMX_H

#include "ops/amx.h"
#include "ops/low_op.h"

enum { TILE_ROWS_AMX = 16, TILE_GROUPS = 16 };

/* sum[2 rows of tiles][2 blocks][16][16], of which those that are not asked for stay as they are. */
static void multiply_tiles(int32_t *sum, const uint8_t *x, size_t ldx, int two_rows, const int8_t *w, size_t block, int two_blocks,
                           size_t groups) {
  const uint8_t *below = x + TILE_ROWS_AMX * ldx;
  const int8_t *beside = w + block;
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
  for (size_t g = 0; g < groups; g += TILE_GROUPS) {
    TILE_LOAD(4, x + g * NNC_INT8_GROUP, ldx);
    TILE_LOAD(6, w + g * NNC_INT8_LINE, NNC_INT8_LINE);
    TILE_UINT8(0, 4, 6);
    if (two_blocks) {
      TILE_LOAD(7, beside + g * NNC_INT8_LINE, NNC_INT8_LINE);
      TILE_UINT8(1, 4, 7);
    }
    if (!two_rows) continue;
    TILE_LOAD(5, below + g * NNC_INT8_GROUP, ldx);
    TILE_UINT8(2, 5, 6);
    if (two_blocks) TILE_UINT8(3, 5, 7);
  }
  TILE_STORE(0, sum, 64);
  if (two_blocks) TILE_STORE(1, sum + 256, 64);
  if (two_rows) TILE_STORE(2, sum + 512, 64);
  if (two_rows && two_blocks) TILE_STORE(3, sum + 768, 64);
}

#endif
