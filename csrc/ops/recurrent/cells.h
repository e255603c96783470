/* cells.h: the formulas of the recurrent cells and of their derivatives, for one vector of units of one row. They stand in gru.c, lstm.c and
 * rnn.c. Kernels differ in how they compute the sums before the nonlinearities, and in where they store what comes out.
 */
#ifndef NNC_OPS_RECURRENT_CELLS_H
#define NNC_OPS_RECURRENT_CELLS_H

#include "ops/vmath.h"

INLINE vec tanh_of_sum(vec sum) { return vtanh(sum); }
INLINE vec relu_of_sum(vec sum) { return vselect(sum <= 0, vset1(0), sum); } /* NaN passes */

/* da, from dh and the h after the step. */
INLINE vec tanh_derivative(vec dh, vec h) { return dh * vfma(-h, h, vset1(1)); }
INLINE vec relu_derivative(vec dh, vec h) { return vselect(h > 0, dh, vset1(0)); }

/* The gates after their nonlinearity; q is W_hn h + b_hn. */
typedef struct {
  vec r, z, n, q;
} gru_gates;

/* The new h. r and z: the sums before the nonlinearity; n: its sum without r q. */
INLINE vec gru_of_sums(gru_gates *gate, vec r, vec z, vec n, vec q, vec old) {
  gate->q = q;
  gate->r = vsigmoid(r);
  gate->z = vsigmoid(z);
  gate->n = vtanh(vfma(gate->r, q, n));
  return vfma(gate->z, old - gate->n, gate->n);
}

/* The gradients of the sums, where q has its own; returns the part of dh that goes around the products. h: before the step. */
INLINE vec gru_derivative(gru_gates *d, vec dh, const gru_gates *gate, vec h) {
  const vec r = gate->r, z = gate->z, n = gate->n;
  d->n = dh * (1 - z) * vfma(-n, n, vset1(1));
  d->q = d->n * r;
  d->r = d->q * gate->q * (1 - r);
  d->z = dh * (h - n) * z * (1 - z);
  return dh * z;
}

typedef struct {
  vec i, f, g, o;
} lstm_gates;

/* The new h, from the sums before the nonlinearities. c: before the step, and after it. */
INLINE vec lstm_of_sums(lstm_gates *gate, vec *c, vec i, vec f, vec g, vec o) {
  *gate = (lstm_gates){vsigmoid(i), vsigmoid(f), vtanh(g), vsigmoid(o)};
  *c = vfma(gate->f, *c, gate->i * gate->g);
  return gate->o * vtanh(*c);
}

/* The gradients of the sums. dc: of c after the step, and before it. */
INLINE void lstm_derivative(lstm_gates *d, vec *dc, vec dh, const lstm_gates *gate, vec c_before, vec c_after) {
  const vec i = gate->i, f = gate->f, g = gate->g, o = gate->o, bounded = vtanh(c_after);
  const vec all = vfma(dh * o, vfma(-bounded, bounded, vset1(1)), *dc);
  d->i = all * g * i * (1 - i);
  d->f = all * c_before * f * (1 - f);
  d->g = all * i * vfma(-g, g, vset1(1));
  d->o = dh * bounded * o * (1 - o);
  *dc = all * f;
}

#endif
