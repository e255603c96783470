/* statistics.c: sums for metrics and for clipping by norm, accumulated in double for every dtype.
 *
 * sum_squares: x_i goes to partial sum i % 32, in increasing i, and the partial sums are added pairwise. The bits depend on the
 * numbers and n alone, not on the instruction set: the square of a float is exact in double, so a fused multiply-add changes
 * nothing; for double there is none. sum_changes: two such sums, the differences rounded to the dtype.
 *
 * count_classes, count_decisions: as kernels.inc describes. Every sum is one chain in increasing rows, so that a batch may be split
 * anywhere. Rows of weight 0 are left out. A row is undecided, and makes the total NaN, if a score or a target in it is NaN, or if
 * the score that decides is infinite. A class of score -infinity beside finite ones is only never chosen.
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

/* Bit i tells whether lane i is NaN. */
INLINE unsigned nan_bits(vec v) {
#if defined(__AVX512F__) && NNC_BUILD_F64
  return _mm512_cmp_pd_mask((__m512d)v, (__m512d)v, _CMP_UNORD_Q);
#elif defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
#else
  return lane_bits(v != v);
#endif
}

enum { UNDECIDED = -1 };

/* What a row of scores says. Each lane keeps its own maximum. */
typedef struct {
  vec best;
  ivec place;         /* the column of the maximum */
  unsigned unordered; /* whether a NaN was seen */
} row_maximum;

INLINE void see_scores(row_maximum *m, vec v, ivec lane) {
  m->place = (ivec)vselect(v > m->best, (vec)lane, (vec)m->place);
  m->unordered |= nan_bits(v);
  m->best = vmax(v, m->best);
}

/* best: the maximum in every lane. Infinity - infinity is NaN. */
INLINE int is_undecided(const row_maximum *m, vec best) { return m->unordered || best[0] - best[0] != 0; }

/* The first column with the row's largest value, or UNDECIDED. Only ties between lanes need a branch. */
INLINE ptrdiff_t argmax(const real *x, size_t cols) {
  ivec lane = lane_numbers();
  row_maximum m = {vset1((real)-INFINITY), lane, 0};
  size_t j = 0;
  for (; j + VL <= cols; j += VL, lane += VL) see_scores(&m, vload(x + j), lane);
  if (j < cols) see_scores(&m, vload_fill(x + j, cols - j, (real)-INFINITY), lane);
  const vec best = vmax_all(m.best);
  if (is_undecided(&m, best)) return UNDECIDED;
  integer places[VL];
  memcpy(places, &m.place, sizeof places);
  unsigned tied = lane_bits(m.best == best);
  integer first = places[__builtin_ctz(tied)];
  while (tied &= tied - 1)
    if (places[__builtin_ctz(tied)] < first) first = places[__builtin_ctz(tied)];
  return first;
}

/* How many columns come before column `own` in the order of falling scores, or UNDECIDED. Of equal scores the last column comes
 * first, as in scikit-learn's top_k_accuracy_score. */
INLINE ptrdiff_t rank_of(const real *x, size_t cols, size_t own) {
  const vec score = vset1(x[own]);
  const ivec self = ivset1((integer)own);
  ivec lane = lane_numbers(), before = ivset1(0);
  row_maximum m = {vset1((real)-INFINITY), lane, 0};
  for (size_t j = 0; j < cols; j += VL, lane += VL) {
    const vec v = cols - j < VL ? vload_fill(x + j, cols - j, (real)-INFINITY) : vload(x + j);
    see_scores(&m, v, lane);
    before -= (v > score) | ((v == score) & (lane > self) & (lane < ivset1((integer)cols)));
  }
  if (is_undecided(&m, vmax_all(m.best))) return UNDECIDED;
  ptrdiff_t sum = 0;
  integer counts[VL];
  memcpy(counts, &before, sizeof counts);
  for (int i = 0; i < VL; i++) sum += counts[i];
  return sum;
}

/* The largest real number that is not above x. For a real z, z > x and z > this are equivalent. */
INLINE real round_down(double x) {
  const real rounded = (real)x;
  return (double)rounded > x ? (real)(NNC_BUILD_F64 ? nextafter(rounded, -INFINITY) : nextafterf((float)rounded, -INFINITY))
                             : rounded;
}

/* The sums that all counts have in common, in registers. */
typedef struct {
  double total, right, rows, negative, zero;
} common_sums;

INLINE common_sums load_common(const double *sums) {
  return (common_sums){sums[NNC_SUM_TOTAL], sums[NNC_SUM_RIGHT], sums[NNC_SUM_ROWS], sums[NNC_SUM_NEGATIVE], sums[NNC_SUM_ZERO]};
}

INLINE void store_common(double *sums, const common_sums *c) {
  sums[NNC_SUM_TOTAL] = c->total;
  sums[NNC_SUM_RIGHT] = c->right;
  sums[NNC_SUM_ROWS] = c->rows;
  sums[NNC_SUM_NEGATIVE] = c->negative;
  sums[NNC_SUM_ZERO] = c->zero;
}

void KERNEL(count_classes)(double *sums, const real *z, const real *target, const real *weight, size_t rows, size_t cols, size_t ld,
                           size_t ldt, int index, nnc_count count, size_t k) {
  double *each = sums + NNC_SUM_EACH;
  common_sums c = load_common(sums);
  for (size_t r = 0; r < rows; r++) {
    const double w = weight ? (double)weight[r] : 1;
    if (w == 0) continue;
    const real label = index ? target[r * ldt] : 0;
    if (!(label >= 0 && label < (real)cols)) continue; /* checked by the caller, but the data may have changed since */
    const ptrdiff_t truth = index ? (ptrdiff_t)label : argmax(target + r * ldt, cols);
    const ptrdiff_t found = truth < 0                ? UNDECIDED
                            : count == NNC_COUNT_TOP ? rank_of(z + r * ld, cols, (size_t)truth)
                                                     : argmax(z + r * ld, cols);
    c.rows += w;
    c.total += found < 0 ? NAN : w;
    if (found < 0) continue;
    const size_t t = (size_t)truth, p = (size_t)found;
    if (count == NNC_COUNT_TOP ? p < k : p == t) c.right += w;
    if (count == NNC_COUNT_EACH) {
      if (p == t) each[3 * t] += w;
      each[3 * t + 1] += w;
      each[3 * p + 2] += w;
    }
    if (count == NNC_COUNT_PAIRS) each[t * cols + p] += w;
  }
  store_common(sums, &c);
}

/* Decisions as bits, of one vector or the lanes that are left. */
typedef struct {
  unsigned guess, truth, negative, undecided;
} decisions;

INLINE decisions decide(const real *z, const real *target, size_t left, vec threshold, vec target_threshold) {
  const unsigned inside = left < VL ? (1u << left) - 1 : (unsigned)((1ull << VL) - 1);
  const vec v = load_some(z, left), t = load_some(target, left), zero = vset1(0);
  return (decisions){
      .guess = lane_bits(v > threshold) & inside,
      .truth = lane_bits(t > target_threshold) & inside,
      .negative = lane_bits(t < zero) & inside,
      .undecided = lane_bits((v - v != zero) | (t != t)) & inside, /* infinity - infinity is NaN */
  };
}

/* Adds w to every third sum from `sums` on where a bit is set. */
INLINE void add_where(double *sums, unsigned bits, double w) {
  for (; bits; bits &= bits - 1) sums[3 * __builtin_ctz(bits)] += w;
}

/* Adds n decisions of weight w. each: the sums of the labels. */
INLINE void count_row(common_sums *c, double *each, const real *z, const real *target, double w, size_t n, size_t labels,
                      nnc_count count, vec threshold, vec target_threshold) {
  size_t both = 0, guesses = 0, truths = 0, negatives = 0, undecided = 0;
  for (size_t i = 0; i < n; i += VL) {
    const decisions d = decide(z + i, target + i, n - i, threshold, target_threshold);
    guesses += (size_t)__builtin_popcount(d.guess);
    truths += (size_t)__builtin_popcount(d.truth);
    both += (size_t)__builtin_popcount(d.guess & d.truth);
    negatives += (size_t)__builtin_popcount(d.negative);
    undecided |= d.undecided;
    if (count == NNC_COUNT_EACH && labels > 1) {
      add_where(each + 3 * i, d.guess & d.truth, w);
      add_where(each + 3 * i + 1, d.truth, w);
      add_where(each + 3 * i + 2, d.guess, w);
    }
  }
  const size_t right = n - guesses - truths + 2 * both, of = count == NNC_COUNT_WHOLE ? n / labels : n;
  c->total += undecided ? NAN : w * (double)of;
  c->right += w * (double)(count == NNC_COUNT_WHOLE ? right == n : right);
  c->rows += w * (double)(n / labels);
  c->negative += (double)negatives;
  c->zero += (double)(n - truths - negatives);
  if (count == NNC_COUNT_EACH && labels == 1) {
    each[0] += w * (double)both;
    each[1] += w * (double)truths;
    each[2] += w * (double)guesses;
  }
}

void KERNEL(count_decisions)(double *sums, const real *z, const real *target, const real *weight, size_t rows, size_t cols,
                             size_t ld, size_t ldt, nnc_count count, double threshold, double target_threshold) {
  const vec above = vset1(round_down(threshold)), target_above = vset1(round_down(target_threshold));
  const size_t labels = cols;
  const int each_by_itself = count == NNC_COUNT_WHOLE || (count == NNC_COUNT_EACH && labels > 1);
  double *each = sums + NNC_SUM_EACH;
  common_sums c = load_common(sums);
  if (!weight && ld == cols && ldt == cols && !each_by_itself) {
    cols *= rows; /* one long row */
    rows = rows ? 1 : 0;
  }
  for (size_t r = 0; r < rows; r++) {
    const double w = weight ? (double)weight[r] : 1;
    if (w == 0) continue;
    count_row(&c, each, z + r * ld, target + r * ldt, w, cols, labels, count, above, target_above);
  }
  store_common(sums, &c);
}

void KERNEL(sum_residuals)(double *sums, const real *z, const real *target, const real *weight, size_t rows, size_t cols, size_t ld,
                           size_t ldt) {
  for (size_t j = 0; j < cols; j++) {
    double *sum = sums + j * 7;
    double total = sum[0], squared = sum[1], absolute = sum[2], relative = sum[3], first = sum[4], second = sum[5], shift = sum[6];
    for (size_t r = 0; r < rows; r++) {
      /* A row of weight 0 counts as an exact one of target `shift`, so that NaN in it does no harm. A branch would cost as much as
       * the sums. */
      const double w = weight ? (double)weight[r] : 1, given = (double)target[r * ldt + j];
      const double t = w == 0 ? shift : given, e = w == 0 ? 0 : (double)z[r * ld + j] - given;
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
