/* quantize.c: rows of float as rows of 8-bit integers; int8.h says how. */
#include "ops/low_op.h"

/* The largest magnitude as bits: those of floats that are not negative are ordered as their values are, with infinity and then NaN
 * above all numbers. So the order of the elements does not matter. */
INLINE ivec larger_of(ivec most, vec x) {
  const ivec bits = (ivec)vabs(x);
#if defined(__AVX512F__)
  return (ivec)_mm512_max_epi32((__m512i)bits, (__m512i)most);
#elif defined(__AVX2__)
  return (ivec)_mm256_max_epi32((__m256i)bits, (__m256i)most);
#else
  const ivec mask = bits > most;
  return (bits & mask) | (most & ~mask);
#endif
}

static int32_t largest_bits(const float *x, size_t k) {
  ivec most = {0}, other = {0};
  size_t i = 0;
  for (; i + 2 * VL <= k; i += 2 * VL) {
    most = larger_of(most, vload(x + i));
    other = larger_of(other, vload(x + i + VL));
  }
  for (; i < k; i += VL) most = larger_of(most, vload_n(x + i, k - i < VL ? k - i : VL));
  most = larger_of(most, (vec)other);
  int32_t largest = 0;
  for (int j = 0; j < VL; j++) largest = most[j] > largest ? most[j] : largest;
  return largest;
}

/* The last bytes of VL words, which GCC 12 takes one by one where this is left to it. */
INLINE void store_last_bytes(uint8_t *to, ivec words) {
#if defined(__AVX512F__)
  _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8((__m512i)words));
#elif defined(__AVX2__)
  const __m256i each = _mm256_set1_epi32(0x0C080400);
  const __m256i fours = _mm256_shuffle_epi8((__m256i)words, each);
  const __m256i both = _mm256_permutevar8x32_epi32(fours, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
  _mm_storel_epi64((__m128i *)to, _mm256_castsi256_si128(both));
#elif defined(__SSE2__)
  const __m128i halves = _mm_and_si128((__m128i)words, _mm_set1_epi32(255)), pairs = _mm_packs_epi32(halves, halves);
  const int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(pairs, pairs));
  memcpy(to, &four, sizeof four);
#else
  for (int j = 0; j < VL; j++) to[j] = (uint8_t)words[j];
#endif
}

/* Adding 1.5 * 2^23 + 128 rounds to a whole number, which, plus 128, is then the last byte of the sum. */
INLINE void store_integers(uint8_t *to, vec x, float factor) { store_last_bytes(to, (ivec)(x * factor + vset1(12582912 + 128))); }

void KERNEL(int8_quantize)(const nnc_int8_rows *to, const float *x, size_t rows, size_t k, size_t ldx) {
  const size_t whole = nnc_int8_whole(k, NNC_INT8_LINE);
  for (size_t row = 0; row < rows; row++, x += ldx) {
    const int32_t bits = largest_bits(x, k);
    uint8_t *q = to->at + row * to->ld;
    float largest, factor = 0, scale = 0;
    memcpy(&largest, &bits, sizeof largest);
    if (bits >= 0x7F800000) scale = __builtin_nanf("");
    else if (largest >= 0x1p-119f) {
      factor = 127 / largest;
      scale = largest / 127;
    }
    to->scale[row] = scale;
    size_t i = 0;
    for (; i + VL <= k; i += VL) store_integers(q + i, vload(x + i), factor);
    if (i < k) store_integers(q + i, vload_n(x + i, k - i), factor);
    memset(q + k, 0, whole - k);
  }
}
