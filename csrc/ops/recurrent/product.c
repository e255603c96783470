/* recurrent_product: the register tiles of the recurrent product, and the table of them by width and height. The template is
 * tile.inc. The height of a tile depends on the number of registers: 32 with AVX-512, otherwise 16. */
#include "ops/recurrent/recurrent.h"
#include "ops/tile.h"

enum { AHEAD = 10 };

#define TILE_(rows, vecs) tile_##rows##x##vecs
#define TILE(rows, vecs) TILE_(rows, vecs)
#define TILES_(vecs) tiles_##vecs
#define TILES(vecs) TILES_(vecs)

#if defined(__AVX512F__)
#define ROWS_1 8
#define ROWS_2 8
#define ROWS_3 8
#define ROWS_4 6
#elif defined(__AVX2__)
#define ROWS_1 8
#define ROWS_2 6
#define ROWS_3 4
#define ROWS_4 3
#elif NNC_SMALL
#define ROWS_1 1
#define ROWS_2 1
#define ROWS_3 1
#define ROWS_4 1
#else
#define ROWS_1 8
#define ROWS_2 4
#define ROWS_3 3
#define ROWS_4 2
#endif

#define TILE_VECS 1
#define TILE_MAX_ROWS ROWS_1
#include "ops/recurrent/rows.inc"
#define TILE_VECS 2
#define TILE_MAX_ROWS ROWS_2
#include "ops/recurrent/rows.inc"
#define TILE_VECS 3
#define TILE_MAX_ROWS ROWS_3
#include "ops/recurrent/rows.inc"
#define TILE_VECS 4
#define TILE_MAX_ROWS ROWS_4
#include "ops/recurrent/rows.inc"

const recurrent_tiles KERNEL(recurrent_tiles)[MAX_VECS + 1] = {
    [1] = {TILES(1), ROWS_1}, [2] = {TILES(2), ROWS_2}, [3] = {TILES(3), ROWS_3}, [4] = {TILES(4), ROWS_4}};
