/* gemm: c = start + A b, with start = bias, c or 0 and A(m, k) = a[m * a_row + k * a_col].
 *
 * Both layouts that training needs, NN (forward, and the gradient of the input through a transposed copy of the weights) and
 * TN (the gradient of the weights), load b by rows, in vectors, and a by elements, broadcast. So one kernel with two strides
 * for a serves both and nothing is packed. It does not do NT: transpose the smaller operand.
 *
 * Order of accumulation: each c[m, n] is one chain  acc = fma(a[m, 0], b[0, n], start), fma(a[m, 1], b[1, n], acc), ...  in
 * increasing k, whatever the tile; blocking k stores acc in c and loads it again, which changes no bit. The bits depend neither
 * on the split of m and n nor, where there is a fused multiply-add, on the instruction set.
 * Accuracy: |error| <= k * eps * (|start| + |A| |b|) in each component.
 *
 * Loops: blocks of k; in them, panels of columns as wide as a register tile, which stay in cache while all rows of A pass by.
 */
#include "ops/op.h"

/* Distances between rows (a_col: columns), in bytes. */
typedef struct {
  size_t ldc, a_row, a_col, ldb;
  int accumulate;
} layout;

#define NOINLINE __attribute__((noinline))
#define TILE_(rows, vecs) tile_##rows##x##vecs
#define TILE(rows, vecs) TILE_(rows, vecs)
#define STEP(pointer, bytes) ((const real *)((const char *)(pointer) + (bytes)))
#define HIDE(pointer) __asm__("" : "+r"(pointer))

/* The last vector of a tile. AVX-512 masks it, at no cost. Elsewhere it is a whole vector that ends at the last column and
 * overlaps its neighbour in the same tile, whose columns are then computed twice, to the same bits; a tile narrower than a
 * vector loads its lanes one by one. */
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

#if defined(__AVX512F__)
#define ROWS_1 8
#define ROWS_2 8
#define ROWS_3 8
enum { MAX_VECS = 3 };
#elif defined(__AVX2__)
#define ROWS_1 8
#define ROWS_2 6
#define ROWS_3 4
enum { MAX_VECS = 3 };
#else
#define ROWS_1 4
#define ROWS_2 4
#define ROWS_3 3
enum { MAX_VECS = 3 };
#endif

#define TILE_VECS 1
#define TILE_MAX_ROWS ROWS_1
#include "ops/gemm_rows.inc"
#define TILE_VECS 2
#define TILE_MAX_ROWS ROWS_2
#include "ops/gemm_rows.inc"
#define TILE_VECS 3
#define TILE_MAX_ROWS ROWS_3
#include "ops/gemm_rows.inc"

typedef void tile_function(real *c, const real *a, const real *b, const real *bias, size_t cols, size_t k, const layout *at);

enum { MAX_ROWS = 8, K_BLOCK = 1024 };

#define FOUR(vecs) tile_1x##vecs, tile_2x##vecs, tile_3x##vecs, tile_4x##vecs
static tile_function *const tiles[MAX_VECS][MAX_ROWS] = {
#if ROWS_1 == 8
    {FOUR(1), tile_5x1, tile_6x1, tile_7x1, tile_8x1},
#else
    {FOUR(1)},
#endif
#if ROWS_2 == 8
    {FOUR(2), tile_5x2, tile_6x2, tile_7x2, tile_8x2},
#elif ROWS_2 == 6
    {FOUR(2), tile_5x2, tile_6x2},
#else
    {FOUR(2)},
#endif
#if ROWS_3 == 8
    {FOUR(3), tile_5x3, tile_6x3, tile_7x3, tile_8x3},
#elif ROWS_3 == 4
    {FOUR(3)},
#else
    {tile_1x3, tile_2x3, tile_3x3},
#endif
};
static const unsigned char max_rows[MAX_VECS] = {ROWS_1, ROWS_2, ROWS_3};

/* The size of the next of the equal parts, none above limit, that rest is cut into. */
INLINE size_t next_part(size_t rest, size_t limit) {
  if (rest <= limit) return rest;
  if (rest >= 2 * limit) return limit;
  return (rest + 1) / 2;
}

static void k_block(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, const layout *at) {
  while (n) {
    const size_t vecs = next_part((n + VL - 1) / VL, MAX_VECS), cols = vecs * VL < n ? vecs * VL : n;
    real *ci = c;
    const real *ai = a;
    for (size_t rest = m, rows; rest; rest -= rows) {
      rows = next_part(rest, max_rows[vecs - 1]);
      tiles[vecs - 1][rows - 1](ci, ai, b, bias, cols, k, at);
      ci = (real *)STEP(ci, rows * at->ldc);
      ai = STEP(ai, rows * at->a_row);
    }
    n -= cols;
    c += cols;
    b += cols;
    if (bias) bias += cols;
  }
}

void KERNEL(gemm)(real *c, const real *a, const real *b, const real *bias, size_t m, size_t n, size_t k, size_t ldc, size_t a_row,
                  size_t a_col, size_t ldb, int accumulate) {
  layout at = {ldc * sizeof(real), a_row * sizeof(real), a_col * sizeof(real), ldb * sizeof(real), accumulate};
  for (;;) {
    const size_t depth = next_part(k, K_BLOCK);
    k_block(c, a, b, bias, m, n, depth, &at);
    k -= depth;
    if (!k) break;
    a += depth * a_col;
    b += depth * ldb;
    at.accumulate = 1;
  }
}
