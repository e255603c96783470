/* layer_norm.c: layer normalisation (Ba, Kiros and Hinton 2016) of groups of `size` numbers that lie side by side.
 *
 *   xhat = (x - mean) * rstd,  rstd = 1 / sqrt(var + eps)      y = gamma * xhat + beta
 *   g = dy * gamma             dx = rstd * (g - sum g / size - xhat * sum(g * xhat) / size)
 *   dgamma = sum over the groups of dy * xhat                  dbeta = sum over the groups of dy
 *
 * var is the biased variance of the group; gamma and beta, [size], are the same for all groups. Saved for backward: mean and rstd,
 * [groups] each, until the end of the step. Statistics: the mean first, then the sum of squared distances from it, so nothing
 * cancels. dgamma and dbeta are one chain per column in increasing group, whatever range of columns a call covers.
 * Order of accumulation over a group: as long as CHAINS * SUM_LANES numbers (64 floats, 32 doubles) are left, each SUM_LANES of them
 * go to the next of CHAINS row_sums (simd.h). These are added pairwise, and to that one the remaining numbers are added. So the order
 * depends on the size of the group alone, not on the instruction set.
 */
#include "ops/op.h"

enum { CHAINS = 4 };

/* A sum over a group, a row_sum. next_of_whole and next_of_rest are the row_sum `sum` after the terms from `at` on: those of a
 * vector, or the last n. */
#define SUM_GROUP(total, size, next_of_whole, next_of_rest)                             \
  do {                                                                                  \
    row_sum chain[CHAINS] = {0};                                                        \
    size_t at = 0;                                                                      \
    while (at + CHAINS * SUM_LANES <= (size))                                           \
      for (size_t c = 0; c < CHAINS; c++)                                               \
        for (size_t v = 0; v < VECTORS_OF_SUM; v++, at += VL) {                         \
          const row_sum sum = chain[c];                                                 \
          chain[c] = next_of_whole;                                                     \
        }                                                                               \
    row_sum sum = sum_join(sum_join(chain[0], chain[1]), sum_join(chain[2], chain[3])); \
    for (; at + VL <= (size); at += VL) sum = next_of_whole;                            \
    if (at < (size)) {                                                                  \
      const size_t n = (size) - at;                                                     \
      sum = next_of_rest;                                                               \
    }                                                                                   \
    (total) = sum;                                                                      \
  } while (0)

INLINE row_sum add_square(row_sum sum, vec d) { return sum_fma(sum, d, d); }

void KERNEL(layer_norm_forward)(real *y, real *saved_mean, real *saved_rstd, const real *x, const real *gamma, const real *beta,
                                size_t groups, size_t size, size_t ldy, size_t ldx, double eps) {
  for (size_t i = 0; i < groups; i++, x += ldx, y += ldy) {
    row_sum total, squares;
    SUM_GROUP(total, size, sum_add(sum, vload(x + at)), sum_add(sum, vload_n(x + at, n)));
    const vec mean = sum_total(total) / (real)size;
    SUM_GROUP(squares, size, add_square(sum, vload(x + at) - mean), add_square(sum, vkeep_n(vload_n(x + at, n) - mean, n)));
    const vec rstd = vset1(1) / vsqrt(sum_total(squares) / (real)size + (real)eps);
    if (saved_mean) {
      saved_mean[i] = mean[0];
      saved_rstd[i] = rstd[0];
    }
    size_t j = 0;
    for (; j + VL <= size; j += VL) {
      const vec xhat = (vload(x + j) - mean) * rstd;
      vstore(y + j, gamma ? vfma(xhat, vload(gamma + j), beta ? vload(beta + j) : vset1(0)) : xhat);
    }
    if (j < size) {
      const size_t n = size - j;
      const vec xhat = (vload_n(x + j, n) - mean) * rstd;
      vstore_n(y + j, gamma ? vfma(xhat, vload_n(gamma + j, n), beta ? vload_n(beta + j, n) : vset1(0)) : xhat, n);
    }
  }
}

INLINE vec times_gamma(vec dy, const real *gamma, size_t at) { return gamma ? dy * vload(gamma + at) : dy; }
INLINE vec times_gamma_n(vec dy, const real *gamma, size_t at, size_t n) { return gamma ? dy * vload_n(gamma + at, n) : dy; }

void KERNEL(layer_norm_backward)(real *dx, const real *saved_mean, const real *saved_rstd, const real *dy, const real *x,
                                 const real *gamma, size_t groups, size_t size, size_t lddx, size_t lddy, size_t ldx) {
  for (size_t i = 0; i < groups; i++, dx += lddx, dy += lddy, x += ldx) {
    const vec mean = vset1(saved_mean[i]), rstd = vset1(saved_rstd[i]);
    row_sum total, products;
    SUM_GROUP(total, size, sum_add(sum, times_gamma(vload(dy + at), gamma, at)),
              sum_add(sum, times_gamma_n(vload_n(dy + at, n), gamma, at, n)));
    SUM_GROUP(products, size, sum_fma(sum, times_gamma(vload(dy + at), gamma, at), (vload(x + at) - mean) * rstd),
              sum_fma(sum, times_gamma_n(vload_n(dy + at, n), gamma, at, n), vkeep_n((vload_n(x + at, n) - mean) * rstd, n)));
    const vec mean_of_g = sum_total(total) / (real)size, product = sum_total_unsigned(products) / (real)size;
    size_t j = 0;
    for (; j + VL <= size; j += VL) {
      const vec g = times_gamma(vload(dy + j), gamma, j) - mean_of_g;
      vstore(dx + j, rstd * vfma((vload(x + j) - mean) * rstd, -product, g));
    }
    if (j < size) {
      const size_t n = size - j;
      const vec g = times_gamma_n(vload_n(dy + j, n), gamma, j, n) - mean_of_g;
      vstore_n(dx + j, rstd * vfma((vload_n(x + j, n) - mean) * rstd, -product, g), n);
    }
  }
}

/* vecs whole vectors of columns side by side, or `lanes` columns. Always called with a constant number of vectors. */
INLINE void gradient_of(real *dgamma, real *dbeta, const real *mean, const real *rstd, const real *dy, const real *x, size_t groups,
                        size_t lddy, size_t ldx, size_t vecs, size_t lanes) {
  vec product[4] = {{0}}, sum[4] = {{0}};
  for (size_t i = 0; i < groups; i++, dy += lddy, x += ldx) {
    const vec m = vset1(mean[i]), r = vset1(rstd[i]);
    for (size_t v = 0; v < vecs; v++) {
      const vec d = lanes == VL ? vload(dy + v * VL) : vload_n(dy, lanes);
      const vec centred = (lanes == VL ? vload(x + v * VL) : vload_fill(x, lanes, mean[i])) - m;
      product[v] = vfma(d, centred * r, product[v]);
      sum[v] += d;
    }
  }
  for (size_t v = 0; v < vecs; v++) {
    if (lanes == VL) vstore(dgamma + v * VL, product[v]);
    else vstore_n(dgamma, product[v], lanes);
    if (dbeta && lanes == VL) vstore(dbeta + v * VL, sum[v]);
    else if (dbeta) vstore_n(dbeta, sum[v], lanes);
  }
}

void KERNEL(layer_norm_gradient)(real *dgamma, real *dbeta, const real *saved_mean, const real *saved_rstd, const real *dy,
                                 const real *x, size_t first, size_t last, size_t groups, size_t lddy, size_t ldx) {
  size_t j = first;
  for (; last - j >= 4 * VL; j += 4 * VL)
    gradient_of(dgamma + j, dbeta ? dbeta + j : NULL, saved_mean, saved_rstd, dy + j, x + j, groups, lddy, ldx, 4, VL);
  for (; last - j >= VL; j += VL)
    gradient_of(dgamma + j, dbeta ? dbeta + j : NULL, saved_mean, saved_rstd, dy + j, x + j, groups, lddy, ldx, 1, VL);
  if (j < last)
    gradient_of(dgamma + j, dbeta ? dbeta + j : NULL, saved_mean, saved_rstd, dy + j, x + j, groups, lddy, ldx, 1, last - j);
}
