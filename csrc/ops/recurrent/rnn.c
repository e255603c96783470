/* recurrent_rnn: Elman's cell (1990), one direction over a run of steps.
 *
 *   h' = f(a + W_hh h + b_hh)     f = tanh or max(0, .), a = W_ih x + b_ih
 *   da = dh' f'                   f' = 1 - h'^2, or 1 where h' > 0
 *   dh = W_hh^T da                dW_hh = sum over steps of da h^T
 *
 * Saved for backward: h, of each step. Order of accumulation: recurrent.h.
 */
#include "ops/recurrent/cells.h"
#include "ops/recurrent/recurrent.h"

INLINE void tanh_cell(const recurrent_block *b, const real *z, size_t i, size_t u, size_t lanes) {
  const real *a = b->now.gates + b->gates_at[i] + u;
  store_state(b, tanh_of_sum(vload(z) + load_lanes_of(a, lanes)), i, u, lanes, 0);
}

INLINE void relu_cell(const recurrent_block *b, const real *z, size_t i, size_t u, size_t lanes) {
  const real *a = b->now.gates + b->gates_at[i] + u;
  store_state(b, relu_of_sum(vload(z) + load_lanes_of(a, lanes)), i, u, lanes, 0);
}

INLINE void rnn_gradient(const recurrent_block *b, vec da, size_t i, size_t u, size_t lanes) {
  store_lanes_of(b->g[1] + i * b->ldg + u, da, lanes);
  store_lanes_of(b->now.dgates + b->gates_at[i] + u, da, lanes);
  clear_dh(b, i, u);
}

INLINE void tanh_gradient(const recurrent_block *b, vec dh, size_t i, size_t u, size_t lanes) {
  const vec h = load_lanes_of(b->now.h_after + b->h_at[i] + u, lanes);
  rnn_gradient(b, tanh_derivative(dh, h), i, u, lanes);
}

INLINE void relu_gradient(const recurrent_block *b, vec dh, size_t i, size_t u, size_t lanes) {
  const vec h = load_lanes_of(b->now.h_after + b->h_at[i] + u, lanes);
  rnn_gradient(b, relu_derivative(dh, h), i, u, lanes);
}

void KERNEL(rnn_forward)(const nnc_recurrence *r) {
  if (r->cell == NNC_CELL_TANH) walk_forward(r, 1, tanh_cell);
  else walk_forward(r, 1, relu_cell);
}

void KERNEL(rnn_backward)(const nnc_recurrence *r) {
  if (r->cell == NNC_CELL_TANH) walk_backward(r, 1, tanh_gradient);
  else walk_backward(r, 1, relu_gradient);
}
