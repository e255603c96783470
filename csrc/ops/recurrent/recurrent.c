/* recurrent: the entry points of the recurrent cells, and the order in which they need W_hh.
 *
 * Forward form: panel after panel of units (panel_units in recurrent.h); in each, first the bias of its columns, then for each k
 * the row k of W_hh: for each gate the panel's units, in whole vectors. The backward form is that of the transpose, without a bias:
 * panel after panel of units j; in each, for each column k of W_hh (gate * hidden + unit) the elements w[j, k] of the panel. What
 * is missing in the last vector is 0. Moves bits, rounds nothing.
 */
#include "ops/recurrent/recurrent.h"
#include "ops/transpose/tile.h"

/* Row k of the forward form, row 0 being the bias; NULL is 0. */
static void pack_forward(real *forward, const real *row, size_t k, size_t gates, size_t hidden) {
  const size_t vectors = vectors_of(hidden);
  for (size_t v = 0, units; v < vectors; v += units) {
    units = next_units(gates, vectors - v);
    real *at = forward + k * gates * units * VL;
    for (size_t g = 0; g < gates; g++)
      for (size_t j = 0; j < units; j++) {
        const size_t u = (v + j) * VL, lanes = hidden - u < VL ? hidden - u : VL;
        vstore(at + (g * units + j) * VL, load_or_zero(row ? row + g * hidden + u : NULL, lanes));
      }
    forward += gates * units * VL * (hidden + 1);
  }
}

void KERNEL(recurrent_pack)(real *forward, real *backward, const real *w, nnc_cell cell, size_t first, size_t last, size_t hidden,
                            size_t ldw) {
  const size_t gates = nnc_cell_products(cell), vectors = vectors_of(hidden), columns = gates * hidden;
  for (size_t k = first; k < last; k++) pack_forward(forward, w + k * ldw, k + 1, gates, hidden);
  if (!backward) return;
  for (size_t v = 0, units; v < vectors; v += units) {
    units = panel_units(vectors - v);
    const size_t width = units * VL, from = v * VL < first ? first : v * VL, to = v * VL + width < last ? v * VL + width : last;
    if (from < to) transpose_tile(backward + from - v * VL, w + from * ldw, to - from, columns, width, ldw);
    if (last == hidden)
      for (size_t j = hidden < v * VL ? v * VL : hidden; j < v * VL + width; j++)
        for (size_t k = 0; k < columns; k++) backward[k * width + j - v * VL] = 0;
    backward += units * VL * columns;
  }
}

void KERNEL(recurrent_pack_bias)(real *forward, const real *bias, nnc_cell cell, size_t hidden) {
  pack_forward(forward, bias, 0, nnc_cell_products(cell), hidden);
}

void KERNEL(recurrent_forward)(const nnc_recurrence *r) {
  (r->cell <= NNC_CELL_RELU ? KERNEL(rnn_forward) : r->cell == NNC_CELL_GRU ? KERNEL(gru_forward) : KERNEL(lstm_forward))(r);
}

void KERNEL(recurrent_backward)(const nnc_recurrence *r) {
  (r->cell <= NNC_CELL_RELU ? KERNEL(rnn_backward) : r->cell == NNC_CELL_GRU ? KERNEL(gru_backward) : KERNEL(lstm_backward))(r);
}
