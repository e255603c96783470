/* regularization.c: operations on weights besides their update: the sums for L1 and L2 penalties, the max-norm constraint (Srebro
 * and Shraibman 2005; Srivastava et al. 2014), and the moving average of the weights (Polyak and Juditsky 1992).
 *
 * sum_penalties  in double, without fused multiply-adds: w[r, j] goes to partial sum j % 32 of its row, these are added pairwise,
 *                and the rows in order; a matrix without gaps between its rows is one long row.
 * max_norm       the squares of a column are one chain of multiply-adds in increasing row, in the type of the weights. A column
 *                whose norm is above the limit is multiplied by limit / norm; the others keep their bits.
 * average        average += (1 - momentum) (w - average); with momentum 0 a copy.
 */
#include <math.h>

#include "ops/op.h"

enum { PARTIAL_SUMS = 32, DOUBLES = NNC_VECTOR_BYTES / sizeof(double), PARTS = PARTIAL_SUMS / DOUBLES };

typedef double doubles __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef int64_t longs __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef real reals __attribute__((vector_size(DOUBLES * sizeof(real))));

static double add_pairwise(double *sum) {
  for (size_t half = PARTIAL_SUMS / 2; half; half /= 2)
    for (size_t lane = 0; lane < half; lane++) sum[lane] += sum[lane + half];
  return sum[0];
}

static void add_row(double *sums, const real *w, size_t n) {
  doubles absolute[PARTS] = {{0}}, square[PARTS] = {{0}};
  const longs magnitude = (longs){0} + INT64_MAX; /* all bits but the sign */
  size_t j = 0;
  for (; j + PARTIAL_SUMS <= n; j += PARTIAL_SUMS)
    for (size_t k = 0; k < PARTS; k++) {
      reals r;
      memcpy(&r, w + j + k * DOUBLES, sizeof r);
      const doubles d = __builtin_convertvector(r, doubles);
      absolute[k] += (doubles)((longs)d & magnitude);
      square[k] += d * d;
    }
  double one[PARTIAL_SUMS], two[PARTIAL_SUMS];
  memcpy(one, absolute, sizeof one);
  memcpy(two, square, sizeof two);
  for (size_t lane = 0; j < n; j++, lane++) {
    one[lane] += fabs((double)w[j]);
    two[lane] += (double)w[j] * (double)w[j];
  }
  sums[0] += add_pairwise(one);
  sums[1] += add_pairwise(two);
}

void KERNEL(sum_penalties)(double *sums, const real *w, size_t rows, size_t cols, size_t ld) {
  if (ld == cols) {
    cols *= rows;
    rows = rows ? 1 : 0;
  }
  sums[0] = sums[1] = 0;
  for (size_t r = 0; r < rows; r++) add_row(sums, w + r * ld, cols);
}

/* vecs vectors of columns side by side, of which the last one has n lanes. Always called with constants, n aside. */
INLINE void limit_columns(real *w, size_t rows, size_t ld, vec limit, int vecs, size_t n) {
  vec factor[4] = {{0}};
  for (size_t i = 0; i < rows; i++)
    for (int v = 0; v < vecs; v++) {
      const vec x = n == VL ? vload(w + i * ld + v * VL) : vload_n(w + i * ld + v * VL, n);
      factor[v] = vfma(x, x, factor[v]);
    }
  int above = 0;
  for (int v = 0; v < vecs; v++) {
    const vec norm = vsqrt(factor[v]);
    const ivec over = norm > limit;
    factor[v] = vselect(over, limit / norm, vset1(1));
    for (int lane = 0; lane < VL; lane++) above |= over[lane] != 0;
  }
  for (size_t i = 0; i < rows && above; i++)
    for (int v = 0; v < vecs; v++) {
      real *at = w + i * ld + v * VL;
      if (n == VL) vstore(at, vload(at) * factor[v]);
      else vstore_n(at, vload_n(at, n) * factor[v], n);
    }
}

void KERNEL(max_norm)(real *w, size_t rows, size_t cols, size_t ld, double limit) {
  const vec most = vset1((real)limit);
  size_t j = 0;
  for (; j + 4 * VL <= cols; j += 4 * VL) limit_columns(w + j, rows, ld, most, 4, VL);
  for (; j + VL <= cols; j += VL) limit_columns(w + j, rows, ld, most, 1, VL);
  if (j < cols) limit_columns(w + j, rows, ld, most, 1, cols - j);
}

void KERNEL(average)(real *average, const real *w, size_t rows, size_t cols, size_t ld, double momentum) {
  const vec fresh = vset1((real)(1 - momentum));
  if (ld == cols) {
    cols *= rows;
    rows = rows ? 1 : 0;
  }
  for (size_t r = 0; r < rows; r++, average += ld, w += ld) {
    size_t j = 0;
    if (momentum == 0) {
      memcpy(average, w, cols * sizeof(real));
      continue;
    }
    for (; j + VL <= cols; j += VL) {
      const vec a = vload(average + j);
      vstore(average + j, vfma(fresh, vload(w + j) - a, a));
    }
    if (j < cols) {
      const vec a = vload_n(average + j, cols - j);
      vstore_n(average + j, vfma(fresh, vload_n(w + j, cols - j) - a, a), cols - j);
    }
  }
}
