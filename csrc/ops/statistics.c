/* statistics.c: sums that metrics and clipping by norm are made of, accumulated in double whatever the dtype.
 *
 * sum_squares       x_i goes to partial sum i % 32, in increasing i; the partial sums are added pairwise. The bits depend on
 *                   the numbers and n alone, not on the instruction set (no fused multiply-add).
 * count_confusion   as kernels.inc says; multilabel is classes != cols. (Two labels, where both are 2: call it for one column at
 *                   a time.) A NaN is never the largest, a row of NaN counts as class 0, and NaN is not > threshold.
 * sum_residuals     one chain per column and sum, in increasing rows, so that a batch may be split anywhere.
 */
#include <math.h>

#include "ops/op.h"

enum { PARTIAL_SUMS = 32, DOUBLES = 8 };

typedef double doubles __attribute__((vector_size(DOUBLES * sizeof(double))));
typedef real reals __attribute__((vector_size(DOUBLES * sizeof(real))));

double KERNEL(sum_squares)(const real *x, size_t n) {
  union {
    doubles vector[PARTIAL_SUMS / DOUBLES];
    double lane[PARTIAL_SUMS];
  } sum = {.lane = {0}};
  size_t i = 0;
  for (; i + PARTIAL_SUMS <= n; i += PARTIAL_SUMS)
    for (size_t part = 0; part < PARTIAL_SUMS / DOUBLES; part++) {
      reals r;
      memcpy(&r, x + i + part * DOUBLES, sizeof r);
      const doubles d = __builtin_convertvector(r, doubles);
      sum.vector[part] += d * d;
    }
  for (size_t lane = 0; i < n; i++, lane++) sum.lane[lane] += (double)x[i] * (double)x[i];
  for (size_t half = PARTIAL_SUMS / 2; half; half /= 2)
    for (size_t lane = 0; lane < half; lane++) sum.lane[lane] += sum.lane[lane + half];
  return sum.lane[0];
}

/* The first column that holds the row's largest value. */
INLINE size_t argmax(const real *x, size_t cols) {
  static const integer number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const vec lowest = vset1((real)-INFINITY);
  ivec column, where;
  memcpy(&column, number, sizeof column);
  where = column;
  vec best = lowest;
  for (size_t j = 0; j < cols; j += VL, column += VL) {
    const size_t n = cols - j < VL ? cols - j : VL;
    vec v = vload_n(x + j, n);
    v = vselect((column < (ivec){0} + (integer)cols) & (v == v), v, lowest);
    const ivec better = v > best;
    best = vselect(better, v, best);
    where = (column & better) | (where & ~better);
  }
  const ivec tied = best == vmax_all(best);
  integer first = (integer)cols;
  for (int lane = 0; lane < VL; lane++) first = tied[lane] && where[lane] < first ? where[lane] : first;
  return (size_t)first;
}

void KERNEL(count_confusion)(double *counts, const real *z, const real *target, const real *weight, size_t rows, size_t cols,
                             size_t ld, size_t ldt, size_t classes, int index, double threshold, double target_threshold) {
  const int one_class_per_row = cols > 1 && classes == cols;
  for (size_t r = 0; r < rows; r++) {
    const real *zr = z + r * ld, *tr = target + r * ldt;
    const double w = weight ? (double)weight[r] : 1;
    if (one_class_per_row) {
      const size_t truth = index ? (size_t)*tr : argmax(tr, cols);
      counts[truth * classes + argmax(zr, cols)] += w;
    } else {
      for (size_t j = 0; j < cols; j++)
        counts[((double)tr[j] > target_threshold) * classes + ((double)zr[j] > threshold)] += w;
    }
  }
}

void KERNEL(sum_residuals)(double *sums, const real *z, const real *target, const real *weight, size_t rows, size_t cols, size_t ld,
                           size_t ldt) {
  for (size_t r = 0; r < rows; r++) {
    const double w = weight ? (double)weight[r] : 1;
    for (size_t j = 0; j < cols; j++) {
      const double t = (double)target[r * ldt + j], e = (double)z[r * ld + j] - t, size = fabs(e);
      double *sum = sums + j * 7;
      if (sum[0] == 0) sum[6] = t;
      const double shifted = t - sum[6];
      sum[0] += w;
      sum[1] += w * e * e;
      sum[2] += w * size;
      sum[3] += w * size / fmax(fabs(t), 1e-7);
      sum[4] += w * shifted;
      sum[5] += w * shifted * shifted;
    }
  }
}
