/* layout.c: positions in memory: parameters and running statistics in their buffers, and the values of one sample in the inference
 * workspace. */
#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "base/sizes.h"
#include "plan/int8.h"
#include "plan/plan.h"

static nnc_status too_large(nnc_error *error) {
  return nnc_fail(error, NNC_ERROR_SIZE, "the network is larger than the address space; check the layer sizes");
}

/* Checked before anything of their size is allocated: the parameters and their gradients must fit into memory. */
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
  const struct nnc_linear_sizes *size = &op->spec.size.linear;
  const size_t in = (size_t)size->in_features, out = (size_t)size->out_features;
  plan->flops += 2.0 * (double)in * (double)out * (double)plan->value[op->spec.input[0]].lines;
  const nnc_param weight = {.role = "weight", .rows = in, .cols = out, .transposed = 1};
  return nnc_add_weight(plan, i, 0, weight, nnc_is_int8(plan, in, out), total) ||
         (size->has_bias && nnc_add_param(plan, i, 1, (nnc_param){.role = "bias", .rows = 1, .cols = out, .vector = 1}, total));
}

static int place_batch_norm(nnc_plan *plan, int i, size_t *total, size_t *states) {
  nnc_op *op = &plan->op[i];
  const struct nnc_batch_norm_sizes *size = &op->spec.size.batch_norm;
  const size_t channels = (size_t)size->num_features;
  if (size->track_running_stats) {
    const int first = plan->n_states;
    if (add_state(plan, i, "running_mean", channels, states) || add_state(plan, i, "running_var", channels, states) ||
        add_state(plan, i, "num_batches_tracked", 1, states))
      return 1;
    op->state = (size_t)first;
  }
  return size->affine &&
         (nnc_add_param(plan, i, 0, (nnc_param){.role = "weight", .rows = 1, .cols = channels, .vector = 1}, total) ||
          nnc_add_param(plan, i, 1, (nnc_param){.role = "bias", .rows = 1, .cols = channels, .vector = 1}, total));
}

static int place_layer_norm(nnc_plan *plan, int i, size_t *total) {
  const nnc_op *op = &plan->op[i];
  nnc_param vector = {.role = "weight", .rows = 1, .cols = nnc_norm_size(op), .vector = 1};
  const struct nnc_layer_norm_sizes *size = &op->spec.size.layer_norm;
  vector.shape.rank = nnc_norm_rank(op);
  for (int d = 0; d < vector.shape.rank; d++) vector.shape.dim[d] = (size_t)size->normalized_shape[d];
  if (size->has_weight && nnc_add_param(plan, i, 0, vector, total)) return 1;
  strcpy(vector.role, "bias");
  return size->has_bias && nnc_add_param(plan, i, 1, vector, total);
}

static int place_prelu(nnc_plan *plan, int i, size_t *total) {
  const size_t slopes = (size_t)plan->op[i].spec.size.prelu.num_parameters;
  return nnc_add_param(plan, i, 0, (nnc_param){.role = "weight", .rows = 1, .cols = slopes, .vector = 1}, total);
}

static int place_embedding(nnc_plan *plan, int i, size_t *total) {
  const struct nnc_embedding_sizes *size = &plan->op[i].spec.size.embedding;
  return nnc_add_param(
      plan, i, 0, (nnc_param){.role = "weight", .rows = (size_t)size->num_embeddings, .cols = (size_t)size->embedding_dim}, total);
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

/* The largest number of parameters of an op. */
static size_t most_params(int kind) {
  switch (kind) {
    case NNC_LAYER_python:
    case NNC_LAYER_recurrent: return NNC_MAX_PARAMS;
    case NNC_LAYER_linear:
    case NNC_LAYER_batch_norm:
    case NNC_LAYER_layer_norm: return 2;
    case NNC_LAYER_prelu:
    case NNC_LAYER_embedding: return 1;
    default: return 0;
  }
}

nnc_status nnc_layout_params(nnc_plan *plan, nnc_error *error) {
  size_t params = 0, states = 0;
  for (int i = 0; i < plan->n_ops; i++) {
    params += most_params(plan->op[i].spec.kind);
    states += plan->op[i].spec.kind == NNC_LAYER_batch_norm ? 3 : 0;
  }
  plan->param = nnc_alloc(params * sizeof *plan->param);
  plan->state = nnc_alloc(states * sizeof *plan->state);
  plan->version = nnc_alloc(params * sizeof *plan->version);
  if (!plan->param || !plan->state || !plan->version)
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

/* The memory of values that no later op reads is used again, first fit. Sizes are those of one sample; a block of n samples scales
 * every offset by n. */
typedef struct {
  size_t first, last; /* elements [first, last) */
  int until;          /* last op that reads it */
} nnc_interval;

static int defined_at(const nnc_value *value) { return value->producer == NNC_NONE ? 0 : value->producer; }

/* For each value with its own memory: the last op that reads or writes that memory; n_ops if users see it. */
static void find_last_uses(const nnc_plan *plan, int *last) {
  for (int v = 0; v < plan->n_values; v++) last[v] = defined_at(&plan->value[v]);
  for (int v = 0; v < plan->n_values; v++) { /* an in-place result extends the lifetime */
    int *of = &last[plan->value[v].alias];
    if (plan->value[v].producer > *of) *of = plan->value[v].producer;
  }
  for (int i = 0; i < plan->n_ops; i++)
    for (int j = 0; j < plan->op[i].spec.n_inputs; j++) {
      int *of = &last[plan->value[plan->op[i].spec.input[j]].alias];
      if (i > *of) *of = i;
    }
  for (int i = 0; i < plan->n_outputs; i++) last[plan->value[plan->output[i]].alias] = plan->n_ops;
}

/* For each value v: the first op that defines one of the values from v on that have their own memory. Intervals that end before
 * that op need not be considered any more. */
static void find_earliest(const nnc_plan *plan, int *earliest) {
  int least = plan->n_ops;
  for (int v = plan->n_values - 1; v >= 0; v--) {
    const nnc_value *value = &plan->value[v];
    if (value->alias == v && defined_at(value) < least) least = defined_at(value);
    earliest[v] = least;
  }
}

/* A hint for the next searches: below `place`, that is among the first `at` intervals, no value of `size` or more fits between the
 * ops `from` and `until`. So networks with many long-lived values need not search all of them for each value. */
typedef struct {
  int at, from, until;
  size_t place, size;
} nnc_fit_hint;

static const nnc_fit_hint no_hint = {.until = INT_MAX};

/* The position of a value of this size: the lowest one that overlaps no interval that is read at `now` or later. `live` is sorted
 * by address. */
static int place_first_fit(nnc_interval *live, int n, size_t size, int now, int until, nnc_fit_hint *hint) {
  if (now < hint->from || now > hint->until || size < hint->size) *hint = no_hint;
  int i = hint->at;
  size_t place = hint->place;
  for (; i < n; i++) {
    if (live[i].until < now || live[i].last <= place) continue;
    if (live[i].first >= place + size) break;
    place = live[i].last;
    if (live[i].until < hint->until) hint->until = live[i].until;
  }
  while (i > 0 && live[i - 1].first > place) i--;
  memmove(live + i + 1, live + i, (size_t)(n - i) * sizeof *live);
  live[i] = (nnc_interval){place, place + size, until};
  *hint = (nnc_fit_hint){i + 1, now, until < hint->until ? until : hint->until, place + size, size};
  return i;
}

static int drop_dead(nnc_interval *live, int n, int now) {
  int kept = 0;
  for (int i = 0; i < n; i++)
    if (live[i].until >= now) live[kept++] = live[i];
  return kept;
}

/* Working memory of an op at inference for one sample, in elements. Non-zero on overflow. */
static int work_of(nnc_plan *plan, nnc_op *op, size_t *work) {
  *work = 0;
  if (op->spec.kind == NNC_LAYER_recurrent && nnc_work_recurrent(plan, op, work)) return 1;
  if (op->spec.kind == NNC_LAYER_linear && plan->param[op->param[0]].layout.packed_rows) {
    const nnc_value *x = &plan->value[op->spec.input[0]];
    if (nnc_mul(work, x->lines, nnc_int8_row(x->cols))) return 1;
  }
  return nnc_round_up(work, *work, plan->element);
}

nnc_status nnc_layout_inference(nnc_plan *plan, nnc_error *error) {
  enum { WORKSPACE = 512 << 10, SMALLEST = 64, SMALLEST_RECURRENT = 16, LARGEST = 512 };
  plan->place = nnc_alloc((size_t)plan->n_values * sizeof *plan->place);
  nnc_interval *live = nnc_alloc((size_t)plan->n_values * sizeof *live);
  int *last = nnc_alloc(2 * (size_t)plan->n_values * sizeof *last), *earliest = last + plan->n_values;
  if (!plan->place || !live || !last) {
    nnc_free(live);
    nnc_free(last);
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the layout of %d values", plan->n_values);
  }
  const size_t line = NNC_ALIGNMENT / plan->element;
  int n = 0, compact_above = 64, overflow = 0;
  nnc_fit_hint hint = no_hint;
  find_last_uses(plan, last);
  find_earliest(plan, earliest);
  for (int v = 0; v < plan->n_values && !overflow; v++) {
    const nnc_value *value = &plan->value[v];
    if (value->alias != v) continue;
    size_t size = nnc_value_elements(value);
    overflow = nnc_add(&size, size, line - 1);
    size -= size % line;
    if (n > compact_above) {
      n = drop_dead(live, n, earliest[v]);
      compact_above = 2 * n + 64;
      hint = no_hint;
    }
    const size_t place = live[place_first_fit(live, n++, size, defined_at(value), last[v], &hint)].first;
    size_t end;
    overflow |= nnc_add(&end, place, size);
    plan->place[v] = place;
    if (end > plan->sample_elements) plan->sample_elements = end;
  }
  for (int v = 0; v < plan->n_values; v++) plan->place[v] = plan->place[plan->value[v].alias];
  nnc_free(live);
  nnc_free(last);
  size_t work = 0, most = 0; /* working memory of an op, after the values; only one op runs at a time */
  int is_recurrent = 0;
  for (int i = 0; i < plan->n_ops && !overflow; i++) {
    is_recurrent |= plan->op[i].spec.kind == NNC_LAYER_recurrent;
    overflow = work_of(plan, &plan->op[i], &work);
    plan->op[i].work = plan->sample_elements;
    most = work > most ? work : most;
  }
  size_t sample_bytes;
  overflow |=
      nnc_add(&plan->sample_elements, plan->sample_elements, most) || nnc_mul(&sample_bytes, plan->sample_elements, plan->element);
  if (overflow) return too_large(error);
  size_t block = sample_bytes ? WORKSPACE / sample_bytes : LARGEST;
  const size_t smallest =
      is_recurrent ? SMALLEST_RECURRENT : SMALLEST; /* a sample with many steps fills a register tile by itself */
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

int nnc_plan_param_count(const nnc_plan *plan) { return plan->n_params; }
void nnc_plan_param(const nnc_plan *plan, int i, nnc_param *param) { *param = plan->param[i].layout; }
double nnc_plan_flops(const nnc_plan *plan) { return plan->flops; }
size_t nnc_plan_elements(const nnc_plan *plan) { return plan->elements; }

int nnc_plan_state_count(const nnc_plan *plan) { return plan->n_states; }
void nnc_plan_state(const nnc_plan *plan, int i, nnc_param *state) { *state = plan->state[i]; }
size_t nnc_plan_state_elements(const nnc_plan *plan) { return plan->state_elements; }

void nnc_plan_bind(nnc_plan *plan, void *const *params, uint64_t *const *versions, void *grads, void *const *states, void *average,
                   void *const moments[NNC_MAX_MOMENTS]) {
  for (int i = 0; i < plan->n_params; i++) plan->param[i].layout.data = params[i];
  for (int i = 0; i < plan->n_params; i++) plan->version[i] = versions[i];
  nnc_drop_weights(plan);
  for (int i = 0; i < plan->n_states; i++) plan->state[i].data = states[i];
  plan->grads = grads;
  plan->average = average;
  memcpy(plan->moments, moments, sizeof plan->moments);
}
