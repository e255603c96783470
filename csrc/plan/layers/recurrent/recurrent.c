/* recurrent.c: the shapes, parameters and memory of a recurrent layer. */
#include "plan/layers/recurrent/recurrent.h"

#include <stdio.h>
#include <string.h>

#include "base/sizes.h"
#include "ops/low_kernels.h"
#include "plan/int8.h"

nnc_recurrent nnc_recurrent_of(const nnc_plan *plan, const nnc_op *op) {
  const struct nnc_recurrent_sizes *size = &op->spec.size.recurrent;
  const nnc_cell cell = (nnc_cell)size->cell;
  const int bf16 = plan->compute == NNC_COMPUTE_BF16 && size->hidden_size >= NNC_LOW_SIDE;
  return (nnc_recurrent){
      .cell = cell,
      .input = (size_t)size->input_size,
      .hidden = (size_t)size->hidden_size,
      .steps = plan->value[op->spec.input[0]].shape.dim[0],
      .products = nnc_cell_products(cell),
      .kept = nnc_cell_gates(cell),
      .states = cell == NNC_CELL_LSTM ? 2 : 1,
      .directions = size->bidirectional ? 2 : 1,
      .truncate = (size_t)size->truncate,
      .bias = size->has_bias != 0,
      .sequences = size->return_sequences != 0,
      .learns_state = size->learn_initial_state != 0,
      .stateful = size->stateful != 0,
      .index = (size_t)size->sublayer,
      .takes_states = op->spec.n_inputs > 1,
      .dropout = op->spec.attr.recurrent.recurrent_dropout,
      .int8 = nnc_is_int8(plan, (size_t)size->hidden_size, (size_t)size->hidden_size),
      .int8_input = nnc_is_int8(plan, (size_t)size->input_size, (size_t)size->hidden_size),
      .bf16 = bf16,
      .bf16_input = bf16 && size->input_size >= NNC_LOW_SIDE,
      .group = bf16 ? NNC_BF16_SIDE : NNC_SAMPLE_GROUP,
  };
}

/* The initial states that the network computes. Each contains the parts of all sublayers. */
static nnc_status check_states(const nnc_plan *plan, const nnc_op *op, nnc_error *error) {
  const nnc_recurrent r = nnc_recurrent_of(plan, op);
  const size_t part = r.directions * r.hidden, needed = 1 + r.states;
  char got[160];
  if (!r.takes_states) return NNC_OK;
  if ((size_t)op->spec.n_inputs != needed || r.learns_state || r.stateful)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: takes %zu initial states, and neither learns nor carries on others", op->spec.name,
                    r.states);
  for (size_t s = 1; s < needed; s++) {
    const nnc_shape *in = &plan->value[op->spec.input[s]].shape;
    const size_t cols = in->rank == 1 ? in->dim[0] : in->rank == 2 ? in->dim[0] * in->dim[1] : 0;
    if (cols % part || cols / part <= r.index || (in->rank == 2 && in->dim[1] != r.hidden))
      return nnc_fail(error, NNC_ERROR_SHAPE, "%s: an initial state is %s, but [*, directions * layers, %zu] is needed",
                      op->spec.name, nnc_shape_text(got, sizeof got, in), r.hidden);
  }
  return NNC_OK;
}

nnc_status nnc_infer_recurrent(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const struct nnc_recurrent_sizes *size = &op->spec.size.recurrent;
  const int64_t cell = size->cell, input = size->input_size, hidden = size->hidden_size;
  const double dropout = op->spec.attr.recurrent.recurrent_dropout;
  size_t n;
  if (!(dropout >= 0 && dropout <= 1))
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: recurrent_dropout must lie between 0 and 1, not %g", op->spec.name, dropout);
  if (cell < 0 || cell >= NNC_CELL_COUNT)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: unknown cell %lld", op->spec.name, (long long)cell);
  if (input < 1 || hidden < 1)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: input_size=%lld and hidden_size=%lld must be at least 1", op->spec.name,
                    (long long)input, (long long)hidden);
  if (nnc_mul(&n, (size_t)hidden, 8) || nnc_mul(&n, n, (size_t)(input > hidden ? input : hidden)) || nnc_mul(&n, n, plan->element))
    return nnc_fail(error, NNC_ERROR_SIZE, "%s: weights of input_size=%lld and hidden_size=%lld are larger than the address space",
                    op->spec.name, (long long)input, (long long)hidden);
  if (in->rank != 2 || in->dim[1] != (size_t)input) {
    char got[160];
    const char *advice = "set input_size there, or change what comes before";
    if (in->rank == 1) {
      advice = "for one feature per time step, pass x[..., None]";
      for (const nnc_op *before = plan->op; before < op; before++)
        if (before->spec.kind == NNC_LAYER_recurrent) advice = "set return_sequences=True in the recurrent layer before it";
    }
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s expects input of shape [*, time, %lld] but gets %s; %s", op->spec.name,
                    (long long)input, nnc_shape_text(got, sizeof got, in), advice);
  }
  if (check_states(plan, op, error)) return error->status;
  plan->stateful |= size->stateful != 0;
  op->unit = nnc_recurrent_of(plan, op).bf16 && cell != NNC_CELL_GRU_BEFORE ? NNC_BF16_HALF : 0;
  const size_t cols = (size_t)hidden * (size->bidirectional ? 2 : 1);
  plan->value[op->out].shape = size->return_sequences ? (nnc_shape){2, {in->dim[0], cols}} : (nnc_shape){1, {cols}};
  return NNC_OK;
}

/* The last h or c, as [hidden] where it is flat, else [directions, hidden]. */
nnc_status nnc_infer_state(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const int64_t which = op->spec.size.state.is_cell_state, producer = plan->value[op->spec.input[0]].producer;
  nnc_op *of = producer == NNC_NONE ? NULL : &plan->op[producer];
  const int behind = of && of->spec.kind == NNC_LAYER_recurrent && of->out == op->spec.input[0];
  const nnc_recurrent r = behind ? nnc_recurrent_of(plan, of) : (nnc_recurrent){0};
  /* If only other such ops come in between, the next recurrent op can also use the memory of the state. */
  for (const nnc_op *o = of + 1; behind && o < op; o++)
    if (o->spec.kind != NNC_LAYER_state)
      return nnc_fail(error, NNC_ERROR_VALUE, "%s: a last state stands right behind its recurrent op", op->spec.name);
  if (!behind || which < 0 || (size_t)which >= r.states || of->last[which] != NNC_NONE ||
      (op->spec.size.state.is_flat && r.directions > 1))
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: no such last state", op->spec.name);
  of->last[which] = op->out;
  plan->value[op->out].shape = op->spec.size.state.is_flat ? (nnc_shape){1, {r.hidden}} : (nnc_shape){2, {r.directions, r.hidden}};
  return NNC_OK;
}

int nnc_place_recurrent(nnc_plan *plan, int i, size_t *total) {
  static const char *const roles[NNC_SLOTS_PER_DIRECTION] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  const nnc_op *op = &plan->op[i];
  const nnc_recurrent r = nnc_recurrent_of(plan, op);
  const size_t cols = r.products * r.hidden;
  const int layer = (int)op->spec.size.recurrent.sublayer;
  plan->flops += 2.0 * (double)(r.directions * r.steps) * (double)cols * (double)(r.input + r.hidden);
  for (size_t d = 0; d < r.directions; d++)
    for (int slot = 0; slot < (r.bias ? NNC_SLOTS_PER_DIRECTION : NNC_SLOT_B_IH); slot++) {
      const int vector = slot >= NNC_SLOT_B_IH;
      nnc_param p = {.rows = vector                  ? 1
                             : slot == NNC_SLOT_W_IH ? r.input
                                                     : r.hidden,
                     .cols = cols,
                     .transposed = !vector,
                     .vector = vector};
      snprintf(p.role, sizeof p.role, "%s_l%d%s", roles[slot], layer, d ? "_reverse" : "");
      const int is_packed = slot == NNC_SLOT_W_IH ? r.int8_input : slot == NNC_SLOT_W_HH && r.int8;
      if (nnc_add_weight(plan, i, (int)d * NNC_SLOTS_PER_DIRECTION + slot, p, is_packed, total)) return 1;
    }
  for (size_t s = 0; r.learns_state && s < r.states; s++) {
    nnc_param p = {.rows = r.directions, .cols = r.hidden};
    snprintf(p.role, sizeof p.role, "%s_0_l%d", s ? "c" : "h", layer);
    if (nnc_add_param(plan, i, NNC_SLOT_INITIAL + (int)s, p, total)) return 1;
  }
  return 0;
}

int nnc_place_carry(nnc_plan *plan, nnc_op *op) {
  const nnc_recurrent r = nnc_recurrent_of(plan, op);
  size_t carried;
  if (nnc_mul(&carried, r.directions * r.states, r.hidden)) return 1;
  op->carry = plan->carry;
  return nnc_add(&plan->carry, plan->carry, carried);
}

/* Rows are whole cache lines, so that threads with different samples do not share a line. A distance of a multiple of 4 KB is
 * avoided, because such rows would compete for the same sets of the first-level cache. */
static inline int padded_row(size_t *row, size_t elements, size_t element) {
  size_t bytes;
  if (nnc_round_up(row, elements, element) || nnc_mul(&bytes, *row, element)) return 1;
  return bytes % 4096 == 0 && nnc_add(row, *row, NNC_ALIGNMENT / element);
}

/* What differs with products of bfloat16. Forms contain two numbers per element of a region. */
static int bf16_layout(const nnc_recurrent *r, int training, nnc_regions *regions) {
  const size_t steps = training ? r->steps : 0, blocks = nnc_bf16_blocks(r->hidden), per_block = NNC_BF16_SIDE / 2;
  size_t *size = regions->size, units, inputs = 0;
  int bad = nnc_mul(&units, steps, blocks * per_block) || nnc_mul(&inputs, steps, nnc_bf16_blocks(r->input) * per_block) ||
            nnc_mul(&units, units, r->directions);
  if (r->bf16_input) size[NNC_REGION_X] = 0;
  if (r->states == 2) size[NNC_REGION_H] = 0; /* the derivative of an LSTM does not need it */
  size[NNC_REGION_PARTIAL] = regions->partial = 0;
  size[NNC_REGION_X_FORM] = r->bf16_input ? inputs : 0;
  size[NNC_REGION_H_FORM] = units;
  bad |= nnc_mul(&size[NNC_REGION_D_FORM], units, r->kept);
  size[NNC_REGION_D_CHUNK] = training ? NNC_RECURRENT_CHUNK * r->kept * blocks * per_block : 0;
  size[NNC_REGION_BIAS_SUMS] = training ? r->directions * r->kept * blocks * 2 : 0;
  if (r->cell == NNC_CELL_GRU_BEFORE) { /* a form of one operand at a time */
    const size_t widest = r->bf16_input && r->input > r->hidden ? r->input : r->hidden;
    size[NNC_REGION_D_CHUNK] = training ? 3 * blocks * per_block : 0;
    size[NNC_REGION_BIAS_SUMS] = 0;
    size[NNC_REGION_SCRATCH] += nnc_bf16_blocks(widest) * (NNC_BF16_BLOCK / 2);
    return bad;
  }
  size[NNC_REGION_SCRATCH] = nnc_bf16_recurrent_scratch(r->cell, r->bf16_input ? r->input : 0, r->hidden);
  return bad;
}

int nnc_recurrent_layout(const nnc_recurrent *r, int training, size_t element, nnc_regions *regions) {
  const size_t chunk = r->steps < NNC_RECURRENT_CHUNK ? r->steps : NNC_RECURRENT_CHUNK;
  const size_t steps = training ? r->steps : chunk, directions = training ? r->directions : 1;
  size_t gates, track, state;
  const size_t units = r->bf16 && !training ? nnc_bf16_blocks(r->hidden) * NNC_BF16_SIDE : r->hidden; /* whole panels */
  if (padded_row(&regions->gates_row, r->kept * units, element) || padded_row(&regions->state_row, r->hidden, element) ||
      padded_row(&regions->x_row, r->input, element) || nnc_mul(&gates, steps, regions->gates_row) ||
      nnc_mul(&track, steps + 1, regions->state_row) || nnc_mul(&state, r->states, r->hidden))
    return 1;
  size_t *size = regions->size;
  int bad = nnc_mul(&size[NNC_REGION_GATES], gates, directions);
  bad |= nnc_mul(&size[NNC_REGION_X], regions->x_row, training ? steps : 0);
  bad |= nnc_mul(&size[NNC_REGION_H], track, training ? directions : 0);
  size[NNC_REGION_C] = r->states == 2 ? size[NNC_REGION_H] : 0;
  bad |= nnc_mul(&size[NNC_REGION_STATE], state, r->directions);
  bad |= nnc_mul(&size[NNC_REGION_DSTATE], state, training ? 3 * directions : 0);
  /* If the weights are small compared with the data of the steps, each group's part of their gradient is summed while the data are
   * in the cache of the thread that has just computed them. */
  const size_t lines = r->input + r->hidden;
  regions->partial = 0;
  bad |= nnc_round_up(&regions->partial_row, r->products * r->hidden, element);
  if (training && !r->bf16 && lines <= r->steps * NNC_SAMPLE_GROUP / 4)
    bad |=
        nnc_mul(&regions->partial, lines, regions->partial_row) || nnc_add(&regions->partial, regions->partial, regions->gates_row);
  bad |= nnc_mul(&size[NNC_REGION_PARTIAL], regions->partial / NNC_SAMPLE_GROUP, directions);
  bad |= nnc_mul(&size[NNC_REGION_MASK], r->hidden, training && r->dropout > 0 ? r->directions : 0);
  size[NNC_REGION_SCRATCH] = nnc_recurrent_scratch(r->cell, 1, r->hidden);
  const int used = r->bf16 || r->int8 || r->int8_input ? NNC_REGION_COUNT : NNC_REGION_X_FORM;
  for (int i = NNC_REGION_X_FORM; i < used; i++) size[i] = 0;
  if (r->bf16) bad |= bf16_layout(r, training, regions);
  if (r->int8 || r->int8_input) bad |= nnc_recurrent_int8_layout(r, &size[NNC_REGION_INT8]);
  regions->total = 0;
  for (int i = 0; i < used; i++) { /* whole cache lines for any number of samples */
    bad |= nnc_round_up(&size[i], size[i], element);
    regions->first[i] = regions->total;
    bad |= nnc_add(&regions->total, regions->total, size[i]);
  }
  for (int i = used; i < NNC_REGION_COUNT; i++) {
    size[i] = 0;
    regions->first[i] = regions->total;
  }
  return bad;
}

static int bf16_pack_layout(const nnc_recurrent *r, int training, nnc_packed *packed) {
  const size_t units = nnc_bf16_blocks(r->hidden), inputs = nnc_bf16_blocks(r->input);
  size_t hh, ih = 0, ih_t = 0;
  int bad = nnc_mul(&hh, units * units, r->products * NNC_BF16_BLOCK / 2);
  if (r->bf16_input)
    bad |= nnc_mul(&ih, inputs, units * r->products * (NNC_BF16_BLOCK / 2)) ||
           nnc_mul(&ih_t, inputs, units * r->products * (NNC_BF16_BLOCK / 2));
  else bad |= nnc_leading_dim(&packed->ld, r->input, sizeof(float)) || nnc_mul(&ih_t, packed->ld, r->products * r->hidden);
  packed->input = hh;
  bad |= nnc_add(&packed->backward, hh, ih) || nnc_add(&packed->transposed, packed->backward, hh);
  packed->direction = packed->backward;
  if (training) bad |= nnc_add(&packed->direction, packed->transposed, ih_t);
  return bad || nnc_round_up(&packed->direction, packed->direction, sizeof(float)) ||
         nnc_mul(&packed->total, packed->direction, r->directions);
}

int nnc_recurrent_pack_layout(const nnc_recurrent *r, int training, size_t element, nnc_packed *packed) {
  size_t n;
  *packed = (nnc_packed){0};
  if (r->bf16) return bf16_pack_layout(r, training, packed);
  if (r->int8) return 0; /* they are packed already */
  const int before = r->cell == NNC_CELL_GRU_BEFORE;
  size_t form;
  if (before ? nnc_leading_dim(&packed->hidden_ld, r->hidden, element) || nnc_mul(&form, packed->hidden_ld, 3 * r->hidden)
             : nnc_round_up(&packed->backward, nnc_recurrent_packed(r->cell, r->hidden), element))
    return 1;
  packed->direction = packed->backward;
  if (training) {
    if (nnc_leading_dim(&packed->ld, r->input, element) || nnc_mul(&n, packed->ld, r->products * r->hidden) ||
        nnc_round_up(&n, n, element) ||
        (before ? nnc_round_up(&packed->transposed, form, element) : nnc_mul(&packed->transposed, packed->backward, 2)) ||
        nnc_add(&packed->direction, packed->transposed, n))
      return 1;
  }
  return nnc_mul(&packed->total, packed->direction, r->directions);
}

int nnc_reserve_recurrent(const nnc_plan *plan, nnc_op *op, size_t rows, size_t *total) {
  const nnc_recurrent r = nnc_recurrent_of(plan, op);
  nnc_regions regions;
  nnc_packed packed;
  size_t n;
  return nnc_recurrent_layout(&r, 1, plan->element, &regions) ||
         nnc_mul(&n, regions.total, rows + (r.group - rows % r.group) % r.group) ||
         nnc_arena_take(total, &op->saved, n, plan->element) || nnc_recurrent_pack_layout(&r, 1, plan->element, &packed) ||
         nnc_arena_take(total, &op->packed, packed.total, plan->element);
}

int nnc_work_recurrent(nnc_plan *plan, nnc_op *op, size_t *work) {
  const nnc_recurrent r = nnc_recurrent_of(plan, op);
  nnc_regions regions;
  nnc_packed packed;
  if (nnc_recurrent_layout(&r, 0, plan->element, &regions) || nnc_recurrent_pack_layout(&r, 0, plan->element, &packed)) return 1;
  *work = regions.total;
  op->weights = plan->packed_elements;
  return nnc_add(&plan->packed_elements, plan->packed_elements, packed.total);
}

size_t nnc_plan_carry(const nnc_plan *plan) { return plan->carry; }

int nnc_plan_is_stateful(const nnc_plan *plan) { return plan->stateful; }

const void *nnc_plan_carried(const nnc_plan *plan, size_t *rows) {
  *rows = plan->stateful && plan->arena ? plan->carried_rows : 0;
  return *rows ? (char *)plan->arena + plan->carried[plan->carry_turn] * plan->element : NULL;
}

void nnc_plan_carry_on(nnc_plan *plan, const void *states, size_t rows) {
  memcpy((char *)plan->arena + plan->carried[plan->carry_turn] * plan->element, states, rows * plan->carry * plan->element);
  plan->carried_rows = rows;
}

void nnc_plan_reset_states(nnc_plan *plan) {
  plan->carried_rows = 0;
  if (!plan->arena || !plan->stateful) return;
  char *carried = (char *)plan->arena + plan->carried[plan->carry_turn] * plan->element;
  memset(carried, 0, plan->rows_reserved * plan->carry * plan->element);
}

size_t nnc_recurrent_bytes(const nnc_plan *plan, const nnc_op *op) {
  const nnc_recurrent r = nnc_recurrent_of(plan, op);
  nnc_regions regions;
  size_t bytes;
  return nnc_recurrent_layout(&r, 1, plan->element, &regions) || nnc_mul(&bytes, regions.total, plan->element) ? PTRDIFF_MAX
                                                                                                               : bytes;
}
