/* sizes.h: arithmetic on sizes that reports overflow instead of wrapping. Each returns non-zero if the result is invalid. */
#ifndef NNC_BASE_SIZES_H
#define NNC_BASE_SIZES_H

#include <stddef.h>
#include <stdint.h>

enum { NNC_ALIGNMENT = 64 }; /* bytes: a cache line, and the widest vector */

static inline int nnc_mul(size_t *result, size_t a, size_t b) {
  return __builtin_mul_overflow(a, b, result) || *result > PTRDIFF_MAX;
}
static inline int nnc_add(size_t *result, size_t a, size_t b) {
  return __builtin_add_overflow(a, b, result) || *result > PTRDIFF_MAX;
}

/* Round n elements up to a whole number of cache lines. */
static inline int nnc_round_up(size_t *result, size_t n, size_t element) {
  const size_t line = NNC_ALIGNMENT / element;
  if (nnc_add(result, n, line - 1)) return 1;
  *result -= *result & (line - 1); /* a power of two; a division more per call would be felt in a stream */
  return 0;
}

/* Distance between the rows of a matrix of `cols` elements. Narrow rows are dense, so that element-wise kernels process a small
 * batch as one row. Wide rows start on cache lines. Their distance is never a multiple of 4 KB, because such rows would compete for
 * the same sets of the first-level cache. */
static inline int nnc_leading_dim(size_t *result, size_t cols, size_t element) {
  size_t bytes;
  if (nnc_mul(&bytes, cols, element)) return 1;
  *result = cols;
  if (bytes < 256) return 0;
  if (nnc_round_up(result, cols, element)) return 1;
  if (*result * element % 4096 == 0) return nnc_add(result, *result, NNC_ALIGNMENT / element);
  return 0;
}

#endif
