/* statistics.c: sums for metrics and for clipping by norm, accumulated in double for every dtype.
 *
 * sum_squares: x_i goes to partial sum i % 32, in increasing i, and the partial sums are added pairwise. The bits depend on the
 * numbers and n alone, not on the instruction set: the square of a float is exact in double, so a fused multiply-add changes
 * nothing; for double there is none. sum_changes: two such sums, the differences rounded to the dtype.
 *
 * count_confusion: as kernels.inc describes; multilabel is classes != cols. (With two labels both would be 2, so the caller sets
 * classes to 3; the third class is never counted.) NaN is never the largest, a row of NaN counts as class 0, and NaN is not >
 * threshold.
 *
 * sum_residuals: one chain per column and sum, in increasing rows, so that a batch may be split anywhere.
 *
 * unit_sums: one chain per column and sum in the dtype, in increasing rows; then added in double.
 */
#include <math.h>

#include "ops/op.h"

enum { PARTIAL_SUMS = 32, DOUBLES = NNC_VECTOR_BYTES / sizeof(double), PARTS = PARTIAL_SUMS / DOUBLES };

typedef double doubles __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef real reals __attribute__((vector_size(DOUBLES * sizeof(real))));

INLINE doubles add_square(doubles sum, doubles d) {
#if defined(__AVX512F__) && !NNC_BUILD_F64
  return (doubles)_mm512_fmadd_pd((__m512d)d, (__m512d)d, (__m512d)sum);
#elif defined(__AVX2__) && !NNC_BUILD_F64
  return (doubles)_mm256_fmadd_pd((__m256d)d, (__m256d)d, (__m256d)sum);
#else
  return sum + d * d;
#endif
}

INLINE doubles load_doubles(const real *x) {
  reals r;
  memcpy(&r, x, sizeof r);
  return __builtin_convertvector(r, doubles);
}

INLINE void add_squares(doubles *part, const real *x) {
  for (size_t k = 0; k < PARTS; k++) part[k] = add_square(part[k], load_doubles(x + k * DOUBLES));
}

/* The last n < PARTIAL_SUMS numbers, zeros behind them. */
INLINE void load_last(real *last, const real *x, size_t n) {
  for (size_t j = 0; j < PARTIAL_SUMS; j += VL) vstore(last + j, j < n ? vload_n(x + j, n - j < VL ? n - j : VL) : vset1(0));
}

INLINE double add_up(doubles *part) {
  for (size_t half = PARTS / 2; half; half /= 2)
    for (size_t k = 0; k < half; k++) part[k] += part[k + half];
  for (size_t half = DOUBLES / 2; half; half /= 2)
    for (size_t lane = 0; lane < half; lane++) part[0][lane] += part[0][lane + half];
  return part[0][0];
}

double KERNEL(sum_squares)(const real *x, size_t n) {
  doubles part[PARTS] = {{0}};
  size_t i = 0;
  for (; i + PARTIAL_SUMS <= n; i += PARTIAL_SUMS) add_squares(part, x + i);
  if (i < n) {
    real last[PARTIAL_SUMS];
    load_last(last, x + i, n - i);
    add_squares(part, last);
  }
  return add_up(part);
}

INLINE void add_changes(doubles *size, doubles *change, const real *before, const real *now) {
  for (size_t k = 0; k < PARTS; k++) {
    reals from, to;
    memcpy(&from, before + k * DOUBLES, sizeof from);
    memcpy(&to, now + k * DOUBLES, sizeof to);
    to -= from;
    size[k] = add_square(size[k], __builtin_convertvector(from, doubles));
    change[k] = add_square(change[k], __builtin_convertvector(to, doubles));
  }
}

void KERNEL(sum_changes)(double *sums, const real *before, const real *now, size_t n) {
  doubles size[PARTS] = {{0}}, change[PARTS] = {{0}};
  size_t i = 0;
  for (; i + PARTIAL_SUMS <= n; i += PARTIAL_SUMS) add_changes(size, change, before + i, now + i);
  if (i < n) {
    real last[2][PARTIAL_SUMS];
    load_last(last[0], before + i, n - i);
    load_last(last[1], now + i, n - i);
    add_changes(size, change, last[0], last[1]);
  }
  sums[0] = add_up(size);
  sums[1] = add_up(change);
}

/* Bit i is lane i of a comparison. */
INLINE unsigned lane_bits(ivec mask) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__) && NNC_BUILD_F64
  return (unsigned)_mm256_movemask_pd((__m256d)mask);
#elif defined(__AVX2__)
  return (unsigned)_mm256_movemask_ps((__m256)mask);
#elif defined(__SSE2__) && NNC_BUILD_F64
  return (unsigned)_mm_movemask_pd((__m128d)mask);
#elif defined(__SSE2__)
  return (unsigned)_mm_movemask_ps((__m128)mask);
#else
  unsigned bits = 0;
  for (int lane = 0; lane < VL; lane++) bits |= (unsigned)(mask[lane] & 1) << lane;
  return bits;
#endif
}

INLINE vec load_some(const real *x, size_t n) { return n >= VL ? vload(x) : vload_n(x, n); }

/* The first column with the row's largest value; 0 if all are NaN. Each lane keeps its own maximum and its column, so that only
 * ties between lanes need a branch. */
INLINE size_t argmax(const real *x, size_t cols) {
  static const integer number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ivec lane, place;
  memcpy(&lane, number, sizeof lane);
  vec best = vset1((real)-INFINITY);
  place = lane;
  size_t j = 0;
  for (; j + VL <= cols; j += VL, lane += VL) {
    const vec v = vload(x + j);
    place = (ivec)vselect(v > best, (vec)lane, (vec)place);
    best = vmax(v, best);
  }
  if (j < cols) {
    const vec v = vload_fill(x + j, cols - j, (real)-INFINITY);
    place = (ivec)vselect(v > best, (vec)lane, (vec)place);
    best = vmax(v, best);
  }
  integer places[VL];
  memcpy(places, &place, sizeof places);
  unsigned tied = lane_bits(best == vmax_all(best));
  integer first = places[__builtin_ctz(tied)];
  while (tied &= tied - 1)
    if (places[__builtin_ctz(tied)] < first) first = places[__builtin_ctz(tied)];
  return (size_t)first;
}

/* The largest real number that is not above x. For a real z, z > x and z > this are equivalent. */
INLINE real round_down(double x) {
  const real rounded = (real)x;
  return (double)rounded > x ? (real)(NNC_BUILD_F64 ? nextafter(rounded, -INFINITY) : nextafterf((float)rounded, -INFINITY))
                             : rounded;
}

/* Adds the weight of n decisions to counts[truth * classes + guess]. */
INLINE void count_decisions(double *counts, size_t classes, const real *z, const real *target, double weight, size_t n,
                            vec threshold, vec target_threshold) {
  size_t right = 0, guessed = 0, true_ones = 0;
  for (size_t i = 0; i < n; i += VL) {
    const unsigned inside = n - i < VL ? (1u << (n - i)) - 1 : ~0u;
    const unsigned guess = lane_bits(load_some(z + i, n - i) > threshold) & inside;
    const unsigned truth = lane_bits(load_some(target + i, n - i) > target_threshold) & inside;
    guessed += (size_t)__builtin_popcount(guess);
    true_ones += (size_t)__builtin_popcount(truth);
    right += (size_t)__builtin_popcount(guess & truth);
  }
  counts[0] += weight * (double)(n - guessed - true_ones + right);
  counts[1] += weight * (double)(guessed - right);
  counts[classes] += weight * (double)(true_ones - right);
  counts[classes + 1] += weight * (double)right;
}

void KERNEL(count_confusion)(double *counts, const real *z, const real *target, const real *weight, size_t rows, size_t cols,
                             size_t ld, size_t ldt, size_t classes, int index, double threshold, double target_threshold) {
  if (cols > 1 && classes == cols) {
    for (size_t r = 0; r < rows; r++) {
      const real label = index ? target[r * ldt] : 0;
      if (!(label >= 0 && label < (real)classes)) continue; /* checked by the caller, but the data may have changed since */
      const size_t truth = index ? (size_t)label : argmax(target + r * ldt, cols);
      counts[truth * classes + argmax(z + r * ld, cols)] += weight ? (double)weight[r] : 1;
    }
    return;
  }
  const vec above = vset1(round_down(threshold)), target_above = vset1(round_down(target_threshold));
  if (!weight && ld == cols && ldt == cols) {
    cols *= rows; /* one long row */
    rows = rows ? 1 : 0;
  }
  for (size_t r = 0; r < rows; r++)
    count_decisions(counts, classes, z + r * ld, target + r * ldt, weight ? (double)weight[r] : 1, cols, above, target_above);
}

void KERNEL(sum_residuals)(double *sums, const real *z, const real *target, const real *weight, size_t rows, size_t cols, size_t ld,
                           size_t ldt) {
  for (size_t j = 0; j < cols; j++) {
    double *sum = sums + j * 7;
    double total = sum[0], squared = sum[1], absolute = sum[2], relative = sum[3], first = sum[4], second = sum[5], shift = sum[6];
    for (size_t r = 0; r < rows; r++) {
      const double w = weight ? (double)weight[r] : 1, t = (double)target[r * ldt + j], e = (double)z[r * ld + j] - t;
      if (total == 0) shift = t;
      const double size = fabs(e), d = t - shift;
      total += w;
      squared += w * e * e;
      absolute += w * size;
      relative += w * size / (fabs(t) < 1e-7 ? 1e-7 : fabs(t));
      first += w * d;
      second += w * d * d;
    }
    const double all[7] = {total, squared, absolute, relative, first, second, shift};
    memcpy(sum, all, sizeof all);
  }
}

/* Of one vector of columns, or the `lanes` that are left. */
INLINE void sum_units(double *sums, const real *y, size_t rows, size_t cols, size_t ld, size_t lanes, vec low, vec high) {
  vec sum = vset1(0), square = vset1(0);
  ivec zero = ivset1(0), flat = ivset1(0);
  for (size_t i = 0; i < rows; i++, y += ld) {
    const vec v = load_some(y, lanes);
    sum += v;
    square = vfma(v, v, square);
    zero -= v == 0;
    flat -= (v < low) | (v > high);
  }
  real both[2][VL];
  integer counts[2][VL];
  vstore(both[0], sum);
  vstore(both[1], square);
  memcpy(counts[0], &zero, sizeof zero);
  memcpy(counts[1], &flat, sizeof flat);
  for (size_t k = 0; k < lanes; k++) {
    sums[k] += (double)both[0][k];
    sums[cols + k] += (double)both[1][k];
    sums[2 * cols + k] += (double)counts[0][k];
    sums[3 * cols + k] += (double)counts[1][k];
  }
}

void KERNEL(unit_sums)(double *sums, const real *y, size_t rows, size_t cols, size_t ld, double low, double high) {
  size_t j = 0;
  for (; cols - j >= VL; j += VL) sum_units(sums + j, y + j, rows, cols, ld, VL, vset1((real)low), vset1((real)high));
  if (j < cols) sum_units(sums + j, y + j, rows, cols, ld, cols - j, vset1((real)low), vset1((real)high));
}
