/* time.c: which values have time steps, and which ops mix them.
 *
 * A value is `timed` if its first dimension is time and its step t depends only on: step t of the inputs; values without time; and,
 * through a recurrent op, which handles lengths, earlier and later steps. Then the steps after the length of a sequence are
 * padding. An op that reads a timed value in any other way mixes the steps: the padding affects its result, and a stream, which has
 * one step at a time, would give other results. Plans with such ops run, but not with lengths and not as streams.
 *
 * An op that is not handled here counts as mixing.
 */
#include "plan/plan.h"

static const char LAST_DIMENSION[] = "it takes time for the last dimension; put Reshape((-1, 1)) before it";

/* Inputs with time have it at the same position as the result. Those without have one number for all steps. */
static const char *mixed_by_merge(const nnc_plan *plan, const nnc_op *op) {
  const nnc_shape *out = &plan->value[op->out].shape;
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const nnc_value *in = &plan->value[op->spec.input[j]];
    const int same_rank = in->shape.rank == out->rank;
    if (in->timed ? !same_rank || in->shape.dim[0] != out->dim[0] : same_rank && in->shape.dim[0] != 1)
      return "not all of its inputs have the time steps; one without them needs 1 in their place";
  }
  return NULL;
}

static const char *mixed_by_concat(const nnc_plan *plan, const nnc_op *op) {
  const int64_t axis = op->spec.size.concat.axis;
  if (axis == 1 || axis == -plan->value[op->out].shape.rank)
    return "it joins its inputs one after the other in time; join them along another axis";
  for (int j = 0; j < op->spec.n_inputs; j++)
    if (!plan->value[op->spec.input[j]].timed) return "not all of its inputs have time steps; join values that have them";
  return NULL;
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

static const char *mixed_by_python(const nnc_plan *plan, const nnc_op *op) {
  const nnc_shape *out = &plan->value[op->out].shape;
  if (!op->spec.size.python.timewise)
    return "it is written in Python and may do so; where each step is computed by itself, declare timewise=True";
  if (!out->rank || out->dim[0] != plan->steps)
    return "it declares timewise=True, but its result does not have the steps of its input";
  return NULL;
}

/* How an op that reads a timed value mixes its steps. */
static const char *mixed_by(const nnc_plan *plan, const nnc_op *op) {
  const int rank = plan->value[op->spec.input[0]].shape.rank;
  const char *mixes = NULL;
  switch (op->spec.kind) {
    case NNC_LAYER_recurrent: return mixed_by_recurrent(plan, op);
    case NNC_LAYER_embedding:
    case NNC_LAYER_state: return NULL;
    case NNC_LAYER_batch_norm: return "its channels are the time steps; use LayerNorm";
    case NNC_LAYER_linear:
    case NNC_LAYER_maxout:
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
    case NNC_LAYER_python: mixes = mixed_by_python(plan, op); break;
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

/* Inputs with at least two dimensions, and indices into a table, whose first dimension equals that of the first such input. */
static void mark_input(nnc_plan *plan, int v) {
  nnc_value *value = &plan->value[v];
  const int is_indices = nnc_plan_index_bound(plan, v) && !is_output(plan, v); /* each may stand for a whole vector */
  if (value->shape.rank < (is_indices ? 1 : 2) || is_initial_state(plan, v)) return;
  if (plan->steps && value->shape.dim[0] != plan->steps) return;
  plan->steps = value->shape.dim[0];
  value->timed = 1;
}

void nnc_mark_time(nnc_plan *plan) {
  for (int v = 0; v < plan->n_inputs; v++) mark_input(plan, v);
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    const int kind = op->spec.kind,
              ends_time = kind == NNC_LAYER_state || (kind == NNC_LAYER_recurrent && !op->spec.size.recurrent.return_sequences);
    int reads_time = 0;
    for (int j = 0; j < op->spec.n_inputs; j++) reads_time |= plan->value[op->spec.input[j]].timed;
    if (!reads_time) continue;
    op->mixes = mixed_by(plan, op);
    plan->value[op->out].timed = !op->mixes && !ends_time;
  }
}

size_t nnc_plan_steps(const nnc_plan *plan, int *op) {
  for (*op = 0; *op < plan->n_ops; ++*op)
    if (plan->op[*op].mixes) return 0;
  *op = NNC_NONE;
  return plan->steps;
}

const char *nnc_plan_mixing(const nnc_plan *plan, int op) { return plan->op[op].mixes; }

int nnc_plan_is_timed(const nnc_plan *plan, int value) { return plan->value[value].timed; }
