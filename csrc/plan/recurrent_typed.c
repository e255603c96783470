/* recurrent_typed.c: the driver of RNN, GRU and LSTM layers.
 *
 * Forward: the input products of a few steps ahead, W_ih x + b_ih, are one matrix product; then the cell takes those
 * steps for all samples of the range. Backward goes the same way in reverse, and each chunk's dx = dgates W_ih^T follows it. A range
 * of samples never waits for another. The weight gradients are sums over groups of samples, within over time, and then over samples:
 *
 *   dW_ih[first:last] = x^T dgates    dW_hh[first:last] = h_before^T dgates    db = sum of dgates
 *
 * Where weights are small, backward takes these sums of each group by itself, chunk by chunk (partial_gradients), and what is left to
 * do for the gradient is to add up the groups. Which of the two is done depends on the layer alone.
 *
 * Time steps at and beyond a sample's length give zeros forward and backward; nnc_fetch_steps has set the input to zero there, so
 * that the sums over time need not know of lengths. */
#include <math.h>
#include <string.h>

#include "plan/engine.h"
#include "plan/recurrent.h"

typedef struct {
  nnc_recurrent r;
  nnc_regions regions;
  nnc_packed packed;
  real *base, *weights; /* regions, and derived weights */
  size_t capacity;      /* samples that there is room for */
  size_t samples;       /* of the batch */
  size_t slots;         /* time steps that there is room for */
  int training;
} nnc_layer_run;

/* For a batch of so many samples. */
static nnc_layer_run layer_of(const nnc_run *run, const nnc_op *op, size_t samples) {
  nnc_layer_run l = {.r = nnc_recurrent_of(run->plan, op), .training = run->work == NULL};
  nnc_recurrent_layout(&l.r, l.training, sizeof(real), &l.regions);
  nnc_recurrent_pack_layout(&l.r, l.training, sizeof(real), &l.packed);
  l.capacity = l.training ? run->plan->rows_reserved : run->work_rows;
  if (l.training) l.capacity += (NNC_SAMPLE_GROUP - l.capacity % NNC_SAMPLE_GROUP) % NNC_SAMPLE_GROUP;
  l.samples = samples;
  l.slots = l.training || l.r.steps < NNC_RECURRENT_CHUNK ? l.r.steps : NNC_RECURRENT_CHUNK;
  l.base = l.training ? run->arena + op->saved : run->work + op->work * run->work_rows;
  l.weights = l.training ? run->arena + op->packed : run->packed + op->weights;
  return l;
}

static real *region(const nnc_layer_run *l, nnc_region i) { return l->base + l->regions.first[i] * l->capacity; }

/* A group of samples; that at the end of a batch may be smaller. */
typedef struct {
  size_t first, count;
} nnc_group;

static nnc_group group_at(const nnc_layer_run *l, size_t first) {
  const size_t left = l->samples - first;
  return (nnc_group){first, left < NNC_SAMPLE_GROUP ? left : NNC_SAMPLE_GROUP};
}

/* Slot t of a group in a region that has `slots` rows, so far apart, per sample and direction. */
static real *slot_of(const nnc_layer_run *l, nnc_region i, size_t d, nnc_group g, size_t slots, size_t t, size_t row) {
  return region(l, i) + ((d * l->capacity + g.first) * slots + t * g.count) * row;
}
static real *gates_of(const nnc_layer_run *l, size_t d, nnc_group g, size_t t) {
  return slot_of(l, NNC_REGION_GATES, d, g, l->slots, t, l->regions.gates_row);
}
static real *h_of(const nnc_layer_run *l, size_t d, nnc_group g, size_t t) {
  return slot_of(l, NNC_REGION_H, d, g, l->slots + 1, t, l->regions.state_row);
}
static real *x_of(const nnc_layer_run *l, nnc_group g, size_t t) {
  return slot_of(l, NNC_REGION_X, 0, g, l->slots, t, l->regions.x_row);
}

/* A group's share of the weight gradients: rows of W_ih, of W_hh, and the sums of the columns of dgates. */
static real *partial_of(const nnc_layer_run *l, size_t d, nnc_group g) {
  return region(l, NNC_REGION_PARTIAL) + (d * l->capacity + g.first) / NNC_SAMPLE_GROUP * l->regions.partial;
}

static const real *param_of(const nnc_run *run, const nnc_op *op, size_t slot) {
  return op->param[slot] == NNC_NONE ? NULL : run->params + run->plan->param[op->param[slot]].layout.offset;
}

/* Samples [first, last), which are groups of the same size, time steps [from, to) of direction d. */
typedef struct {
  size_t first, last, from, to, d;
} nnc_window;

/* What forward and backward have in common. In inference the gates hold one chunk, and one direction at a time. */
static nnc_recurrence recurrence(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w) {
  const nnc_recurrent *r = &l->r;
  const int is_timed = run->plan->value[op->spec.input[0]].timed; /* lengths are of its steps */
  const nnc_group g = group_at(l, w->first);
  const size_t gates_row = l->regions.gates_row, h_row = l->regions.state_row;
  nnc_recurrence c = {
      .cell = r->cell,
      .reverse = w->d == 1,
      .rows = w->last - w->first,
      .steps = w->to - w->from,
      .hidden = r->hidden,
      .first_step = w->from,
      .lengths = run->lengths && is_timed ? run->lengths + w->first : NULL,
      .group = g.count,
      .gates_group = g.count * l->slots * gates_row,
      .gates_row = gates_row,
      .gates_step = g.count * gates_row,
      .h_group = g.count * (l->slots + 1) * h_row,
      .h_row = h_row,
      .h_step = g.count * h_row,
      .final_row = r->states * r->hidden,
  };
  c.gates = gates_of(l, l->training ? w->d : 0, g, l->training ? w->from : 0);
  c.dgates = c.gates;
  if (l->training) {
    c.h = h_of(l, w->d, g, w->from);
    if (r->states == 2) c.c = (real *)c.h + (region(l, NNC_REGION_C) - region(l, NNC_REGION_H));
  }
  c.forward = l->weights + w->d * l->packed.direction;
  c.backward = l->weights + w->d * l->packed.direction + l->packed.backward;
  c.scratch = region(l, NNC_REGION_SCRATCH) + w->first * l->regions.size[NNC_REGION_SCRATCH];
  return c;
}

/* The states of direction d that are handed from chunk to chunk, of all samples: [capacity, states, hidden]. */
static real *state_of(const nnc_layer_run *l, size_t d) {
  return region(l, NNC_REGION_STATE) + d * l->capacity * l->r.states * l->r.hidden;
}

const real *nnc_last_state(const nnc_run *run, const nnc_op *op, size_t which, size_t d, size_t *row) {
  const nnc_layer_run l = layer_of(run, op, 0);
  *row = l.r.states * l.r.hidden;
  return state_of(&l, d) + which * l.r.hidden;
}

/* Direction d in a value that holds states: an initial one, of all sublayers, or the last one of this. */
static nnc_matrix states_in(const nnc_run *run, real *const *base, int value, size_t at, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  const size_t sample = v->lines * run->ld[value];
  return (nnc_matrix){base[value] + first * sample + at, last - first, 0, sample};
}

/* Where the part of direction d lies in the initial states of all sublayers. */
static size_t part_of(const nnc_recurrent *r, size_t d) { return (r->index * r->directions + d) * r->hidden; }

/* Where a sequence begins: with what was handed over, with what was learned, or with zeros (NULL). */
static void begin(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w, nnc_recurrence *c) {
  const size_t per_state = l->r.directions * l->r.hidden;
  if (run->initial && (!run->carried || l->r.stateful)) {
    const real *at = run->initial + w->first * run->plan->carry + op->carry + w->d * l->r.hidden;
    c->h0 = at;
    c->c0 = l->r.states == 2 ? at + per_state : NULL;
    c->initial_row = run->plan->carry;
  } else if (l->r.learns_state) {
    for (size_t s = 0; s < l->r.states; s++) {
      const nnc_param *p = &run->plan->param[op->param[NNC_SLOT_INITIAL + s]].layout;
      *(s ? &c->c0 : &c->h0) = run->params + p->offset + w->d * p->ld;
    }
    c->initial_row = 0;
  }
}

/* Rows of `cols` numbers, which are too few for a call each. */
static void copy_rows(real *to, const real *from, size_t rows, size_t cols, size_t to_row, size_t from_row) {
  enum { LINE = NNC_ALIGNMENT / sizeof(real) };
  for (size_t i = 0; i < rows; i++, to += to_row, from += from_row) {
    size_t j = 0;
    for (; j + LINE <= cols; j += LINE) memcpy(to + j, from + j, LINE * sizeof(real));
    for (; j < cols; j++) to[j] = from[j];
  }
}

/* Training keeps x in the order of the gates, where the second direction and dW_ih find it: one product per group. Inference takes
 * sample by sample. */
static void input_products(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w,
                           const nnc_recurrence *c) {
  const nnc_recurrent *r = &l->r;
  const nnc_param *weight = &run->plan->param[op->param[4 * w->d + NNC_SLOT_W_IH]].layout;
  const real *bias = param_of(run, op, 4 * w->d + NNC_SLOT_B_IH);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  for (size_t i = 0; i < c->rows; i += c->group) {
    real *gates = (real *)c->gates + i / c->group * c->gates_group;
    const real *from = x.at + (i * r->steps + w->from) * x.ld;
    for (size_t q = 0; q < c->group && !l->training; q++)
      run->k->gemm(gates + q * c->gates_row, from + q * r->steps * x.ld, run->params + weight->offset, bias, c->steps,
                   r->products * r->hidden, r->input, c->gates_step, x.ld, 1, weight->ld, 0);
    if (!l->training) continue;
    real *kept = x_of(l, group_at(l, w->first + i), w->from);
    const size_t row = l->regions.x_row;
    for (size_t q = 0; q < c->group && w->d == 0; q++)
      copy_rows(kept + q * row, from + q * r->steps * x.ld, c->steps, r->input, c->group * row, x.ld);
    run->k->gemm(gates, kept, run->params + weight->offset, bias, c->steps * c->group, r->products * r->hidden, r->input,
                 c->gates_row, row, 1, weight->ld, 0);
  }
}

/* The window that comes after `done` steps of direction d. */
static void turn(nnc_window *w, size_t steps, size_t done, int from_the_end) {
  const size_t left = steps - done, n = left < NNC_RECURRENT_CHUNK ? left : NNC_RECURRENT_CHUNK;
  w->from = from_the_end ? left - n : done;
  w->to = w->from + n;
}

/* The initial states that the network has computed, to where chunks hand theirs over. */
static void take_states(const nnc_run *run, const nnc_op *op, const nnc_recurrent *r, real *to, size_t first, size_t last,
                        size_t d) {
  for (size_t s = 0; s < r->states; s++) {
    const nnc_matrix from = states_in(run, run->act, op->spec.input[1 + s], part_of(r, d), first, last);
    copy_rows(to + s * r->hidden, from.at, from.rows, r->hidden, r->states * r->hidden, from.ld);
  }
}

static void forward_groups(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, size_t first, size_t last) {
  const nnc_recurrent *r = &l->r;
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const size_t state = r->states * r->hidden;
  for (size_t d = 0; d < r->directions; d++) {
    nnc_window w = {first, last, 0, 0, d};
    real *final = state_of(l, d) + first * state;
    if (r->takes_states) take_states(run, op, r, final, first, last, d);
    for (size_t done = 0; done < r->steps; done += w.to - w.from) {
      turn(&w, r->steps, done, d == 1);
      nnc_recurrence c = recurrence(run, op, l, &w);
      begin(run, op, l, &w, &c);
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
      input_products(run, op, l, &w, &c);
      run->k->recurrent_forward(&c);
    }
    if (!r->sequences) copy_rows(y.at + d * r->hidden, final, last - first, r->hidden, y.ld, state);
    if (!run->final) continue;
    real *to = run->final + first * run->plan->carry + op->carry + d * r->hidden;
    for (size_t s = 0; s < r->states; s++)
      copy_rows(to + s * r->directions * r->hidden, final + s * r->hidden, last - first, r->hidden, run->plan->carry, state);
  }
}

/* dx of a chunk, sample by sample. The second direction adds to the first. */
static void input_gradients(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, const nnc_window *w,
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

/* The gradients of the last states, where something reads those, on top of what has come in. */
static void add_last_gradients(const nnc_run *run, const nnc_op *op, const nnc_recurrent *r, real *to, size_t first, size_t last,
                               size_t d) {
  for (size_t s = 0; s < r->states; s++) {
    if (op->last[s] == NNC_NONE || !run->plan->value[op->last[s]].uses) continue;
    const nnc_matrix from = states_in(run, run->grad, op->last[s], d * r->hidden, first, last);
    run->k->accumulate(to + s * r->hidden, from.at, from.rows, r->hidden, r->states * r->hidden, from.ld);
  }
}

/* The gradients of the initial states that the network has computed; `from` is laid out like `to` in take_states. */
static void give_gradients(const nnc_run *run, const nnc_op *op, const nnc_recurrent *r, const real *from, size_t first,
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
static void partial_gradients(const nnc_run *run, const nnc_layer_run *l, const nnc_window *w, int accumulate) {
  const nnc_recurrent *r = &l->r;
  const size_t row = l->regions.gates_row, ld = l->regions.partial_row, n = r->products * r->hidden;
  const size_t shared = r->cell == NNC_CELL_GRU ? 2 * r->hidden : n;
  for (size_t first = w->first; first < w->last; first += NNC_SAMPLE_GROUP) {
    const nnc_group g = group_at(l, first);
    const real *dgates = gates_of(l, w->d, g, w->from), *h = h_of(l, w->d, g, w->from + w->d);
    const size_t rows = (w->to - w->from) * g.count;
    real *ih = partial_of(l, w->d, g), *hh = ih + r->input * ld;
    run->k->gemm(ih, x_of(l, g, w->from), dgates, NULL, r->input, n, rows, ld, 1, l->regions.x_row, row, accumulate);
    run->k->gemm(hh, h, dgates, NULL, r->hidden, shared, rows, ld, 1, l->regions.state_row, row, accumulate);
    if (shared < n)
      run->k->gemm(hh + shared, h, dgates + n, NULL, r->hidden, r->hidden, rows, ld, 1, l->regions.state_row, row, accumulate);
    if (r->bias) run->k->column_sum(hh + r->hidden * ld, dgates, rows, r->kept * r->hidden, row, accumulate);
  }
}

static void backward_groups(const nnc_run *run, const nnc_op *op, const nnc_layer_run *l, size_t first, size_t last) {
  const nnc_recurrent *r = &l->r;
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  const size_t state = r->states * r->hidden, part = l->capacity * state;
  const int wanted = run->plan->value[op->spec.input[0]].needs_grad || run->input_grads;
  for (size_t d = 0; d < r->directions; d++) {
    nnc_window w = {first, last, 0, 0, d};
    /* Two places that take turns, then the gradient of the initial state. */
    real *dstate = region(l, NNC_REGION_DSTATE) + 3 * d * part + first * state;
    real *incoming = dstate, *outgoing = dstate + part;
    for (size_t i = 0; i < last - first; i++) {
      memset(incoming + i * state, 0, state * sizeof(real));
      if (!r->sequences) memcpy(incoming + i * state, dy.at + i * dy.ld + d * r->hidden, r->hidden * sizeof(real));
    }
    add_last_gradients(run, op, r, incoming, first, last, d);
    for (size_t done = 0; done < r->steps; done += w.to - w.from) {
      turn(&w, r->steps, done, d == 0);
      if (r->truncate && w.from < (w.to - 1) / r->truncate * r->truncate) w.from = (w.to - 1) / r->truncate * r->truncate;
      nnc_recurrence c = recurrence(run, op, l, &w);
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
      run->k->recurrent_backward(&c);
      if (l->regions.partial) partial_gradients(run, l, &w, done > 0);
      if (wanted) input_gradients(run, op, l, &w, &c);
      if (r->truncate && w.from && w.from % r->truncate == 0)
        for (size_t i = 0; i < last - first; i++) /* what is on its way to the end of a shorter sequence has not begun yet */
          if (!c.lengths || (size_t)c.lengths[i] > w.from) memset(outgoing + i * state, 0, state * sizeof(real));
      real *swapped = incoming;
      incoming = outgoing;
      outgoing = swapped;
    }
    if (r->takes_states) give_gradients(run, op, r, dstate + 2 * part, first, last, d);
  }
}

/* Whole groups together, then the rest. */
static void in_groups(const nnc_run *run, const nnc_op *op, size_t first, size_t last, size_t samples,
                      void (*groups)(const nnc_run *, const nnc_op *, const nnc_layer_run *, size_t, size_t)) {
  const nnc_layer_run l = layer_of(run, op, samples);
  const size_t whole = last - last % NNC_SAMPLE_GROUP;
  if (first < whole) groups(run, op, &l, first, whole);
  if (whole < last) groups(run, op, &l, whole, last);
}

static void recurrent_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  in_groups(run, op, first, last, run->work ? last : run->rows, forward_groups);
}

static void recurrent_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  in_groups(run, op, first, last, run->rows, backward_groups);
}

/* Of a weight gradient, left^T dgates over all time steps of all samples: m rows, n columns from `column` of dgates on. left is x or
 * h, from its own `column` on. The gradient of the bias, if wanted, is taken of one stretch of rows after the other, while the product
 * has them in the cache. */
typedef struct {
  real *to, *bias;
  size_t ld, m, n, d, left_column, column;
  int of_state;
} nnc_weight_part;

static void sum_of_products(const nnc_run *run, const nnc_layer_run *l, const nnc_weight_part *p) {
  enum { STRETCH = 256 };
  const size_t row = l->regions.gates_row, left_row = p->of_state ? l->regions.state_row : l->regions.x_row;
  int accumulate = 0;
  for (size_t first = 0; first < l->samples; first += NNC_SAMPLE_GROUP) {
    const nnc_group g = group_at(l, first);
    const real *dgates = gates_of(l, p->d, g, 0) + p->column;
    /* h before a step; reverse: from slot 1 on */
    const real *left = (p->of_state ? h_of(l, p->d, g, p->d) : x_of(l, g, 0)) + p->left_column;
    const size_t rows = g.count * l->r.steps, most = p->bias ? STRETCH : rows;
    for (size_t i = 0, count; i < rows; i += count, accumulate = 1) {
      count = rows - i < most ? rows - i : most;
      run->k->gemm(p->to, left + i * left_row, dgates + i * row, NULL, p->m, p->n, count, p->ld, 1, left_row, row, accumulate);
      if (p->bias) run->k->column_sum(p->bias, dgates + i * row, count, p->n, row, accumulate);
    }
  }
}

/* The same rows, added up from the groups' shares. */
static void sum_of_groups(const nnc_run *run, const nnc_layer_run *l, const nnc_weight_part *p) {
  const size_t ld = l->regions.partial_row, lines = l->r.input + l->r.hidden;
  const size_t column = p->column ? p->column - l->r.hidden : 0; /* W_hh has no gap before the last gate of a GRU */
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

static void weight_gradient(const nnc_run *run, const nnc_layer_run *l, const nnc_weight_part *p) {
  if (l->samples) {
    (l->regions.partial ? sum_of_groups : sum_of_products)(run, l, p);
    return;
  }
  for (size_t i = 0; i < p->m; i++) memset(p->to + i * p->ld, 0, p->n * sizeof(real));
  if (p->bias) memset(p->bias, 0, p->n * sizeof(real));
}

static void recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_layer_run l = layer_of(run, op, rows);
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
  if (!part.of_state || r->cell != NNC_CELL_GRU) {
    weight_gradient(run, &l, &part);
    return;
  }
  part.n = 2 * r->hidden;
  weight_gradient(run, &l, &part);
  part.to += part.n; /* what a GRU keeps for the last gate of W_hh lies behind what it keeps for W_ih */
  if (part.bias) part.bias += part.n;
  part.column = 3 * r->hidden;
  part.n = r->hidden;
  weight_gradient(run, &l, &part);
}

static void recurrent_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) {
  if (task->slot >= NNC_SLOT_INITIAL) return;
  const nnc_layer_run l = layer_of(run, op, 0);
  const size_t d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  const real *w = run->params + p->offset;
  real *to = l.weights + d * l.packed.direction;
  if (task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_HH) {
    run->k->recurrent_pack(to, l.training ? to + l.packed.backward : NULL, w, l.r.cell, task->first, task->last, l.r.hidden, p->ld);
    if (task->first == 0) run->k->recurrent_pack_bias(to, param_of(run, op, 4 * d + NNC_SLOT_B_HH), l.r.cell, l.r.hidden);
  } else if (l.training && (run->plan->value[op->spec.input[0]].needs_grad || run->input_grads)) {
    run->k->transpose(to + l.packed.transposed + task->first, w + task->first * p->ld, task->last - task->first, p->cols,
                      l.packed.ld, p->ld);
  }
}

void nnc_prepare_recurrent(const nnc_run *run, const nnc_op *op) {
  const nnc_recurrent r = nnc_recurrent_of(run->plan, op);
  for (size_t d = 0; d < r.directions; d++) {
    const nnc_task task = {.slot = (int)d * NNC_SLOTS_PER_DIRECTION + NNC_SLOT_W_HH, .last = r.hidden};
    recurrent_prepare(run, op, &task);
  }
}

void NNC_TYPED(nnc_step_norms)(const nnc_plan *plan, int op, size_t rows, double *norms) {
  const nnc_progress nothing = {0};
  const nnc_run run = nnc_training_run(plan, &nothing, NULL, rows);
  const nnc_layer_run l = layer_of(&run, &plan->op[op], rows);
  const size_t n = l.r.products * l.r.hidden;
  for (size_t t = 0; t < l.r.steps; t++) {
    double sum = 0;
    for (size_t d = 0; d < l.r.directions; d++)
      for (size_t i = 0; i < rows; i++) {
        const nnc_group g = group_at(&l, i - i % NNC_SAMPLE_GROUP);
        sum += run.k->sum_squares(gates_of(&l, d, g, t) + (i - g.first) * l.regions.gates_row, n);
      }
    norms[t] = sqrt(sum);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_recurrent) = {
    .forward = recurrent_forward,
    .backward = recurrent_backward,
    .gradient = recurrent_gradient,
    .prepare = recurrent_prepare,
};
