/* layout.c: where everything lies: parameters and running statistics in their buffers, and the values of one sample in the inference workspace. */
#include <string.h>

#include "base/memory.h"
#include "base/sizes.h"
#include "plan/plan.h"

static nnc_status too_large(nnc_error *error) {
  return nnc_fail(error, NNC_ERROR_SIZE, "the network is larger than the address space; check the layer sizes");
}

/* Before anything is made in proportion to them: the parameters and their gradients have to fit. */
static nnc_status check_memory(size_t bytes, nnc_error *error) {
  size_t both;
  if (nnc_mul(&both, bytes, 2)) return too_large(error);
  if (!nnc_exceeds_memory(both)) return NNC_OK;
  return nnc_fail(
      error, NNC_ERROR_SIZE,
      "the parameters and their gradients take %.3g GB, but this process may have %.3g GB of memory; check the layer sizes",
      1e-9 * (double)both, 1e-9 * (double)nnc_memory_limit());
}

static int add_state(nnc_plan *plan, int i, const char *role, size_t cols, size_t *total) {
  nnc_param *s = &plan->state[plan->n_states++];
  *s = (nnc_param){.op = i, .rows = 1, .cols = cols, .ld = cols, .vector = 1};
  strcpy(s->role, role);
  return nnc_arena_take(total, &s->offset, cols, plan->element);
}

static int place_linear(nnc_plan *plan, int i, size_t *total) {
  const nnc_op *op = &plan->op[i];
  const size_t in = (size_t)op->spec.size[0], out = (size_t)op->spec.size[1];
  plan->flops += 2.0 * (double)in * (double)out * (double)plan->value[op->spec.input[0]].lines;
  return nnc_add_param(plan, i, 0, (nnc_param){.role = "weight", .rows = in, .cols = out, .transposed = 1}, total) ||
         (op->spec.size[2] && nnc_add_param(plan, i, 1, (nnc_param){.role = "bias", .rows = 1, .cols = out, .vector = 1}, total));
}

static int place_batch_norm(nnc_plan *plan, int i, size_t *total, size_t *states) {
  nnc_op *op = &plan->op[i];
  const size_t channels = (size_t)op->spec.size[0];
  if (op->spec.size[2]) {
    const int first = plan->n_states;
    if (add_state(plan, i, "running_mean", channels, states) || add_state(plan, i, "running_var", channels, states) ||
        add_state(plan, i, "num_batches_tracked", 1, states))
      return 1;
    op->state = (size_t)first;
  }
  return op->spec.size[1] &&
         (nnc_add_param(plan, i, 0, (nnc_param){.role = "weight", .rows = 1, .cols = channels, .vector = 1}, total) ||
          nnc_add_param(plan, i, 1, (nnc_param){.role = "bias", .rows = 1, .cols = channels, .vector = 1}, total));
}

static int place_layer_norm(nnc_plan *plan, int i, size_t *total) {
  const nnc_op *op = &plan->op[i];
  nnc_param vector = {.role = "weight", .rows = 1, .cols = nnc_norm_size(op), .vector = 1};
  while (vector.shape.rank < 6 && op->spec.size[2 + vector.shape.rank]) {
    vector.shape.dim[vector.shape.rank] = (size_t)op->spec.size[2 + vector.shape.rank];
    vector.shape.rank++;
  }
  if (op->spec.size[0] && nnc_add_param(plan, i, 0, vector, total)) return 1;
  strcpy(vector.role, "bias");
  return op->spec.size[1] && nnc_add_param(plan, i, 1, vector, total);
}

static int place_prelu(nnc_plan *plan, int i, size_t *total) {
  const size_t slopes = (size_t)plan->op[i].spec.size[0];
  return nnc_add_param(plan, i, 0, (nnc_param){.role = "weight", .rows = 1, .cols = slopes, .vector = 1}, total);
}

static int place_embedding(nnc_plan *plan, int i, size_t *total) {
  const int64_t *size = plan->op[i].spec.size;
  return nnc_add_param(plan, i, 0, (nnc_param){.role = "weight", .rows = (size_t)size[0], .cols = (size_t)size[1]}, total);
}

/* The parameters of op i are those of an earlier one. */
static void share_params(nnc_plan *plan, int i) {
  nnc_op *op = &plan->op[i];
  const nnc_op *owner = &plan->op[op->spec.shares];
  const nnc_value *here = &plan->value[op->spec.input[0]], *there = &plan->value[owner->spec.input[0]];
  memcpy(op->param, owner->param, sizeof op->param);
  op->state = owner->state;
  op->flops = owner->flops * (double)here->lines / (double)there->lines;
  plan->flops += op->flops;
}

static int place_python(nnc_plan *plan, int i, size_t *total) {
  for (int slot = 0; slot < NNC_MAX_PARAMS; slot++) {
    nnc_param param = nnc_python_param(plan, &plan->op[i], slot);
    if (!param.cols) return 0;
    param.rows = param.vector = 1;
    if (nnc_add_param(plan, i, slot, param, total)) return 1;
  }
  return 0;
}

nnc_status nnc_layout_params(nnc_plan *plan, nnc_error *error) {
  plan->param = nnc_alloc(NNC_MAX_PARAMS * (size_t)plan->n_ops * sizeof *plan->param);
  plan->state = nnc_alloc(3 * (size_t)plan->n_ops * sizeof *plan->state);
  if (!plan->param || !plan->state)
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the parameters of %d layers", plan->n_ops);
  size_t bytes = 0, state_bytes = 0;
  for (int i = 0; i < plan->n_ops; i++) {
    const int kind = plan->op[i].spec.kind;
    const double before = plan->flops;
    if (kind == NNC_LAYER_recurrent && nnc_place_carry(plan, &plan->op[i])) return too_large(error);
    if (plan->op[i].spec.shares != NNC_NONE) {
      share_params(plan, i);
      continue;
    }
    if ((kind == NNC_LAYER_linear && place_linear(plan, i, &bytes)) ||
        (kind == NNC_LAYER_recurrent && nnc_place_recurrent(plan, i, &bytes)) ||
        (kind == NNC_LAYER_python && place_python(plan, i, &bytes)) ||
        (kind == NNC_LAYER_batch_norm && place_batch_norm(plan, i, &bytes, &state_bytes)) ||
        (kind == NNC_LAYER_layer_norm && place_layer_norm(plan, i, &bytes)) ||
        (kind == NNC_LAYER_prelu && place_prelu(plan, i, &bytes)) ||
        (kind == NNC_LAYER_embedding && place_embedding(plan, i, &bytes)))
      return too_large(error);
    plan->op[i].flops = plan->flops - before;
  }
  for (int i = 0; i < plan->n_ops; i++)
    if (plan->op[i].spec.kind == NNC_LAYER_linear) plan->wide_flops += plan->op[i].flops;
  plan->elements = bytes / plan->element;
  plan->state_elements = state_bytes / plan->element;
  return check_memory(bytes, error);
}

/* Memory of values whose last reader is behind us is handed out again, first fit. Sizes are those of one sample; a block of
 * n samples scales every offset by n. */
typedef struct {
  size_t first, last; /* elements [first, last) */
  int until;          /* last op that reads it */
} nnc_interval;

static int last_reader(const nnc_plan *plan, int root) {
  int last = plan->value[root].producer == NNC_NONE ? 0 : plan->value[root].producer;
  for (int i = 0; i < plan->n_ops; i++)
    for (int j = 0; j < plan->op[i].spec.n_inputs; j++)
      if (plan->value[plan->op[i].spec.input[j]].alias == root) last = i > last ? i : last;
  for (int v = 0; v < plan->n_values; v++) /* an in-place result lives on */
    if (plan->value[v].alias == root && plan->value[v].producer > last) last = plan->value[v].producer;
  for (int i = 0; i < plan->n_outputs; i++)
    if (plan->value[plan->output[i]].alias == root) last = plan->n_ops;
  return last;
}

static size_t first_fit(const nnc_interval *live, int n, size_t size, int now) {
  size_t place = 0;
  for (int moved = 1; moved;) {
    moved = 0;
    for (int i = 0; i < n; i++)
      if (live[i].until >= now && place < live[i].last && live[i].first < place + size) {
        place = live[i].last;
        moved = 1;
      }
  }
  return place;
}

nnc_status nnc_layout_inference(nnc_plan *plan, nnc_error *error) {
  enum { WORKSPACE = 512 << 10, SMALLEST = 64, SMALLEST_RECURRENT = 16, LARGEST = 512 };
  plan->place = nnc_alloc((size_t)plan->n_values * sizeof *plan->place);
  nnc_interval *live = nnc_alloc((size_t)plan->n_values * sizeof *live);
  if (!plan->place || !live) {
    nnc_free(live);
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the layout of %d values", plan->n_values);
  }
  const size_t line = NNC_ALIGNMENT / plan->element;
  int n = 0, overflow = 0;
  for (int v = 0; v < plan->n_values && !overflow; v++) {
    const nnc_value *value = &plan->value[v];
    if (value->alias != v) continue;
    size_t size = nnc_value_elements(value);
    overflow = nnc_add(&size, size, line - 1);
    size -= size % line;
    const int now = value->producer == NNC_NONE ? 0 : value->producer;
    const size_t place = first_fit(live, n, size, now);
    size_t end;
    overflow |= nnc_add(&end, place, size);
    live[n++] = (nnc_interval){place, end, last_reader(plan, v)};
    plan->place[v] = place;
    if (end > plan->sample_elements) plan->sample_elements = end;
  }
  for (int v = 0; v < plan->n_values; v++) plan->place[v] = plan->place[plan->value[v].alias];
  nnc_free(live);
  size_t work = 0, most = 0; /* working memory of an op, behind the values: one op runs at a time */
  for (int i = 0; i < plan->n_ops && !overflow; i++) {
    if (plan->op[i].spec.kind != NNC_LAYER_recurrent) continue;
    overflow = nnc_work_recurrent(plan, &plan->op[i], &work) || nnc_round_up(&work, work, plan->element);
    plan->op[i].work = plan->sample_elements;
    most = work > most ? work : most;
  }
  size_t sample_bytes;
  overflow |=
      nnc_add(&plan->sample_elements, plan->sample_elements, most) || nnc_mul(&sample_bytes, plan->sample_elements, plan->element);
  if (overflow) return too_large(error);
  size_t block = sample_bytes ? WORKSPACE / sample_bytes : LARGEST;
  const size_t smallest = most ? SMALLEST_RECURRENT : SMALLEST; /* a sample of many steps fills a register tile by itself */
  block = block < smallest ? smallest : block > LARGEST ? LARGEST : block - block % 8;
  plan->block = block;
  const nnc_value *result = &plan->value[plan->value[plan->output[0]].alias];
  plan->is_plain = plan->n_inputs == 1 && plan->n_outputs == 1 && plan->value[0].lines == 1 && result->lines == 1 &&
                   plan->value[plan->output[0]].lines == 1 && result->producer != NNC_NONE && !plan->n_called &&
                   !plan->whole_batch && !plan->carry;
  size_t bytes;
  if (nnc_mul(&bytes, plan->sample_elements, block) || nnc_mul(&bytes, bytes, plan->element)) return too_large(error);
  return NNC_OK;
}

void nnc_plan_place(nnc_plan *plan, const size_t *params, size_t elements, const size_t *states, size_t state_elements) {
  for (int i = 0; i < plan->n_params; i++) plan->param[i].layout.offset = params[i];
  for (int i = 0; i < plan->n_states; i++) plan->state[i].offset = states[i];
  plan->elements = elements;
  plan->state_elements = state_elements;
}

int nnc_plan_param_count(const nnc_plan *plan) { return plan->n_params; }
void nnc_plan_param(const nnc_plan *plan, int i, nnc_param *param) { *param = plan->param[i].layout; }
double nnc_plan_flops(const nnc_plan *plan) { return plan->flops; }
size_t nnc_plan_elements(const nnc_plan *plan) { return plan->elements; }

int nnc_plan_state_count(const nnc_plan *plan) { return plan->n_states; }
void nnc_plan_state(const nnc_plan *plan, int i, nnc_param *state) { *state = plan->state[i]; }
size_t nnc_plan_state_elements(const nnc_plan *plan) { return plan->state_elements; }

void nnc_plan_bind(nnc_plan *plan, void *params, void *grads, void *states, void *average, void *const moments[NNC_MAX_MOMENTS]) {
  plan->params = params;
  plan->states = states;
  plan->grads = grads;
  plan->average = average;
  memcpy(plan->moments, moments, sizeof plan->moments);
}
