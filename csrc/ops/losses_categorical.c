/* losses_categorical.c: cross-entropy over C classes, from probabilities or from logits, with the target as a row of
 * probabilities (usually one-hot) or as the index of a class. t is the target row after label smoothing s: t (1 - s) + s / C.
 *
 *   from logits          d = z - max z, S = sum exp d, p = exp d / S
 *                        loss  log S sum t - sum t d, both terms >= 0, so nothing cancels
 *                        grad  p sum t - t,  pred = p
 *   from probabilities   S = sum p, q = p / S, c = clip(q, 1e-7, 1 - 1e-7)      (Keras)
 *                        loss  -sum t log c
 *                        grad  (T - [q = c] t / q) / S, T = sum of t where q = c: exactly that function's, so 0 where clipped
 *
 * Finite logits give a finite loss and gradient. A logit of -inf is a class ruled out: it costs nothing where t = 0 and
 * infinity elsewhere. NaN, +inf, or a row of -inf makes the whole row NaN. An index must lie in [0, C): the caller has checked.
 *
 * Order of accumulation: as in losses.h. Up to VL classes stay in registers; more make three passes over the row, which parks
 * exp d where pred or grad will stand.
 */
#include "ops/losses.h"
#include "ops/vmath.h"

typedef enum { TARGET_DENSE, TARGET_INDEX } target_kind;

/* The target row of one sample: t = value * keep + floor, value being what is stored, or 1 at the label and 0 elsewhere. */
typedef struct {
  const real *value;
  integer label;
  vec keep, floor;
} target_row;

INLINE target_row target_rows(double smoothing, size_t cols) {
  return (target_row){.keep = vset1((real)(1 - smoothing)), .floor = vset1((real)(smoothing / (double)cols))};
}

INLINE void target_move(target_row *t, target_kind kind, const real *target, size_t r, size_t ldt) {
  t->value = target + r * ldt;
  if (kind == TARGET_INDEX) t->label = (integer)*t->value;
}

/* Columns j to j + n of the row, 0 beyond. */
INLINE vec target_load(const target_row *t, target_kind kind, size_t j, size_t n) {
  const vec value =
      kind == TARGET_INDEX ? vselect(loss_lane_numbers() + (integer)j == t->label, vset1(1), vset1(0)) : loss_load(t->value + j, n);
  return loss_keep(vfma(value, t->keep, t->floor), n, 0);
}

/* What the logarithm waits for: it is taken for VL rows at a time, which saves VL - 1 of VL. */
typedef struct {
  vec total, target_sum, target_dot;
} row_sums;

INLINE row_sums softmax_of_few(target_kind kind, real *grad, real *pred, const real *z, const target_row *target, size_t cols,
                               real factor) {
  const vec raw = loss_keep(loss_load(z, cols), cols, (real)-INFINITY), d = raw - vmax_all(raw), e = vexp(d);
  const vec t = target_load(target, kind, 0, cols), total = vsum_all(e), p = e / total;
  const vec target_sum = kind == TARGET_INDEX ? vset1(1) : vsum_all(t);
  if (pred) loss_store(pred, p, cols);
  if (grad) loss_store(grad, (p * target_sum - t) * factor, cols);
  return (row_sums){total, target_sum, vsum_all(vselect(t == 0, vset1(0), t * d))};
}

INLINE row_sums softmax_of_many(target_kind kind, real *grad, real *pred, const real *z, const target_row *target, size_t cols,
                                real factor) {
  real *parked = pred ? pred : grad;
  vec top = vset1((real)-INFINITY), total = {0}, target_sum = {0}, target_dot = {0};
  for (size_t j = 0; j < cols; j += VL) {
    const size_t n = loss_lanes(cols - j);
    top = vmax(loss_keep(loss_load(z + j, n), n, (real)-INFINITY), top);
  }
  top = vmax_all(top);
  for (size_t j = 0; j < cols; j += VL) {
    const size_t n = loss_lanes(cols - j);
    const vec d = loss_keep(loss_load(z + j, n), n, (real)-INFINITY) - top, e = vexp(d), t = target_load(target, kind, j, n);
    if (parked) loss_store(parked + j, e, n);
    total += e;
    target_sum += t;
    target_dot += vselect(t == 0, vset1(0), t * d);
  }
  total = vsum_all(total);
  target_sum = kind == TARGET_INDEX ? vset1(1) : vsum_all(target_sum);
  for (size_t j = 0; parked && j < cols; j += VL) {
    const size_t n = loss_lanes(cols - j);
    const vec p = loss_load(parked + j, n) / total;
    if (pred) loss_store(pred + j, p, n);
    if (grad) loss_store(grad + j, (p * target_sum - target_load(target, kind, j, n)) * factor, n);
  }
  return (row_sums){total, target_sum, vsum_all(target_dot)};
}

INLINE void crossentropy_of_logits(target_kind kind, double smoothing, real *grad, real *pred, real *row_loss, const real *z,
                                   const real *target, const real *weight, size_t rows, size_t cols, size_t ld, size_t ldt,
                                   double scale) {
  target_row t = target_rows(smoothing, cols);
  for (size_t first = 0; first < rows; first += VL) {
    const size_t n = loss_lanes(rows - first);
    vec total = {0}, target_sum = {0}, target_dot = {0};
    for (size_t i = 0; i < n; i++) {
      const size_t r = first + i;
      real *gr = grad ? grad + r * ld : NULL, *pr = pred ? pred + r * ld : NULL;
      const real factor = (weight ? weight[r] : 1) * (real)scale;
      target_move(&t, kind, target, r, ldt);
      const row_sums row = cols <= VL ? softmax_of_few(kind, gr, pr, z + r * ld, &t, cols, factor)
                                      : softmax_of_many(kind, gr, pr, z + r * ld, &t, cols, factor);
      total[i] = row.total[0];
      target_sum[i] = row.target_sum[0];
      target_dot[i] = row.target_dot[0];
    }
    const vec w = weight ? loss_load(weight + first, n) : vset1(1);
    loss_store(row_loss + first, w * (target_sum * vlog(total) - target_dot), n);
  }
}

INLINE void crossentropy_of_probabilities(target_kind kind, double smoothing, real *grad, real *row_loss, const real *z,
                                          const real *target, const real *weight, size_t rows, size_t cols, size_t ld, size_t ldt,
                                          double scale) {
  const real lo = (real)1e-7, hi = (real)(1 - 1e-7);
  target_row t = target_rows(smoothing, cols);
  for (size_t r = 0; r < rows; r++) {
    const real *zr = z + r * ld, w = weight ? weight[r] : 1;
    target_move(&t, kind, target, r, ldt);
    vec total = {0}, loss = {0}, target_inside = {0};
    for (size_t j = 0; j < cols; j += VL) total += loss_load(zr + j, loss_lanes(cols - j));
    total = vsum_all(total);
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec q = loss_load(zr + j, n) / total, c = loss_clip(q, lo, hi), tj = target_load(&t, kind, j, n);
      loss -= tj * vlog(c);
      target_inside += vselect(q == c, tj, vset1(0));
    }
    row_loss[r] = w * vsum_all(loss)[0];
    if (!grad) continue;
    target_inside = vsum_all(target_inside);
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec q = loss_load(zr + j, n) / total, own = target_load(&t, kind, j, n) / q;
      const vec slope = target_inside - vselect(q == loss_clip(q, lo, hi), own, vset1(0));
      loss_store(grad + r * ld + j, slope / total * (w * (real)scale), n);
    }
  }
}

void KERNEL(categorical_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  crossentropy_of_logits(TARGET_DENSE, attr[0], NNC_LOSS_BATCH(pred));
}

void KERNEL(sparse_categorical_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  crossentropy_of_logits(TARGET_INDEX, attr[0], NNC_LOSS_BATCH(pred));
}

void KERNEL(categorical_crossentropy)(NNC_LOSS_PARAMETERS) {
  crossentropy_of_probabilities(TARGET_DENSE, attr[0], grad, row_loss, z, target, weight, rows, cols, ld, ldt, scale);
}

void KERNEL(sparse_categorical_crossentropy)(NNC_LOSS_PARAMETERS) {
  crossentropy_of_probabilities(TARGET_INDEX, attr[0], grad, row_loss, z, target, weight, rows, cols, ld, ldt, scale);
}
