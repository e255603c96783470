/* batch_norm.c: batch normalisation (Ioffe and Szegedy 2015) of channels [first, last), forward, at inference, and backward.
 *
 *   xhat = (x - mean) * rstd,  rstd = 1 / sqrt(var + eps)      y = gamma * xhat + beta
 *   dbeta = sum dy             dgamma = sum dy * xhat
 *   dx = gamma * rstd * (dy - dbeta / n - xhat * dgamma / n)   with the statistics of the batch
 *   dx = gamma * rstd * dy                                     with the running ones
 *
 * A batch is [rows, channels] (inner == 1) or [rows, channels, inner]; n = rows * inner. Of samples with padding, [samples, steps,
 * channels], only the valid rows count; chunks of rows then do not cross samples. var is the biased variance; the running
 * one takes the unbiased n / (n - 1) var. Saved for backward: mean and rstd, [channels] each, until the end of the step. Statistics
 * are computed per channel, whatever range of channels a call covers, and without cancellation. inner == 1: in one pass over chunks
 * of CHUNK rows, which stay in registers while their mean and their squared distances from it are computed; chunks are merged in
 * increasing order (Chan, Golub and LeVeque 1979). Otherwise the mean first, then the squared distances, in increasing row order. A
 * channel whose statistics are not finite does not change the running ones. Backward, each sum is one chain per chunk, and these
 * are added in increasing order. If inner != 1, each sum is a row_sum (simd.h) that goes on from row to row, number j of each row in
 * partial sum j % 16 (double: j % 8).
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

/* running += momentum * (statistic - running), of channels that have finite statistics. */
INLINE void update_running(real *running, vec statistic, ivec finite, vec momentum, size_t lanes) {
  const vec old = load_channels(running, lanes), next = (vset1(1) - momentum) * old + momentum * statistic;
  store_channels(running, vselect(finite, next, old), lanes);
}

static void save_moments(moments m, vec var, const nnc_norm_statistics *s, size_t channel, size_t n, double momentum,
                         size_t lanes) {
  if (s->mean) {
    store_channels((real *)s->mean + channel, m.mean, lanes);
    store_channels((real *)s->rstd + channel, m.rstd, lanes);
  }
  if (!s->running_mean) return;
  const vec unbiased = var * (real)((double)n / (double)(n - 1));
  const ivec finite = (m.mean - m.mean == 0) & (unbiased - unbiased == 0);
  update_running((real *)s->running_mean + channel, m.mean, finite, vset1((real)momentum), lanes);
  update_running((real *)s->running_var + channel, unbiased, finite, vset1((real)momentum), lanes);
}

static moments from_running(const nnc_norm_statistics *s, size_t channel, double eps, size_t lanes) {
  moments m = {.mean = load_channels((real *)s->running_mean + channel, lanes)};
  m.rstd = vset1(1) / vsqrt(load_channels((real *)s->running_var + channel, lanes) + (real)eps);
  return m;
}

/* Columns: `vecs` whole contiguous vectors of channels, which hides the latency of their sums, or `lanes` channels. The number of
 * vectors is always a constant. */

enum { CHUNK = NNC_NORM_CHUNK, MOST = NNC_VECTOR_BYTES == 64 ? 4 : 2 };

/* The statistics of at most CHUNK rows, relative to their own mean. */
INLINE void chunk_moments(vec *mean, vec *squares, const real *x, size_t n, size_t ldx, size_t lanes) {
  const real each = 1 / (real)n;
  vec own, spread;
  if (n == CHUNK) {
    vec e[CHUNK];
    for (size_t i = 0; i < CHUNK; i++) e[i] = load_channels(x + i * ldx, lanes);
    own = (((e[0] + e[1]) + (e[2] + e[3])) + ((e[4] + e[5]) + (e[6] + e[7]))) * each;
    for (size_t i = 0; i < CHUNK; i++) e[i] -= own;
    const vec even = vfma(e[6], e[6], vfma(e[4], e[4], vfma(e[2], e[2], e[0] * e[0])));
    spread = vfma(e[7], e[7], vfma(e[5], e[5], vfma(e[3], e[3], vfma(e[1], e[1], even))));
  } else {
    own = spread = vset1(0);
    for (size_t i = 0; i < n; i++) own += load_channels(x + i * ldx, lanes);
    own = own * each;
    for (size_t i = 0; i < n; i++) {
      const vec d = load_channels(x + i * ldx, lanes) - own;
      spread = vfma(d, d, spread);
    }
  }
  *mean = own;
  *squares = spread;
}

/* Merge n more rows, after `first` rows. */
INLINE void merge_moments(vec *mean, vec *squares, vec own, vec spread, size_t first, size_t n) {
  const real weight = (real)n / (real)(first + n), between = (real)first * weight;
  const vec apart = own - *mean;
  *mean = vfma(apart, vset1(weight), *mean);
  *squares = vfma(apart * apart, vset1(between), *squares + spread);
}

/* Returns the number of rows. */
INLINE size_t column_moments(vec *mean, vec *squares, const real *x, const nnc_norm_rows *rows, size_t ldx, size_t vecs,
                             size_t lanes) {
  size_t seen = 0;
  for (size_t v = 0; v < vecs; v++) mean[v] = squares[v] = vset1(0);
  for (size_t i = 0; i < rows->samples; i++, x += rows->steps * ldx) {
    const size_t valid = nnc_norm_valid(rows, i);
    for (size_t first = 0; first < valid; first += CHUNK) {
      const size_t n = valid - first < CHUNK ? valid - first : CHUNK;
      for (size_t v = 0; v < vecs; v++) {
        vec own, spread;
        chunk_moments(&own, &spread, x + first * ldx + v * VL, n, ldx, lanes);
        merge_moments(&mean[v], &squares[v], own, spread, seen, n);
      }
      seen += n;
    }
  }
  return seen;
}

/* `vecs` adjacent vectors are processed together, so that the data read from a row are contiguous. */
INLINE void chunk_sums(vec *sum, vec *product, const real *dy, const real *x, const vec *mean, size_t n, size_t lddy, size_t ldx,
                       size_t vecs, size_t lanes) {
  for (size_t v = 0; v < vecs; v++) sum[v] = product[v] = vset1(0);
  for (size_t i = 0; i < n; i++)
    for (size_t v = 0; v < vecs; v++) {
      const vec d = load_channels(dy + i * lddy + v * VL, lanes);
      sum[v] += d;
      product[v] = vfma(d, load_channels(x + i * ldx + v * VL, lanes) - mean[v], product[v]);
    }
}

INLINE moments moments_of(const nnc_norm_statistics *s, size_t channel, double eps, size_t lanes, nnc_norm_source source) {
  if (source == NNC_NORM_RUNNING) return from_running(s, channel, eps, lanes);
  return (moments){load_channels((real *)s->mean + channel, lanes), load_channels((real *)s->rstd + channel, lanes)};
}

INLINE void forward_columns(real *y, const real *x, const nnc_norm_statistics *s, const real *gamma, const real *beta,
                            size_t channel, size_t vecs, size_t lanes, size_t rows, size_t ldy, size_t ldx, double eps,
                            double momentum, nnc_norm_source source, const nnc_norm_rows *valid) {
  vec mean[MOST], squares[MOST], scale[MOST], shift[MOST];
  const nnc_norm_rows all = {1, rows, NULL, 0};
  size_t count = 0;
  if (source == NNC_NORM_BATCH) count = column_moments(mean, squares, x + channel, valid ? valid : &all, ldx, vecs, lanes);
  for (size_t v = 0; v < vecs; v++) {
    const size_t c = channel + v * VL;
    moments m;
    if (source == NNC_NORM_BATCH) {
      if (s->squares) {
        store_channels((real *)s->mean + c, mean[v], lanes);
        store_channels((real *)s->squares + c, squares[v], lanes);
        continue;
      }
      const vec var = squares[v] / (real)count;
      m = (moments){mean[v], vset1(1) / vsqrt(var + (real)eps)};
      save_moments(m, var, s, c, count, momentum, lanes);
    } else {
      m = moments_of(s, c, eps, lanes, source);
    }
    mean[v] = m.mean;
    scale[v] = m.rstd * load_or(gamma ? gamma + c : NULL, 1, lanes);
    shift[v] = load_or(beta ? beta + c : NULL, 0, lanes);
  }
  if (source == NNC_NORM_BATCH && s->squares) return;
  x += channel;
  y += channel;
  for (size_t i = 0; i < rows; i++, x += ldx, y += ldy)
    for (size_t v = 0; v < vecs; v++)
      store_channels(y + v * VL, vfma(load_channels(x + v * VL, lanes) - mean[v], scale[v], shift[v]), lanes);
}

/* dx is not computed if it is NULL. `count` is the number of rows of the whole batch. */
INLINE void backward_columns(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x, const nnc_norm_statistics *s,
                             const real *gamma, size_t channel, size_t vecs, size_t lanes, size_t rows, size_t count, size_t lddx,
                             size_t lddy, size_t ldx, double eps, nnc_norm_source source) {
  vec mean[MOST], rstd[MOST], sum[MOST], product[MOST];
  for (size_t v = 0; v < vecs; v++) {
    const moments m = moments_of(s, channel + v * VL, eps, lanes, source);
    mean[v] = m.mean;
    rstd[v] = m.rstd;
    sum[v] = product[v] = vset1(0);
  }
  x += channel;
  dy += channel;
  if (source == NNC_NORM_TOTALS) {
    for (size_t v = 0; v < vecs; v++) {
      sum[v] = load_channels(dbeta + channel + v * VL, lanes);
      product[v] = load_channels(dgamma + channel + v * VL, lanes);
    }
  } else {
    for (size_t first = 0; first < rows; first += CHUNK) {
      const size_t n = rows - first < CHUNK ? rows - first : CHUNK;
      vec more[MOST], products[MOST];
      chunk_sums(more, products, dy + first * lddy, x + first * ldx, mean, n, lddy, ldx, vecs, lanes);
      for (size_t v = 0; v < vecs; v++) {
        sum[v] += more[v];
        product[v] += products[v];
      }
    }
    for (size_t v = 0; v < vecs; v++) {
      product[v] *= rstd[v];
      if (dgamma) store_channels(dgamma + channel + v * VL, product[v], lanes);
      if (dbeta) store_channels(dbeta + channel + v * VL, sum[v], lanes);
    }
  }
  if (!dx) return;
  vec scale[MOST], slope[MOST], shift[MOST]; /* dx = scale dy + slope (x - mean) + shift */
  const int constant = source == NNC_NORM_RUNNING;
  for (size_t v = 0; v < vecs; v++) {
    scale[v] = rstd[v] * load_or(gamma ? gamma + channel + v * VL : NULL, 1, lanes);
    slope[v] = constant ? vset1(0) : -(scale[v] * (product[v] / (real)count * rstd[v]));
    shift[v] = constant ? vset1(0) : -(scale[v] * (sum[v] / (real)count));
  }
  dx += channel;
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < vecs; v++) {
      const vec d = load_channels(dy + i * lddy + v * VL, lanes), centred = load_channels(x + i * ldx + v * VL, lanes) - mean[v];
      store_channels(dx + i * lddx + v * VL, vfma(scale[v], d, vfma(slope[v], centred, shift[v])), lanes);
    }
}

/* Planes: one channel, whose `inner` numbers of a row are contiguous. */

#define OVER_PLANE(i, j, n, body)                       \
  for (size_t i = 0; i < rows; i++)                     \
    for (size_t j = 0; j < inner; j += VL) {            \
      const size_t n = inner - j < VL ? inner - j : VL; \
      body                                              \
    }

/* A sum after number j of a row and the others of its vector: the next row begins with partial sum 0 again. */
INLINE row_sum sum_at(row_sum s, size_t j, size_t inner) {
  if (VECTORS_OF_SUM > 1 && inner - j <= VL)
    for (size_t v = j / VL + 1; v % VECTORS_OF_SUM; v++) s = sum_turn(s);
  return s;
}

/* Lanes beyond n are 0, whatever the mean is. */
INLINE vec load_centred(const real *p, size_t n, vec mean) { return n == VL ? vload(p) - mean : vkeep_n(vload_n(p, n) - mean, n); }

static void forward_plane(real *y, const real *x, const nnc_norm_statistics *s, const real *gamma, const real *beta, size_t channel,
                          size_t rows, size_t inner, size_t ldy, size_t ldx, double eps, double momentum, nnc_norm_source source) {
  const size_t at = channel * inner, count = rows * inner;
  moments m;
  if (source != NNC_NORM_BATCH) {
    m = moments_of(s, channel, eps, 1, source);
    m = (moments){vset1(m.mean[0]), vset1(m.rstd[0])};
  } else {
    row_sum sum = {0}, squares = {0};
    OVER_PLANE(i, j, n, sum = sum_at(sum_add(sum, load_channels(x + i * ldx + at + j, n)), j, inner);)
    m.mean = sum_total(sum) / (real)count;
    OVER_PLANE(i, j, n, {
      const vec d = load_centred(x + i * ldx + at + j, n, m.mean);
      squares = sum_at(sum_fma(squares, d, d), j, inner);
    })
    if (s->squares) {
      store_channels((real *)s->mean + channel, m.mean, 1);
      store_channels((real *)s->squares + channel, sum_total(squares), 1);
      return;
    }
    const vec var = sum_total(squares) / (real)count;
    m.rstd = vset1(1) / vsqrt(var + (real)eps);
    save_moments(m, var, s, channel, count, momentum, 1);
  }
  const vec scale = m.rstd * (gamma ? gamma[channel] : 1), shift = vset1(beta ? beta[channel] : 0);
  OVER_PLANE(i, j, n, store_channels(y + i * ldy + at + j, vfma(load_channels(x + i * ldx + at + j, n) - m.mean, scale, shift), n);)
}

static void backward_plane(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x, const nnc_norm_statistics *s,
                           const real *gamma, size_t channel, size_t rows, size_t all, size_t inner, size_t lddx, size_t lddy,
                           size_t ldx, double eps, nnc_norm_source source) {
  const size_t at = channel * inner;
  const real count = (real)(all * inner);
  const int constant = source == NNC_NORM_RUNNING;
  moments m;
  if (constant) m = from_running(s, channel, eps, 1);
  else m = (moments){vset1(((real *)s->mean)[channel]), vset1(((real *)s->rstd)[channel])};
  const vec mean = vset1(m.mean[0]), rstd = vset1(m.rstd[0]);
  row_sum sums = {0}, products = {0};
  if (source != NNC_NORM_TOTALS)
    OVER_PLANE(i, j, n, {
      const vec d = load_channels(dy + i * lddy + at + j, n);
      sums = sum_at(sum_add(sums, d), j, inner);
      products = sum_at(sum_fma(products, d, load_centred(x + i * ldx + at + j, n, mean) * rstd), j, inner);
    })
  const int given = source == NNC_NORM_TOTALS;
  const real sum = given ? dbeta[channel] : sum_total(sums)[0];
  const real product = given ? dgamma[channel] : sum_total_unsigned(products)[0];
  if (dgamma && !given) dgamma[channel] = product;
  if (dbeta && !given) dbeta[channel] = sum;
  if (!dx) return;
  const vec scale = rstd * (gamma ? gamma[channel] : 1), mean_dy = vset1(constant ? 0 : sum / count);
  const vec mean_product = constant ? vset1(0) : vset1(product / count) * rstd;
  OVER_PLANE(i, j, n, {
    const vec centred = load_channels(x + i * ldx + at + j, n) - mean;
    store_channels(dx + i * lddx + at + j, scale * (load_channels(dy + i * lddy + at + j, n) - mean_dy - centred * mean_product),
                   n);
  })
}

/* body(c, vecs, lanes) for channels [first, last): MOST whole vectors at a time, then one, then the rest of one. */
#define OVER_COLUMNS(body)                                      \
  size_t c = first;                                             \
  for (; last - c >= MOST * VL; c += MOST * VL) body(MOST, VL); \
  for (; last - c >= VL; c += VL) body(1, VL);                  \
  if (c < last) body(1, last - c);

void KERNEL(batch_norm_forward)(real *y, const nnc_norm_statistics *s, const real *x, const real *gamma, const real *beta,
                                size_t first, size_t last, size_t rows, size_t inner, size_t ldy, size_t ldx, double eps,
                                double momentum, nnc_norm_source source, const nnc_norm_rows *valid) {
  if (inner != 1) {
    for (size_t c = first; c < last; c++) forward_plane(y, x, s, gamma, beta, c, rows, inner, ldy, ldx, eps, momentum, source);
    return;
  }
#define FORWARD(vecs, lanes) forward_columns(y, x, s, gamma, beta, c, vecs, lanes, rows, ldy, ldx, eps, momentum, source, valid)
  OVER_COLUMNS(FORWARD)
}

void KERNEL(batch_norm_backward)(real *dx, real *dgamma, real *dbeta, const nnc_norm_statistics *s, const real *dy, const real *x,
                                 const real *gamma, size_t first, size_t last, size_t rows, size_t count, size_t inner, size_t lddx,
                                 size_t lddy, size_t ldx, double eps, nnc_norm_source source) {
  if (inner != 1) {
    for (size_t c = first; c < last; c++)
      backward_plane(dx, dgamma, dbeta, dy, x, s, gamma, c, rows, count, inner, lddx, lddy, ldx, eps, source);
    return;
  }
#define BACKWARD(vecs, lanes) \
  backward_columns(dx, dgamma, dbeta, dy, x, s, gamma, c, vecs, lanes, rows, count, lddx, lddy, ldx, eps, source)
  OVER_COLUMNS(BACKWARD)
}

/* The same in two parts, for threads that have some of the rows each. */

void KERNEL(batch_norm_moments)(real *mean, real *squares, const real *x, size_t rows, size_t channels, size_t ldx) {
  for (size_t c = 0; c < channels; c += VL) {
    const size_t lanes = channels - c < VL ? channels - c : VL;
    vec own, spread;
    chunk_moments(&own, &spread, x + c, rows, ldx, lanes);
    store_channels(mean + c, own, lanes);
    store_channels(squares + c, spread, lanes);
  }
}

static size_t chunks_of(const nnc_norm_rows *rows) { return (rows->steps + CHUNK - 1) / CHUNK; }

INLINE void merge_columns(const nnc_norm_statistics *s, const real *partial, size_t channel, size_t vecs, size_t lanes,
                          const nnc_norm_rows *rows, size_t ld, double eps, double momentum) {
  vec mean[MOST], squares[MOST];
  size_t seen = 0;
  for (size_t v = 0; v < vecs; v++) mean[v] = squares[v] = vset1(0);
  for (size_t i = 0; i < rows->samples; i++) {
    const size_t valid = nnc_norm_valid(rows, i);
    const real *at = partial + channel + 2 * ld * i * chunks_of(rows);
    for (size_t row = 0; row < valid; row += CHUNK, at += 2 * ld) {
      const size_t n = valid - row < CHUNK ? valid - row : CHUNK;
      for (size_t v = 0; v < vecs; v++)
        merge_moments(&mean[v], &squares[v], load_channels(at + v * VL, lanes), load_channels(at + ld + v * VL, lanes), seen, n);
      seen += n;
    }
  }
  for (size_t v = 0; v < vecs; v++) {
    if (s->squares) {
      store_channels((real *)s->mean + channel + v * VL, mean[v], lanes);
      store_channels((real *)s->squares + channel + v * VL, squares[v], lanes);
      continue;
    }
    const vec var = squares[v] / (real)seen;
    save_moments((moments){mean[v], vset1(1) / vsqrt(var + (real)eps)}, var, s, channel + v * VL, seen, momentum, lanes);
  }
}

void KERNEL(batch_norm_merge)(const nnc_norm_statistics *s, const real *partial, size_t first, size_t last,
                              const nnc_norm_rows *rows, size_t ld, double eps, double momentum){
#define MERGE(vecs, lanes) merge_columns(s, partial, c, vecs, lanes, rows, ld, eps, momentum)
    OVER_COLUMNS(MERGE)}

INLINE void sum_columns(real *sum, real *product, const real *dy, const real *x, const real *mean, size_t channel, size_t vecs,
                        size_t lanes, size_t rows, size_t lddy, size_t ldx) {
  vec center[MOST], more[MOST], products[MOST];
  for (size_t v = 0; v < vecs; v++) center[v] = load_channels(mean + channel + v * VL, lanes);
  chunk_sums(more, products, dy + channel, x + channel, center, rows, lddy, ldx, vecs, lanes);
  for (size_t v = 0; v < vecs; v++) {
    store_channels(sum + channel + v * VL, more[v], lanes);
    store_channels(product + channel + v * VL, products[v], lanes);
  }
}

void KERNEL(batch_norm_sums)(real *sum, real *product, const real *dy, const real *x, const real *mean, size_t rows,
                             size_t channels, size_t lddy, size_t ldx) {
  const size_t first = 0, last = channels;
#define SUMS(vecs, lanes) sum_columns(sum, product, dy, x, mean, c, vecs, lanes, rows, lddy, ldx)
  OVER_COLUMNS(SUMS)
}

void KERNEL(batch_norm_total)(real *dgamma, real *dbeta, const real *partial, const real *rstd, size_t first, size_t last,
                              const nnc_norm_rows *rows, size_t ld) {
  for (size_t c = first; c < last; c += VL) {
    const size_t lanes = last - c < VL ? last - c : VL;
    vec sum = vset1(0), product = vset1(0);
    for (size_t i = 0; i < rows->samples; i++) {
      const real *at = partial + c + 2 * ld * i * chunks_of(rows);
      for (size_t row = 0; row < nnc_norm_valid(rows, i); row += CHUNK, at += 2 * ld) {
        sum += load_channels(at, lanes);
        product += load_channels(at + ld, lanes);
      }
    }
    store_channels(dgamma + c, product * load_channels(rstd + c, lanes), lanes);
    store_channels(dbeta + c, sum, lanes);
  }
}
