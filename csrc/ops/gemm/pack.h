/* pack.h: copies of blocks of A and B, for blocks.h. Moves bits, rounds nothing.
 *
 * A block of b of k rows becomes panels of WIDE columns, as wide as a register tile, each contiguous: [panel][k][WIDE]. It is read
 * in its own layout: by rows, all panels in parallel, or, for NT, by columns, transposed during the copy. A strip of a stored by
 * columns (TN) becomes tiles [k][PACK_ROWS].
 */
#ifndef NNC_OPS_GEMM_PACK_H
#define NNC_OPS_GEMM_PACK_H

#include "ops/gemm/tiles.h"
#include "ops/transpose/tile.h"

/* BLOCK_DEPTH is the largest k of a block. A strip has as many whole tiles as fill a cache line. PANELS of them take 192 KB and
 * leave space for a strip within 256 KB. The last numbers are prefetch distances in rows, lines and k. */
enum { WIDE = 3 * VL, LINE = 64 / sizeof(real), STRIP = (LINE + PACK_ROWS - 1) / PACK_ROWS * PACK_ROWS };
enum { BLOCK_DEPTH = 256, PANELS = 4 * 64 / NNC_VECTOR_BYTES, ROWS_AHEAD = 4, LINES_AHEAD = 4, COLUMNS_AHEAD = 16 };

/* The panels of some columns of b: where each begins and the last one ends, and how many vectors wide it is, 2 or 3. */
typedef struct {
  size_t count, start[PANELS + 1], vecs[PANELS];
} group;

/* n >= 2 * VL columns are left. */
static group next_group(size_t n) {
  group g = {0};
  for (size_t rest = n; rest && g.count < PANELS; g.count++) {
    const size_t vecs = next_panel((rest + VL - 1) / VL, PACK_ROWS + 1, 1), cols = vecs * VL < rest ? vecs * VL : rest;
    g.vecs[g.count] = vecs;
    g.start[g.count + 1] = g.start[g.count] + cols;
    rest -= cols;
  }
  return g;
}

static NOINLINE void pack_rows(real *p, const real *b, size_t k, size_t ldb, const group *g) {
  const size_t panel = k * WIDE, cols = g->start[g->count];
  for (size_t r = 0; r < k; r++, p += WIDE) {
    const real *ahead = STEP(b, ROWS_AHEAD * ldb);
    for (size_t j = 0; j < cols; j += LINE) __builtin_prefetch(ahead + j);
    __builtin_prefetch(ahead + cols - 1);
    real *to = p;
    for (size_t i = 0; i < g->count; i++, to += panel) {
      const real *from = b + g->start[i];
      const size_t last = g->start[i + 1] - g->start[i] - VL; /* overlaps its neighbour, as in the tiles */
      vstore(to, vload(from));
      if (g->vecs[i] > 2) vstore(to + VL, vload(from + VL));
      vstore(to + last, vload(from + last));
    }
    b = STEP(b, ldb);
  }
}

/* Column j of a panel is row j of b. VL rows are copied line by line, each line read once. Rows whose distance is a power of two
 * are in the same cache sets, and there are more of them than ways, so they would evict each other before their lines are used
 * completely. */
static NOINLINE void pack_transposed(real *p, const real *b, size_t k, size_t ldb, const group *g) {
  const size_t panel = k * WIDE;
  for (size_t i = 0; i < g->count; i++, p += panel) {
    const size_t cols = g->start[i + 1] - g->start[i];
    for (size_t j = 0; j < cols; j += VL) {
      const size_t at = j + VL <= cols ? j : cols - VL;
      const real *rows = STEP(b, (g->start[i] + at) * ldb);
      if (k < VL) {
        for (size_t q = 0; q < k; q++)
          for (size_t l = 0; l < VL; l++) p[q * WIDE + at + l] = STEP(rows, l * ldb)[q];
        continue;
      }
      for (size_t q = 0; q < k; q += VL) {
        if (q + VL > k) q = k - VL;
        real lines[VL * VL] __attribute__((aligned(64)));
        const real *from = rows + q, *ahead = from + LINES_AHEAD * LINE;
        if (q + LINES_AHEAD * LINE >= k) ahead = STEP(ahead - k, VL * ldb);
        for (size_t l = 0; l < VL; l++) {
          vstore(lines + l * VL, vload(from));
          from = STEP(from, ldb);
          __builtin_prefetch(ahead);
          ahead = STEP(ahead, ldb);
        }
        transpose_strip(p + q * WIDE + at, lines, VL, VL, WIDE, VL);
      }
    }
  }
}

/* Tiles of rows columns of a [k, a_col], rows <= STRIP, tile bytes apart. */
static NOINLINE void pack_columns(real *p, const real *a, size_t rows, size_t k, size_t a_col, size_t tile) {
  const real *ahead = STEP(a, COLUMNS_AHEAD * a_col) + rows - 1;
  for (size_t q = 0; q < k; q++) {
    real *to = p;
    size_t i = 0;
    if (rows == STRIP) {
#pragma GCC unroll 8
      for (; i < STRIP; i += PACK_ROWS, to = (real *)STEP(to, tile)) memcpy(to, a + i, PACK_ROWS * sizeof(real));
    } else {
      for (; i + PACK_ROWS <= rows; i += PACK_ROWS, to = (real *)STEP(to, tile)) memcpy(to, a + i, PACK_ROWS * sizeof(real));
      for (size_t r = 0; i + r < rows; r++) to[r] = a[i + r];
    }
    __builtin_prefetch(ahead, 0, 2);
    ahead = STEP(ahead, a_col);
    a = STEP(a, a_col);
    p += PACK_ROWS;
  }
}

#endif
