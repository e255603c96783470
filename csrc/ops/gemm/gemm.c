/* gemm, gemm_nt: c = start + A B, with start = bias, c or 0, A(m, k) = a[m * a_row + k * a_col], and B = b, or its transpose in
 * gemm_nt.
 *
 * The layouts that training needs: NN (forward, and the gradient of the input through a transposed copy of the weights), TN (the
 * gradient of the weights), and NT (the gradient of the input from the weights themselves). NN and TN load b by rows, in vectors,
 * and a by elements, broadcast. So one kernel with two strides for a serves both, and copies are made only if they are faster. NT
 * must transpose b: block by block, in registers, during the copies that large products make anyway.
 *
 * Order of accumulation: each c[m, n] is one chain  acc = fma(A(m, 0), B(0, n), start), fma(A(m, 1), B(1, n), acc), ...  in
 * increasing k, on every path below. Blocking k stores acc in c and loads it again, which changes no bit. So the bits do not
 * depend on the layout or on the split of m and n. With a fused multiply-add they do not depend on the instruction set either.
 * Accuracy: |error| <= k * eps * (|start| + |A| |B|) in each component.
 *
 * Paths, by shape:
 *   tiles     few rows, or small: blocks of k; in them, panels of columns as wide as a register tile (tile.inc), which stay in a
 *             cache while the rows of A pass by. Operands beyond the first cache are prefetched: the rows of a panel are too
 *             far apart for the hardware to guess. NT comes here by small transposed copies.
 *   blocks    many rows and a large b, and NT: groups of panels are copied to where they are contiguous, and stay in the second cache
 *             while all of A passes by (blocks.h, pack.h).
 *   transposed TN with few columns: c^T = b^T A^T, whose right side is a itself, with full lanes along m.
 *   narrow    NN with 1 to 4 columns: the same, over blocks of a that are transposed in registers (narrow.inc). One row of NT is
 *             such a product, too: c^T = B^T a^T.
 *   stream    few rows and a b that comes from memory: b is read once, from front to back (stream.inc).
 */
#include "ops/gemm/blocks.h"
#include "ops/op.h"
#include "ops/transpose/tile.h"

enum { CROSS_COLS = 24, CROSS_ROWS = 3 * VL };

static NOINLINE void transposed_product(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                                        const layout *at) {
  real ct[CROSS_COLS * CROSS_ROWS] __attribute__((aligned(64)));
  layout across = {CROSS_ROWS * sizeof(real), sizeof(real), at->ldb, at->a_col, 1, 0, NULL};
  for (size_t rest = m, rows; rest; rest -= rows) {
    rows = next_tile(rest, CROSS_ROWS);
    if (at->accumulate) {
      transpose_tile(ct, c, rows, n, CROSS_ROWS, at->ldc / sizeof(real));
    } else {
      for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < rows; i += VL) vstore(ct + j * CROSS_ROWS + i, bias ? vset1(bias[j]) : (vec){0});
    }
    product(ct, b, a, NULL, n, rows, k, &across);
    transpose_tile(c, ct, n, rows, at->ldc / sizeof(real), CROSS_ROWS);
    c = (real *)STEP(c, rows * at->ldc);
    a += rows;
  }
}

/* x[r] = column r of the VL x LANE block of a whose rows 0, LANE, 2 * LANE ... begin at row[]. */
INLINE void load_columns(vec x[LANE], const real *const row[LANES], size_t a_row) {
  vec in[LANE];
#pragma GCC unroll 4
  for (size_t r = 0; r < LANE; r++) in[r] = load_lanes(row, r * a_row);
  transpose_squares(x, in);
}

#define NARROW_(cols, strips) narrow_##cols##x##strips
#define NARROW(cols, strips) NARROW_(cols, strips)
#define NARROW_COLS 1
#define NARROW_STRIPS 2
#include "ops/gemm/narrow.inc"
#define NARROW_COLS 1
#define NARROW_STRIPS 1
#include "ops/gemm/narrow.inc"
#define NARROW_COLS 2
#define NARROW_STRIPS 1
#include "ops/gemm/narrow.inc"
#define NARROW_COLS 3
#define NARROW_STRIPS 1
#include "ops/gemm/narrow.inc"
#define NARROW_COLS 4
#define NARROW_STRIPS 1
#include "ops/gemm/narrow.inc"

/* Rows that remain after the whole strips are left to the tiles. Returns the number of rows that are done. */
static NOINLINE size_t narrow(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                              const layout *at) {
  size_t done = 0;
  if (n == 1) {
    narrow_1x2(c, a, b, bias, m, k, at);
    done = m - m % (2 * VL);
    c = (real *)STEP(c, done * at->ldc);
    a = STEP(a, done * at->a_row);
    if (m - done >= VL) narrow_1x1(c, a, b, bias, m - done, k, at);
  } else {
    (n == 2 ? narrow_2x1 : n == 3 ? narrow_3x1 : narrow_4x1)(c, a, b, bias, m, k, at);
  }
  return m - m % VL;
}

#define STREAM_(depth) stream_##depth
#define STREAM(depth) STREAM_(depth)
#define STREAM_DEPTH 8
#include "ops/gemm/stream.inc"
#define STREAM_DEPTH 1
#include "ops/gemm/stream.inc"

static NOINLINE void stream(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                            const layout *at) {
  if (!at->accumulate) {
    for (size_t i = 0; i < m; i++) {
      real *to = (real *)STEP(c, i * at->ldc);
      if (bias) memcpy(to, bias, n * sizeof(real));
      else memset(to, 0, n * sizeof(real));
    }
  }
  while (k) {
    const size_t depth = k >= 8 ? 8 : 1;
    for (size_t i = 0; i < m; i++) {
      (depth == 8 ? stream_8 : stream_1)((real *)STEP(c, i * at->ldc), STEP(a, i * at->a_row), b, n, at);
    }
    a = STEP(a, depth * at->a_col);
    b = STEP(b, depth * at->ldb);
    k -= depth;
  }
}

/* The limits between the paths are measured (Cascade Lake). They affect only the speed. */
void KERNEL(gemm)(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, size_t ldc, size_t a_row,
                  size_t a_col, size_t ldb, int accumulate) {
  layout at = {ldc * sizeof(real), a_row * sizeof(real), a_col * sizeof(real), ldb * sizeof(real), accumulate, 0, NULL};
  if (m <= 4 && n >= 8 * VL && k * n * sizeof(real) > (m == 1 ? 96 * 1024 : 4 * 1024 * 1024)) {
    stream(c, a, b, bias, m, n, k, &at);
    return;
  }
  if (n <= CROSS_COLS && k >= 8) {
    if (a_row == 1 && 13 * n * ((m + VL - 1) / VL) <= 10 * m * ((n + VL - 1) / VL)) {
      transposed_product(c, a, b, bias, m, n, k, &at);
      return;
    }
    if (a_col == 1 && n && n <= 4 && m >= VL) {
      const size_t done = narrow(c, a, b, bias, m, n, k, &at);
      c += done * ldc;
      a += done * a_row;
      m -= done;
    }
  }
  product(c, a, b, bias, m, n, k, &at);
}

enum { TRANSPOSED_COLS = 8 * VL, TRANSPOSED_DEPTH = 64 };

/* Few rows or columns of NT, or no memory for larger copies. */
static NOINLINE void transposed_tiles(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                                      const layout *given) {
  real copy[TRANSPOSED_COLS * TRANSPOSED_DEPTH] __attribute__((aligned(64)));
  for (size_t j = 0, cols; j < n; j += cols) {
    cols = n - j < TRANSPOSED_COLS ? n - j : TRANSPOSED_COLS;
    layout at = *given;
    at.ldb = (cols + VL - 1) / VL * VL * sizeof(real);
    const real *x = a, *y = STEP(b, j * given->ldb);
    for (size_t rest = k, depth; rest; rest -= depth, x = STEP(x, depth * at.a_col), y += depth) {
      depth = rest < TRANSPOSED_DEPTH ? rest : TRANSPOSED_DEPTH;
      transpose_tile(copy, y, cols, depth, at.ldb / sizeof(real), given->ldb / sizeof(real));
      product(c + j, x, copy, bias ? bias + j : NULL, m, cols, depth, &at);
      at.accumulate = 1;
    }
  }
}

void KERNEL(gemm_nt)(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, size_t ldc,
                     size_t a_row, size_t a_col, size_t ldb, int accumulate) {
  layout at = {ldc * sizeof(real), a_row * sizeof(real), a_col * sizeof(real), ldb * sizeof(real), accumulate, 0, NULL};
  if (m == 1 && n >= VL && k >= LANE) {
    layout across = {sizeof(real), at.ldb, sizeof(real), at.a_col, accumulate || bias, 0, NULL};
    const size_t done = n - n % VL;
    if (bias) memcpy(c, bias, done * sizeof(real));
    narrow(c, b, a, NULL, n, 1, k, &across);
    c += done;
    b += done * ldb;
    if (bias) bias += done;
    n -= done;
  }
  real *const scratch = k && m >= PACK_ROWS && n >= 2 * VL ? nnc_scratch() : NULL;
  if (scratch) blocked(c, a, b, bias, m, n, k, 1, scratch, &at);
  else if (!k) product(c, a, b, bias, m, n, k, &at);
  else transposed_tiles(c, a, b, bias, m, n, k, &at);
}
