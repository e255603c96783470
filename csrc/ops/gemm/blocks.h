/* blocks.h: large products. They are cut into blocks of k. In each block, b is cut into groups of panels that stay in the
 * second-level cache. Included only by gemm.c.
 *
 * A group is copied (pack.h) so that each panel is contiguous. Then all strips of A are multiplied by it, one after the other.
 * Without the copy, rows of b that are kilobytes apart would need their own TLB entries and cache sets for each k. A strip of A is
 * read in place, unless it is stored by columns (TN) or its rows are multiples of 4 KB apart, in the same cache sets; then it is
 * copied too. While a tile computes, it prefetches line by line what comes next: its share of the next strip, the next tile of c,
 * and some of the next group of b. The copies are in the thread's scratch memory (base/scratch.h), whatever the size of the
 * product. If there is no memory, nothing is copied, which is slower but gives the same bits.
 */
#ifndef NNC_OPS_GEMM_BLOCKS_H
#define NNC_OPS_GEMM_BLOCKS_H

#include "base/scratch.h"
#include "ops/gemm/pack.h"

enum { COMPACT_ROWS = 6 * PACK_ROWS, FEW_ROWS = 10 * PACK_ROWS, COMPACT_BYTES = 8 * 1024, FLAT_ROWS = 256, COPY_BYTES = 48 * 4096 };
/* Elements of the copies: a group of panels and a strip; and a few columns. */
enum { GROUP = PANELS * WIDE * BLOCK_DEPTH, LEFT = STRIP * (BLOCK_DEPTH + 2 * LINE), COLUMNS = COMPACT_ROWS * K_BLOCK };
_Static_assert((GROUP + LEFT) * sizeof(real) <= NNC_SCRATCH_BYTES && COLUMNS * sizeof(real) <= NNC_SCRATCH_BYTES,
               "the copies have to fit into the scratch");

/* The current block of k: the data that all its strips share. */
typedef struct {
  const real *panels, *b_next; /* the group; the source of the next one, in lines that are b_step apart */
  group g;
  size_t k, b_lines, b_step, b_rest, b_share; /* lines per row of that source; rows not yet fetched; rows per tile */
  int by_columns, copies;
} stage;

/* All register tiles, from left to right, then down. a_next is the next strip. */
static void strip_rows(real *c, const real *a, const real *a_next, const real *bias, size_t rows, stage *s, size_t a_tile,
                       size_t a_next_step, layout *at) {
  fetch fetches[FETCHES];
  at->fetches = fetches;
  const size_t lines = s->by_columns ? s->k : (s->k * sizeof(real) + 63) / 64, share = (lines + s->g.count - 1) / s->g.count;
  for (size_t i = 0; i < rows; i += PACK_ROWS, a = STEP(a, a_tile), c = (real *)STEP(c, PACK_ROWS * at->ldc)) {
    const size_t height = rows - i < PACK_ROWS ? rows - i : PACK_ROWS;
    for (size_t q = 0; q < s->g.count; q++) {
      const size_t from = s->g.start[q], cols = s->g.start[q + 1] - from, vecs = s->g.vecs[q];
      const real *panel = s->panels + q * s->k * WIDE, *start = bias ? bias + from : NULL;
      if (height < PACK_ROWS) {
        shapes[vecs].prefetching[height](c + from, a, panel, start, height, cols, s->k, at);
        continue;
      }
      const real *c_next = q + 1 < s->g.count ? c + from + cols : STEP(c, PACK_ROWS * at->ldc);
      if (s->by_columns) fetches[0] = (fetch){STEP(a_next + LINE - 1, q * share * a_next_step), a_next_step, share, 0, i == 0};
      else fetches[0] = (fetch){STEP(a_next, q * share * 64), a_next_step, PACK_ROWS, 64, share};
      fetches[1] = (fetch){c_next, at->ldc, PACK_ROWS, 64, WIDE / LINE + 1};
      const size_t b_rows = s->b_rest < s->b_share ? s->b_rest : s->b_share;
      fetches[2] = (fetch){s->b_next, 64, s->b_lines, s->b_step, b_rows};
      s->b_next = STEP(s->b_next, b_rows * s->b_step);
      s->b_rest -= b_rows;
      (vecs == 3 ? TILE(ROWS_3, 3, 1) : TILE(ROWS_3, 2, 1))(c + from, a, panel, start, PACK_ROWS, cols, s->k, at);
    }
  }
}

/* n >= 2 * VL, k > 0. by_rows: b is [n, k] (NT). */
static NOINLINE void blocked(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, int by_rows,
                             real *scratch, const layout *given) {
  real *const panels = scratch, *const left = scratch + GROUP;
  const size_t b_row = by_rows ? sizeof(real) : given->ldb, b_col = by_rows ? given->ldb : sizeof(real);
  layout at = *given;
  stage s = {.panels = panels, .by_columns = at.a_row == sizeof(real), .b_step = given->ldb};
  s.copies = s.by_columns || at.a_row % 4096 == 0;
  at.ldb = WIDE * sizeof(real);
  if (s.by_columns) at.a_col = PACK_ROWS * sizeof(real);
  const size_t strip = s.by_columns ? STRIP : PACK_ROWS, a_next_step = s.by_columns ? given->a_col : given->a_row;
  for (size_t blocks = (k + BLOCK_DEPTH - 1) / BLOCK_DEPTH, rest = k; blocks; blocks--, rest -= s.k) {
    s.k = (rest + blocks - 1) / blocks;
    /* An odd number of lines, so that rows do not begin in the same cache set. */
    if (s.copies && !s.by_columns) at.a_row = ((s.k * sizeof(real) + 63) / 64 | 1) * 64;
    const size_t a_tile = PACK_ROWS * (s.by_columns ? s.k * sizeof(real) : at.a_row);
    for (size_t j = 0, cols; j < n; j += cols) {
      s.g = next_group(n - j);
      cols = s.g.start[s.g.count];
      (by_rows ? pack_transposed : pack_rows)(panels, STEP(b, j * b_col), s.k, given->ldb, &s.g);

      const int is_last = j + cols == n;
      const group after = next_group(is_last ? n : n - j - cols);
      const size_t width = after.start[after.count], depth = !is_last     ? s.k
                                                             : blocks > 1 ? (rest - s.k + blocks - 2) / (blocks - 1)
                                                                          : 0;
      s.b_next = is_last ? STEP(b, s.k * b_row) : STEP(b, (j + cols) * b_col);
      s.b_lines = (by_rows ? depth : width) * sizeof(real) / 64 + 1;
      s.b_rest = !depth ? 0 : by_rows ? width : depth;
      s.b_share = s.b_rest / (m / PACK_ROWS * s.g.count + 1) + 1;

      for (size_t i = 0, rows; i < m; i += rows) {
        rows = m - i < strip ? m - i : strip;
        const real *in = STEP(a, i * given->a_row), *x = s.copies ? left : in,
                   *next = i + rows < m ? STEP(in, rows * given->a_row) : a;
        if (s.by_columns) {
          pack_columns(left, in, rows, s.k, given->a_col, a_tile);
        } else if (s.copies) {
          for (size_t r = 0; r < rows; r++)
            memcpy((real *)STEP(left, r * at.a_row), STEP(in, r * given->a_row), s.k * sizeof(real));
        }
        strip_rows((real *)STEP(c, i * at.ldc) + j, x, next, bias ? bias + j : NULL, rows, &s, a_tile, a_next_step, &at);
      }
    }
    a = STEP(a, s.k * given->a_col);
    b = STEP(b, s.k * b_row);
    at.accumulate = 1;
  }
}

/* A few columns of a [k, a_col], side by side, for TN with few rows. */
static NOINLINE void packed_columns(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                                    real *copy, const layout *given) {
  layout at = *given;
  at.a_col = COMPACT_ROWS * sizeof(real);
  for (size_t q = 0; q < k; q++) {
    const real *from = STEP(a, q * given->a_col);
    __builtin_prefetch(STEP(from, 16 * given->a_col));
    memcpy(copy + q * COMPACT_ROWS, from, m * sizeof(real));
  }
  tiles(c, copy, b, bias, m, n, k, &at);
}

/* Whether copies of b and of a are worth their cost; measured. */
static int is_blocked(size_t m, size_t n, size_t k, const layout *at) {
  if (m < 6 * PACK_ROWS || n < 2 * VL) return 0;
  const size_t depth = k < K_BLOCK ? k : K_BLOCK;
  const int scattered = at->ldb >= (m < FEW_ROWS ? 4096 : 2048) && depth * at->ldb > COPY_BYTES;
  return scattered || m > FLAT_ROWS || (at->a_row == sizeof(real) && n >= PACK_COLS);
}

static NOINLINE void tiled(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                           const layout *given) {
  const int is_large = is_blocked(m, n, k, given);
  layout at = *given;
  const int copies = at.a_row == sizeof(real) && n >= PACK_COLS && m > PACK_ROWS && m <= COMPACT_ROWS &&
                     at.a_col > 2 * m * sizeof(real) && m * k * sizeof(real) > COMPACT_BYTES;
  real *const scratch = is_large || copies ? nnc_scratch() : NULL;
  if (is_large && scratch) {
    blocked(c, a, b, bias, m, n, k, 0, scratch, given);
    return;
  }
  for (size_t blocks = (k + K_BLOCK - 1) / K_BLOCK;; blocks--) {
    const size_t depth = blocks > 1 ? (k + blocks - 1) / blocks : k;
    if (copies && scratch) packed_columns(c, a, b, bias, m, n, depth, scratch, &at);
    else tiles(c, a, b, bias, m, n, depth, &at);
    if (blocks <= 1) return;
    a = STEP(a, depth * at.a_col);
    b = STEP(b, depth * at.ldb);
    k -= depth;
    at.accumulate = 1;
  }
}

/* Small networks make many small products, which need neither blocks nor copies. The choice itself must be fast. */
INLINE void product(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, layout *at) {
  if (k > K_BLOCK || !fits_first_cache(m, n, k)) tiled(c, a, b, bias, m, n, k, at);
  else if (NNC_VECTOR_BYTES > 16 && n && n <= VL) single_panel(c, a, b, bias, m, n, k, at);
  else tiles(c, a, b, bias, m, n, k, at);
}

#endif
