/* dropout.c: y = x * keep / (1 - p), keep being 0 or 1; forward and backward are this same function, so nothing is saved: the
 * mask is drawn again from its counter (random.h).
 *
 * An element is kept where its word >= ceil(p * 2^32), that is where word / 2^32 >= p. 1 / (1 - p) is rounded to the dtype once. A
 * dropped element is x * 0, so NaN stays NaN; p >= 1 - 2^-32 gives plain zeros.
 */
#include <math.h>

#include "ops/op.h"
#include "ops/random.h"

/* All bits of lane i set where word[i] >= threshold. */
INLINE ivec kept(const uint32_t *word, uint32_t threshold) {
  uint32_t lane __attribute__((vector_size(VL * sizeof(uint32_t))));
  memcpy(&lane, word, sizeof lane);
  return (ivec)(__builtin_convertvector(lane, uvec) >= (uvec){0} + threshold);
}

void KERNEL(dropout)(real *y, const real *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double p,
                     const uint32_t key[2], const uint32_t stream[2]) {
  const double threshold = ceil(p * 0x1p32);
  if (!(threshold < 0x1p32)) {
    for (size_t r = 0; r < rows; r++) memset(y + r * ldy, 0, cols * sizeof *y);
    return;
  }
  const vec scale = vset1((real)(1 / (1 - p)));
  for (size_t r = 0; r < rows; r++) {
    const real *xr = x + r * ldx;
    real *yr = y + r * ldy;
    for (size_t j = 0; j < cols;) {
      uint32_t word[SETS * WORDS];
      const size_t n = draw(word, j, cols, (uint32_t)(row0 + r), key, stream);
      for (size_t i = 0; i < n; i += VL) {
        const vec factor = vselect(kept(word + i, (uint32_t)threshold), scale, vset1(0));
        const size_t left = n - i;
        if (left >= VL) vstore(yr + j + i, vload(xr + j + i) * factor);
        else vstore_n(yr + j + i, vload_n(xr + j + i, left) * factor, left);
      }
      j += n;
    }
  }
}
