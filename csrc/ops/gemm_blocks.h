/* gemm_blocks.h: products of any size: cut into blocks of k, and of rows that stay in the second cache, with copies of what would cost an
 * entry of the address cache for each k. Included by gemm.c alone.
 *
 * The copies lie in the thread's scratch (base/scratch.h), a panel of b (61 KB with AVX-512) and then at most PACK_BYTES of a, whatever the
 * size of the product. Where there is no memory for it, nothing is copied: slower, to the same bits.
 */
#ifndef NNC_OPS_GEMM_BLOCKS_H
#define NNC_OPS_GEMM_BLOCKS_H

#include "base/scratch.h"
#include "ops/gemm_tiles.h"

/* A block of a that is copied, and one that is not; from which size on a panel of b is copied, in bytes from its first
 * row to its last: the first address cache has 64 entries, of 4 KB each. */
enum { PACK_BYTES = 160 * 1024, BLOCK_BYTES = 384 * 1024, COPY_BYTES = 48 * 4096, DISTANT_BYTES = 2 << 20 };
enum { PANEL = K_BLOCK * 3 * VL }; /* elements of a panel's copy */
_Static_assert(PANEL * sizeof(real) + PACK_BYTES <= NNC_SCRATCH_BYTES, "the copies of a block have to fit into the scratch");

/* Whether the rows of a panel of b lie on more pages than the address cache has room for. */
INLINE int is_scattered(size_t k, size_t ldb) { return ldb >= 2048 && k * ldb > COPY_BYTES; }

/* The register tiles of rows columns of a [k, a_col], one after another, tile bytes apart; eight k at a time, so that whole lines are
 * written. */
static NOINLINE void pack_columns(real *p, const real *a, size_t rows, size_t k, size_t a_col, size_t tile) {
  for (size_t rest = k, depth; rest; rest -= depth) {
    depth = rest < 8 ? rest : 8;
    real *to = p;
    size_t i = 0;
    for (; i + PACK_ROWS <= rows; i += PACK_ROWS, to = (real *)STEP(to, tile)) {
      const real *from = a + i;
      if (depth == 8) {
        const real *ahead = STEP(from, 8 * a_col);
#pragma GCC unroll 8
        for (size_t q = 0; q < 8; q++) {
          memcpy(to + q * PACK_ROWS, from, PACK_ROWS * sizeof(real));
          from = STEP(from, a_col);
          if (i % (64 / sizeof(real)) == 0) __builtin_prefetch(ahead);
          ahead = STEP(ahead, a_col);
        }
      } else {
        for (size_t q = 0; q < depth; q++, from = STEP(from, a_col)) memcpy(to + q * PACK_ROWS, from, PACK_ROWS * sizeof(real));
      }
    }
    for (size_t q = 0; q < depth && i < rows; q++) {
      const real *from = STEP(a, q * a_col);
      for (size_t r = 0; i + r < rows; r++) to[q * PACK_ROWS + r] = from[i + r];
    }
    p += depth * PACK_ROWS;
    a = STEP(a, depth * a_col);
  }
}

/* A panel of b for whole * PACK_ROWS rows of a. The first tile copies it while it computes, if that pays; the others read the copy. */
static void panel_rows(real *c, const real *a, const real *b, const real *bias, size_t whole, size_t cols, size_t k, size_t vecs,
                       layout *at) {
  tile_function *const reading = shapes[vecs].far[PACK_ROWS];
  if (whole < 6) {
    reading(c, a, b, bias, whole * PACK_ROWS, cols, k, at);
    return;
  }
  const int copies = is_scattered(k, at->ldb);
  (!copies ? reading : vecs == 3 ? TILE(ROWS_3, 3, 24) : TILE(ROWS_3, 2, 24))(c, a, b, bias, PACK_ROWS, cols, k, at);
  if (copies) {
    b = at->copy;
    at->ldb = vecs * VL * sizeof(real);
  }
  c = (real *)STEP(c, PACK_ROWS * at->ldc);
  a = STEP(a, at->a_tile);
  tile_function *const fetching =
      at->distant ? (vecs == 3 ? TILE(ROWS_3, 3, 2) : TILE(ROWS_3, 2, 2)) : (vecs == 3 ? TILE(ROWS_3, 3, 1) : TILE(ROWS_3, 2, 1));
  fetching(c, a, b, bias, (whole - 1) * PACK_ROWS, cols, k, at);
}

/* rows rows of a against all of b, n > VL, k <= K_BLOCK. tile != 0: a is packed, with so many bytes per register tile. */
static NOINLINE void block(real *c, const real *a, const real *b, const real *bias, size_t rows, size_t n, size_t k, size_t tile,
                           const layout *given) {
  for (size_t j = 0, cols; j < n; j += cols) {
    layout at = *given;
    const size_t vecs = next_panel((n - j + VL - 1) / VL, PACK_ROWS + 1, 1), left = n - j, whole = rows / PACK_ROWS;
    cols = vecs * VL < left ? vecs * VL : left;
    const real *start = bias ? bias + j : NULL, *ai = a;
    real *ci = c + j;
    at.a_tile = tile ? tile : PACK_ROWS * at.a_row;
    if (left > cols) {
      at.next = b + j + cols;
      at.next_step = at.ldb;
    }
    if (whole) {
      panel_rows(ci, ai, b + j, start, whole, cols, k, vecs, &at);
      at.ldb = given->ldb;
      ci = (real *)STEP(ci, whole * PACK_ROWS * at.ldc);
      ai = STEP(ai, whole * at.a_tile);
    }
    if (rows > whole * PACK_ROWS) walk_rows(ci, ai, b + j, start, rows - whole * PACK_ROWS, cols, k, vecs, 1, &at);
  }
}

/* a is TN, or its rows lie at multiples of 4 KB, which puts them all into the same cache sets: block by block, it is copied. */
static NOINLINE void packed(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                            const layout *given) {
  layout at = *given;
  real *const p = at.copy + PANEL;
  /* An odd number of lines: tiles, or rows, that begin in the same cache set would evict each other while they are written. */
  const int columns = at.a_row == sizeof(real);
  const size_t height = columns ? PACK_ROWS : 1, tile = ((k * height * sizeof(real) + 63) / 64 | 1) * 64;
  const size_t most = PACK_BYTES / tile * height;
  if (columns) at.a_col = PACK_ROWS * sizeof(real);
  else at.a_row = tile;
  for (size_t i = 0, rows; i < m; i += rows) {
    rows = m - i <= most ? m - i : m - i < 2 * most ? ((m - i) / 2 + PACK_ROWS - 1) / PACK_ROWS * PACK_ROWS : most;
    if (columns) {
      pack_columns(p, a + i, rows, k, given->a_col, tile);
    } else {
      for (size_t r = 0; r < rows; r++) memcpy((real *)STEP(p, r * tile), STEP(a, (i + r) * given->a_row), k * sizeof(real));
    }
    block((real *)STEP(c, i * at.ldc), p, b, bias, rows, n, k, columns ? tile : 0, &at);
  }
}

static NOINLINE void unpacked(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                              const layout *at) {
  const size_t most = BLOCK_BYTES / sizeof(real) / k;
  for (size_t i = 0, rows; i < m; i += rows) {
    rows = next_tile(m - i, most);
    block((real *)STEP(c, i * at->ldc), STEP(a, i * at->a_row), b, bias, rows, n, k, 0, at);
  }
}

static NOINLINE void tiled(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                           const layout *given) {
  layout at = *given;
  const size_t deepest = k < K_BLOCK ? k : K_BLOCK;
  at.distant = k * n * sizeof(real) > DISTANT_BYTES;
  const int tall = m >= 6 * PACK_ROWS && n >= 2 * VL && is_scattered(deepest, at.ldb), wide = n >= PACK_COLS;
  const int pack =
      at.a_row == sizeof(real) ? wide && m > PACK_ROWS && m * k * sizeof(real) > 8 * 1024 : tall && wide && at.a_row % 4096 == 0;
  if (pack || tall) at.copy = nnc_scratch();
  for (size_t blocks = (k + K_BLOCK - 1) / K_BLOCK;; blocks--) {
    const size_t depth = blocks > 1 ? (k + blocks - 1) / blocks : k;
    (!at.copy ? tiles : pack ? packed : unpacked)(c, a, b, bias, m, n, depth, &at);
    if (blocks <= 1) return;
    a = STEP(a, depth * at.a_col);
    b = STEP(b, depth * at.ldb);
    k -= depth;
    at.accumulate = 1;
  }
}

/* Small nets make many small products, which need neither blocks nor copies, and most of all no time spent on choosing. */
INLINE void product(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, layout *at) {
  if (k > K_BLOCK || !is_near(m, n, k)) tiled(c, a, b, bias, m, n, k, at);
  else if (NNC_VECTOR_BYTES > 16 && n && n <= VL) walk_rows(c, a, b, bias, m, n, k, 1, 0, at);
  else tiles(c, a, b, bias, m, n, k, at);
}

#endif
