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
 *   tiles     few rows, or small: blocks of k; in them, panels of columns as wide as a register tile (gemm_tile.inc), which stay
 *             in a cache while the rows of A pass by. Operands beyond the first cache are prefetched: the rows of a panel are too
 *             far apart for the hardware to guess.
 *   blocks    many rows and a b whose rows are far apart: the same with blocks of A that stay in the second cache. What would cost
 *             an entry of the address cache for each k is copied: panels of b, blocks of a of TN, and rows of A at multiples of
 *             4 KB, which would all fall into the same cache sets.
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
  size_t a_tile;    /* from one register tile of a to the next; set where the height of the tiles is chosen */
  real *copy;       /* where a tile that copies b puts it */
  const real *next; /* what comes after b, and the distance between its rows: fetched meanwhile; NULL and 0 if nothing */
  size_t next_step;
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

/* The last vector of a tile is a whole one that ends at the last column and overlaps its neighbour in the same tile, whose columns
 * are then computed twice, to the same bits: a masked load would take a turn of the multipliers. A tile narrower than one vector
 * loads its lanes one by one (and, without masks, b through a padded copy: see tiles). */
#define LAST_OFFSET(vecs, cols) ((vecs) > 1 ? (cols) - VL : 0)
#define LAST_LANES(vecs, cols) (cols)
#define LAST_LOAD(vecs, p, lanes) ((vecs) > 1 ? vload(p) : vload_n(p, lanes))
#define LAST_STORE(vecs, p, v, lanes) ((vecs) > 1 ? vstore(p, v) : vstore_n(p, v, lanes))
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

enum { PACK_ROWS = ROWS_3 };
#define TILE_COPIES 1
#define TILE_AHEAD 24
#define TILE_VECS 2
#define TILE_ROWS ROWS_3
#include "ops/gemm_tile.inc"
#undef TILE_VECS
#define TILE_VECS 3
#define TILE_ROWS ROWS_3
#include "ops/gemm_tile.inc"
#undef TILE_VECS
#undef TILE_AHEAD
#undef TILE_COPIES
#define TILE_FETCHES 1
#define TILE_AHEAD 1
#define TILE_VECS 2
#define TILE_ROWS ROWS_3
#include "ops/gemm_tile.inc"
#undef TILE_VECS
#define TILE_VECS 3
#define TILE_ROWS ROWS_3
#include "ops/gemm_tile.inc"
#undef TILE_VECS
#undef TILE_AHEAD
#undef TILE_FETCHES

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

/* One panel of b, vecs vectors wide, for m rows of a. */
static void walk_rows(real *c, const real *a, const real *b, const real *bias, size_t m, size_t cols, size_t k, size_t vecs,
                      int far, layout *at) {
  const size_t max_rows = shapes[vecs].max_rows;
  tile_function *const *const by_rows = far ? shapes[vecs].far : shapes[vecs].near;
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
  while (n) {
    const size_t vecs = next_panel((n + VL - 1) / VL, m, far), cols = vecs * VL < n ? vecs * VL : n;
    walk_rows(c, a, b, bias, m, cols, k, vecs, far, &at);
    n -= cols;
    c += cols;
    b += cols;
    if (bias) bias += cols;
  }
}

/* A block of a that is copied (to the stack), and one that is not; from which size on a panel of b is copied, in bytes from its first
 * row to its last: the first address cache has 64 entries, of 4 KB each. */
enum { PACK_BYTES = 160 * 1024, BLOCK_BYTES = 384 * 1024, COPY_BYTES = 48 * 4096 };

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
                       real *copy, layout *at) {
  tile_function *const reading = shapes[vecs].far[PACK_ROWS];
  if (whole < 6) {
    reading(c, a, b, bias, whole * PACK_ROWS, cols, k, at);
    return;
  }
  const int copies = is_scattered(k, at->ldb);
  at->copy = copy;
  (!copies ? reading : vecs == 3 ? TILE(ROWS_3, 3, 24) : TILE(ROWS_3, 2, 24))(c, a, b, bias, PACK_ROWS, cols, k, at);
  if (copies) {
    b = copy;
    at->ldb = vecs * VL * sizeof(real);
  }
  c = (real *)STEP(c, PACK_ROWS * at->ldc);
  a = STEP(a, at->a_tile);
  (vecs == 3 ? TILE(ROWS_3, 3, 1) : TILE(ROWS_3, 2, 1))(c, a, b, bias, (whole - 1) * PACK_ROWS, cols, k, at);
}

/* rows rows of a against all of b, n > VL, k <= K_BLOCK. tile != 0: a is packed, with so many bytes per register tile. */
static NOINLINE void block(real *c, const real *a, const real *b, const real *bias, size_t rows, size_t n, size_t k, size_t tile,
                           const layout *given) {
  real copy[K_BLOCK * 3 * VL] __attribute__((aligned(64)));
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
      panel_rows(ci, ai, b + j, start, whole, cols, k, vecs, copy, &at);
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
  real p[PACK_BYTES / sizeof(real)] __attribute__((aligned(64)));
  layout at = *given;
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
  const int tall = m >= 6 * PACK_ROWS && n >= 2 * VL && is_scattered(deepest, at.ldb), wide = n >= PACK_COLS;
  const int pack =
      at.a_row == sizeof(real) ? wide && m > PACK_ROWS && m * k * sizeof(real) > 8 * 1024 : tall && wide && at.a_row % 4096 == 0;
  for (size_t blocks = (k + K_BLOCK - 1) / K_BLOCK;; blocks--) {
    const size_t depth = blocks > 1 ? (k + blocks - 1) / blocks : k;
    (pack ? packed : tall ? unpacked : tiles)(c, a, b, bias, m, n, depth, &at);
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
  const layout across = {CROSS_ROWS * sizeof(real), sizeof(real), at->ldb, at->a_col, 1, 0, NULL, NULL, 0};
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
  const layout at = {
      ldc * sizeof(real), a_row * sizeof(real), a_col * sizeof(real), ldb * sizeof(real), accumulate, 0, NULL, NULL, 0};
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
