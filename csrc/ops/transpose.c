/* transpose: t[j, i] = a[i, j]. Moves bits, rounds nothing; t and a must not overlap. */
#include "ops/op.h"

enum { BLOCK = 16 };

void KERNEL(transpose)(real *t, const real *a, size_t rows, size_t cols, size_t ldt, size_t lda) {
  for (size_t i0 = 0; i0 < rows; i0 += BLOCK) {
    const size_t i1 = i0 + BLOCK < rows ? i0 + BLOCK : rows;
    for (size_t j0 = 0; j0 < cols; j0 += BLOCK) {
      const size_t j1 = j0 + BLOCK < cols ? j0 + BLOCK : cols;
      for (size_t j = j0; j < j1; j++)
        for (size_t i = i0; i < i1; i++) t[j * ldt + i] = a[i * lda + j];
    }
  }
}
