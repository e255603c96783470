/* categorical.c: cross-entropy over C classes, from probabilities or from logits, with the target as a row of probabilities
 * (usually one-hot) or as the index of a class. t is the target row after label smoothing s: t (1 - s) + s / C.
 *
 *   from logits          d = z - max z, S = sum exp d, p = exp d / S
 *                        loss  log S sum t - sum t d, both terms >= 0, so nothing cancels
 *                        grad  p sum t - t,  pred = p
 *   from probabilities   S = sum p, q = p / S, c = clip(q, 1e-7, 1 - 1e-7)      (Keras)
 *                        loss  -sum t log c
 *                        grad  (T - [q = c] t / q) / S, T = sum of t where q = c: exactly that function's, so 0 where clipped
 *
 * Finite logits give a finite loss and gradient. A logit of -inf excludes a class: it costs nothing where t = 0 and infinity
 * elsewhere. NaN, +inf, or a row of -inf makes the whole row NaN. A row whose index is not in [0, C) is
 * ignored: its loss and its gradient are 0.
 *
 * Order of accumulation: as in losses.h. Up to VL classes stay in registers, doubles with AVX-512 up to 2 VL. More need three passes
 * over the row; exp d is stored in pred or grad meanwhile.
 */
#include "ops/losses/losses.h"
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

INLINE void target_move(target_row *t, target_kind kind, const real *target, size_t r, size_t ldt, size_t cols) {
  t->value = target + r * ldt;
  if (kind == TARGET_INDEX) t->label = *t->value >= 0 && *t->value < (real)cols ? (integer)*t->value : -1;
}

/* Columns j to j + n of the row, 0 beyond. */
INLINE vec target_load(const target_row *t, target_kind kind, size_t j, size_t n) {
  const vec value =
      kind == TARGET_INDEX ? vselect(lane_numbers() + (integer)j == t->label, vset1(1), vset1(0)) : loss_load(t->value + j, n);
  return loss_keep(vfma(value, t->keep, t->floor), n, 0);
}

/* The arguments of the logarithm. It is computed for VL rows at a time, which saves VL - 1 of VL. */
typedef struct {
  real total[VL], target_sum[VL], target_dot[VL], kept[VL];
} sums_of_rows;

/* Sum and maximum of the lanes, in every lane, for n vectors in parallel: vsum_all and vmax_all. */
#define HALVE(v, n, d, operation) \
  if (VL > (d)) _Pragma("GCC unroll 8") for (size_t i = 0; i < (n); i++)(v)[i] = operation((v)[i], NNC_EXCHANGE((v)[i], d));
INLINE vec vadd(vec a, vec b) { return a + b; }
INLINE void vsum_all_each(vec *v, size_t n){HALVE(v, n, 8, vadd) HALVE(v, n, 4, vadd) HALVE(v, n, 2, vadd)
                                                HALVE(v, n, 1, vadd)} INLINE void vmax_all_each(vec *v, size_t n) {
  HALVE(v, n, 8, vmax)
  HALVE(v, n, 4, vmax)
  HALVE(v, n, 2, vmax)
  HALVE(v, n, 1, vmax)
}
#undef HALVE

/* `count` rows of one vector or two, `parts`, all in parallel: one row is a longer chain than the processor looks ahead. Both are
 * constants. Two are worth their code for doubles with AVX-512; a row_sum begins by adding them up, too. Vector i is of row i % count,
 * from column FIRST. label and the other fields of `target` are those of the first row. */
enum { ROWS_IN_STEP = FEW_REGISTERS ? 1 : 4, PAIRS = NNC_BUILD_F64 && VL == 8 ? 2 : 0 }; /* rows of one vector, of two */
#define IN_STEP _Pragma("GCC unroll 8") for (size_t i = 0; i < count; i++)
#define IN_PARTS _Pragma("GCC unroll 8") for (size_t i = 0; i < count * parts; i++)
#define FIRST (i / count * VL)
#define LANES (parts == 1 ? cols : loss_lanes(cols - FIRST))

INLINE void softmax_of_narrow_rows(target_kind kind, sums_of_rows *sums, size_t at, real *grad, real *pred, const real *z,
                                   const target_row *target, size_t cols, size_t ld, const real *factor, size_t count,
                                   size_t parts) {
  vec d[ROWS_IN_STEP], p[ROWS_IN_STEP], t[ROWS_IN_STEP], total[ROWS_IN_STEP], target_sum[ROWS_IN_STEP];
  IN_PARTS d[i] = loss_keep(loss_load(z + i % count * ld + FIRST, LANES), LANES, (real)-INFINITY);
  IN_STEP total[i] = parts == 1 ? d[i] : vmax(d[count + i], d[i]);
  vmax_all_each(total, count);
  IN_PARTS d[i] -= total[i % count];
  vexp_each(p, d, count * parts);
  IN_PARTS t[i] = target_load(&target[i % count], kind, FIRST, LANES);
  IN_STEP total[i] = parts == 1 ? p[i] : p[i] + p[count + i];
  vsum_all_each(total, count);
  IN_STEP sums->total[at + i] = total[i][0];
  IN_PARTS p[i] /= total[i % count];
  if (pred) IN_PARTS loss_store(pred + i % count * ld + FIRST, p[i], LANES);
  IN_STEP target_sum[i] = vset1(1);
  if (kind != TARGET_INDEX) {
    IN_STEP target_sum[i] = parts == 1 ? t[i] : t[i] + t[count + i];
    vsum_all_each(target_sum, count);
  }
  IN_STEP sums->target_sum[at + i] = target_sum[i][0];
  if (grad) IN_PARTS loss_store(grad + i % count * ld + FIRST, (p[i] * target_sum[i % count] - t[i]) * factor[i % count], LANES);
  IN_PARTS d[i] = vselect(t[i] == 0, vset1(0), t[i] * d[i]);
  IN_STEP total[i] = parts == 1 ? d[i] : d[i] + d[count + i];
  vsum_all_each(total, count);
  IN_STEP sums->target_dot[at + i] = total[i][0];
}
#undef IN_STEP
#undef IN_PARTS
#undef FIRST
#undef LANES

INLINE void softmax_of_wide_rows(target_kind kind, sums_of_rows *sums, size_t at, real *grad, real *pred, const real *z,
                                 const target_row *target, size_t cols, real factor) {
  real *parked = pred ? pred : grad;
  vec top = vset1((real)-INFINITY);
  row_sum totals = {0}, target_sums = {0}, target_dots = {0};
  for (size_t j = 0; j < cols; j += VL) {
    const size_t n = loss_lanes(cols - j);
    top = vmax(loss_keep(loss_load(z + j, n), n, (real)-INFINITY), top);
  }
  top = vmax_all(top);
  for (size_t j = 0; j < cols; j += VL) {
    const size_t n = loss_lanes(cols - j);
    const vec d = loss_keep(loss_load(z + j, n), n, (real)-INFINITY) - top, e = vexp(d), t = target_load(target, kind, j, n);
    if (parked) loss_store(parked + j, e, n);
    totals = sum_add(totals, e);
    target_sums = sum_add(target_sums, t);
    target_dots = sum_add(target_dots, vselect(t == 0, vset1(0), t * d));
  }
  const vec total = sum_total(totals), target_sum = kind == TARGET_INDEX ? vset1(1) : sum_total(target_sums);
  for (size_t j = 0; parked && j < cols; j += VL) {
    const size_t n = loss_lanes(cols - j);
    const vec p = loss_load(parked + j, n) / total;
    if (pred) loss_store(pred + j, p, n);
    if (grad) loss_store(grad + j, (p * target_sum - target_load(target, kind, j, n)) * factor, n);
  }
  sums->total[at] = total[0];
  sums->target_sum[at] = target_sum[0];
  sums->target_dot[at] = sum_total(target_dots)[0];
}

INLINE void crossentropy_of_logits(target_kind kind, double smoothing, real *grad, real *pred, real *row_loss, const real *z,
                                   const real *target, const real *weight, size_t rows, size_t cols, size_t ld, size_t ldt,
                                   double scale) {
  for (size_t first = 0; first < rows; first += VL) {
    const size_t n = loss_lanes(rows - first);
    sums_of_rows sums = {{0}, {0}, {0}, {0}};
    for (size_t i = 0, count; i < n; i += count) {
      const size_t most = cols <= VL ? ROWS_IN_STEP : cols <= 2 * VL && PAIRS ? PAIRS : 1;
      count = n - i >= most ? most : 1;
      target_row t[ROWS_IN_STEP];
      real factor[ROWS_IN_STEP];
      for (size_t j = 0; j < count; j++) {
        t[j] = target_rows(smoothing, cols);
        target_move(&t[j], kind, target, first + i + j, ldt, cols);
        sums.kept[i + j] = kind != TARGET_INDEX || t[j].label >= 0;
        factor[j] = (weight ? weight[first + i + j] : 1) * (real)scale * sums.kept[i + j];
      }
      const size_t at = (first + i) * ld;
      real *g = grad ? grad + at : NULL, *p = pred ? pred + at : NULL;
      if (cols > VL && count > 1) softmax_of_narrow_rows(kind, &sums, i, g, p, z + at, t, cols, ld, factor, PAIRS, 2);
      else if (cols > VL) softmax_of_wide_rows(kind, &sums, i, g, p, z + at, &t[0], cols, factor[0]);
      else if (count == 1) softmax_of_narrow_rows(kind, &sums, i, g, p, z + at, t, cols, ld, factor, 1, 1);
      else softmax_of_narrow_rows(kind, &sums, i, g, p, z + at, t, cols, ld, factor, ROWS_IN_STEP, 1);
    }
    const vec w = weight ? loss_load(weight + first, n) : vset1(1);
    /* + 0: a sum of nothing but -0 is +0, as in the sums of wide rows */
    const vec target_sum = vload(sums.target_sum) + vset1(0), target_dot = vload(sums.target_dot) + vset1(0);
    const vec loss = w * (target_sum * vlog(vload(sums.total)) - target_dot);
    loss_store(row_loss + first, kind == TARGET_INDEX ? vselect(vload(sums.kept) == 0, vset1(0), loss) : loss, n);
  }
}

/* One function serves both kinds, as these are used less often: a Softmax before the loss joins it, and gives logits. */
__attribute__((noipa)) static void crossentropy_of_probabilities(target_kind kind, double smoothing, real *grad, real *row_loss,
                                                                 const real *z, const real *target, const real *weight, size_t rows,
                                                                 size_t cols, size_t ld, size_t ldt, double scale) {
  const real lo = (real)1e-7, hi = (real)(1 - 1e-7);
  target_row t = target_rows(smoothing, cols);
  for (size_t r = 0; r < rows; r++) {
    const real *zr = z + r * ld;
    target_move(&t, kind, target, r, ldt, cols);
    const int kept = kind != TARGET_INDEX || t.label >= 0;
    const real w = !kept ? 0 : weight ? weight[r] : 1;
    row_sum totals = {0}, losses = {0}, inside = {0};
    for (size_t j = 0; j < cols; j += VL) totals = sum_add(totals, loss_load(zr + j, loss_lanes(cols - j)));
    const vec total = sum_total(totals);
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec q = loss_load(zr + j, n) / total, c = loss_clip(q, lo, hi), tj = target_load(&t, kind, j, n);
      losses = sum_add(losses, loss_keep(-(tj * vlog(c)), n, 0)); /* a total of 0 makes q NaN in the lanes beyond n, too */
      inside = sum_add(inside, vselect(q == c, tj, vset1(0)));
    }
    row_loss[r] = kept ? w * sum_total(losses)[0] : 0;
    if (!grad) continue;
    const vec target_inside = sum_total(inside);
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec q = loss_load(zr + j, n) / total, own = target_load(&t, kind, j, n) / q;
      const vec slope = target_inside - vselect(q == loss_clip(q, lo, hi), own, vset1(0));
      loss_store(grad + r * ld + j, slope / total * (w * (real)scale), n);
    }
  }
}

/* Focal losses (Keras): -sum a t (1 - p)^gamma log p, a = class_alpha. With h = a t (1 - p)^gamma (gamma log p / (1 - p) - 1 / p), the
 * derivative by p, and G = sum h p:
 *   from logits          grad  h p - p G
 *   from probabilities   grad  (h - G) / S, h being 0 where q is clipped
 * p log p / (1 - p) is -1 where p rounds to 1. h p, or h, is stored in grad until G is known. One function serves all four, as these
 * are used less often. */
__attribute__((noipa)) static void focal_of_rows(target_kind kind, int from_logits, const double *attr, real *grad, real *pred,
                                                 real *row_loss, const real *z, const real *target, const real *weight, size_t rows,
                                                 size_t cols, size_t ld, size_t ldt, double scale) {
  const real lo = (real)1e-7, hi = (real)(1 - 1e-7);
  const vec gamma = vset1((real)attr[1]);
  const double *alpha = attr[2] > 1 ? attr + 3 : NULL;
  target_row t = target_rows(attr[0], cols);
  for (size_t r = 0; r < rows; r++) {
    const real *zr = z + r * ld;
    target_move(&t, kind, target, r, ldt, cols);
    const int kept = kind != TARGET_INDEX || t.label >= 0;
    const real w = !kept ? 0 : weight ? weight[r] : 1;
    vec top = vset1((real)-INFINITY);
    row_sum totals = {0}, losses = {0}, dots = {0};
    for (size_t j = 0; j < cols && from_logits; j += VL)
      top = vmax(loss_keep(loss_load(zr + j, loss_lanes(cols - j)), loss_lanes(cols - j), (real)-INFINITY), top);
    top = vmax_all(top);
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec x = loss_load(zr + j, n);
      totals = sum_add(totals, from_logits ? vexp(loss_keep(x, n, (real)-INFINITY) - top) : x);
    }
    const vec total = sum_total(totals), log_total = vlog(total);
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec x = loss_load(zr + j, n), q = x / total, clipped = loss_clip(q, lo, hi);
      const vec log_p = from_logits ? x - top - log_total : vlog(clipped), p = from_logits ? vexp(log_p) : clipped;
      const vec rest = (real)1 - p, tj = target_load(&t, kind, j, n), a = alpha ? loss_columns(alpha, j, n) : vset1((real)attr[3]);
      const vec focused = vselect(gamma == 0, vset1(1), vexp(gamma * vlog(rest))), weighted = a * tj * focused;
      const vec ratio = vselect(rest == 0, vset1(-1), vselect(p == 0, vset1(0), p * log_p / rest)); /* p log p / (1 - p) */
      vec slope = vselect(tj == 0, vset1(0), weighted * (gamma * ratio - (real)1));
      losses = sum_add(losses, -loss_keep(vselect(weighted == 0, vset1(0), weighted * log_p), n, 0));
      if (!from_logits) slope = vselect(q == clipped, slope, vselect(q == q, vset1(0), q));
      dots = sum_add(dots, loss_keep(slope, n, 0));
      if (grad) loss_store(grad + r * ld + j, from_logits ? slope : slope / p, n);
      if (pred) loss_store(pred + r * ld + j, p, n);
    }
    row_loss[r] = kept ? w * sum_total(losses)[0] : 0;
    const vec dot = sum_total(dots);
    for (size_t j = 0; grad && j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec h = loss_load(grad + r * ld + j, n);
      const vec p = !from_logits ? vset1(0) : pred ? loss_load(pred + r * ld + j, n) : vexp(loss_load(zr + j, n) - top - log_total);
      loss_store(grad + r * ld + j, (from_logits ? h - p * dot : (h - dot) / total) * (w * (real)scale), n);
    }
  }
}

void KERNEL(categorical_focal_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  focal_of_rows(TARGET_DENSE, 1, attr, NNC_LOSS_BATCH(pred));
}

void KERNEL(sparse_categorical_focal_crossentropy_logits)(NNC_LOSS_PARAMETERS) {
  focal_of_rows(TARGET_INDEX, 1, attr, NNC_LOSS_BATCH(pred));
}

void KERNEL(categorical_focal_crossentropy)(NNC_LOSS_PARAMETERS) { focal_of_rows(TARGET_DENSE, 0, attr, NNC_LOSS_BATCH(NULL)); }

void KERNEL(sparse_categorical_focal_crossentropy)(NNC_LOSS_PARAMETERS) {
  focal_of_rows(TARGET_INDEX, 0, attr, NNC_LOSS_BATCH(NULL));
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
