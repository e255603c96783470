/* fma.h: products of bfloat16 blocks by multiply-adds of float, in the order of the contract.
 *
 * The left operand is taken apart into floats, once for all columns: [steps][rows, 2][16], even k first, so that one pointer and
 * constant distances reach the numbers of a register tile. The right operand is taken apart in registers: a shift gives the even numbers
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

/* A tile is two vectors wide; SECOND is from the first to the second one, in elements of a right operand. */
enum { COLUMNS = 2 * VL, SECOND = VL == 16 ? TILE_WORDS : 2 * (int)VL };

INLINE vec even_numbers(const nnc_bf16 *pairs) { return (vec)((uvec)vload((const float *)pairs) << 16); }
INLINE vec odd_numbers(const nnc_bf16 *pairs) { return (vec)((uvec)vload((const float *)pairs) & 0xFFFF0000); }

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

typedef void tile_function(float *c, const float *from, const float *a, const nnc_bf16 *b, size_t steps, size_t a_step,
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

static NOINLINE void scalar_tile(size_t rows, float *c, const float *a, const nnc_bf16 *b, size_t steps, size_t a_step) {
  for (; steps; steps--, a += a_step, b += BLOCK)
    for (size_t r = 0; r < rows; r++)
      for (size_t q = 0; q < COLUMNS; q++)
        c[r * SIDE + q] = scalar_step(c[r * SIDE + q], a + r * SIDE, b + q / VL * SECOND + q % VL * 2);
}

#if NNC_VECTOR_BYTES > 16
/* One row of all columns of a block. It reads b once, and is there for b from memory: with both chains of all columns side by side, it
 * waits for nothing else. */
static NOINLINE void multiply_row(float *c, const float *from, const float *a, const nnc_bf16 *b, size_t steps) {
  enum { VECS = SIDE / VL, PER_HALF = HALF / VL };
  for (; steps; steps--) {
    vec even[VECS], odd[VECS];
#pragma GCC unroll 16
    for (size_t v = 0; v < VECS; v++) even[v] = odd[v] = (vec){0};
    for (size_t p = HALF; p; p--) {
      const vec x = vset1(a[0]), y = vset1(a[HALF]);
#pragma GCC unroll 16
      for (size_t v = 0; v < VECS; v++) {
        const nnc_bf16 *pairs = b + v / PER_HALF * TILE_WORDS + v % PER_HALF * 2 * VL;
        even[v] = vfma_exact_product(x, even_numbers(pairs), even[v]);
        odd[v] = vfma_exact_product(y, odd_numbers(pairs), odd[v]);
      }
      a++;
      b += SIDE;
      HIDE(a);
      HIDE(b);
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < VECS; v++) vstore(c + v * VL, vload(from + v * VL) + (even[v] + odd[v]));
    from = c;
    a += HALF;
    b += TILE_WORDS;
  }
}
#endif

/* Any tile, with the bits of the contract. */
static void multiply_tile(size_t rows, float *c, const float *from, const float *a, const nnc_bf16 *b, size_t steps, size_t a_step,
                          const nnc_bf16 *ahead, size_t lines) {
  if (HAS_EXACT_VECTORS && !HAS_FLAGS) {
    tiles[rows](c, from, a, b, steps, a_step, ahead, lines);
    return;
  }
  float before[MOST_ROWS * COLUMNS];
  for (size_t r = 0; r < rows; r++) memcpy(before + r * COLUMNS, from + r * SIDE, COLUMNS * sizeof(float));
  if (HAS_EXACT_VECTORS) {
    clear_flags();
    tiles[rows](c, from, a, b, steps, a_step, ahead, lines);
    if (!has_lost_bits()) return;
  }
  for (size_t r = 0; r < rows; r++) memcpy(c + r * SIDE, before + r * COLUMNS, COLUMNS * sizeof(float));
  scalar_tile(rows, c, a, b, steps, a_step);
}

/* The rows of a left operand as floats. */
static NOINLINE void take_apart(float *to, const nnc_bf16 *a, size_t rows, size_t steps) {
  for (; steps; steps--, a += BLOCK)
    for (size_t r = 0; r < rows; r++, to += SIDE)
      for (size_t p = 0; p < HALF; p += VL) {
        const nnc_bf16 *pairs = a + r * SIDE + 2 * p;
        vstore(to + p, even_numbers(pairs));
        vstore(to + HALF + p, odd_numbers(pairs));
      }
}

/* The height of the next tile: as many rows in as few tiles as possible, which differ by one row at most. */
INLINE size_t next_height(size_t rest) {
  const size_t count = (rest + MOST_ROWS - 1) / MOST_ROWS;
  return (rest + count - 1) / count;
}

/* c [32, 32], whose first `width` columns are wanted, = or += some steps; first: =. ahead is the next piece of B. */
static void multiply_block(float *c, const float *a, const nnc_bf16 *b, size_t rows, size_t width, size_t steps, int first,
                           const nnc_bf16 *ahead) {
  static const float zeros[MOST_ROWS * SIDE];
#if NNC_VECTOR_BYTES > 16
  if (rows == 1) {
    multiply_row(c, first ? zeros : c, a, b, steps);
    return;
  }
#endif
  const size_t tiles_down = (rows + MOST_ROWS - 1) / MOST_ROWS, lines = SIDE * VL / (tiles_down * HALF);
  for (size_t r = 0, height; r < rows; r += height) {
    height = next_height(rows - r);
    for (size_t q = 0; q < SIDE && q < width; q += COLUMNS, ahead += lines * steps * SIDE)
      multiply_tile(height, c + r * SIDE + q, first ? zeros : c + r * SIDE + q, a + r * SIDE,
                    b + q / HALF * TILE_WORDS + q % HALF * 2, steps, rows * SIDE, ahead, lines);
  }
}

/* Bytes of the left operand as floats that stay in the first cache, and columns of blocks whose sums wait in the scratch. */
enum { CHUNK = 32 * 1024, GROUP = 16, SMALL_CHUNK = 8 * 1024 };
_Static_assert(CHUNK + GROUP * BLOCK * sizeof(float) <= PRODUCT_SCRATCH, "they have to fit into the scratch");

INLINE void multiply(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k,
                     fetch_list *list) {
  const size_t steps = nnc_bf16_blocks(k), right = nnc_bf16_blocks(n);
  float local[(SMALL_CHUNK / sizeof(float)) + BLOCK] __attribute__((aligned(64)));
  float *scratch = nnc_scratch();
  const size_t chunk = scratch ? CHUNK : SMALL_CHUNK, group = scratch ? GROUP : 1;
  if (!scratch) scratch = local;
  float *const left = scratch, *const sums = scratch + chunk / sizeof(float);
  for (size_t i = 0; i < nnc_bf16_blocks(m); i++, a += steps * BLOCK) {
    const size_t rows = m - i * SIDE < SIDE ? m - i * SIDE : SIDE, most = chunk / (rows * SIDE * sizeof(float));
    const size_t share = fetch_share(list, nnc_bf16_blocks(m) * right * ((steps + most - 1) / most));
    for (size_t first = 0, count; first < right; first += count) {
      count = right - first < group ? right - first : group;
      if (!steps) memset(sums, 0, count * BLOCK * sizeof(float));
      for (size_t s = 0, length; s < steps; s += length) {
        length = steps - s < most ? steps - s : most;
        take_apart(left, a + s * BLOCK, rows, length);
        for (size_t j = 0; j < count; j++) {
          const nnc_bf16 *from = b + ((first + j) * steps + s) * BLOCK;
          multiply_block(sums + j * BLOCK, left, from, rows, n - (first + j) * SIDE, length, !s, from + steps * BLOCK);
          fetch_more(list, share);
        }
      }
      for (size_t j = 0; j < count; j++) finish_block(to, sums + j * BLOCK, i, first + j, m, n);
    }
  }
}

#endif
