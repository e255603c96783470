/* simd.h: vectors of `real` as wide as the instruction set has them, over GCC's vector extension.
 *
 * One source serves every instruction set: `vec` is a native vector type, so + - * / and comparisons are plain C. This file adds
 * what the extension lacks: unaligned and masked loads and stores, fused multiply-add, select, rounding, sums along a row. No maths
 * here (see vmath.h).
 */
#ifndef NNC_OPS_SIMD_H
#define NNC_OPS_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if NNC_BUILD_F64
typedef double real;
typedef int64_t integer;
typedef uint64_t uinteger;
#else
typedef float real;
typedef int32_t integer;
typedef uint32_t uinteger;
#endif

#if defined(__AVX512F__)
#define NNC_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define NNC_VECTOR_BYTES 32
#else
#define NNC_VECTOR_BYTES 16
#endif

/* SSE2: sixteen registers, and copies into them, because an operation overwrites an operand. Several long chains side by side do not fit. */
#if defined(__SSE2__) && NNC_VECTOR_BYTES == 16
enum { FEW_REGISTERS = 1 };
#else
enum { FEW_REGISTERS = 0 };
#endif

enum { VL = NNC_VECTOR_BYTES / sizeof(real) };

typedef real vec __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef integer ivec __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef uinteger uvec __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef real vec_unaligned __attribute__((vector_size(NNC_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* NNC_EXACT: a build for processors without fused multiply-add that computes it nevertheless, with the bits of those that have it. The
 * ops that are built so are slower by a multiple in any case, so they are built small (NNC_SMALL): inlining is for speed alone. */
#if NNC_SMALL
#define INLINE static inline __attribute__((unused))
#else
#define INLINE static inline __attribute__((always_inline, unused))
#endif

/* x - 0, because 0 + x would lose the sign of -0 (and cost an addition). */
INLINE vec vset1(real x) { return x - (vec){0}; }
INLINE ivec ivset1(integer x) { return (ivec){0} + x; }
INLINE vec vload(const real *p) { return *(const vec_unaligned *)p; }
INLINE void vstore(real *p, vec v) { *(vec_unaligned *)p = v; }

INLINE ivec lane_numbers(void) {
  static const integer number[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ivec lane;
  memcpy(&lane, number, sizeof lane);
  return lane;
}

/* The first n lanes, 0 <= n <= VL; memory beyond them is not touched, and the other lanes read as 0. */
INLINE vec vload_n(const real *p, size_t n) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif defined(__AVX512F__)
  return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__) && NNC_BUILD_F64
  const ivec lane = {0, 1, 2, 3};
  return (vec)_mm256_maskload_pd(p, (__m256i)(lane < (ivec){0} + (integer)n));
#elif defined(__AVX2__)
  const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (vec)_mm256_maskload_ps(p, (__m256i)(lane < (ivec){0} + (integer)n));
#else
  vec v = {0};
  for (size_t i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}

/* The same, but the other lanes read as fill. */
INLINE vec vload_fill(const real *p, size_t n, real fill) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_mask_loadu_pd((__m512d)vset1(fill), (__mmask8)((1u << n) - 1), p);
#elif defined(__AVX512F__)
  return (vec)_mm512_mask_loadu_ps((__m512)vset1(fill), (__mmask16)((1u << n) - 1), p);
#else
  return (vec)((ivec)vload_n(p, n) | ((ivec)vset1(fill) & (lane_numbers() >= (integer)n)));
#endif
}

/* v with +0 in the lanes from n on, 0 <= n <= VL. */
INLINE vec vkeep_n(vec v, size_t n) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_maskz_mov_pd((__mmask8)((1u << n) - 1), (__m512d)v);
#elif defined(__AVX512F__)
  return (vec)_mm512_maskz_mov_ps((__mmask16)((1u << n) - 1), (__m512)v);
#else
  return (vec)((ivec)v & (lane_numbers() < (integer)n));
#endif
}

INLINE void vstore_n(real *p, vec v, size_t n) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__) && NNC_BUILD_F64
  const ivec lane = {0, 1, 2, 3};
  _mm256_maskstore_pd(p, (__m256i)(lane < (ivec){0} + (integer)n), (__m256d)v);
#elif defined(__AVX2__)
  const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7};
  _mm256_maskstore_ps(p, (__m256i)(lane < (ivec){0} + (integer)n), (__m256)v);
#else
  for (size_t i = 0; i < n; i++) p[i] = v[i];
#endif
}

/* The first n lanes, n <= VL: quicker than the masks if n is VL. */
INLINE vec load_lanes_of(const real *p, size_t n) { return n == VL ? vload(p) : vload_n(p, n); }
INLINE void store_lanes_of(real *p, vec v, size_t n) {
  if (n == VL) vstore(p, v);
  else vstore_n(p, v, n);
}

#if NNC_EXACT
/* Half a vector in double, where a product of floats is exact. Its sum with c is rounded to odd: if it is not exact, to the one of its two
 * neighbours whose last bit is 1. Then rounding to float is the only rounding (Boldo and Melquiond 2008). Infinity and NaN pass, as the
 * error is NaN then. */
typedef double half_doubles __attribute__((vector_size(VL * sizeof(double) / 2)));
typedef int64_t half_longs __attribute__((vector_size(VL * sizeof(double) / 2)));
typedef float half_floats __attribute__((vector_size(VL * sizeof(float) / 2)));

INLINE half_doubles vadd_to_odd(half_doubles product, half_doubles c) {
  const half_doubles sum = product + c, part = sum - product;
  const half_doubles error = (product - (sum - part)) + (c - part); /* Knuth's TwoSum */
  const half_longs inexact = (error > 0) | (error < 0), shrinks = (error < 0) ^ (sum < 0), even = ((half_longs)sum & 1) - 1;
  return (half_doubles)((half_longs)sum + ((shrinks | 1) & inexact & even));
}

static __attribute__((noinline, unused)) vec vfma(vec a, vec b, vec c) {
  union {
    vec whole;
    half_floats half[2];
  } x = {a}, y = {b}, z = {c};
  for (int i = 0; i < 2; i++) {
    const half_doubles product =
        __builtin_convertvector(x.half[i], half_doubles) * __builtin_convertvector(y.half[i], half_doubles);
    z.half[i] = __builtin_convertvector(vadd_to_odd(product, __builtin_convertvector(z.half[i], half_doubles)), half_floats);
  }
  return z.whole;
}
#else
/* a * b + c, with one rounding where the instruction set has a fused multiply-add. */
INLINE vec vfma(vec a, vec b, vec c) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX512F__)
  return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && NNC_BUILD_F64
  return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__FMA__)
  return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON) && defined(__aarch64__) && NNC_BUILD_F64
  return (vec)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#elif defined(__ARM_NEON) && defined(__aarch64__)
  return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
#endif

/* The same for numbers whose product is exact as long as it neither over- nor underflows, such as those of bfloat16. */
INLINE vec vfma_exact_product(vec a, vec b, vec c) {
#if NNC_EXACT
  return a * b + c;
#else
  return vfma(a, b, c);
#endif
}

/* mask ? a : b, lane by lane; mask comes from a comparison (all bits set or none). */
INLINE vec vselect(ivec mask, vec a, vec b) { return (vec)(((ivec)a & mask) | ((ivec)b & ~mask)); }

/* a > b ? a : b and a < b ? a : b: b where either is NaN or both are zeros, which is what x86's instructions do too. */
INLINE vec vmax(vec a, vec b) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
  return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && NNC_BUILD_F64
  return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
  return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__) && NNC_BUILD_F64
  return (vec)_mm_max_pd((__m128d)a, (__m128d)b);
#elif defined(__SSE2__)
  return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
  return vselect(a > b, a, b);
#endif
}
INLINE vec vmin(vec a, vec b) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
  return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && NNC_BUILD_F64
  return (vec)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
  return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__) && NNC_BUILD_F64
  return (vec)_mm_min_pd((__m128d)a, (__m128d)b);
#elif defined(__SSE2__)
  return (vec)_mm_min_ps((__m128)a, (__m128)b);
#else
  return vselect(a < b, a, b);
#endif
}

INLINE vec vabs(vec a) { return (vec)((ivec)a & ~(ivec)vset1((real)-0.0)); }
INLINE vec vcopysign(vec magnitude, vec sign) {
  const ivec bit = (ivec)vset1((real)-0.0);
  return (vec)(((ivec)magnitude & ~bit) | ((ivec)sign & bit));
}

INLINE vec vsqrt(vec a) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return (vec)_mm512_sqrt_pd((__m512d)a);
#elif defined(__AVX512F__)
  return (vec)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__) && NNC_BUILD_F64
  return (vec)_mm256_sqrt_pd((__m256d)a);
#elif defined(__AVX2__)
  return (vec)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__) && NNC_BUILD_F64
  return (vec)_mm_sqrt_pd((__m128d)a);
#elif defined(__SSE2__)
  return (vec)_mm_sqrt_ps((__m128)a);
#else
  for (int i = 0; i < VL; i++) a[i] = NNC_BUILD_F64 ? __builtin_sqrt(a[i]) : __builtin_sqrtf((float)a[i]);
  return a;
#endif
}

/* v with each lane exchanged for the one d lanes away, d a power of two; a macro because the lanes must be literals. */
#define NNC_LANE(i, d) (((i) ^ (d)) % VL)
#define NNC_LANES_2(i, d) NNC_LANE(i, d), NNC_LANE((i) + 1, d)
#define NNC_LANES_4(i, d) NNC_LANES_2(i, d), NNC_LANES_2((i) + 2, d)
#define NNC_LANES_8(i, d) NNC_LANES_4(i, d), NNC_LANES_4((i) + 4, d)
#if NNC_VECTOR_BYTES == 16 && NNC_BUILD_F64
#define NNC_EXCHANGE(v, d) __builtin_shufflevector(v, v, NNC_LANES_2(0, d))
#elif NNC_VECTOR_BYTES == 16 || (NNC_VECTOR_BYTES == 32 && NNC_BUILD_F64)
#define NNC_EXCHANGE(v, d) __builtin_shufflevector(v, v, NNC_LANES_4(0, d))
#elif NNC_VECTOR_BYTES == 32 || NNC_BUILD_F64
#define NNC_EXCHANGE(v, d) __builtin_shufflevector(v, v, NNC_LANES_8(0, d))
#else
#define NNC_EXCHANGE(v, d) __builtin_shufflevector(v, v, NNC_LANES_8(0, d), NNC_LANES_8(8, d))
#endif

/* Sum and maximum of the lanes, in every lane, by halving: log2(VL) steps, and no trip through a scalar register. */
INLINE vec vsum_all(vec v) {
  if (VL > 8) v += NNC_EXCHANGE(v, 8);
  if (VL > 4) v += NNC_EXCHANGE(v, 4);
  if (VL > 2) v += NNC_EXCHANGE(v, 2);
  return v + NNC_EXCHANGE(v, 1);
}
INLINE vec vmax_all(vec v) {
  if (VL > 8) v = vmax(v, NNC_EXCHANGE(v, 8));
  if (VL > 4) v = vmax(v, NNC_EXCHANGE(v, 4));
  if (VL > 2) v = vmax(v, NNC_EXCHANGE(v, 2));
  return vmax(v, NNC_EXCHANGE(v, 1));
}

/* A sum along a row, in an order that is the same on every instruction set: 64 bytes of partial sums (16 floats, 8 doubles), each
 * from +0. Element j goes to partial sum j % 16 (8), in increasing j. Then they are added by halving: those 8 apart, then 4, 2, 1.
 * Where a vector is narrower, VECTORS_OF_SUM vectors take turns; the next one to add to comes first. That may be any of them in the
 * end, which changes nothing about what is added to what. Lanes beyond the end of the row add 0. */
enum { VECTORS_OF_SUM = 64 / NNC_VECTOR_BYTES, SUM_LANES = VECTORS_OF_SUM * VL };
#if NNC_VECTOR_BYTES == 64
typedef struct {
  vec a;
} row_sum;
INLINE row_sum sum_turn(row_sum s) { return s; }
INLINE row_sum sum_add(row_sum s, vec v) { return (row_sum){s.a + v}; }
INLINE row_sum sum_fma(row_sum s, vec x, vec y) { return (row_sum){vfma(x, y, s.a)}; }
INLINE row_sum sum_join(row_sum s, row_sum t) { return (row_sum){s.a + t.a}; }
INLINE vec sum_fold(row_sum s) { return s.a; }
#elif NNC_VECTOR_BYTES == 32
typedef struct {
  vec a, b;
} row_sum;
INLINE row_sum sum_turn(row_sum s) { return (row_sum){s.b, s.a}; }
INLINE row_sum sum_add(row_sum s, vec v) { return (row_sum){s.b, s.a + v}; }
INLINE row_sum sum_fma(row_sum s, vec x, vec y) { return (row_sum){s.b, vfma(x, y, s.a)}; }
INLINE row_sum sum_join(row_sum s, row_sum t) { return (row_sum){s.a + t.a, s.b + t.b}; }
INLINE vec sum_fold(row_sum s) { return s.a + s.b; }
#else
typedef struct {
  vec a, b, c, d;
} row_sum;
INLINE row_sum sum_turn(row_sum s) { return (row_sum){s.b, s.c, s.d, s.a}; }
INLINE row_sum sum_add(row_sum s, vec v) { return (row_sum){s.b, s.c, s.d, s.a + v}; }
INLINE row_sum sum_fma(row_sum s, vec x, vec y) { return (row_sum){s.b, s.c, s.d, vfma(x, y, s.a)}; }
INLINE row_sum sum_join(row_sum s, row_sum t) { return (row_sum){s.a + t.a, s.b + t.b, s.c + t.c, s.d + t.d}; }
INLINE vec sum_fold(row_sum s) { return (s.a + s.c) + (s.b + s.d); }
#endif
/* The sum in every lane. */
INLINE vec sum_total(row_sum s) { return vsum_all(sum_fold(s)); }
/* The same where a partial sum may be -0, as a product is that vfma flushes to zero. An instruction set whose last vector has lanes
 * beyond the end adds 0 to it, and another does not. */
INLINE vec sum_total_unsigned(row_sum s) { return sum_total(s) + vset1(0); }

#endif
