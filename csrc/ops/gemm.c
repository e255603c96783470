/* gemm: c = start + A b, with start = bias, c or 0 and A(m, k) = a[m * a_row + k * a_col].
 *
 * Both layouts that training needs, NN (forward, and the gradient of the input through a transposed copy of the weights) and
 * TN (the gradient of the weights), load b by rows, in vectors, and a by elements, broadcast; so one kernel with two strides
 * for a serves both, and nothing is packed unless it pays. It does not do NT: transpose the smaller operand.
 *
 * Order of accumulation: each c[m, n] is one chain  acc = fma(A(m, 0), b[0, n], start), fma(A(m, 1), b[1, n], acc), ...  in
 * increasing k, whatever path below it takes; blocking k stores acc in c and loads it again, which changes no bit. So the bits
 * depend neither on how m and n are split nor, where there is a fused multiply-add, on the instruction set.
 * Accuracy: |error| <= k * eps * (|start| + |A| |b|) in each component.
 *
 * Paths, by shape:
 *   tiles     blocks of k; in them, panels of columns as wide as a register tile (gemm_tile.inc), which stay in a cache while
 *             the rows of A pass by. Operands beyond the first cache are prefetched: the rows of a panel are too far apart for
 *             the hardware to guess.
 *   packed    large TN: the same, with a copied block by block, because a register tile of it is a short piece of each of k
 *             rows that are far apart, often in the same cache set.
 *   crosswise TN with few columns: c^T = b^T A^T, whose right side is a itself, with full lanes along m.
 *   narrow    NN with 1 to 4 columns: the same, over blocks of a that are transposed in registers (gemm_narrow.inc).
 *   stream    few rows and a b that comes from memory: b is read once, from front to back (gemm_stream.inc).
 */
#include "ops/op.h"
#include "ops/transpose_tile.h"

/* Distances between rows (a_col: columns), in bytes. */
typedef struct {
  size_t ldc, a_row, a_col, ldb;
  int accumulate;
  size_t a_tile; /* from one register tile of a to the next; set where the height of the tiles is chosen */
} layout;

typedef void tile_function(real *c, const real *a, const real *b, const real *bias, size_t m, size_t cols, size_t k,
                           const layout *at);

#define NOINLINE __attribute__((noinline))
#define STEP(pointer, bytes) ((const real *)((const char *)(pointer) + (bytes)))
#define HIDE(integer) __asm__("" : "+r"(integer))
#if defined(__x86_64__)
#define PIN(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define PIN(vector) __asm__("" : "+w"(vector))
#else
#define PIN(vector) ((void)0)
#endif

/* The last vector of a tile. AVX-512 masks it, at no cost. Elsewhere it is a whole vector that ends at the last column and
 * overlaps its neighbour in the same tile, whose columns are then computed twice, to the same bits. A tile narrower than one
 * vector loads its lanes one by one (and, without masks, b through a padded copy: see tiles). */
#if defined(__AVX512F__)
#define LAST_OFFSET(vecs, cols) (((vecs) - 1) * VL)
#define LAST_LANES(vecs, cols) ((cols) - ((vecs) - 1) * VL)
#define LAST_LOAD(vecs, p, lanes) vload_n(p, lanes)
#define LAST_STORE(vecs, p, v, lanes) vstore_n(p, v, lanes)
#else
#define LAST_OFFSET(vecs, cols) ((vecs) > 1 ? (cols) - VL : 0)
#define LAST_LANES(vecs, cols) (cols)
#define LAST_LOAD(vecs, p, lanes) ((vecs) > 1 ? vload(p) : vload_n(p, lanes))
#define LAST_STORE(vecs, p, v, lanes) ((vecs) > 1 ? vstore(p, v) : vstore_n(p, v, lanes))
#endif
#if NNC_VECTOR_BYTES == 16
#define LAST_RIGHT(vecs, p, lanes) vload(p)
#else
#define LAST_RIGHT(vecs, p, lanes) LAST_LOAD(vecs, p, lanes)
#endif

/* Rows of the tiles that are 1, 2, 3, 4, 8 vectors wide, as the registers allow (without FMA, a product needs one more). A block of
 * k: c is loaded and stored once per block, and a panel of b of that length stays in the second cache even where its rows are
 * 2 KB apart. TN is packed from PACK_COLS columns on. */
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
#else
#define ROWS_1 8
#define ROWS_2 4
#define ROWS_3 3
#define ROWS_4 2
#define ROWS_8 1
enum { REGISTERS = 16, K_BLOCK = 256, PACK_COLS = 8 * VL };
#endif
enum { VECS_PER_LINE = 64 / NNC_VECTOR_BYTES };

#define TILE_(rows, vecs, ahead) tile_##rows##x##vecs##_##ahead
#define TILE(rows, vecs, ahead) TILE_(rows, vecs, ahead)
#define TILES_(vecs, ahead) tiles_##vecs##_##ahead
#define TILES(vecs, ahead) TILES_(vecs, ahead)

#define TILE_VECS 1
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_1
#include "ops/gemm_rows.inc"
#define TILE_VECS 2
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_2
#include "ops/gemm_rows.inc"
#define TILE_VECS 2
#define TILE_AHEAD 8
#define TILE_MAX_ROWS ROWS_2
#include "ops/gemm_rows.inc"
#define TILE_VECS 3
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_3
#include "ops/gemm_rows.inc"
#define TILE_VECS 3
#define TILE_AHEAD 8
#define TILE_MAX_ROWS ROWS_3
#include "ops/gemm_rows.inc"
#define TILE_VECS 4
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_4
#include "ops/gemm_rows.inc"
#define TILE_VECS 4
#define TILE_AHEAD 8
#define TILE_MAX_ROWS ROWS_4
#include "ops/gemm_rows.inc"
#define TILE_VECS 8
#define TILE_AHEAD 0
#define TILE_MAX_ROWS ROWS_8
#include "ops/gemm_rows.inc"

static const struct {
  tile_function *const *near, *const *far; /* without and with prefetch, by rows */
  size_t max_rows;
} shapes[] = {
    [1] = {TILES(1, 0), TILES(1, 0), ROWS_1}, [2] = {TILES(2, 0), TILES(2, 8), ROWS_2}, [3] = {TILES(3, 0), TILES(3, 8), ROWS_3},
    [4] = {TILES(4, 0), TILES(4, 8), ROWS_4}, [8] = {TILES(8, 0), TILES(8, 0), ROWS_8},
};

/* How many of the rest vectors the next panel takes. Never so that one vector is left over, which could not overlap. */
INLINE size_t next_panel(size_t rest, size_t m, int far) {
  if (rest <= 3) return rest;
  if (m <= ROWS_8 && rest >= 8 && rest != 9) return 8;
  if (m <= ROWS_4 || (REGISTERS == 32 && m > 8 && !far)) return rest % 4 == 0 || rest == 7 ? 4 : 3;
  return rest == 4 ? 2 : 3;
}

/* The height of the next row tile: as high as possible, the last two equalised (13 rows are 7 and 6). */
INLINE size_t next_tile(size_t rest, size_t limit) { return rest <= limit ? rest : rest >= 2 * limit ? limit : (rest + 1) / 2; }

/* Operands small enough for the first cache, more or less: prefetching would only cost instructions. */
INLINE int is_near(size_t m, size_t n, size_t k) { return (m + n) * k * sizeof(real) <= 48 * 1024; }

/* One panel of b for all m rows. */
static void walk_rows(real *c, const real *a, const real *b, const real *bias, size_t m, size_t cols, size_t k,
                      tile_function *const *by_rows, size_t max_rows, layout *at) {
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

/* The same from a copy of the panel, vecs > 1 vectors wide, in which its rows follow one another. Measured to pay from 64 rows of A
 * on with 16 registers, with 32 only against rows whose distance, a multiple of 4 KB, puts them all into the same cache sets. */
static NOINLINE void walk_rows_packed(real *c, const real *a, const real *b, const real *bias, size_t m, size_t cols, size_t k,
                                      size_t vecs, const layout *given) {
  real panel[K_BLOCK * 3 * VL] __attribute__((aligned(64))), *to = panel;
  layout at = *given;
  at.ldb = vecs * VL * sizeof(real);
  for (size_t p = 0; p < k; p++, to += vecs * VL, b = STEP(b, given->ldb)) {
    for (size_t v = 0; v < vecs; v += VECS_PER_LINE) __builtin_prefetch(STEP(b + v * VL, 8 * given->ldb));
    for (size_t v = 0; v + 1 < vecs; v++) vstore(to + v * VL, vload(b + v * VL));
    vstore(to + cols - VL, vload(b + cols - VL));
  }
  walk_rows(c, a, panel, bias, m, cols, k, shapes[vecs].far, shapes[vecs].max_rows, &at);
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
  const int far = !is_near(m, n, k);
  const int copy = far && m >= 64 && (REGISTERS == 16 || at.ldb % 4096 == 0);
  while (n) {
    const size_t vecs = next_panel((n + VL - 1) / VL, m, far), cols = vecs * VL < n ? vecs * VL : n;
    if (copy && vecs > 1) walk_rows_packed(c, a, b, bias, m, cols, k, vecs, &at);
    else walk_rows(c, a, b, bias, m, cols, k, far ? shapes[vecs].far : shapes[vecs].near, shapes[vecs].max_rows, &at);
    n -= cols;
    c += cols;
    b += cols;
    if (bias) bias += cols;
  }
}

/* Sizes that share the second cache: what of a passes by for each panel of b, or of b for each block of a; and a block of a. */
enum { PASSING_BYTES = 512 * 1024, PACK_BYTES = 56 * 1024, PACK_ROWS = ROWS_3 };

/* The register tiles of rows columns of a [k, a_col], one after another, tile bytes apart. */
static NOINLINE void pack_columns(real *p, const real *a, size_t rows, size_t k, size_t a_col, size_t tile) {
  for (size_t q = 0; q < k; q++, a = STEP(a, a_col)) {
    __builtin_prefetch(STEP(a, 8 * a_col));
    __builtin_prefetch(STEP(a, 8 * a_col + 64));
    real *to = p;
    size_t i = 0;
    for (; i + PACK_ROWS <= rows; i += PACK_ROWS, to = (real *)STEP(to, tile)) {
      memcpy(to + q * PACK_ROWS, a + i, PACK_ROWS * sizeof(real));
    }
    for (size_t r = 0; i + r < rows; r++) to[q * (rows - i) + r] = a[i + r];
  }
}

/* One block of k of TN. */
static NOINLINE void packed(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                            const layout *given) {
  real p[PACK_BYTES / sizeof(real)] __attribute__((aligned(64)));
  layout at = *given;
  at.a_row = sizeof(real);
  /* An odd number of lines: tiles that begin in the same cache set would evict each other while they are written. */
  const size_t tile = ((k * PACK_ROWS * sizeof(real) + 63) / 64 | 1) * 64, block = PACK_BYTES / tile * PACK_ROWS;
  const size_t piece = PASSING_BYTES / sizeof(real) / k / (3 * VL) * (3 * VL);
  for (size_t j = 0, width; j < n; j += width) {
    width = next_tile(n - j, piece); /* equal parts: none is narrower than a vector */
    for (size_t i = 0, rows; i < m; i += rows) {
      rows = m - i < block ? m - i : block;
      const size_t rest = rows % PACK_ROWS, whole = rows - rest;
      pack_columns(p, a + i, rows, k, given->a_col, tile);
      for (size_t done = 0, cols; done < width; done += cols) {
        const size_t vecs = next_panel((width - done + VL - 1) / VL, m, 1);
        cols = vecs * VL < width - done ? vecs * VL : width - done;
        const real *bj = b + j + done, *start = bias ? bias + j + done : NULL;
        real *cj = (real *)STEP(c, i * at.ldc) + j + done;
        at.a_tile = tile;
        at.a_col = PACK_ROWS * sizeof(real);
        if (whole) shapes[vecs].far[PACK_ROWS](cj, p, bj, start, whole, cols, k, &at);
        at.a_col = rest * sizeof(real);
        cj = (real *)STEP(cj, whole * at.ldc);
        if (rest) shapes[vecs].far[rest](cj, STEP(p, whole / PACK_ROWS * tile), bj, start, rest, cols, k, &at);
      }
    }
  }
}

static NOINLINE void tiled(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                           const layout *given) {
  layout at = *given;
  const int copy = at.a_row == sizeof(real) && n >= PACK_COLS && m > 8 && m * k * sizeof(real) > 32 * 1024;
  for (size_t blocks = (k + K_BLOCK - 1) / K_BLOCK;; blocks--) {
    const size_t depth = blocks > 1 ? (k + blocks - 1) / blocks : k;
    if (copy) {
      packed(c, a, b, bias, m, n, depth, &at);
    } else {
      const size_t most = m * depth * sizeof(real) > PASSING_BYTES ? PASSING_BYTES / sizeof(real) / depth : m;
      for (size_t i = 0, rows; i < m; i += rows) {
        rows = next_tile(m - i, most);
        tiles((real *)STEP(c, i * at.ldc), STEP(a, i * at.a_row), b, bias, rows, n, depth, &at);
      }
    }
    if (blocks <= 1) return;
    a = STEP(a, depth * at.a_col);
    b = STEP(b, depth * at.ldb);
    k -= depth;
    at.accumulate = 1;
  }
}

/* Small nets make many small products, which need neither blocks nor copies. */
INLINE void product(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, const layout *at) {
  if (k <= K_BLOCK && is_near(m, n, k)) tiles(c, a, b, bias, m, n, k, at);
  else tiled(c, a, b, bias, m, n, k, at);
}

enum { CROSS_COLS = 24, CROSS_ROWS = 3 * VL };

static NOINLINE void crosswise(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                               const layout *at) {
  real ct[CROSS_COLS * CROSS_ROWS] __attribute__((aligned(64)));
  const layout across = {CROSS_ROWS * sizeof(real), sizeof(real), at->ldb, at->a_col, 1, 0};
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
#include "ops/gemm_narrow.inc"
#define NARROW_COLS 1
#define NARROW_STRIPS 1
#include "ops/gemm_narrow.inc"
#define NARROW_COLS 2
#define NARROW_STRIPS 1
#include "ops/gemm_narrow.inc"
#define NARROW_COLS 3
#define NARROW_STRIPS 1
#include "ops/gemm_narrow.inc"
#define NARROW_COLS 4
#define NARROW_STRIPS 1
#include "ops/gemm_narrow.inc"

/* The rows that are left over after whole strips are for the tiles; gives how many are done. */
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
#include "ops/gemm_stream.inc"
#define STREAM_DEPTH 1
#include "ops/gemm_stream.inc"

static NOINLINE void stream(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k,
                            const layout *at) {
  if (!at->accumulate) {
    for (size_t i = 0; i < m; i++)
      for (size_t j = 0; j < n; j++) ((real *)STEP(c, i * at->ldc))[j] = bias ? bias[j] : 0;
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

/* The bounds between the paths are measured (Cascade Lake), and decide about speed alone. */
void KERNEL(gemm)(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, size_t ldc, size_t a_row,
                  size_t a_col, size_t ldb, int accumulate) {
  const layout at = {ldc * sizeof(real), a_row * sizeof(real), a_col * sizeof(real), ldb * sizeof(real), accumulate, 0};
  if (m <= 4 && n >= 8 * VL && k * n * sizeof(real) > (m == 1 ? 96 * 1024 : 4 * 1024 * 1024)) {
    stream(c, a, b, bias, m, n, k, &at);
    return;
  }
  if (n <= CROSS_COLS && k >= 8) {
    if (a_row == 1 && 13 * n * ((m + VL - 1) / VL) <= 10 * m * ((n + VL - 1) / VL)) {
      crosswise(c, a, b, bias, m, n, k, &at);
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
