/* recurrent_lstm: the long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000 for f), without peepholes.
 *
 *   i, f, o = s(a + W_hh h + b_hh)    g = tanh(a_g + W_hg h + b_hg)    c' = f c + i g    h' = o tanh(c')
 *
 *   dc' = dc' + dh' o (1 - tanh(c')^2)      da_o = dh' tanh(c') o (1 - o)
 *   da_i = dc' g i (1 - i)    da_f = dc' c f (1 - f)    da_g = dc' i (1 - g^2)    dc = dc' f    dh = W_hh^T da
 *
 * Saved for backward, of each step: i, f, g, o in gates, c and h; tanh(c') is computed again, which is cheaper than storing it.
 * Order of accumulation: recurrent.h.
 */
#include "ops/recurrent/cells.h"
#include "ops/recurrent/recurrent.h"

INLINE void lstm_cell(const recurrent_block *b, const real *product, size_t row, size_t u, size_t lanes) {
  const size_t hidden = b->r->hidden;
  real *gate = b->now.gates + b->gates_at[row] + u, *state = b->c + row * b->ld + u;
  prefetch_gates(b, gate, 4);
  const vec i = vload(product) + load_lanes_of(gate, lanes), f = vload(product + VL) + load_lanes_of(gate + hidden, lanes);
  const vec g = vload(product + 2 * VL) + load_lanes_of(gate + 2 * hidden, lanes);
  const vec o = vload(product + 3 * VL) + load_lanes_of(gate + 3 * hidden, lanes);
  vec c = vload(state);
  lstm_gates to;
  const vec h = lstm_of_sums(&to, &c, i, f, g, o);
  vstore(state, c);
  store_state(b, h, row, u, lanes, 1);
  if (!b->now.h_after) return;
  real *kept = b->now.c_after + b->h_at[row] + u;
  store_lanes_of(kept, c, lanes);
  __builtin_prefetch(kept + b->now.next_h, 1);
  store_gates(gate, hidden, to.i, to.f, to.g, to.o, lanes);
}

INLINE void lstm_gradient(const recurrent_block *b, vec dh, size_t row, size_t u, size_t lanes) {
  const size_t hidden = b->r->hidden;
  const real *gate = b->now.gates + b->gates_at[row] + u;
  const lstm_gates saved = {load_lanes_of(gate, lanes), load_lanes_of(gate + hidden, lanes),
                            load_lanes_of(gate + 2 * hidden, lanes), load_lanes_of(gate + 3 * hidden, lanes)};
  const real *before = b->now.c_before + b->h_at[row] + u;
  const vec c_before = load_lanes_of(before, lanes), c_after = load_lanes_of(b->now.c_after + b->h_at[row] + u, lanes);
  real *state = b->c + row * b->ld + u;
  prefetch_gates(b, gate, 4);
  prefetch_state(b, before);
  vec dc = vload(state);
  lstm_gates d;
  lstm_derivative(&d, &dc, dh, &saved, c_before, c_after);
  real *to = b->now.dgates + b->gates_at[row] + u, *next = b->g[1] + row * b->ldg + u;
  vstore(state, dc);
  clear_dh(b, row, u);
  store_gates(to, hidden, d.i, d.f, d.g, d.o, lanes);
  store_gates(next, hidden, d.i, d.f, d.g, d.o, lanes);
}

void KERNEL(lstm_forward)(const nnc_recurrence *r) { walk_forward(r, 4, lstm_cell); }
void KERNEL(lstm_backward)(const nnc_recurrence *r) { walk_backward(r, 4, lstm_gradient); }
