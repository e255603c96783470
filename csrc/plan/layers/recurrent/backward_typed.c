/* backward_typed.c: recurrent layers backward, in the reverse order of time, and the gradients of their weights.
 *
 * The cell processes a chunk of steps, then dx = dgates W_ih^T of the chunk is computed. The weight gradients are sums over groups
 * of samples, in each group over time, and then over samples:
 *
 *   dW_ih[first:last] = x^T dgates    dW_hh[first:last] = h_before^T dgates    db = sum of dgates
 *
 * If weights are small, backward computes these sums of each group separately, chunk by chunk (partial_gradients), and the gradient
 * phase only adds the groups. This choice depends only on the layer. */
#include "plan/layers/recurrent/windows.h"

/* dx of a chunk, sample by sample. The second direction is added to the first. */
static void input_gradients(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                            const nnc_recurrence *c) {
  const nnc_recurrent *r = &l->r;
  const nnc_matrix dx = nnc_samples(run, run->grad, op->spec.input[0], w->first, w->last);
  const real *transposed = l->weights + w->d * l->packed.direction + l->packed.transposed;
  for (size_t i = 0; i < c->rows; i++) {
    const real *dgates = (const real *)c->dgates + i / c->group * c->gates_group + i % c->group * c->gates_row;
    run->k->gemm(dx.at + (i * r->steps + w->from) * dx.ld, dgates, transposed, NULL, c->steps, r->input, r->products * r->hidden,
                 dx.ld, c->gates_step, 1, l->packed.ld, op->accumulates[0] || w->d);
  }
}

/* The gradients that enter after the last step: that of a result that is the last h, and those of the last states that other ops
 * read. */
static void load_last_gradients(const nnc_run *run, const nnc_op *op, const nnc_recurrent *r, real *to, size_t first, size_t last,
                                size_t d) {
  const size_t state = r->states * r->hidden;
  memset(to, 0, (last - first) * state * sizeof(real));
  if (!r->sequences) {
    const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
    copy_rows(to, dy.at + d * r->hidden, last - first, r->hidden, state, dy.ld);
  }
  for (size_t s = 0; s < r->states; s++) {
    if (op->last[s] == NNC_NONE || !run->plan->value[op->last[s]].uses) continue;
    const nnc_matrix from = states_in(run, run->grad, op->last[s], d * r->hidden, first, last);
    run->k->accumulate(to + s * r->hidden, from.at, from.rows, r->hidden, state, from.ld);
  }
}

/* The gradients of initial states that the network has computed. `from` has the layout of `to` in load_initial_states. */
static void add_initial_gradients(const nnc_run *run, const nnc_op *op, const nnc_recurrent *r, const real *from, size_t first,
                                  size_t last, size_t d) {
  for (size_t s = 0; s < r->states; s++) {
    const nnc_value *v = &run->plan->value[op->spec.input[1 + s]];
    if (!v->needs_grad && !run->input_grads) continue;
    const nnc_matrix whole = states_in(run, run->grad, op->spec.input[1 + s], 0, first, last);
    if (!op->accumulates[1 + s] && d == 0) /* the other sublayers and directions add theirs */
      memset(whole.at, 0, whole.rows * whole.ld * sizeof(real));
    run->k->accumulate(whole.at + part_of(r, d), from + s * r->hidden, whole.rows, r->hidden, whole.ld, r->states * r->hidden);
  }
}

/* The sums over one chunk, for the groups of the window. */
static void partial_gradients(const nnc_run *run, const nnc_recurrent_layer *l, const nnc_window *w, int accumulate) {
  const nnc_recurrent *r = &l->r;
  const size_t row = l->regions.gates_row, ld = l->regions.partial_row, n = r->products * r->hidden;
  const size_t shared = nnc_last_gate_is_apart(r->cell) ? 2 * r->hidden : n;
  for (size_t first = w->first; first < w->last; first += NNC_SAMPLE_GROUP) {
    const nnc_group g = group_at(l, first);
    const real *dgates = gates_of(l, w->d, g, w->from), *h = h_of(l, w->d, g, w->from + w->d);
    const size_t rows = (w->to - w->from) * g.count;
    real *ih = partial_of(l, w->d, g), *hh = ih + r->input * ld;
    run->k->gemm(ih, x_of(l, g, w->from), dgates, NULL, r->input, n, rows, ld, 1, l->regions.x_row, row, accumulate);
    run->k->gemm(hh, h, dgates, NULL, r->hidden, shared, rows, ld, 1, l->regions.state_row, row, accumulate);
    if (r->cell == NNC_CELL_GRU)
      run->k->gemm(hh + shared, h, dgates + n, NULL, r->hidden, r->hidden, rows, ld, 1, l->regions.state_row, row, accumulate);
    else if (shared < n)
      run->k->gemm(hh + shared, dgates + n, dgates + shared, NULL, r->hidden, r->hidden, rows, ld, 1, row, row, accumulate);
    if (r->bias) run->k->column_sum(hh + r->hidden * ld, dgates, rows, r->kept * r->hidden, row, accumulate);
  }
}

/* W_hh has multiplied mask h, so its gradient needs that. No cell reads the saved h any more. */
static void mask_saved_states(const nnc_recurrent_layer *l, size_t first, size_t last, size_t d) {
  const size_t row = l->regions.state_row, hidden = l->r.hidden, distance = l->r.directions * hidden;
  const real *mask = mask_of(l, d, first);
  for (size_t sample = first; sample < last; sample += NNC_SAMPLE_GROUP, mask += NNC_SAMPLE_GROUP * distance) {
    const nnc_group g = group_at(l, sample);
    real *h = h_of(l, d, g, d);
    for (size_t i = 0; i < l->r.steps * g.count; i++)
      for (size_t u = 0; u < hidden; u++) h[i * row + u] *= mask[i % g.count * distance + u];
  }
}

/* A window does not extend past the start of a window of `truncate` steps, which gradients do not leave. */
static void limit_to_truncation(nnc_window *w, size_t truncate) {
  const size_t from = truncate ? (w->to - 1) / truncate * truncate : 0;
  if (w->from < from) w->from = from;
}

/* No gradient is passed to the steps before the window. For a shorter sequence, the gradient has not reached its end yet and is
 * kept. */
static void stop_gradient(real *dstate, size_t state, const nnc_recurrence *c) {
  for (size_t i = 0; i < c->rows; i++)
    if (!c->lengths || (size_t)c->lengths[i] > c->first_step) memset(dstate + i * state, 0, state * sizeof(real));
}

void nnc_recurrent_backward_groups(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, size_t first, size_t last) {
  const nnc_recurrent *r = &l->r;
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const size_t state = r->states * r->hidden, part = l->capacity * state;
  const int wanted = run->plan->value[op->spec.input[0]].needs_grad || run->input_grads;
  for (size_t d = 0; d < r->directions; d++) {
    nnc_window w = {first, last, 0, 0, d};
    /* Two positions that alternate, then the gradient of the initial state. */
    real *dstate = region(l, NNC_REGION_DSTATE) + 3 * d * part + first * state;
    real *incoming = dstate, *outgoing = dstate + part;
    load_last_gradients(run, op, r, incoming, first, last, d);
    for (size_t done = 0; done < r->steps; done += w.to - w.from) {
      next_window(&w, r->steps, done, d == 0);
      limit_to_truncation(&w, r->truncate);
      nnc_recurrence c = nnc_recurrence_of(run, op, l, &w);
      if (done + (w.to - w.from) == r->steps) outgoing = dstate + 2 * part;
      c.dh_n = incoming;
      c.dc_n = r->states == 2 ? incoming + r->hidden : NULL;
      c.dh0 = outgoing;
      c.dc0 = r->states == 2 ? outgoing + r->hidden : NULL;
      c.dinitial_row = state;
      if (r->sequences) {
        c.dy = dy.at + w.from * dy.ld + d * r->hidden;
        c.y_row = r->steps * dy.ld;
        c.y_step = dy.ld;
      }
      if (r->cell == NNC_CELL_GRU_BEFORE) nnc_before_backward_window(run, op, l, &w, &c);
      else if (r->bf16) nnc_bf16_backward_window(run, op, l, &w, &c);
      else run->k->recurrent_backward(&c);
      if (l->regions.partial && !c.mask) partial_gradients(run, l, &w, done > 0);
      if (wanted && !r->bf16_input) input_gradients(run, op, l, &w, &c);
      if (r->truncate && w.from && w.from % r->truncate == 0) stop_gradient(outgoing, state, &c);
      real *swapped = incoming;
      incoming = outgoing;
      outgoing = swapped;
    }
    if (r->takes_states) add_initial_gradients(run, op, r, dstate + 2 * part, first, last, d);
    if (!l->drops || r->bf16) continue;
    mask_saved_states(l, first, last, d);
    for (size_t done = 0; l->regions.partial && done < r->steps; done += w.to - w.from) {
      next_window(&w, r->steps, done, d == 0);
      partial_gradients(run, l, &w, done > 0);
    }
  }
}

/* A weight gradient, left^T dgates over all time steps of all samples: m rows, n columns from `column` of dgates on. left is x or
 * h, from its own `column` on, or stands in dgates itself. The gradient of the bias, if wanted, is computed from the same blocks of rows
 * while the product has them in cache. */
typedef struct {
  real *to, *bias;
  size_t ld, m, n, d, left_column, column;
  int of_state, of_dgates;
} nnc_weight_part;

static void sum_of_products(const nnc_run *run, const nnc_recurrent_layer *l, const nnc_weight_part *p) {
  enum { BIAS_ROWS = 256 };
  const size_t row = l->regions.gates_row;
  const size_t left_row = p->of_dgates ? row : p->of_state ? l->regions.state_row : l->regions.x_row;
  int accumulate = 0;
  for (size_t first = 0; first < l->samples; first += l->r.group) {
    const nnc_group g = group_at(l, first);
    const real *all = gates_of(l, p->d, g, 0), *dgates = all + p->column;
    /* h before a step; reverse: from slot 1 on */
    const real *left = (p->of_dgates  ? all + 3 * l->r.hidden
                        : p->of_state ? h_of(l, p->d, g, p->d)
                                      : x_of(l, g, 0)) +
                       p->left_column;
    const size_t rows = g.count * l->r.steps, most = p->bias ? BIAS_ROWS : rows;
    for (size_t i = 0, count; i < rows; i += count, accumulate = 1) {
      count = rows - i < most ? rows - i : most;
      run->k->gemm(p->to, left + i * left_row, dgates + i * row, NULL, p->m, p->n, count, p->ld, 1, left_row, row, accumulate);
      if (p->bias) run->k->column_sum(p->bias, dgates + i * row, count, p->n, row, accumulate);
    }
  }
}

/* The same rows, as the sum of the groups' partial results. */
static void sum_of_groups(const nnc_run *run, const nnc_recurrent_layer *l, const nnc_weight_part *p) {
  const size_t ld = l->regions.partial_row, lines = l->r.input + l->r.hidden;
  const size_t column = p->column ? 2 * l->r.hidden : 0; /* W_hh has no gap before the last gate of a GRU */
  const size_t at = (p->left_column + (p->of_state ? l->r.input : 0)) * ld + column;
  for (size_t first = 0; first < l->samples; first += NNC_SAMPLE_GROUP) {
    const real *share = partial_of(l, p->d, group_at(l, first)), *bias = share + lines * ld + p->column;
    if (first) {
      run->k->accumulate(p->to, share + at, p->m, p->n, p->ld, ld);
      if (p->bias) run->k->accumulate(p->bias, bias, 1, p->n, p->n, p->n);
    } else {
      copy_rows(p->to, share + at, p->m, p->n, p->ld, ld);
      if (p->bias) copy_rows(p->bias, bias, 1, p->n, 0, 0);
    }
  }
}

static void weight_gradient(const nnc_run *run, const nnc_recurrent_layer *l, const nnc_weight_part *p) {
  if (l->samples) {
    (l->regions.partial ? sum_of_groups : sum_of_products)(run, l, p);
    return;
  }
  for (size_t i = 0; i < p->m; i++) memset(p->to + i * p->ld, 0, p->n * sizeof(real));
  if (p->bias) memset(p->bias, 0, p->n * sizeof(real));
}

void nnc_recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_recurrent_layer l = nnc_recurrent_layer_of(run, op, rows);
  const nnc_recurrent *r = &l.r;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  real *to = run->grads + p->offset + task->first * p->ld;
  if (task->slot >= NNC_SLOT_INITIAL) {
    const size_t s = (size_t)task->slot - NNC_SLOT_INITIAL, state = r->states * r->hidden;
    for (size_t d = task->first; d < task->last; d++)
      run->k->column_sum(run->grads + p->offset + d * p->ld,
                         region(&l, NNC_REGION_DSTATE) + (3 * d + 2) * l.capacity * state + s * r->hidden, rows, r->hidden, state,
                         0);
    return;
  }
  nnc_weight_part part = {
      .to = to,
      .bias = task->bias ? run->grads + run->plan->param[op->param[task->bias]].layout.offset : NULL,
      .ld = p->ld,
      .m = task->last - task->first,
      .n = r->products * r->hidden,
      .d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION,
      .left_column = task->first,
      .of_state = task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_HH,
  };
  if (r->bf16) {
    nnc_bf16_recurrent_gradient(run, op, &l, task);
    if (part.of_state || r->bf16_input) return;
    part.bias = NULL;
  }
  if (!part.of_state || !nnc_last_gate_is_apart(r->cell)) {
    weight_gradient(run, &l, &part);
    return;
  }
  part.n = 2 * r->hidden;
  weight_gradient(run, &l, &part);
  part.to += part.n; /* for a GRU, the last gate of W_hh comes after the columns of W_ih, or has a left operand of its own */
  if (part.bias) part.bias += part.n;
  part.of_dgates = r->cell == NNC_CELL_GRU_BEFORE;
  part.column = (part.of_dgates ? 2 : 3) * r->hidden;
  part.n = r->hidden;
  weight_gradient(run, &l, &part);
}
