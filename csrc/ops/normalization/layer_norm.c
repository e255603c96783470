/* layer_norm.c: layer normalisation (Ba, Kiros and Hinton 2016) of groups of `size` numbers that lie side by side.
 *
 *   xhat = (x - mean) * rstd,  rstd = 1 / sqrt(var + eps)      y = gamma * xhat + beta
 *   g = dy * gamma             dx = rstd * (g - sum g / size - xhat * sum(g * xhat) / size)
 *   dgamma = sum over the groups of dy * xhat                  dbeta = sum over the groups of dy
 *
 * var is the biased variance of the group; gamma and beta, [size], are the same for all groups. Saved for backward: mean and rstd,
 * [groups] each, until the end of the step. Statistics: the mean first, then the sum of squared distances from it, so nothing
 * cancels. Sums over a group run in CHAINS chains of vectors, added in a fixed order, so they depend on the group alone; dgamma and
 * dbeta are one chain per column in increasing group, whatever range of columns a call covers.
 */
#include "ops/op.h"

enum { CHAINS = 4 };

/* sum over j < size of term(j, number of lanes): whole vectors go to CHAINS accumulators in turn, the rest to the first one. */
#define SUM_GROUP(total, size, term_of_whole, term_of_rest)            \
  do {                                                                 \
    vec chain[CHAINS] = {{0}};                                         \
    size_t j = 0;                                                      \
    for (; j + CHAINS * VL <= (size); j += CHAINS * VL)                \
      for (size_t c = 0; c < CHAINS; c++) {                            \
        const size_t at = j + c * VL;                                  \
        chain[c] = term_of_whole;                                      \
      }                                                                \
    for (; j + VL <= (size); j += VL) {                                \
      const size_t at = j, c = 0;                                      \
      chain[c] = term_of_whole;                                        \
    }                                                                  \
    if (j < (size)) {                                                  \
      const size_t at = j, c = 0, n = (size) - j;                      \
      chain[c] = term_of_rest;                                         \
    }                                                                  \
    (total) = vsum_all((chain[0] + chain[1]) + (chain[2] + chain[3])); \
  } while (0)

INLINE vec squared_distance(vec x, vec mean, vec chain) {
  const vec d = x - mean;
  return vfma(d, d, chain);
}

void KERNEL(layer_norm_forward)(real *y, real *saved_mean, real *saved_rstd, const real *x, const real *gamma, const real *beta,
                                size_t groups, size_t size, size_t ldy, size_t ldx, double eps) {
  for (size_t i = 0; i < groups; i++, x += ldx, y += ldy) {
    vec mean, squares;
    SUM_GROUP(mean, size, chain[c] + vload(x + at), chain[c] + vload_n(x + at, n));
    mean = mean / (real)size;
    SUM_GROUP(squares, size, squared_distance(vload(x + at), mean, chain[c]),
              squared_distance(vload_fill(x + at, n, mean[0]), mean, chain[c]));
    const vec rstd = vset1(1) / vsqrt(squares / (real)size + (real)eps);
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
    vec sum, product;
    SUM_GROUP(sum, size, chain[c] + times_gamma(vload(dy + at), gamma, at),
              chain[c] + times_gamma_n(vload_n(dy + at, n), gamma, at, n));
    SUM_GROUP(product, size, vfma(times_gamma(vload(dy + at), gamma, at), (vload(x + at) - mean) * rstd, chain[c]),
              vfma(times_gamma_n(vload_n(dy + at, n), gamma, at, n), (vload_fill(x + at, n, mean[0]) - mean) * rstd, chain[c]));
    sum = sum / (real)size;
    product = product / (real)size;
    size_t j = 0;
    for (; j + VL <= size; j += VL) {
      const vec g = times_gamma(vload(dy + j), gamma, j) - sum;
      vstore(dx + j, rstd * vfma((vload(x + j) - mean) * rstd, -product, g));
    }
    if (j < size) {
      const size_t n = size - j;
      const vec g = times_gamma_n(vload_n(dy + j, n), gamma, j, n) - sum;
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
