/* fma.h: products of bfloat16 blocks by multiply-adds of float, in the order of the contract.
 *
 * The left operand becomes floats, once for all columns, as it lies: [steps][rows][32], or, transposed, [steps][32][rows]. The right operand is taken apart in registers: a shift gives the even numbers
 * of its pairs, a mask the odd ones. A piece of both, CHUNK bytes of the left one, stays in the first cache while all tiles
 * multiply it; the sums between pieces wait in the scratch of the thread.
 *
 * Vectors give the bits of the contract with x86's fused multiply-adds. Others do, too, unless a flag of the CPU says that a small or
 * large number was in the way, and then the tile is computed anew, one number at a time:
 *   SSE2   a product that is exact needs no fusing, and it is exact unless it over- or underflows
 *   NEON   numbers are flushed before they are rounded, so that what rounds up to 2^-126 is lost
 */
#ifndef NNC_OPS_BF16_FMA_H
#define NNC_OPS_BF16_FMA_H

#include "base/scratch.h"
#include "ops/bf16/ahead.h"
#include "ops/bf16/finish.h"
#include "ops/bf16/scalar.h"
#include "ops/tile.h"

#if defined(__AVX512F__)
enum { MOST_ROWS = 8 };
#elif defined(__AVX2__)
enum { MOST_ROWS = 6 };
#else
enum { MOST_ROWS = 4 };
#endif

/* How far rows, pairs of k and steps of a left operand are apart; the odd k of a pair is half a pair behind the even one. */
typedef struct {
  size_t row, pair, step;
} left_layout;
INLINE left_layout layout_of(size_t rows, int transposed) {
  return transposed ? (left_layout){1, 2 * SIDE, BLOCK} : (left_layout){SIDE, 2, rows * SIDE};
}

/* A tile is two vectors wide; SECOND is from the first to the second one, in elements of a right operand. */
enum { COLUMNS = 2 * VL, SECOND = VL == 16 ? TILE_WORDS : 2 * (int)VL };

INLINE vec even_numbers(const nnc_bf16 *pairs) { return (vec)((uvec)vload((const float *)pairs) << 16); }
INLINE vec odd_numbers(const nnc_bf16 *pairs) { return (vec)((uvec)vload((const float *)pairs) & 0xFFFF0000); }

/* VL numbers as floats. */
INLINE vec widened(const nnc_bf16 *x) {
#if defined(__AVX512F__)
  return (vec)((uvec)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x)) << 16);
#elif defined(__AVX2__)
  return (vec)((uvec)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)x)) << 16);
#elif defined(__SSE2__)
  return (vec)_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i *)x));
#elif defined(__ARM_NEON)
  return (vec)((uvec)vmovl_u16(vld1_u16(x)) << 16);
#else
  uvec y = {0};
  for (int l = 0; l < VL; l++) y[l] = (uinteger)x[l] << 16;
  return (vec)y;
#endif
}

#define TILE_(rows) tile_##rows
#define TILE(rows) TILE_(rows)
#define TILE_ROWS 1
#include "ops/bf16/tile.inc"
#define TILE_ROWS 2
#include "ops/bf16/tile.inc"
#define TILE_ROWS 3
#include "ops/bf16/tile.inc"
#define TILE_ROWS 4
#include "ops/bf16/tile.inc"
#if NNC_VECTOR_BYTES > 16
#define TILE_ROWS 5
#include "ops/bf16/tile.inc"
#define TILE_ROWS 6
#include "ops/bf16/tile.inc"
#endif
#if NNC_VECTOR_BYTES > 32
#define TILE_ROWS 7
#include "ops/bf16/tile.inc"
#define TILE_ROWS 8
#include "ops/bf16/tile.inc"
#endif

typedef void tile_function(float *c, const float *from, const float *a, const nnc_bf16 *b, size_t steps, const left_layout *layout,
                           const nnc_bf16 *ahead, size_t lines);
static tile_function *const tiles[] = {
    NULL,    TILE(1), TILE(2), TILE(3), TILE(4),
#if NNC_VECTOR_BYTES > 16
    TILE(5), TILE(6),
#endif
#if NNC_VECTOR_BYTES > 32
    TILE(7), TILE(8),
#endif
};

#if defined(__FMA__)
enum { HAS_EXACT_VECTORS = 1, HAS_FLAGS = 0 };
INLINE void clear_flags(void) {}
INLINE int has_lost_bits(void) { return 0; }
#elif defined(__SSE2__)
enum { HAS_EXACT_VECTORS = 1, HAS_FLAGS = 1, OVERFLOW = 8, UNDERFLOW = 16 };
INLINE void clear_flags(void) { _mm_setcsr(_mm_getcsr() & ~(unsigned)(OVERFLOW | UNDERFLOW)); }
INLINE int has_lost_bits(void) { return (_mm_getcsr() & (OVERFLOW | UNDERFLOW)) != 0; }
#elif defined(__aarch64__)
enum { HAS_EXACT_VECTORS = 1, HAS_FLAGS = 1, UNDERFLOW = 8 };
INLINE uint64_t float_flags(void) {
  uint64_t flags;
  __asm__ volatile("mrs %0, fpsr" : "=r"(flags) : : "memory");
  return flags;
}
INLINE void clear_flags(void) { __asm__ volatile("msr fpsr, %0" : : "r"(float_flags() & ~(uint64_t)UNDERFLOW) : "memory"); }
INLINE int has_lost_bits(void) { return (float_flags() & UNDERFLOW) != 0; }
#else
enum { HAS_EXACT_VECTORS = 0, HAS_FLAGS = 0 };
INLINE void clear_flags(void) {}
INLINE int has_lost_bits(void) { return 0; }
#endif

static NOINLINE void scalar_tile(size_t rows, float *c, const float *a, const nnc_bf16 *b, size_t steps,
                                 const left_layout *layout) {
  for (; steps; steps--, a += layout->step, b += BLOCK)
    for (size_t r = 0; r < rows; r++)
      for (size_t q = 0; q < COLUMNS; q++)
        c[r * SIDE + q] = scalar_step(c[r * SIDE + q], a + r * layout->row, layout->pair, b + q / VL * SECOND + q % VL * 2);
}

#if NNC_VECTOR_BYTES > 16
/* One row of all columns of a block. It reads b once, and is there for b from memory: with both chains of all columns side by side, it
 * waits for nothing else. */
static NOINLINE void multiply_row(float *c, const float *from, const float *a, const nnc_bf16 *b, size_t steps, size_t pair) {
  enum { VECS = SIDE / VL, PER_HALF = HALF / VL };
  for (; steps; steps--) {
    vec even[VECS], odd[VECS];
#pragma GCC unroll 16
    for (size_t v = 0; v < VECS; v++) even[v] = odd[v] = (vec){0};
    for (size_t p = HALF; p; p--) {
      const vec x = vset1(a[0]), y = vset1(a[pair / 2]);
#pragma GCC unroll 16
      for (size_t v = 0; v < VECS; v++) {
        const nnc_bf16 *pairs = b + v / PER_HALF * TILE_WORDS + v % PER_HALF * 2 * VL;
        even[v] = vfma_exact_product(x, even_numbers(pairs), even[v]);
        odd[v] = vfma_exact_product(y, odd_numbers(pairs), odd[v]);
      }
      a += pair;
      b += SIDE;
      HIDE(a);
      HIDE(b);
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < VECS; v++) vstore(c + v * VL, vload(from + v * VL) + (even[v] + odd[v]));
    from = c;
    b += TILE_WORDS;
  }
}
#endif

/* Any tile, with the bits of the contract. */
static void multiply_tile(size_t rows, float *c, const float *from, const float *a, const nnc_bf16 *b, size_t steps,
                          const left_layout *layout, const nnc_bf16 *ahead, size_t lines) {
  if (HAS_EXACT_VECTORS && !HAS_FLAGS) {
    tiles[rows](c, from, a, b, steps, layout, ahead, lines);
    return;
  }
  float before[MOST_ROWS * COLUMNS];
  for (size_t r = 0; r < rows; r++) memcpy(before + r * COLUMNS, from + r * SIDE, COLUMNS * sizeof(float));
  if (HAS_EXACT_VECTORS) {
    clear_flags();
    tiles[rows](c, from, a, b, steps, layout, ahead, lines);
    if (!has_lost_bits()) return;
  }
  for (size_t r = 0; r < rows; r++) memcpy(c + r * SIDE, before + r * COLUMNS, COLUMNS * sizeof(float));
  scalar_tile(rows, c, a, b, steps, layout);
}

/* The first lines of blocks, `next` numbers apart, as floats, and of these the first `width` numbers. */
static NOINLINE void widen_lines(float *to, const nnc_bf16 *a, size_t lines, size_t width, size_t steps, size_t next) {
  for (; steps; steps--, a += next)
    for (size_t i = 0; i < lines * SIDE; i += SIDE, to += SIDE) {
#pragma GCC unroll 8
      for (size_t c = 0; c < SIDE; c += VL)
        if (c < width) vstore(to + c, widened(a + i + c));
    }
}

/* The height of the next tile: as many rows in as few tiles as possible, which differ by one row at most. */
INLINE size_t next_height(size_t rest) {
  const size_t count = (rest + MOST_ROWS - 1) / MOST_ROWS;
  return (rest + count - 1) / count;
}

/* c [32, 32], whose first `width` columns are wanted, = or += some steps; first: =. ahead is the next piece of B. */
static void multiply_block(float *c, const float *a, const nnc_bf16 *b, size_t rows, size_t width, size_t steps, int transposed,
                           int first, const nnc_bf16 *ahead) {
  static const float zeros[MOST_ROWS * SIDE];
  const left_layout layout = layout_of(rows, transposed);
#if NNC_VECTOR_BYTES > 16
  if (rows == 1) {
    multiply_row(c, first ? zeros : c, a, b, steps, layout.pair);
    return;
  }
#endif
  const size_t tiles_down = (rows + MOST_ROWS - 1) / MOST_ROWS, lines = SIDE * VL / (tiles_down * HALF);
  for (size_t r = 0, height; r < rows; r += height) {
    height = next_height(rows - r);
    for (size_t q = 0; q < SIDE && q < width; q += COLUMNS, ahead += lines * steps * SIDE)
      multiply_tile(height, c + r * SIDE + q, first ? zeros : c + r * SIDE + q, a + r * layout.row,
                    b + q / HALF * TILE_WORDS + q % HALF * 2, steps, &layout, ahead, lines);
  }
}

/* Bytes of the left operand as floats that stay in the first cache, and columns of blocks whose sums wait in the scratch. */
enum { CHUNK = 32 * 1024, GROUP = 16, SMALL_CHUNK = 8 * 1024 };
_Static_assert(CHUNK + GROUP * BLOCK * sizeof(float) <= PRODUCT_SCRATCH, "they have to fit into the scratch");

INLINE void multiply(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k, int transposed,
                     size_t across, fetch_list *list) {
  const size_t steps = nnc_bf16_blocks(k), right = nnc_bf16_blocks(n), next = across ? across * BLOCK : BLOCK;
  float local[(SMALL_CHUNK / sizeof(float)) + BLOCK] __attribute__((aligned(64)));
  float *scratch = nnc_scratch();
  const size_t chunk = scratch ? CHUNK : SMALL_CHUNK, group = scratch ? GROUP : 1;
  if (!scratch) scratch = local;
  float *const left = scratch, *const sums = scratch + chunk / sizeof(float);
  for (size_t i = 0; i < nnc_bf16_blocks(m); i++, a += across ? BLOCK : steps * BLOCK) {
    const size_t rows = m - i * SIDE < SIDE ? m - i * SIDE : SIDE, lines = transposed ? SIDE : rows;
    const size_t most = chunk / (lines * SIDE * sizeof(float));
    const size_t share = fetch_share(list, nnc_bf16_blocks(m) * right * ((steps + most - 1) / most));
    for (size_t first = 0, count; first < right; first += count) {
      count = right - first < group ? right - first : group;
      if (!steps) memset(sums, 0, count * BLOCK * sizeof(float));
      for (size_t s = 0, length; s < steps; s += length) {
        length = steps - s < most ? steps - s : most;
        widen_lines(left, a + s * next, lines, transposed && rows <= HALF ? HALF : SIDE, length, next);
        for (size_t j = 0; j < count; j++) {
          const nnc_bf16 *from = b + ((first + j) * steps + s) * BLOCK;
          multiply_block(sums + j * BLOCK, left, from, rows, n - (first + j) * SIDE, length, transposed, !s, from + steps * BLOCK);
          fetch_more(list, share);
        }
      }
      for (size_t j = 0; j < count; j++) finish_block(to, sums + j * BLOCK, i, first + j, m, n);
    }
  }
}

#endif
