/* gru_before: what a time step of GRU(reset_after=False) does besides its products: the gated recurrent unit as in Cho et al. 2014, with
 * the reset before the product. m is the mask of recurrent dropout, or 1.
 *
 *   r = s(a_r + W_hr m h + b_hr)    z = s(a_z + W_hz m h + b_hz)    p = r m h    n = tanh(a_n + W_hn p + b_hn)
 *   h' = (1 - z) n + z h = n + z (h - n)                            a = W_ih x + b_ih, s the logistic function
 *
 *   da_n = dh' (1 - z) (1 - n^2)    da_z = dh' (h - n) z (1 - z)    dp = W_hn^T da_n    da_r = dp p (1 - r)
 *   dh = m (W_hr^T da_r + W_hz^T da_z) + (dh' z + dp r m)
 *
 * A step has two products, one after the other: forward that of r and z, and that of n; backward that of da_r and da_z of the step after,
 * and that of da_n. Behind each comes a half of the rest.
 * Saved for backward, of each step: r, z, n, p in gates, and h.
 */
#include "ops/op.h"
#include "ops/vmath.h"

/* Loads and stores as functions where the code should be small. */
#if defined(__AVX2__)
#define SMALL INLINE
#else
#define SMALL static __attribute__((noinline))
#endif
SMALL vec get(const real *p, size_t lanes) { return load_lanes_of(p, lanes); }
SMALL void put(real *p, vec v, size_t lanes) { store_lanes_of(p, v, lanes); }

INLINE int counts(const nnc_gru_step *s, size_t i) { return !s->lengths || s->lengths[i] > s->step; }
INLINE real *row_at(const void *buffer, size_t i, size_t distance) { return buffer ? (real *)buffer + i * distance : NULL; }
static __attribute__((noinline)) void copy(real *to, const real *from, size_t n) {
  for (size_t u = 0; to && u < n; u++) to[u] = from ? from[u] : 0;
}

void KERNEL(gru_before_forward)(const nnc_gru_step *s, int second) {
  const size_t hidden = s->hidden;
  for (size_t i = 0; i < s->rows; i++) {
    real *gate = row_at(s->gates, i, s->gates_row), *h = row_at(s->h, i, s->ld), *p = row_at(s->operand, i, s->operand_row);
    real *y = row_at(s->y, i, s->y_row), *saved = row_at(s->saved, i, s->saved_row);
    const real *product = row_at(s->product, i, s->product_row), *left = row_at(s->left, i, s->ld);
    if (!counts(s, i)) {
      if (!second) copy(p, NULL, hidden);
      else copy(y, NULL, hidden), copy(saved, h, hidden);
      continue;
    }
    for (size_t u = 0; u < hidden; u += VL) {
      const size_t lanes = hidden - u < VL ? hidden - u : VL;
      if (second) {
        const vec z = get(gate + hidden + u, lanes), old = get(h + u, lanes);
        const vec n = vtanh(get(product + u, lanes) + get(gate + 2 * hidden + u, lanes));
        const vec state = vfma(z, old - n, n);
        put(gate + 2 * hidden + u, n, lanes);
        put(h + u, state, lanes);
        if (y) put(y + u, state, lanes);
        if (saved) put(saved + u, state, lanes);
        continue;
      }
      vec of[2];
      for (size_t g = 0; g < 2; g++) {
        real *at = gate + g * hidden + u;
        of[g] = vsigmoid(get(product + g * hidden + u, lanes) + get(at, lanes));
        put(at, of[g], lanes);
      }
      const vec reset = of[0] * get(left + u, lanes);
      put(p + u, reset, lanes);
      if (s->saves) put(gate + 3 * hidden + u, reset, lanes);
    }
  }
}

void KERNEL(gru_before_backward)(const nnc_gru_step *s, int second) {
  const size_t hidden = s->hidden;
  for (size_t i = 0; i < s->rows; i++) {
    real *gate = row_at(s->gates, i, s->gates_row), *carried = row_at(s->h, i, s->ld), *d = row_at(s->operand, i, s->operand_row);
    const real *dy = row_at(s->y, i, s->y_row), *before = row_at(s->saved, i, s->saved_row);
    const real *product = row_at(s->product, i, s->product_row), *mask = row_at(s->mask, i, s->mask_row);
    const int active = counts(s, i);
    for (size_t u = 0; u < hidden; u += VL) {
      const size_t lanes = hidden - u < VL ? hidden - u : VL;
      vec of = product ? get(product + u, lanes) : vset1(0);
      const vec rest = get(carried + u, lanes);
      if (mask) of *= get(mask + u, lanes);
      if (!second) {
        of += rest;
        if (!active) {
          put(carried + u, of, lanes);
          continue;
        }
        if (dy) of = get(dy + u, lanes) + of;
        const vec z = get(gate + hidden + u, lanes), n = get(gate + 2 * hidden + u, lanes);
        const vec dz = of * (get(before + u, lanes) - n) * z * (1 - z), dn = of * (1 - z) * vfma(-n, n, vset1(1));
        put(carried + u, of * z, lanes);
        put(gate + hidden + u, dz, lanes);
        put(gate + 2 * hidden + u, dn, lanes);
        put(d + hidden + u, dz, lanes);
        put(d + 2 * hidden + u, dn, lanes);
      } else if (active) {
        const vec r = get(gate + u, lanes), dp = get(product + u, lanes);
        const vec dr = dp * get(gate + 3 * hidden + u, lanes) * (1 - r);
        put(carried + u, vfma(of, r, rest), lanes);
        put(gate + u, dr, lanes);
        put(d + u, dr, lanes);
      }
    }
    if (!active) copy(d, NULL, 3 * hidden), copy(gate, NULL, 4 * hidden);
  }
}
