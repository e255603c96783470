/* time.c: which values have time steps, and which ops mix them.
 *
 * A value is `timed` if its first dimension is time and its step t depends only on: step t of the inputs; values without time; and,
 * through a recurrent op, which handles lengths, earlier and later steps. Then the steps after the length of a sequence are
 * padding. An op that reads a timed value in any other way mixes the steps: the padding affects its result, and a stream, which has
 * one step at a time, would give other results. Plans with such ops run, but not with lengths and not as streams.
 *
 * Ops that combine steps and take lengths into account do not mix them: pooling over time, values joined in time, layers in Python
 * that ask for lengths. Streams cannot have them; network/stream.py refuses them. A value that was joined in time has other lengths
 * than the inputs, which its timeline gives.
 *
 * An op that is not handled here counts as mixing.
 */
#include "plan/plan.h"

static const char LAST_DIMENSION[] = "it takes time for the last dimension; put Reshape((-1, 1)) before it";

static const char OTHER_STEPS[] = "its inputs do not have the same steps, as one of them was joined in time";

/* The timeline of the first input that is timed. */
static int timeline_of(const nnc_plan *plan, const nnc_op *op) {
  int j = 0;
  while (!plan->value[op->spec.input[j]].timed) j++;
  return plan->value[op->spec.input[j]].timeline;
}

static int has_one_timeline(const nnc_plan *plan, const nnc_op *op) {
  const int timeline = timeline_of(plan, op);
  for (int j = 0; j < op->spec.n_inputs; j++)
    if (plan->value[op->spec.input[j]].timed && plan->value[op->spec.input[j]].timeline != timeline) return 0;
  return 1;
}

/* Inputs with time have it at the same position as the result. Those without have one number for all steps. */
static const char *mixed_by_merge(const nnc_plan *plan, const nnc_op *op) {
  const nnc_shape *out = &plan->value[op->out].shape;
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const nnc_value *in = &plan->value[op->spec.input[j]];
    const int same_rank = in->shape.rank == out->rank;
    if (in->timed ? !same_rank || in->shape.dim[0] != out->dim[0] : same_rank && in->shape.dim[0] != 1)
      return "not all of its inputs have the time steps; one without them needs 1 in their place";
  }
  return has_one_timeline(plan, op) ? NULL : OTHER_STEPS;
}

int nnc_joins_time(const nnc_plan *plan, const nnc_op *op) {
  const int64_t axis = op->spec.size.concat.axis;
  return op->spec.kind == NNC_LAYER_concat && (axis == 1 || axis == -plan->value[op->out].shape.rank);
}

/* Joined in time, the valid steps of an input follow those of the input before; what has no time is valid as a whole. */
static const char *mixed_by_concat(const nnc_plan *plan, const nnc_op *op) {
  if (nnc_joins_time(plan, op)) return NULL;
  for (int j = 0; j < op->spec.n_inputs; j++)
    if (!plan->value[op->spec.input[j]].timed) return "not all of its inputs have time steps; join values that have them";
  return has_one_timeline(plan, op) ? NULL : OTHER_STEPS;
}

static const char *mixed_by_recurrent(const nnc_plan *plan, const nnc_op *op) {
  for (int j = 1; j < op->spec.n_inputs; j++)
    if (plan->value[op->spec.input[j]].timed) return "its initial state is made of time steps; make it of a value without time";
  return NULL;
}

static const char *mixed_by_layer_norm(const nnc_plan *plan, const nnc_op *op) {
  return nnc_norm_rank(op) < plan->value[op->out].shape.rank ? NULL : "it normalises over time; give it the dimensions after time";
}

static const char *mixed_by_flatten(const nnc_plan *plan, const nnc_op *op) {
  const int64_t start = op->spec.size.flatten.start_dim, rank = plan->value[op->spec.input[0]].shape.rank;
  if ((start < 0 ? start + rank + 1 : start) > 1) return NULL;
  return "it lays the steps side by side; let a recurrent layer without return_sequences sum them up, or flatten from start_dim=2 "
         "on";
}

/* -1 allows any number of steps. A number, even the right one, allows only sequences of that length. */
static const char *mixed_by_reshape(const nnc_plan *plan, const nnc_op *op) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape, *out = &plan->value[op->out].shape;
  if (op->spec.size.reshape.dims[0] == -1 && out->dim[0] == in->dim[0]) return NULL;
  return "its shape does not leave the steps apart; begin it with -1, and go on with the shape of one step";
}

static size_t steps_of(const nnc_plan *plan, const nnc_op *op) {
  int j = 0;
  while (!plan->value[op->spec.input[j]].timed) j++;
  return plan->value[op->spec.input[j]].shape.dim[0];
}

static const char *mixed_by_python(const nnc_plan *plan, const nnc_op *op) {
  const struct nnc_python_sizes *size = &op->spec.size.python;
  const nnc_shape *out = &plan->value[op->out].shape;
  if (!size->timewise && !size->takes_lengths)
    return "it is written in Python and may do so; where each step is computed by itself, declare timewise=True; otherwise let "
           "forward take an argument lengths";
  if (!has_one_timeline(plan, op)) return OTHER_STEPS;
  if (!size->timewise && !size->return_sequences) return NULL;
  if (!out->rank || out->dim[0] != steps_of(plan, op))
    return size->timewise ? "it declares timewise=True, but its result does not have the steps of its input"
                          : "its result does not have the steps of its input; declare return_sequences=False";
  return NULL;
}

/* The first step alone, which every sequence has, has no time. Of the others, lengths do not say which are there. */
static int is_first_step(const nnc_plan *plan, const nnc_op *op) {
  const nnc_section range = nnc_section_of(plan, op);
  return range.axis == 0 && range.first == 0 && range.count == 1;
}

static const char *mixed_by_slice(const nnc_plan *plan, const nnc_op *op) {
  if (nnc_section_of(plan, op).axis > 0 || is_first_step(plan, op)) return NULL;
  return "it takes some of the steps, which sequences of different lengths may not have; LastStep takes the last valid one";
}

/* Whether the result of an op that reads time steps has none. */
static int ends_time(const nnc_plan *plan, const nnc_op *op) {
  switch (op->spec.kind) {
    case NNC_LAYER_slice:
    case NNC_LAYER_take: return is_first_step(plan, op);
    case NNC_LAYER_state:
    case NNC_LAYER_pool: return 1;
    case NNC_LAYER_recurrent: return !op->spec.size.recurrent.return_sequences;
    case NNC_LAYER_python: return !op->spec.size.python.timewise && !op->spec.size.python.return_sequences;
    default: return 0;
  }
}

/* How an op that reads a timed value mixes its steps. */
static const char *mixed_by(const nnc_plan *plan, const nnc_op *op) {
  const int rank = plan->value[op->spec.input[0]].shape.rank;
  const char *mixes = NULL;
  switch (op->spec.kind) {
    case NNC_LAYER_recurrent: return mixed_by_recurrent(plan, op);
    case NNC_LAYER_embedding:
    case NNC_LAYER_pool:
    case NNC_LAYER_state: return NULL;
    case NNC_LAYER_batch_norm:
      if (!op->spec.size.batch_norm.features_last) return "its channels are the time steps; use axis=-1 for [N, time, features]";
      break;
    case NNC_LAYER_linear:
    case NNC_LAYER_maxout:
    case NNC_LAYER_glu:
    case NNC_LAYER_activation:
    case NNC_LAYER_dropout:
    case NNC_LAYER_gaussian_noise: break;
    case NNC_LAYER_prelu:
      mixes = op->spec.size.prelu.num_parameters == 1 ? NULL : "it has a slope for each time step; use num_parameters=1";
      break;
    case NNC_LAYER_layer_norm: mixes = rank == 1 ? NULL : mixed_by_layer_norm(plan, op); break;
    case NNC_LAYER_concat: mixes = rank == 1 ? NULL : mixed_by_concat(plan, op); break;
    case NNC_LAYER_add:
    case NNC_LAYER_multiply:
    case NNC_LAYER_maximum: mixes = mixed_by_merge(plan, op); break;
    case NNC_LAYER_flatten: mixes = mixed_by_flatten(plan, op); break;
    case NNC_LAYER_reshape: mixes = mixed_by_reshape(plan, op); break;
    case NNC_LAYER_permute:
      mixes = op->spec.size.permute.dims[0] == 1 ? NULL : "it moves the time steps to another dimension; let dims begin with 1";
      break;
    case NNC_LAYER_repeat_vector: return "it repeats a whole sequence; let a recurrent layer without return_sequences sum it up";
    case NNC_LAYER_python:
      mixes = mixed_by_python(plan, op);
      if (ends_time(plan, op)) return mixes;
      break;
    case NNC_LAYER_slice:
    case NNC_LAYER_take:
      mixes = mixed_by_slice(plan, op);
      if (ends_time(plan, op)) return mixes;
      break;
    default: return "it is not known to keep them apart";
  }
  /* One number per step does not form a line, on which losses and the ops of the last dimension work. */
  return mixes ? mixes : plan->value[op->out].shape.rank < 2 ? LAST_DIMENSION : NULL;
}

/* Whether an input of the network is an initial state, which has no time dimension whatever its shape. */
static int is_initial_state(const nnc_plan *plan, int input) {
  for (int i = 0; i < plan->n_ops; i++)
    for (int j = 1; j < plan->op[i].spec.n_inputs && plan->op[i].spec.kind == NNC_LAYER_recurrent; j++)
      if (plan->op[i].spec.input[j] == input) return 1;
  return 0;
}

static int is_output(const nnc_plan *plan, int value) {
  for (int i = 0; i < plan->n_outputs; i++)
    if (plan->output[i] == value) return 1;
  return 0;
}

/* Whether an input has time steps: at least two dimensions, or indices into a table, each of which may stand for a whole vector. */
static int has_time(const nnc_plan *plan, int v) {
  const int is_indices = nnc_plan_index_bound(plan, v) && !is_output(plan, v);
  return plan->value[v].shape.rank >= (is_indices ? 1 : 2) && !is_initial_state(plan, v);
}

/* The number of steps of the first input that has time. An input of one step is taken for time only if all have one: beside sequences
 * it stands for something whole, such as a start token. */
static size_t steps_of_inputs(const nnc_plan *plan) {
  size_t steps = 0;
  for (int v = 0; v < plan->n_inputs; v++) {
    if (!has_time(plan, v)) continue;
    if (plan->value[v].shape.dim[0] > 1) return plan->value[v].shape.dim[0];
    steps = plan->value[v].shape.dim[0];
  }
  return steps;
}

/* The number of an equal timeline. It is added if it is new; there is memory for one per op. */
static int add_timeline(nnc_plan *plan, nnc_timeline time) {
  int i = 0;
  while (i < plan->n_timelines && (plan->timeline[i].times != time.times || plan->timeline[i].plus != time.plus)) i++;
  if (i == plan->n_timelines) plan->timeline[plan->n_timelines++] = time;
  return i;
}

static int timeline_of_result(nnc_plan *plan, const nnc_op *op) {
  if (!nnc_joins_time(plan, op)) return timeline_of(plan, op);
  nnc_timeline sum = {0, 0};
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const nnc_value *in = &plan->value[op->spec.input[j]];
    sum.times += in->timed ? plan->timeline[in->timeline].times : 0;
    sum.plus += in->timed ? plan->timeline[in->timeline].plus : in->shape.dim[0];
  }
  return add_timeline(plan, sum);
}

void nnc_mark_time(nnc_plan *plan) {
  plan->timeline[plan->n_timelines++] = (nnc_timeline){1, 0};
  plan->steps = steps_of_inputs(plan);
  for (int v = 0; v < plan->n_inputs; v++) plan->value[v].timed = has_time(plan, v) && plan->value[v].shape.dim[0] == plan->steps;
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    int reads_time = 0;
    for (int j = 0; j < op->spec.n_inputs; j++) reads_time |= plan->value[op->spec.input[j]].timed;
    if (!reads_time) continue;
    op->mixes = mixed_by(plan, op);
    if (op->mixes || ends_time(plan, op)) continue;
    plan->value[op->out].timeline = timeline_of_result(plan, op);
    plan->value[op->out].timed = 1;
  }
}

size_t nnc_plan_steps(const nnc_plan *plan, int *op) {
  for (*op = 0; *op < plan->n_ops; ++*op)
    if (plan->op[*op].mixes) return 0;
  *op = NNC_NONE;
  return plan->steps;
}

const char *nnc_plan_mixing(const nnc_plan *plan, int op) { return plan->op[op].mixes; }

int nnc_plan_is_timed(const nnc_plan *plan, int value, size_t *times, size_t *plus) {
  const nnc_value *v = &plan->value[value];
  *times = plan->timeline[v->timeline].times;
  *plus = plan->timeline[v->timeline].plus;
  return v->timed;
}
