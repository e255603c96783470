/* maxout.c: the largest of several pieces (Goodfellow et al. 2013, "Maxout networks"). A row of x holds `pieces` blocks of `cols`
 * numbers, one piece after the other:
 *
 *   y[j] = max over p of x[p * cols + j]      dx[p * cols + j] = dy[j] for the first p that has the maximum, 0 for the others
 *
 * A NaN in any piece is passed on and gets the gradient. Only x is saved. Elements do not depend on each other.
 */
#include "ops/op.h"

/* Whether a piece replaces the maximum so far: it is larger, or the first NaN. */
INLINE ivec exceeds(vec x, vec best) { return (x > best) | ((x != x) & (best == best)); }

void KERNEL(maxout_forward)(real *y, const real *x, size_t rows, size_t cols, size_t pieces, size_t ldy, size_t ldx) {
  for (size_t i = 0; i < rows; i++, x += ldx, y += ldy)
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = cols - j < VL ? cols - j : VL;
      vec best = n == VL ? vload(x + j) : vload_n(x + j, n);
      for (size_t p = 1; p < pieces; p++) {
        const real *at = x + p * cols + j;
        const vec piece = n == VL ? vload(at) : vload_n(at, n);
        best = vselect(exceeds(piece, best), piece, best);
      }
      if (n == VL) vstore(y + j, best);
      else vstore_n(y + j, best, n);
    }
}

void KERNEL(maxout_backward)(real *dx, const real *dy, const real *x, size_t rows, size_t cols, size_t pieces, size_t lddx,
                             size_t lddy, size_t ldx) {
  for (size_t i = 0; i < rows; i++, dx += lddx, dy += lddy, x += ldx)
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = cols - j < VL ? cols - j : VL;
      vec best = n == VL ? vload(x + j) : vload_n(x + j, n);
      ivec winner = {0};
      for (size_t p = 1; p < pieces; p++) {
        const real *at = x + p * cols + j;
        const vec piece = n == VL ? vload(at) : vload_n(at, n);
        const ivec takes = exceeds(piece, best);
        best = vselect(takes, piece, best);
        winner = (takes & ivset1((integer)p)) | (~takes & winner);
      }
      const vec d = n == VL ? vload(dy + j) : vload_n(dy + j, n);
      for (size_t p = 0; p < pieces; p++) {
        const vec own = vselect(winner == ivset1((integer)p), d, vset1(0));
        if (n == VL) vstore(dx + p * cols + j, own);
        else vstore_n(dx + p * cols + j, own, n);
      }
    }
}
