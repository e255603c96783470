/* margin.c: losses that require a margin; targets are -1 or +1 (categorical_hinge: 0 or 1), and the caller converts them.
 *
 *   hinge               1/C sum max(1 - t z, 0)                              -t / C where t z < 1
 *   squared_hinge       1/C sum max(1 - t z, 0)^2                            -2 t max(1 - t z, 0) / C
 *   perceptron          1/C sum max(-t z, 0)                                 -t / C where t z <= 0
 *   categorical_hinge   max(neg - pos + 1, 0), pos = sum t z,                [j = argmax] (1 - t_j) - t_j where the loss is > 0
 *                           neg = max over j of (1 - t_j) z_j
 *
 * The perceptron's subgradient at t z = 0 is -t, not 0, so that Rosenblatt's rule w += t x also learns from a zero output, which
 * the first step from zero weights gives. categorical_hinge gives its slope to the first of equal maxima. A NaN prediction makes
 * the row's loss NaN, and the slopes that depend on it.
 */
#include "ops/losses/losses.h"

INLINE loss_term hinge_margin(vec z, vec t, vec parameter UNUSED) {
  const vec margin = (real)1 - t * z;
  return (loss_term){.loss = vmax(vset1(0), margin), .slope = loss_nan_from(z, vselect(margin > 0, -t, vset1(0)))};
}

INLINE loss_term squared_hinge_margin(vec z, vec t, loss_attributes at UNUSED) {
  const vec missing = vmax(vset1(0), (real)1 - t * z);
  return (loss_term){.loss = missing * missing, .slope = (real)-2 * t * missing};
}

INLINE loss_term perceptron_margin(vec z, vec t, vec parameter UNUSED) {
  const vec agreement = t * z;
  return (loss_term){.loss = vmax(vset1(0), (real)0 - agreement), .slope = loss_nan_from(z, vselect(agreement <= 0, -t, vset1(0)))};
}

LOSS_TERMS(squared_hinge_margin)

void KERNEL(hinge)(NNC_LOSS_PARAMETERS) { elementwise_loss(hinge_margin, 0, OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL)); }

void KERNEL(squared_hinge)(NNC_LOSS_PARAMETERS) {
  KERNEL(loss_by_terms)(terms_of_squared_hinge_margin, (loss_attributes){.first = vset1(0)}, NULL, NNC_LOSS_BATCH(NULL));
}

void KERNEL(perceptron)(NNC_LOSS_PARAMETERS) { elementwise_loss(perceptron_margin, 0, OVER_COLUMNS_MEAN, NNC_LOSS_BATCH(NULL)); }

void KERNEL(categorical_hinge)(NNC_LOSS_PARAMETERS) {
  for (size_t r = 0; r < rows; r++) {
    const real *zr = z + r * ld, *tr = target + r * ldt;
    vec wrong = vset1((real)-INFINITY);
    row_sum right = {0};
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec zj = loss_load(zr + j, n), tj = loss_load(tr + j, n);
      wrong = vmax(loss_keep(((real)1 - tj) * zj, n, (real)-INFINITY), wrong);
      right = sum_add(right, tj * zj);
    }
    const real neg = vmax_all(wrong)[0], pos = sum_total(right)[0], w = weight ? weight[r] : 1, loss = neg - pos + 1;
    row_loss[r] = w * (loss <= 0 ? 0 : loss);
    if (!grad) continue;

    /* loss is NaN if any t z is; the factor makes the whole row NaN */
    const real factor = w * (real)scale * (loss > 0 ? 1 : loss <= 0 ? 0 : loss);
    real *gr = grad + r * ld;
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      loss_store(gr + j, vset1(-factor) * loss_load(tr + j, n), n);
    }
    size_t worst = 0;
    while (worst + 1 < cols && ((real)1 - tr[worst]) * zr[worst] != neg) worst++;
    gr[worst] += factor * ((real)1 - tr[worst]);
  }
}
