/* tiles.h: the register tiles of this instruction set, and the product of one block of k that uses them: panels of columns as wide
 * as a tile, multiplied by all rows of A. No copies here, and no blocks (blocks.h). Included only by gemm.c.
 */
#ifndef NNC_OPS_GEMM_TILES_H
#define NNC_OPS_GEMM_TILES_H

#include "ops/op.h"
#include "ops/tile.h"

/* Lines to prefetch into the second-level cache: `count` lines, `step` bytes apart, one after each k; then `turns` times the same,
 * `shift` bytes later. */
typedef struct {
  const real *from;
  size_t step, count, shift, turns;
} fetch;

/* Distances between rows (a_col: columns), in bytes. */
typedef struct {
  size_t ldc, a_row, a_col, ldb;
  int accumulate;
  size_t a_tile;        /* from one register tile of a to the next; set where the height of the tiles is chosen */
  const fetch *fetches; /* FETCHES of them, for the tiles that fetch */
} layout;

enum { FETCHES = 3 };

typedef void tile_function(real *c, const real *a, const real *b, const real *bias, size_t m, size_t cols, size_t k,
                           const layout *at);

#define NOINLINE __attribute__((noinline))

/* The last vector of a tile is a whole one. It ends at the last column and overlaps its neighbour in the same tile, whose columns
 * are computed twice with the same bits. A masked load instead would cost one slot of the multipliers. A tile narrower than one
 * vector loads its lanes one by one (and, without masks, b through a padded copy: see tiles). */
#define LAST_OFFSET(vecs, cols) ((vecs) > 1 ? (cols) - VL : 0)
#define LAST_LANES(vecs, cols) (cols)
#define LAST_LOAD(vecs, p, lanes) ((vecs) > 1 ? vload(p) : vload_n(p, lanes))
#define LAST_STORE(vecs, p, v, lanes) ((vecs) > 1 ? vstore(p, v) : vstore_n(p, v, lanes))
#if NNC_VECTOR_BYTES == 16
#define LAST_RIGHT(vecs, p, lanes) vload(p)
#else
#define LAST_RIGHT(vecs, p, lanes) LAST_LOAD(vecs, p, lanes)
#endif

/* Rows of the tiles that are 1, 2, 3, 4, 8 vectors wide, limited by the number of registers (without FMA, a product needs one
 * more). The length of a block of k: c is loaded and stored once per block, and a panel of b of that length stays in the
 * second-level cache even if its rows are 2 KB apart. TN is copied if it has at least PACK_COLS columns. */
#if defined(__AVX512F__)
#define ROWS_1 16
#define ROWS_2 8
#define ROWS_3 8
#define ROWS_4 6
#define ROWS_8 3
enum { REGISTERS = 32, K_BLOCK = 320, PACK_COLS = 16 * VL };
#elif defined(__AVX2__)
#define ROWS_1 8
#define ROWS_2 6
#define ROWS_3 4
#define ROWS_4 3
#define ROWS_8 1
enum { REGISTERS = 16, K_BLOCK = 256, PACK_COLS = 8 * VL };
#elif NNC_SMALL
#define ROWS_1 1
#define ROWS_2 1
#define ROWS_3 1
#define ROWS_4 1
#define ROWS_8 1
enum { REGISTERS = 16, K_BLOCK = 256, PACK_COLS = 8 * VL };
#else
#define ROWS_1 8
#define ROWS_2 4
#define ROWS_3 3
#define ROWS_4 2
#define ROWS_8 1
enum { REGISTERS = 16, K_BLOCK = 256, PACK_COLS = 8 * VL };
#endif

#define TILE_(rows, vecs, ahead) tile_##rows##x##vecs##_##ahead
#define TILE(rows, vecs, ahead) TILE_(rows, vecs, ahead)
#define TILES_(vecs, ahead) tiles_##vecs##_##ahead
#define TILES(vecs, ahead) TILES_(vecs, ahead)

#define TILE_VECS 1
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_1
#include "ops/gemm/rows.inc"
#define TILE_VECS 2
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_2
#include "ops/gemm/rows.inc"
#define TILE_VECS 2
#define TILE_AHEAD 8
#define TILE_MAX_ROWS ROWS_2
#include "ops/gemm/rows.inc"
#define TILE_VECS 3
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_3
#include "ops/gemm/rows.inc"
#define TILE_VECS 3
#define TILE_AHEAD 8
#define TILE_MAX_ROWS ROWS_3
#include "ops/gemm/rows.inc"
#define TILE_VECS 4
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_4
#include "ops/gemm/rows.inc"
#define TILE_VECS 4
#define TILE_AHEAD 8
#define TILE_MAX_ROWS ROWS_4
#include "ops/gemm/rows.inc"
#define TILE_VECS 8
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_8
#include "ops/gemm/rows.inc"

enum { PACK_ROWS = ROWS_3 };
#define TILE_FETCHES 1
#define TILE_AHEAD 1
#define TILE_VECS 2
#define TILE_ROWS ROWS_3
#include "ops/gemm/tile.inc"
#undef TILE_VECS
#define TILE_VECS 3
#define TILE_ROWS ROWS_3
#include "ops/gemm/tile.inc"
#undef TILE_VECS
#undef TILE_AHEAD
#undef TILE_FETCHES
static const struct {
  tile_function *const *plain, *const *prefetching; /* without and with prefetch, by rows */
  size_t max_rows;
} shapes[] = {
    [1] = {TILES(1, 0), TILES(1, 0), ROWS_1}, [2] = {TILES(2, 0), TILES(2, 8), ROWS_2}, [3] = {TILES(3, 0), TILES(3, 8), ROWS_3},
    [4] = {TILES(4, 0), TILES(4, 8), ROWS_4}, [8] = {TILES(8, 0), TILES(8, 0), ROWS_8},
};

/* The number of vectors of the next panel, for `rest` remaining ones. A single vector must not remain, because it could not
 * overlap. */
INLINE size_t next_panel(size_t rest, size_t m, int prefetch) {
  if (rest <= 3) return rest;
  if (m <= ROWS_8 && rest >= 8 && rest != 9) return 8;
  if (m <= ROWS_4 || (REGISTERS == 32 && m > 8 && !prefetch)) return rest % 4 == 0 || rest == 7 ? 4 : 3;
  return rest == 4 ? 2 : 3;
}

/* The height of the next row tile: as large as possible, with the last two balanced (13 rows are 7 and 6). */
INLINE size_t next_tile(size_t rest, size_t limit) { return rest <= limit ? rest : rest >= 2 * limit ? limit : (rest + 1) / 2; }

/* Operands that fit roughly into the first-level cache, where prefetching would only cost instructions. */
INLINE int fits_first_cache(size_t m, size_t n, size_t k) { return (m + n) * k * sizeof(real) <= 48 * 1024; }

/* One panel of b, vecs vectors wide, for m rows of a. */
INLINE void multiply_panel(real *c, const real *a, const real *b, const real *bias, size_t m, size_t cols, size_t k, size_t vecs,
                           int prefetch, layout *at) {
  const size_t max_rows = shapes[vecs].max_rows;
  tile_function *const *const by_rows = prefetch ? shapes[vecs].prefetching : shapes[vecs].plain;
  for (size_t rest = m, rows; rest; rest -= rows) {
    const size_t height = next_tile(rest, max_rows);
    rows = height;
    if (height == max_rows)
      while (rest - rows == max_rows || rest - rows >= 2 * max_rows) rows += max_rows;
    at->a_tile = height * at->a_row;
    by_rows[height](c, a, b, bias, rows, cols, k, at);
    c = (real *)STEP(c, rows * at->ldc);
    a = STEP(a, rows * at->a_row);
  }
}

/* All of b, if it is one vector wide and small. */
static NOINLINE void single_panel(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                                  layout *at) {
  multiply_panel(c, a, b, bias, m, n, k, 1, 0, at);
}

/* One block of k. */
static NOINLINE void tiles(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                           const layout *given) {
  layout at = *given;
#if NNC_VECTOR_BYTES == 16
  real padded[K_BLOCK * VL];
  if (n < VL) {
    for (size_t p = 0; p < k; p++)
      for (size_t j = 0; j < VL; j++) padded[p * VL + j] = j < n ? STEP(b, p * at.ldb)[j] : 0;
    b = padded;
    at.ldb = VL * sizeof(real);
  }
#endif
  const int prefetch = !fits_first_cache(m, n, k);
  while (n) {
    const size_t vecs = next_panel((n + VL - 1) / VL, m, prefetch), cols = vecs * VL < n ? vecs * VL : n;
    multiply_panel(c, a, b, bias, m, cols, k, vecs, prefetch, &at);
    n -= cols;
    c += cols;
    b += cols;
    if (bias) bias += cols;
  }
}

#endif
