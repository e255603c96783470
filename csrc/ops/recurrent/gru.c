/* recurrent_gru: the gated recurrent unit (Cho et al. 2014) with the reset after the product, as in cuDNN and PyTorch.
 *
 *   r = s(a_r + W_hr h + b_hr)    z = s(a_z + W_hz h + b_hz)    q = W_hn h + b_hn    n = tanh(a_n + r q)
 *   h' = (1 - z) n + z h = n + z (h - n)                        a = W_ih x + b_ih, s the logistic function
 *
 *   da_n = dh' (1 - z) (1 - n^2)   da_r = da_n q r (1 - r)   da_z = dh' (h - n) z (1 - z)   dq = da_n r
 *   dh = dh' z + W_hh^T (da_r, da_z, dq)
 *
 * Saved for backward, of each step: r, z, n, q in gates, and h.
 * Order of accumulation: recurrent.h.
 */
#include "ops/recurrent/cells.h"
#include "ops/recurrent/recurrent.h"

INLINE void gru_cell(const recurrent_block *b, const real *product, size_t i, size_t u, size_t lanes) {
  const size_t hidden = b->r->hidden;
  real *gate = b->now.gates + b->gates_at[i] + u;
  prefetch_gates(b, gate, 3);
  const vec q = vload(product + 2 * VL), old = vload(b->h[0] + i * b->ld + u);
  const vec r = vload(product) + load_lanes_of(gate, lanes), z = vload(product + VL) + load_lanes_of(gate + hidden, lanes);
  gru_gates to;
  const vec h = gru_of_sums(&to, r, z, load_lanes_of(gate + 2 * hidden, lanes), q, old);
  store_state(b, h, i, u, lanes, 1);
  if (!b->now.h_after) return;
  store_gates(gate, hidden, to.r, to.z, to.n, to.q, lanes);
}

INLINE void gru_gradient(const recurrent_block *b, vec dh, size_t i, size_t u, size_t lanes) {
  const size_t hidden = b->r->hidden;
  const real *gate = b->now.gates + b->gates_at[i] + u;
  const real *before = b->now.h_before + b->h_at[i] + u;
  const vec h = load_lanes_of(before, lanes);
  const gru_gates saved = {load_lanes_of(gate, lanes), load_lanes_of(gate + hidden, lanes), load_lanes_of(gate + 2 * hidden, lanes),
                           load_lanes_of(gate + 3 * hidden, lanes)};
  prefetch_gates(b, gate, 4);
  prefetch_state(b, before);
  gru_gates d;
  const vec around = gru_derivative(&d, dh, &saved, h);
  real *to = b->now.dgates + b->gates_at[i] + u, *next = b->g[1] + i * b->ldg + u;
  vstore(b->dh + i * b->ld + u, around);
  store_gates(to, hidden, d.r, d.z, d.n, d.q, lanes);
  store_lanes_of(next, d.r, lanes);
  store_lanes_of(next + hidden, d.z, lanes);
  store_lanes_of(next + 2 * hidden, d.q, lanes);
}

void KERNEL(gru_forward)(const nnc_recurrence *r) { walk_forward(r, 3, gru_cell); }
void KERNEL(gru_backward)(const nnc_recurrence *r) { walk_backward(r, 3, gru_gradient); }
