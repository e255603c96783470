/* batch_norm.c: batch normalisation (Ioffe and Szegedy 2015) of channels [first, last), forward, at inference, and backward.
 *
 *   xhat = (x - mean) * rstd,  rstd = 1 / sqrt(var + eps)      y = gamma * xhat + beta
 *   dbeta = sum dy             dgamma = sum dy * xhat
 *   dx = gamma * rstd * (dy - dbeta / n - xhat * dgamma / n)   with the statistics of the batch
 *   dx = gamma * rstd * dy                                     with the running ones
 *
 * A batch is [rows, channels] (inner == 1) or [rows, channels, inner]; n = rows * inner. var is the biased variance; the running
 * one takes the unbiased n / (n - 1) var. Saved for backward: mean and rstd, [channels] each, until the end of the step.
 * Statistics: the mean first, then the sum of squared distances from it, so nothing cancels; both in increasing row order, per
 * channel, whatever range of channels a call covers. A channel whose statistics are not finite leaves the running ones alone.
 */
#include "ops/op.h"

/* One channel, or VL of them side by side (inner == 1). Lanes beyond `lanes` are zero and are not stored. */
INLINE vec load_channels(const real *p, size_t lanes) { return lanes == VL ? vload(p) : vload_n(p, lanes); }
INLINE void store_channels(real *p, vec v, size_t lanes) {
  if (lanes == VL) vstore(p, v);
  else vstore_n(p, v, lanes);
}
INLINE vec load_or(const real *p, real otherwise, size_t lanes) { return p ? load_channels(p, lanes) : vset1(otherwise); }

typedef struct {
  vec mean, rstd;
} moments;

/* running += momentum * (statistic - running) where the statistic is finite. */
INLINE void follow(real *running, vec statistic, vec momentum, size_t lanes) {
  const vec old = load_channels(running, lanes), next = (vset1(1) - momentum) * old + momentum * statistic;
  store_channels(running, vselect(statistic - statistic == 0, next, old), lanes);
}

static void keep(moments m, vec var, const nnc_norm_statistics *s, size_t channel, size_t n, double momentum, size_t lanes) {
  store_channels((real *)s->mean + channel, m.mean, lanes);
  store_channels((real *)s->rstd + channel, m.rstd, lanes);
  if (!s->running_mean) return;
  follow((real *)s->running_mean + channel, m.mean, vset1((real)momentum), lanes);
  follow((real *)s->running_var + channel, var * (real)((double)n / (double)(n - 1)), vset1((real)momentum), lanes);
}

static moments from_running(const nnc_norm_statistics *s, size_t channel, double eps, size_t lanes) {
  moments m = {.mean = load_channels((real *)s->running_mean + channel, lanes)};
  m.rstd = vset1(1) / vsqrt(load_channels((real *)s->running_var + channel, lanes) + (real)eps);
  return m;
}

/* Columns: VL channels at once, lanes side by side. */

static void forward_columns(real *y, const real *x, const nnc_norm_statistics *s, const real *gamma, const real *beta,
                            size_t channel, size_t lanes, size_t rows, size_t ldy, size_t ldx, double eps, double momentum,
                            int frozen) {
  moments m;
  if (frozen) {
    m = from_running(s, channel, eps, lanes);
  } else {
    vec sum = vset1(0), squares = vset1(0);
    for (size_t i = 0; i < rows; i++) sum += load_channels(x + i * ldx + channel, lanes);
    m.mean = sum / (real)rows;
    for (size_t i = 0; i < rows; i++) {
      const vec d = load_channels(x + i * ldx + channel, lanes) - m.mean;
      squares = vfma(d, d, squares);
    }
    const vec var = squares / (real)rows;
    m.rstd = vset1(1) / vsqrt(var + (real)eps);
    keep(m, var, s, channel, rows, momentum, lanes);
  }
  const vec scale = m.rstd * load_or(gamma ? gamma + channel : NULL, 1, lanes),
            shift = load_or(beta ? beta + channel : NULL, 0, lanes);
  for (size_t i = 0; i < rows; i++)
    store_channels(y + i * ldy + channel, vfma(load_channels(x + i * ldx + channel, lanes) - m.mean, scale, shift), lanes);
}

static void backward_columns(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x, const nnc_norm_statistics *s,
                             const real *gamma, size_t channel, size_t lanes, size_t rows, size_t lddx, size_t lddy, size_t ldx,
                             double eps, int frozen) {
  moments m;
  if (frozen) m = from_running(s, channel, eps, lanes);
  else m = (moments){load_channels((real *)s->mean + channel, lanes), load_channels((real *)s->rstd + channel, lanes)};
  vec sum = vset1(0), product = vset1(0);
  for (size_t i = 0; i < rows; i++) {
    const vec d = load_channels(dy + i * lddy + channel, lanes);
    sum += d;
    product = vfma(d, (load_channels(x + i * ldx + channel, lanes) - m.mean) * m.rstd, product);
  }
  if (dgamma) store_channels(dgamma + channel, product, lanes);
  if (dbeta) store_channels(dbeta + channel, sum, lanes);
  if (!dx) return;
  const vec scale = m.rstd * load_or(gamma ? gamma + channel : NULL, 1, lanes);
  const vec mean_dy = frozen ? vset1(0) : sum / (real)rows, mean_product = frozen ? vset1(0) : product / (real)rows * m.rstd;
  for (size_t i = 0; i < rows; i++) {
    const vec centred = load_channels(x + i * ldx + channel, lanes) - m.mean;
    const vec d = load_channels(dy + i * lddy + channel, lanes) - mean_dy;
    store_channels(dx + i * lddx + channel, scale * (d - centred * mean_product), lanes);
  }
}

/* Planes: one channel, its `inner` numbers of a row side by side. Sums run over rows, each row's lanes added in a fixed order. */

#define OVER_PLANE(i, j, n, body)                       \
  for (size_t i = 0; i < rows; i++)                     \
    for (size_t j = 0; j < inner; j += VL) {            \
      const size_t n = inner - j < VL ? inner - j : VL; \
      body                                              \
    }

static void forward_plane(real *y, const real *x, const nnc_norm_statistics *s, const real *gamma, const real *beta, size_t channel,
                          size_t rows, size_t inner, size_t ldy, size_t ldx, double eps, double momentum, int frozen) {
  const size_t at = channel * inner, count = rows * inner;
  moments m;
  if (frozen) {
    m = from_running(s, channel, eps, 1);
    m = (moments){vset1(m.mean[0]), vset1(m.rstd[0])};
  } else {
    vec sum = vset1(0), squares = vset1(0);
    OVER_PLANE(i, j, n, sum += load_channels(x + i * ldx + at + j, n);)
    m.mean = vset1(vsum(sum) / (real)count);
    OVER_PLANE(i, j, n, {
      const vec v = load_channels(x + i * ldx + at + j, n);
      vec d = v - m.mean;
      if (n < VL) {
        real lane[VL];
        vstore(lane, d);
        d = vload_n(lane, n);
      }
      squares = vfma(d, d, squares);
    })
    const vec var = vset1(vsum(squares) / (real)count);
    m.rstd = vset1(1) / vsqrt(var + (real)eps);
    keep(m, var, s, channel, count, momentum, 1);
  }
  const vec scale = m.rstd * (gamma ? gamma[channel] : 1), shift = vset1(beta ? beta[channel] : 0);
  OVER_PLANE(i, j, n, store_channels(y + i * ldy + at + j, vfma(load_channels(x + i * ldx + at + j, n) - m.mean, scale, shift), n);)
}

static void backward_plane(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x, const nnc_norm_statistics *s,
                           const real *gamma, size_t channel, size_t rows, size_t inner, size_t lddx, size_t lddy, size_t ldx,
                           double eps, int frozen) {
  const size_t at = channel * inner;
  const real count = (real)(rows * inner);
  moments m;
  if (frozen) m = from_running(s, channel, eps, 1);
  else m = (moments){vset1(((real *)s->mean)[channel]), vset1(((real *)s->rstd)[channel])};
  const vec mean = vset1(m.mean[0]), rstd = vset1(m.rstd[0]);
  vec sums = vset1(0), products = vset1(0);
  OVER_PLANE(i, j, n, {
    const vec d = load_channels(dy + i * lddy + at + j, n); /* lanes beyond n are 0, so their products are, too */
    sums += d;
    products = vfma(d, (load_channels(x + i * ldx + at + j, n) - mean) * rstd, products);
  })
  const real sum = vsum(sums), product = vsum(products);
  if (dgamma) dgamma[channel] = product;
  if (dbeta) dbeta[channel] = sum;
  if (!dx) return;
  const vec scale = rstd * (gamma ? gamma[channel] : 1), mean_dy = vset1(frozen ? 0 : sum / count);
  const vec mean_product = frozen ? vset1(0) : vset1(product / count) * rstd;
  OVER_PLANE(i, j, n, {
    const vec centred = load_channels(x + i * ldx + at + j, n) - mean;
    store_channels(dx + i * lddx + at + j, scale * (load_channels(dy + i * lddy + at + j, n) - mean_dy - centred * mean_product),
                   n);
  })
}

void KERNEL(batch_norm_forward)(real *y, const nnc_norm_statistics *s, const real *x, const real *gamma, const real *beta,
                                size_t first, size_t last, size_t rows, size_t inner, size_t ldy, size_t ldx, double eps,
                                double momentum, int frozen) {
  if (inner != 1) {
    for (size_t c = first; c < last; c++) forward_plane(y, x, s, gamma, beta, c, rows, inner, ldy, ldx, eps, momentum, frozen);
    return;
  }
  for (size_t c = first; c < last; c += VL)
    forward_columns(y, x, s, gamma, beta, c, last - c < VL ? last - c : VL, rows, ldy, ldx, eps, momentum, frozen);
}

void KERNEL(batch_norm_backward)(real *dx, real *dgamma, real *dbeta, const nnc_norm_statistics *s, const real *dy, const real *x,
                                 const real *gamma, size_t first, size_t last, size_t rows, size_t inner, size_t lddx, size_t lddy,
                                 size_t ldx, double eps, int frozen) {
  if (inner != 1) {
    for (size_t c = first; c < last; c++)
      backward_plane(dx, dgamma, dbeta, dy, x, s, gamma, c, rows, inner, lddx, lddy, ldx, eps, frozen);
    return;
  }
  for (size_t c = first; c < last; c += VL)
    backward_columns(dx, dgamma, dbeta, dy, x, s, gamma, c, last - c < VL ? last - c : VL, rows, lddx, lddy, ldx, eps, frozen);
}
