/* tile.h: the transpose of a tile inside registers, for transpose.c and for the products in gemm/gemm.c that need a small
 * transposed copy on the way. Moves bits, rounds nothing; source and result must not overlap.
 *
 * A vector is made of 16-byte lanes. Lane l of vector r is loaded from row LANE * l + r, so that each LANE x LANE square of the
 * tile lies in one lane of LANE vectors, and only the squares are left to transpose, which needs no shuffle across lanes: half
 * the shuffles of the usual network, because the loads have already put the lanes in place.
 */
#ifndef NNC_OPS_TRANSPOSE_TILE_H
#define NNC_OPS_TRANSPOSE_TILE_H

#include "ops/simd.h"

enum { LANE = 16 / sizeof(real), LANES = VL / LANE };

/* Index lists of a shuffle that does the same in every lane. */
#if NNC_VECTOR_BYTES == 64
#define EACH_LANE(pattern) pattern(0), pattern(LANE), pattern(2 * LANE), pattern(3 * LANE)
#elif NNC_VECTOR_BYTES == 32
#define EACH_LANE(pattern) pattern(0), pattern(LANE)
#else
#define EACH_LANE(pattern) pattern(0)
#endif

/* Lane l is the 16 bytes that stand offset bytes after row[l]. */
INLINE vec load_lanes(const real *const row[LANES], size_t offset) {
#define LANE_AT(l) ((const float *)((const char *)row[l] + offset))
#if NNC_VECTOR_BYTES == 64
  __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(LANE_AT(0)));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(LANE_AT(1)), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(LANE_AT(2)), 2);
  return (vec)_mm512_insertf32x4(v, _mm_loadu_ps(LANE_AT(3)), 3);
#elif NNC_VECTOR_BYTES == 32
  return (vec)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(LANE_AT(0))), _mm_loadu_ps(LANE_AT(1)), 1);
#else
  return vload((const real *)LANE_AT(0));
#endif
#undef LANE_AT
}

/* out[j] = column j of the squares whose rows are in. */
INLINE void transpose_squares(vec out[LANE], const vec in[LANE]) {
#if NNC_BUILD_F64
#define LOW(o) (o), VL + (o)
#define HIGH(o) (o) + 1, VL + (o) + 1
  out[0] = __builtin_shufflevector(in[0], in[1], EACH_LANE(LOW));
  out[1] = __builtin_shufflevector(in[0], in[1], EACH_LANE(HIGH));
#else
#define LOW(o) (o), VL + (o), (o) + 1, VL + (o) + 1
#define HIGH(o) (o) + 2, VL + (o) + 2, (o) + 3, VL + (o) + 3
#define LOW_PAIR(o) (o), (o) + 1, VL + (o), VL + (o) + 1
#define HIGH_PAIR(o) (o) + 2, (o) + 3, VL + (o) + 2, VL + (o) + 3
  const vec a = __builtin_shufflevector(in[0], in[1], EACH_LANE(LOW)), b = __builtin_shufflevector(in[2], in[3], EACH_LANE(LOW));
  const vec c = __builtin_shufflevector(in[0], in[1], EACH_LANE(HIGH)), d = __builtin_shufflevector(in[2], in[3], EACH_LANE(HIGH));
  out[0] = __builtin_shufflevector(a, b, EACH_LANE(LOW_PAIR));
  out[1] = __builtin_shufflevector(a, b, EACH_LANE(HIGH_PAIR));
  out[2] = __builtin_shufflevector(c, d, EACH_LANE(LOW_PAIR));
  out[3] = __builtin_shufflevector(c, d, EACH_LANE(HIGH_PAIR));
#undef LOW_PAIR
#undef HIGH_PAIR
#endif
#undef LOW
#undef HIGH
}
#undef EACH_LANE

/* t[j, i] = a[i, j] for i < rows, 1 <= rows <= VL, and cols >= LANE columns j. Missing rows are read as the last one; where cols
 * is not a multiple of LANE, the last squares overlap their neighbours. */
INLINE void transpose_strip(real *t, const real *a, size_t rows, size_t cols, size_t ldt, size_t lda) {
  const real *row[LANE][LANES];
#pragma GCC unroll 16
  for (size_t i = 0; i < VL; i++) {
    row[i % LANE][i / LANE] = a;
    if (i + 1 < rows) a += lda;
  }
  for (size_t j = 0; j < cols; j += LANE) {
    if (j + LANE > cols) j = cols - LANE;
    vec in[LANE], out[LANE];
#pragma GCC unroll 4
    for (size_t r = 0; r < LANE; r++) in[r] = load_lanes(row[r], j * sizeof(real));
    transpose_squares(out, in);
#pragma GCC unroll 4
    for (size_t r = 0; r < LANE; r++) {
      if (rows == VL) vstore(t + (j + r) * ldt, out[r]);
      else vstore_n(t + (j + r) * ldt, out[r], rows);
    }
  }
}

/* t[j, i] = a[i, j] for i < rows, j < cols. */
static inline void transpose_tile(real *t, const real *a, size_t rows, size_t cols, size_t ldt, size_t lda) {
  if (cols < LANE || rows * cols < 64) {
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < cols; j++) t[j * ldt + i] = a[i * lda + j];
    return;
  }
  if (rows < VL) {
    transpose_strip(t, a, rows, cols, ldt, lda);
    return;
  }
  for (size_t i = 0; i < rows; i += VL) {
    if (i + VL > rows) i = rows - VL; /* overlaps the strip before */
    transpose_strip(t + i, a + i * lda, VL, cols, ldt, lda);
  }
}

#endif
