/* terms.c: the loop over a batch that the less common elementwise losses share; see losses.h.
 *
 * Order of accumulation: as in losses.h.
 */
#include "ops/losses/losses.h"

void KERNEL(loss_by_terms)(loss_terms *terms, loss_attributes attributes, const double *columns, real *grad, real *pred,
                           real *row_loss, const real *z, const real *target, const real *weight, size_t rows, size_t cols,
                           size_t ld, size_t ldt, double scale) {
  enum { PIECE = 16 * VL };
  real loss[PIECE], slope[PIECE];
  const real share = (real)(1.0 / (double)cols);
  const double *own = columns && columns[0] > 1 ? columns + 1 : NULL;
  if (columns && !own) attributes.of_column = vset1((real)columns[1]);
  if (cols == 1 && ld == 1 && ldt == 1) { /* pieces of several rows */
    for (size_t first = 0; first < rows; first += PIECE) {
      const size_t n = rows - first < PIECE ? rows - first : PIECE;
      terms(loss, slope, pred ? pred + first : NULL, z + first, target + first, n, &attributes, NULL);
      for (size_t i = 0; i < n; i += VL) {
        const size_t lanes = loss_lanes(n - i);
        const vec w = weight ? vload_n(weight + first + i, lanes) : vset1(1);
        vstore_n(row_loss + first + i, w * vload(loss + i), lanes);
        if (grad) vstore_n(grad + first + i, w * (real)scale * vload(slope + i), lanes);
      }
    }
    return;
  }
  for (size_t r = 0; r < rows; r++) {
    const real w = weight ? weight[r] : 1;
    const vec factor = vset1(w * (real)(scale / (double)cols));
    row_sum sum = {0};
    for (size_t first = 0; first < cols; first += PIECE) {
      const size_t n = cols - first < PIECE ? cols - first : PIECE, at = r * ld + first;
      terms(loss, slope, pred ? pred + at : NULL, z + at, target + r * ldt + first, n, &attributes, own ? own + first : NULL);
      for (size_t j = 0; j < n; j += VL) {
        const size_t lanes = loss_lanes(n - j);
        sum = sum_add(sum, loss_keep(vload(loss + j), lanes, 0));
        if (grad) vstore_n(grad + at + j, factor * vload(slope + j), lanes);
      }
    }
    row_loss[r] = w * (sum_total(sum)[0] * share);
  }
}
