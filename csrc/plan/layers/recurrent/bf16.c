/* bf16.c: what recurrent layers do differently where their products take bfloat16: the kernels of a window, and the weights' gradients.
 *
 * The kernel of a step multiplies x as well as h. For few samples, as inference may have, the input products of a window of steps come
 * first, as float32 sums, so that the weights are read only once for all steps. Both passes write the operands of the weights'
 * gradients on their way. Then each of these is one product, whose k is the samples of a group, at one step after the other, group after
 * group. A group of fewer samples is filled up with zeros. The sums for a bias are those of half groups, from +0, one after the other.
 */
#include "plan/layers/halves.h"
#include "plan/layers/recurrent/windows.h"

enum { BLOCK = NNC_BF16_BLOCK };

static const nnc_low_kernels *kernels_of(const nnc_run *run) { return nnc_low_kernels_for(run->plan->low_isa); }

static nnc_bf16 *forms(const nnc_recurrent_layer *l, nnc_region i) { return (nnc_bf16 *)region(l, i); }
static nnc_bf16 *weights(const nnc_recurrent_layer *l, size_t d, size_t at) {
  return (nnc_bf16 *)(l->weights + d * l->packed.direction + at);
}

/* Blocks of k in a weight's gradient, and the one of a step of the group that begins with sample `first`. */
static size_t all_steps(const nnc_recurrent_layer *l) { return nnc_bf16_blocks(l->samples) * l->r.steps; }
static size_t place_of_step(const nnc_recurrent_layer *l, size_t first, size_t t) { return first / NNC_BF16_SIDE * l->r.steps + t; }

/* Blocks in one direction of the forms of h, and of one gate in those of dgates. */
static size_t blocks_of_units(const nnc_recurrent_layer *l) { return nnc_bf16_blocks(l->r.hidden) * all_steps(l); }

/* The sums of a half of a group, and how many numbers they are. */
static size_t bias_size(const nnc_recurrent_layer *l) { return l->r.kept * nnc_bf16_blocks(l->r.hidden) * NNC_BF16_SIDE; }
static float *bias_sums(const nnc_recurrent_layer *l, size_t d, size_t first) {
  return region(l, NNC_REGION_BIAS_SUMS) + (d * l->capacity + first) / NNC_BF16_HALF * bias_size(l);
}

/* Fewer samples than this have their input products first. */
enum { FEW = 4 };

/* A window of x of one sample as a left operand, in the scratch memory that the kernel does not need then. */
static nnc_bf16 *x_chunk(const nnc_recurrent_layer *l, const nnc_recurrence *c) {
  return (nnc_bf16 *)((float *)c->scratch + c->rows * nnc_bf16_recurrent_scratch(l->r.cell, 0, l->r.hidden));
}

static nnc_bf16_recurrence recurrence_of(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                         const nnc_recurrence *c) {
  const int slot = (int)w->d * NNC_SLOTS_PER_DIRECTION;
  nnc_bf16_recurrence low = {
      .r = *c,
      .first = w->first % NNC_BF16_SIDE,
      .bias_ih = l->r.bf16_input ? nnc_values_of(run, op, slot + NNC_SLOT_B_IH) : NULL,
      .bias_hh = nnc_values_of(run, op, slot + NNC_SLOT_B_HH),
  };
  if (l->training) {
    const size_t at = place_of_step(l, w->first, w->from) * BLOCK;
    const size_t rest = NNC_BF16_SIDE - low.first, rows = (c->rows + NNC_BF16_HALF - 1) / NNC_BF16_HALF * NNC_BF16_HALF;
    low.fill = w->last == l->samples ? rest : rows;
    low.stride = all_steps(l);
    low.h_at = forms(l, NNC_REGION_H_FORM) + w->d * blocks_of_units(l) * BLOCK + at;
    low.dgates_b = forms(l, NNC_REGION_D_FORM) + w->d * l->r.kept * blocks_of_units(l) * BLOCK + at;
    low.dgates_a = (nnc_bf16 *)(region(l, NNC_REGION_D_CHUNK) + (w->first - low.first) * l->regions.size[NNC_REGION_D_CHUNK]);
    low.bias_sums = bias_sums(l, w->d, w->first);
    if (l->r.states == 2) low.r.h = NULL;
  }
  if (l->r.bf16_input) low.r.dgates = NULL;
  low.r.forward = weights(l, w->d, 0);
  low.r.backward = weights(l, w->d, l->packed.backward);
  return low;
}

/* The kernel computes the products of all samples of a step. */
static void take_x(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                   nnc_bf16_recurrence *low) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  low->x = x.at + w->from * x.ld;
  low->x_row = l->r.steps * x.ld;
  low->x_step = x.ld;
  low->input = l->r.input;
  low->x_forward = weights(l, w->d, l->packed.input);
  if (l->training && w->d == 0) low->x_at = forms(l, NNC_REGION_X_FORM) + place_of_step(l, w->first, w->from) * BLOCK;
}

/* Few inputs are multiplied in float32; x is kept for the gradient. */
static void input_products_in_float(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                    const nnc_recurrence *c) {
  const int slot = (int)w->d * NNC_SLOTS_PER_DIRECTION;
  const size_t row = l->regions.x_row, inside = w->first % NNC_BF16_SIDE;
  const nnc_param *weight = &run->plan->param[op->param[slot + NNC_SLOT_W_IH]].layout;
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  for (size_t t = 0; t < c->steps; t++) {
    float *kept = x_of(l, group_at(l, w->first - inside), w->from + t) + inside * row;
    if (w->d == 0) copy_rows(kept, x.at + (w->from + t) * x.ld, c->rows, l->r.input, row, l->r.steps * x.ld);
    run->k->gemm((float *)c->gates + t * c->gates_step, kept, weight->data, nnc_values_of(run, op, slot + NNC_SLOT_B_IH), c->rows,
                 l->r.products * l->r.hidden, l->r.input, c->gates_row, row, 1, weight->ld, 0);
  }
}

/* Inference: all steps of a sample, so that a single sample fills a block. */
static void input_products_by_sample(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                     const nnc_recurrence *c) {
  const nnc_low_kernels *k = kernels_of(run);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  const nnc_bf16_forms chunk = {.a = x_chunk(l, c)};
  const size_t columns = l->r.products * nnc_bf16_blocks(l->r.hidden) * NNC_BF16_SIDE;
  for (size_t i = 0; i < c->rows; i++) {
    const nnc_bf16_result to = {.rows = (float *)c->gates + i * c->gates_row, .ld = c->gates_step};
    k->bf16_pack(&chunk, x.at + (i * l->r.steps + w->from) * x.ld, c->steps, l->r.input, x.ld);
    k->bf16_product(&to, chunk.a, weights(l, w->d, l->packed.input), c->steps, columns, l->r.input);
  }
}

void nnc_bf16_forward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                             const nnc_recurrence *c) {
  nnc_bf16_recurrence low = recurrence_of(run, op, l, w, c);
  low.in_panels = l->r.bf16_input && !l->training && c->rows < FEW;
  if (low.in_panels) input_products_by_sample(run, op, l, w, c);
  else if (l->r.bf16_input) take_x(run, op, l, w, &low);
  else if (l->training) input_products_in_float(run, op, l, w, c);
  kernels_of(run)->bf16_recurrent_forward(&low);
}

static void input_gradients(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                            const nnc_bf16_recurrence *low) {
  const size_t blocks = nnc_bf16_blocks(l->r.hidden), k = l->r.products * blocks * NNC_BF16_SIDE;
  const nnc_matrix dx = nnc_samples(run, run->grad, op->spec.input[0], w->first, w->last);
  for (size_t t = 0; t < low->r.steps; t++) {
    const nnc_bf16_result to = {
        .rows = dx.at + (w->from + t) * dx.ld, .ld = l->r.steps * dx.ld, .accumulate = op->accumulates[0] || w->d};
    kernels_of(run)->bf16_product(&to, low->dgates_a + t * l->r.kept * blocks * BLOCK + low->first * NNC_BF16_SIDE,
                                  weights(l, w->d, l->packed.transposed), low->r.rows, l->r.input, k);
  }
}

void nnc_bf16_backward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                              const nnc_recurrence *c) {
  nnc_bf16_recurrence low = recurrence_of(run, op, l, w, c);
  const int starts = w->d == 0 ? w->to == l->r.steps : w->from == 0;
  const size_t halves = (c->rows + NNC_BF16_HALF - 1) / NNC_BF16_HALF;
  if (starts) memset(low.bias_sums, 0, halves * bias_size(l) * sizeof(float));
  const int has_dx = l->r.bf16_input && (run->plan->value[op->spec.input[0]].needs_grad || run->input_grads);
  if (!has_dx && !nnc_plan_has_tiles(run->plan)) low.dgates_a = NULL;
  kernels_of(run)->bf16_recurrent_backward(&low);
  if (has_dx) input_gradients(run, op, l, w, &low);
}

/* The gate of dgates that the columns of a gate of a weight or bias belong to: W_hh has the last one of a GRU in place of n. */
static size_t gate_of(const nnc_recurrent *r, size_t gate, int of_state) {
  return r->cell == NNC_CELL_GRU && of_state && gate == 2 ? 3 : gate;
}

/* Gates from `gate` on that are one right operand, so that the left one is read once for all of them. */
static size_t gates_at_once(const nnc_recurrent *r, size_t gate, int of_state) {
  size_t end = gate + 1;
  const size_t last = of_state && r->cell == NNC_CELL_GRU_BEFORE ? 2 : r->products; /* whose last gate has another left operand */
  while (end < last && r->hidden % NNC_BF16_SIDE == 0 && gate_of(r, end, of_state) == end) end++;
  return end - gate;
}

static void bias_gradient(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, int slot, size_t d, int of_state) {
  const nnc_recurrent *r = &l->r;
  const size_t ld = nnc_bf16_blocks(r->hidden) * NNC_BF16_SIDE;
  float *to = nnc_param_at(run, op, slot, run->grads);
  memset(to, 0, r->products * r->hidden * sizeof(float));
  for (size_t first = 0; r->cell == NNC_CELL_GRU_BEFORE && first < l->samples; first += r->group) {
    const nnc_group g = group_at(l, first);
    run->k->column_sum(to, gates_of(l, d, g, 0), g.count * r->steps, r->products * r->hidden, l->regions.gates_row, 1);
  }
  for (size_t first = 0; r->cell != NNC_CELL_GRU_BEFORE && first < l->samples; first += NNC_BF16_HALF)
    for (size_t g = 0; g < r->products; g++)
      run->k->accumulate(to + g * r->hidden, bias_sums(l, d, first) + gate_of(r, g, of_state) * ld, 1, r->hidden, r->hidden, ld);
}

void nnc_bf16_recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_task *task) {
  const nnc_recurrent *r = &l->r;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  const size_t d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION, steps = all_steps(l);
  const int of_state = task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_HH;
  const nnc_bf16 *left =
      forms(l, of_state ? NNC_REGION_H_FORM : NNC_REGION_X_FORM) + (of_state ? d * blocks_of_units(l) * BLOCK : 0);
  if (task->bias) bias_gradient(run, op, l, task->bias, d, of_state);
  if (!of_state && !r->bf16_input) return;
  for (nnc_bf16_rows rows = {.last = task->first}; rows.last < task->last;) {
    rows = nnc_bf16_next_rows(rows.last, task->last, p->rows);
    const size_t at = nnc_bf16_rows_at(&rows, steps, nnc_plan_has_tiles(run->plan));
    for (size_t g = 0, count; g < r->products; g += count) {
      const int has_own = of_state && g == 2 && r->cell == NNC_CELL_GRU_BEFORE; /* in the place of a fourth gate */
      const nnc_bf16 *from = (has_own ? forms(l, NNC_REGION_D_FORM) + (d * r->kept + 3) * blocks_of_units(l) * BLOCK : left) + at;
      const nnc_bf16 *right = forms(l, NNC_REGION_D_FORM) + (d * r->kept + gate_of(r, g, of_state)) * blocks_of_units(l) * BLOCK;
      const nnc_bf16_result to = {.rows = run->grads + p->offset + rows.first * p->ld + g * r->hidden, .ld = p->ld};
      count = gates_at_once(r, g, of_state);
      kernels_of(run)->bf16_product_at(&to, from, right, rows.last - rows.first, count * r->hidden, steps * NNC_BF16_SIDE, 0);
    }
  }
}

/* Rows of a weight: panel by panel of units their gates, as right operands. GRU_BEFORE: gate by gate. */
static void prepare_panels(const nnc_run *run, const nnc_recurrent_layer *l, const nnc_bf16_rows *rows, const nnc_param *p,
                           nnc_bf16 *to) {
  const nnc_recurrent *r = &l->r;
  const size_t steps = nnc_bf16_blocks(p->rows);
  const float *w = (const float *)p->data + rows->first * p->ld;
  for (size_t g = 0; g < r->products; g++) {
    for (size_t j = 0; j < nnc_bf16_blocks(r->hidden); j++) {
      const size_t left = r->hidden - j * NNC_BF16_SIDE, cols = left < NNC_BF16_SIDE ? left : NNC_BF16_SIDE;
      const size_t column = r->cell == NNC_CELL_GRU_BEFORE ? g * nnc_bf16_blocks(r->hidden) + j : j * r->products + g;
      const size_t block = column * steps + rows->first / NNC_BF16_SIDE;
      const nnc_bf16_forms forms = {.b = to + block * BLOCK, .stride = steps, .half = rows->half};
      kernels_of(run)->bf16_pack(&forms, w + g * r->hidden + j * NNC_BF16_SIDE, rows->last - rows->first, cols, p->ld);
    }
  }
}

/* The transposes of rows of a weight, as right operands whose k is gate by gate, the first of them being `first_gate`. last_apart: two
 * operands, of which the second one is the last gate. */
static void prepare_transposed(const nnc_run *run, const nnc_recurrent_layer *l, const nnc_bf16_rows *all, const nnc_param *p,
                               nnc_bf16 *to, size_t first_gate, int last_apart) {
  const nnc_recurrent *r = &l->r;
  const size_t units = nnc_bf16_blocks(r->hidden);
  for (size_t i = all->first; i < all->last; i += NNC_BF16_SIDE) {
    const size_t rows = all->last - i < NNC_BF16_SIDE ? all->last - i : NNC_BF16_SIDE;
    for (size_t g = 0; g < r->products; g++) {
      size_t block = (i / NNC_BF16_SIDE * r->products + g) * units;
      if (last_apart)
        block = g == 2 ? (nnc_bf16_blocks(p->rows) * 2 + i / NNC_BF16_SIDE) * units : (i / NNC_BF16_SIDE * 2 + g) * units;
      const nnc_bf16_forms forms = {.bt = to + block * BLOCK, .half = all->half};
      kernels_of(run)->bf16_pack(&forms, (const float *)p->data + i * p->ld + (g + first_gate) % r->products * r->hidden, rows,
                                 r->hidden, p->ld);
    }
  }
}

void nnc_bf16_recurrent_prepare(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_task *task) {
  const size_t d = (size_t)task->slot / NNC_SLOTS_PER_DIRECTION;
  const nnc_param *p = &run->plan->param[op->param[task->slot]].layout;
  const int of_state = task->slot % NNC_SLOTS_PER_DIRECTION == NNC_SLOT_W_HH;
  const int wanted = of_state || run->plan->value[op->spec.input[0]].needs_grad || run->input_grads;
  for (nnc_bf16_rows rows = {.last = task->first}; rows.last < task->last;) {
    rows = nnc_bf16_next_rows(rows.last, task->last, p->rows);
    prepare_panels(run, l, &rows, p, weights(l, d, of_state ? 0 : l->packed.input));
    if (l->training && wanted)
      prepare_transposed(run, l, &rows, p, weights(l, d, of_state ? l->packed.backward : l->packed.transposed),
                         l->r.cell == NNC_CELL_GRU && !of_state ? 2 : 0, l->r.cell == NNC_CELL_GRU_BEFORE && of_state);
  }
}

double nnc_bf16_step_squares(const nnc_recurrent_layer *l, size_t d, size_t t) {
  double sum = 0;
  const nnc_bf16 *at = forms(l, NNC_REGION_D_FORM) + d * l->r.kept * blocks_of_units(l) * BLOCK;
  for (size_t first = 0; first < l->samples; first += NNC_BF16_SIDE)
    for (size_t j = 0; j < l->r.products * nnc_bf16_blocks(l->r.hidden); j++)
      for (size_t i = 0; i < BLOCK; i++) {
        const double x = nnc_bf16_to_float(at[(j * all_steps(l) + place_of_step(l, first, t)) * BLOCK + i]);
        sum += x * x;
      }
  return sum;
}
