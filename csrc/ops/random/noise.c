/* noise.c: y = x + stddev * z, z being standard normal numbers; nothing is saved, as the derivative is 1.
 *
 * The words of random.h are used in pairs, one pair for columns 2i and 2i + 1. The method of Box and Muller (1958) converts a pair
 * into two normal numbers:
 *
 *   z[2i] = +-r cos(a)      z[2i + 1] = +-r sin(a)      r = sqrt(-2 log u)      0 <= a < pi / 2
 *
 * u = ((first word >> 1) + 1/2) / 2^31, so |z| < 6.7. Bits 0 and 1 of the second word are the two signs; its other bits give a in
 * the same way. With t = a - pi / 4 both cos(a) and sin(a) are (cos(t) -+ sin(t)) / sqrt(2). The Taylor series end at the precision
 * of the dtype. An element depends only on its words.
 */
#include "ops/op.h"
#include "ops/random/random.h"
#include "ops/vmath.h"

#if NNC_BUILD_F64
static const real sine[] = {
    1, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000};
static const real cosine[] = {
    1, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
#else
static const real sine[] = {1, -1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880};
static const real cosine[] = {1, -1.0f / 2, 1.0f / 24, -1.0f / 720, 1.0f / 40320, -1.0f / 3628800};
#endif

/* (bits + 1/2) / 2^count for bits < 2^count, count < 32. */
INLINE vec unit(uvec bits, int count) {
  return (__builtin_convertvector((ivec)bits, vec) + (real)0.5) * (real)(1.0 / (double)((uint64_t)1 << count));
}

INLINE vec with_sign(vec magnitude, uvec bit) { return (vec)((uvec)magnitude | bit << (8 * sizeof(real) - 1)); }

INLINE void box_muller(vec *first, vec *second, uvec u, uvec v) {
  const vec radius = vsqrt(-2 * vlog(unit(u >> 1, 31))) * (real)0.70710678118654752440;
  const vec t = (unit(v >> 2, 30) - (real)0.5) * (real)1.57079632679489661923, square = t * t;
  const vec s = t * vpolynomial(square, sine, sizeof sine / sizeof *sine),
            c = vpolynomial(square, cosine, sizeof cosine / sizeof *cosine);
  *first = with_sign(radius * (c - s), v & 1);
  *second = with_sign(radius * (c + s), v >> 1 & 1);
}

INLINE uvec widen(const uint32_t *word) {
  uint32_t lane __attribute__((vector_size(VL * sizeof(uint32_t))));
  memcpy(&lane, word, sizeof lane);
  return __builtin_convertvector(lane, uvec);
}

void KERNEL(gaussian_noise)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double stddev,
                            const uint32_t key[2], const uint32_t stream[2]) {
  enum { PAIRS = SETS * WORDS / 2 };
  const vec scale = vset1((real)stddev);
  for (size_t r = 0; r < rows; r++, x += ldx, y += ldy)
    for (size_t j = 0; j < cols;) {
      uint32_t word[SETS * WORDS], u[PAIRS], v[PAIRS];
      real z[2 * PAIRS], a[PAIRS], b[PAIRS];
      const size_t n = draw(word, j, cols, (uint32_t)(row0 + r), key, stream);
      for (size_t i = 0; i < (n + 1) / 2; i++) {
        u[i] = word[2 * i];
        v[i] = word[2 * i + 1];
      }
      for (size_t i = (n + 1) / 2; i % VL; i++) u[i] = v[i] = 0; /* the rest of the last vector */
      for (size_t i = 0; 2 * i < n; i += VL) {
        vec first, second;
        box_muller(&first, &second, widen(u + i), widen(v + i));
        vstore(a + i, first);
        vstore(b + i, second);
      }
      for (size_t i = 0; i < (n + 1) / 2; i++) {
        z[2 * i] = a[i];
        z[2 * i + 1] = b[i];
      }
      size_t i = 0;
      for (; i + VL <= n; i += VL) vstore(y + j + i, vfma(scale, vload(z + i), vload(x + j + i)));
      if (i < n) vstore_n(y + j + i, vfma(scale, vload_n(z + i, n - i), vload_n(x + j + i, n - i)), n - i);
      j += n;
    }
}
