/* transpose: t[j, i] = a[i, j]. Moves bits, rounds nothing; t and a must not overlap. */
#include "ops/op.h"
#include "ops/transpose/tile.h"

/* Tiles of this side keep the lines of source and result in the first cache and their pages in its TLB. */
enum { SIDE = 64 };

void KERNEL(transpose)(real *t, const real *a, size_t rows, size_t cols, size_t ldt, size_t lda) {
  for (size_t i = 0; i < rows; i += SIDE) {
    const size_t height = rows - i < SIDE ? rows - i : SIDE;
    for (size_t j = 0; j < cols; j += SIDE) {
      const size_t width = cols - j < SIDE ? cols - j : SIDE;
      transpose_tile(t + j * ldt + i, a + i * lda + j, height, width, ldt, lda);
    }
  }
}
