/* forward_typed.c: recurrent layers forward. The input products of the next few steps, W_ih x + b_ih, are one matrix product. Then
 * the cell processes those steps for all samples of the range, one direction after the other. The states are passed from chunk to
 * chunk in their own memory, which contains the last ones after all steps. */
#include "plan/layers/recurrent/windows.h"

/* The initial state of a sequence: the given one, the learned one, or zeros (NULL). */
static void set_initial_states(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                               nnc_recurrence *c) {
  const size_t per_state = l->r.directions * l->r.hidden;
  if (run->initial && (!run->carried || l->r.stateful)) {
    const real *at = run->initial + w->first * run->plan->carry + op->carry + w->d * l->r.hidden;
    c->h0 = at;
    c->c0 = l->r.states == 2 ? at + per_state : NULL;
    c->initial_row = run->plan->carry;
  } else if (l->r.learns_state) {
    for (size_t s = 0; s < l->r.states; s++) {
      const nnc_param *p = &run->plan->param[op->param[NNC_SLOT_INITIAL + s]].layout;
      *(s ? &c->c0 : &c->h0) = (real *)p->data + w->d * p->ld;
    }
    c->initial_row = 0;
  }
}

/* Training stores x in the order of the gates, in which the second direction and dW_ih read it: one product per group. Inference
 * processes sample by sample. */
static void input_products(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                           const nnc_recurrence *c) {
  const nnc_recurrent *r = &l->r;
  const int slot = (int)w->d * NNC_SLOTS_PER_DIRECTION;
  const nnc_param *weight = &run->plan->param[op->param[slot + NNC_SLOT_W_IH]].layout;
  const real *bias = nnc_values_of(run, op, slot + NNC_SLOT_B_IH);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  for (size_t i = 0; i < c->rows; i += c->group) {
    real *gates = (real *)c->gates + i / c->group * c->gates_group;
    const real *from = x.at + (i * r->steps + w->from) * x.ld;
    for (size_t q = 0; q < c->group && !l->training; q++)
      run->k->gemm(gates + q * c->gates_row, from + q * r->steps * x.ld, (real *)weight->data, bias, c->steps,
                   r->products * r->hidden, r->input, c->gates_step, x.ld, 1, weight->ld, 0);
    if (!l->training) continue;
    real *kept = x_of(l, group_at(l, w->first + i), w->from);
    const size_t row = l->regions.x_row;
    for (size_t q = 0; q < c->group && w->d == 0; q++)
      copy_rows(kept + q * row, from + q * r->steps * x.ld, c->steps, r->input, c->group * row, x.ld);
    run->k->gemm(gates, kept, (real *)weight->data, bias, c->steps * c->group, r->products * r->hidden, r->input, c->gates_row, row,
                 1, weight->ld, 0);
  }
}

/* Copies the initial states that the network has computed to the memory in which chunks pass on theirs. */
static void load_initial_states(const nnc_run *run, const nnc_op *op, const nnc_recurrent *r, real *to, size_t first, size_t last,
                                size_t d) {
  for (size_t s = 0; s < r->states; s++) {
    const nnc_matrix from = states_in(run, run->act, op->spec.input[1 + s], part_of(r, d), first, last);
    copy_rows(to + s * r->hidden, from.at, from.rows, r->hidden, r->states * r->hidden, from.ld);
  }
}

/* Recurrent dropout (Gal and Ghahramani 2016): one mask per sequence and direction, for all steps. An entry is 0, or 1 / (1 - p). */
static void draw_masks(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, size_t first, size_t last) {
  real *mask = mask_of(l, 0, first);
  const size_t cols = l->r.directions * l->r.hidden, rows = last - first;
  if (!mask) return;
  const nnc_words words = nnc_words_of(run, op);
  for (size_t i = 0; i < rows * cols; i++) mask[i] = 1;
  run->k->dropout(mask, NULL, mask, rows, cols, cols, cols, first, l->r.dropout, words.key, words.stream);
}

void nnc_recurrent_forward_groups(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, size_t first, size_t last) {
  const nnc_recurrent *r = &l->r;
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const size_t state = r->states * r->hidden;
  const int before = r->cell == NNC_CELL_GRU_BEFORE;
  draw_masks(run, op, l, first, last);
  for (size_t d = 0; d < r->directions; d++) {
    nnc_window w = {first, last, 0, 0, d};
    real *final = state_of(l, d) + first * state;
    if (r->takes_states) load_initial_states(run, op, r, final, first, last, d);
    for (size_t done = 0; done < r->steps; done += w.to - w.from) {
      next_window(&w, r->steps, done, d == 1);
      nnc_recurrence c = nnc_recurrence_of(run, op, l, &w);
      set_initial_states(run, op, l, &w, &c);
      if (done || r->takes_states) {
        c.h0 = final;
        c.c0 = r->states == 2 ? final + r->hidden : NULL;
        c.initial_row = state;
      }
      c.h_n = final;
      c.c_n = r->states == 2 ? final + r->hidden : NULL;
      if (r->sequences) {
        c.y = y.at + w.from * y.ld + d * r->hidden;
        c.y_row = r->steps * y.ld;
        c.y_step = y.ld;
      }
      nnc_int8_products products;
      if (r->int8_input) nnc_int8_input_products(run, op, l, &w, &c);
      else if (!r->bf16_input && (!r->bf16 || !l->training || before)) input_products(run, op, l, &w, &c);
      if (r->int8) nnc_int8_use_state(run, op, l, &w, &c, &products);
      if (before) nnc_before_forward_window(run, op, l, &w, &c, &products);
      else if (r->bf16) nnc_bf16_forward_window(run, op, l, &w, &c);
      else run->k->recurrent_forward(&c);
    }
    if (!r->sequences) copy_rows(y.at + d * r->hidden, final, last - first, r->hidden, y.ld, state);
    if (!run->final) continue;
    real *to = run->final + first * run->plan->carry + op->carry + d * r->hidden;
    for (size_t s = 0; s < r->states; s++)
      copy_rows(to + s * r->directions * r->hidden, final + s * r->hidden, last - first, r->hidden, run->plan->carry, state);
  }
}
