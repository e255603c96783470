/* losses.h: common code of the elementwise losses, from the loss and slope of one element to a batch of rows.
 *
 * A loss that is a sum or a mean over columns defines only its term: loss and d loss / d z of a vector of elements. All the rest
 * (weights, scale, mean, tails, rows of one column) is done here. Losses that couple the columns of a row do not use this.
 *
 * Order of accumulation: each row is a row_sum (simd.h): 16 partial sums in float, 8 in double, column j in number j % 16 (8), then
 * by halving. A row's bits depend on that row and cols alone, and the order not on the instruction set. Rows of one column that lie
 * one after the other are taken VL at a time, lane by lane the same.
 */
#ifndef NNC_OPS_LOSSES_H
#define NNC_OPS_LOSSES_H

#include <math.h>

#include "ops/op.h"

#define UNUSED __attribute__((unused))
#define NNC_LOSS_PARAMETERS                                                                                                       \
  real *grad, real *pred UNUSED, real *row_loss, const real *z, const real *target, const real *weight, size_t rows, size_t cols, \
      size_t ld, size_t ldt, double scale, const double *attr UNUSED
#define NNC_LOSS_BATCH(pred) grad, pred, row_loss, z, target, weight, rows, cols, ld, ldt, scale

typedef struct {
  vec loss, slope;
  vec pred; /* set only by _logits losses */
} loss_term;

/* parameter is the loss's only attribute (delta, label smoothing), or 0. */
typedef loss_term loss_function(vec z, vec target, vec parameter);

/* The attributes of a loss of terms.c in every lane, as far as it has them; and the one that each column may have its own of. The losses
 * that are inlined do without: the compiler would keep the structure in memory. */
typedef struct {
  vec first, second, third, of_column;
} loss_attributes;

typedef enum { OVER_COLUMNS_SUM, OVER_COLUMNS_MEAN } loss_reduction;

enum { SHORT = 4 * VL, BLOCK = 4 * SHORT }; /* columns, elements */

INLINE size_t loss_lanes(size_t left) { return left < VL ? left : VL; }

/* A whole vector if n == VL, else the first n lanes. Masks cost nothing with AVX-512, so only the others branch. */
INLINE vec loss_load(const real *p, size_t n) {
#if !defined(__AVX512F__)
  if (n == VL) return vload(p);
#endif
  return vload_n(p, n);
}
INLINE void loss_store(real *p, vec v, size_t n) {
#if !defined(__AVX512F__)
  if (n == VL) {
    vstore(p, v);
    return;
  }
#endif
  vstore_n(p, v, n);
}

INLINE vec loss_keep(vec v, size_t n, real fill) { return vselect(lane_numbers() < ivset1((integer)n), v, vset1(fill)); }

/* A slope that comes from a comparison is finite for z = NaN; this makes it NaN. */
INLINE vec loss_nan_from(vec z, vec slope) { return vselect(z == z, slope, z); }

/* lo <= v <= hi, with NaN kept. */
INLINE vec loss_clip(vec v, real lo, real hi) { return vmin(vset1(hi), vmax(vset1(lo), v)); }

/* Columns j to j + n of an attribute that is stored as doubles. */
INLINE vec loss_columns(const double *values, size_t j, size_t n) {
  real column[VL] = {0};
  for (size_t i = 0; i < n; i++) column[i] = (real)values[j + i];
  return vload(column);
}

INLINE void loss_of_single_column(loss_function *term, vec parameter, real *grad, real *pred, real *row_loss, const real *z,
                                  const real *target, const real *weight, size_t rows, real scale) {
  for (size_t r = 0; r < rows; r += VL) {
    const size_t n = loss_lanes(rows - r);
    const loss_term at = term(loss_load(z + r, n), loss_load(target + r, n), parameter);
    const vec w = weight ? loss_load(weight + r, n) : vset1(1);
    loss_store(row_loss + r, w * at.loss, n);
    if (grad) loss_store(grad + r, w * vset1(scale) * at.slope, n);
    if (pred) loss_store(pred + r, at.pred, n);
  }
}

/* Short contiguous rows without weights would leave lanes unused. So elements are processed VL at a time across rows, in blocks of
 * whole rows, and their losses are summed afterwards in the usual order. */
INLINE void loss_of_short_rows(loss_function *term, vec parameter, real *grad, real *pred, real *row_loss, const real *z,
                               const real *target, size_t rows, size_t cols, real scale, real share) {
  const size_t rows_at_once = BLOCK / cols;
  real loss[BLOCK + VL];
  for (size_t first = 0; first < rows; first += rows_at_once) {
    const size_t count = rows - first < rows_at_once ? rows - first : rows_at_once, start = first * cols, length = count * cols;
    for (size_t i = 0; i < length; i += VL) {
      const size_t n = loss_lanes(length - i);
      const loss_term at = term(loss_load(z + start + i, n), loss_load(target + start + i, n), parameter);
      vstore(loss + i, at.loss);
      if (grad) loss_store(grad + start + i, vset1(scale) * at.slope, n);
      if (pred) loss_store(pred + start + i, at.pred, n);
    }
    for (size_t r = 0; r < count; r++) {
      row_sum sum = {0};
      for (size_t j = 0; j < cols; j += VL) sum = sum_add(sum, loss_keep(vload(loss + r * cols + j), loss_lanes(cols - j), 0));
      row_loss[first + r] = sum_total(sum)[0] * share;
    }
  }
}

INLINE void elementwise_loss(loss_function *term, double attribute, loss_reduction reduction, real *grad, real *pred,
                             real *row_loss, const real *z, const real *target, const real *weight, size_t rows, size_t cols,
                             size_t ld, size_t ldt, double scale) {
  const double share = reduction == OVER_COLUMNS_MEAN ? 1.0 / (double)cols : 1.0;
  const vec parameter = vset1((real)attribute);
  if (cols == 1 && ld == 1 && ldt == 1) {
    loss_of_single_column(term, parameter, grad, pred, row_loss, z, target, weight, rows, (real)scale);
    return;
  }
  if (cols < SHORT && cols % VL && ld == cols && ldt == cols && !weight) {
    loss_of_short_rows(term, parameter, grad, pred, row_loss, z, target, rows, cols, (real)(scale * share), (real)share);
    return;
  }
  for (size_t r = 0; r < rows; r++) {
    const real w = weight ? weight[r] : 1;
    const vec factor = vset1(w * (real)(scale * share));
    row_sum sum = {0};
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const loss_term at = term(loss_load(z + r * ld + j, n), loss_load(target + r * ldt + j, n), parameter);
      sum = sum_add(sum, loss_keep(at.loss, n, 0));
      if (grad) loss_store(grad + r * ld + j, factor * at.slope, n);
      if (pred) loss_store(pred + r * ld + j, at.pred, n);
    }
    row_loss[r] = w * (sum_total(sum)[0] * (real)share);
  }
}

/* Losses that are used less often share one loop over the batch (terms.c), which calls the term once per piece of a row: a fraction of
 * the code for a few nanoseconds per row. Their loss is the mean over the columns.
 *
 * The terms of n elements, one after the other. pred may be z, or NULL. columns: see loss_by_terms. */
typedef void loss_terms(real *loss, real *slope, real *pred, const real *z, const real *target, size_t n,
                        const loss_attributes *attributes, const double *columns);

/* columns: as the last attribute with [] in ops.def, or NULL. */
void KERNEL(loss_by_terms)(loss_terms *terms, loss_attributes attributes, const double *columns, real *grad, real *pred,
                           real *row_loss, const real *z, const real *target, const real *weight, size_t rows, size_t cols,
                           size_t ld, size_t ldt, double scale);

/* Defines terms_of_<name> from a function of z, target and loss_attributes. */
#define LOSS_TERMS(name)                                                                                        \
  static void terms_of_##name(real *loss, real *slope, real *pred, const real *z, const real *target, size_t n, \
                              const loss_attributes *attributes, const double *columns) {                       \
    loss_attributes at = *attributes;                                                                           \
    for (size_t j = 0; j < n; j += VL) {                                                                        \
      const size_t lanes = loss_lanes(n - j);                                                                   \
      if (columns) at.of_column = loss_columns(columns, j, lanes);                                              \
      const loss_term term = name(vload_n(z + j, lanes), vload_n(target + j, lanes), at);                       \
      vstore(loss + j, term.loss);                                                                              \
      vstore(slope + j, term.slope);                                                                            \
      if (pred) vstore_n(pred + j, term.pred, lanes);                                                           \
    }                                                                                                           \
  }

#endif
