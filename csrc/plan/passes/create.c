/* create.c: from the description of a network to a plan: checks every record, infers every shape, then runs the passes. After an
 * error no memory remains allocated. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "base/tiles.h"
#include "plan/plan.h"

/* Lines, columns and leading dimension of a value from its shape. Several lines stay dense, so that Flatten is a view. */
static int set_extent(nnc_value *value, size_t element) {
  size_t total = 1, bytes;
  value->lines = 1;
  for (int d = 0; d < value->shape.rank; d++) {
    if (nnc_mul(&total, total, value->shape.dim[d])) return 1;
    if (d + 1 < value->shape.rank) value->lines *= value->shape.dim[d];
  }
  value->cols = value->shape.rank ? value->shape.dim[value->shape.rank - 1] : 1;
  value->ld = value->cols;
  return nnc_mul(&bytes, total, element) || (value->lines == 1 && nnc_leading_dim(&value->ld, value->cols, element));
}

static nnc_status check_shape(const nnc_shape *shape, int i, nnc_error *error) {
  if (shape->rank < 0 || shape->rank > NNC_MAX_RANK)
    return nnc_fail(error, NNC_ERROR_SHAPE, "input %d has %d dimensions; at most %d are possible", i, shape->rank, NNC_MAX_RANK);
  for (int d = 0; d < shape->rank; d++)
    if (!shape->dim[d]) return nnc_fail(error, NNC_ERROR_SHAPE, "input %d has dimension %d of size 0", i, d);
  return NNC_OK;
}

/* Ops that share parameters form a chain that starts at the op that owns them. `last_sharer` has the end of each chain, by its
 * first op. */
static nnc_status link_sharing(nnc_plan *plan, nnc_op *op, int *last_sharer, nnc_error *error) {
  const int first = op->spec.shares, self = (int)(op - plan->op);
  last_sharer[self] = self;
  if (first == NNC_NONE) return NNC_OK;
  const nnc_op_spec *spec = &op->spec, *owner = first < 0 || first >= self ? NULL : &plan->op[first].spec;
  if (!owner || owner->shares != NNC_NONE || owner->kind != spec->kind || memcmp(&owner->size, &spec->size, sizeof spec->size))
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: shares the parameters of op %d, which is not an earlier op like it", spec->name,
                    first);
  plan->op[last_sharer[first]].next = self;
  last_sharer[first] = self;
  plan->is_sharing = 1;
  return NNC_OK;
}

static nnc_status copy_ops(nnc_plan *plan, const nnc_op_spec *ops, int *last_sharer, nnc_error *error) {
  size_t bytes = 1, n_indices = 0;
  for (int i = 0; i < plan->n_ops; i++) bytes += strlen(ops[i].name) + 1, n_indices += ops[i].n_indices;
  char *name = plan->names = nnc_alloc(bytes);
  int64_t *indices = plan->indices = n_indices ? nnc_alloc(n_indices * sizeof *indices) : NULL;
  if (!name || (n_indices && !indices))
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the names of %d layers", plan->n_ops);
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    op->spec = ops[i];
    op->spec.name = strcpy(name, ops[i].name);
    name += strlen(name) + 1;
    if (ops[i].n_indices) {
      op->spec.indices = memcpy(indices, ops[i].indices, ops[i].n_indices * sizeof *indices);
      indices += ops[i].n_indices;
    }
    op->out = plan->n_inputs + i;
    op->pre = op->out;
    op->epilogue = op->next = op->last[0] = op->last[1] = NNC_NONE;
    for (int slot = 0; slot < NNC_MAX_PARAMS; slot++) op->param[slot] = NNC_NONE;
    plan->n_called += op->spec.kind == NNC_LAYER_python;
    if (op->spec.kind < 0 || op->spec.kind >= NNC_LAYER_COUNT)
      return nnc_fail(error, NNC_ERROR_VALUE, "%s: unknown kind of layer %d", op->spec.name, op->spec.kind);
    if (op->spec.n_inputs < 1 || op->spec.n_inputs > NNC_MAX_INPUTS)
      return nnc_fail(error, NNC_ERROR_VALUE, "%s: %d inputs; 1 to %d are possible", op->spec.name, op->spec.n_inputs,
                      NNC_MAX_INPUTS);
    for (int j = 0; j < op->spec.n_inputs; j++) {
      const int v = op->spec.input[j];
      if (v < 0 || v >= op->out)
        return nnc_fail(error, NNC_ERROR_VALUE, "%s: reads value %d before it is computed", op->spec.name, v);
    }
    if (link_sharing(plan, op, last_sharer, error)) return error->status;
  }
  return NNC_OK;
}

static int has_parameters(const nnc_op *op) {
  switch (op->spec.kind) {
    case NNC_LAYER_linear:
    case NNC_LAYER_recurrent:
    case NNC_LAYER_prelu:
    case NNC_LAYER_embedding: return 1;
    case NNC_LAYER_batch_norm: return op->spec.size.batch_norm.affine != 0;
    case NNC_LAYER_layer_norm: return op->spec.size.layer_norm.has_weight != 0;
    default: return 0;
  }
}

static nnc_status infer(nnc_plan *plan, const nnc_shape *inputs, nnc_error *error) {
  for (int v = 0; v < plan->n_values; v++) {
    nnc_value *value = &plan->value[v];
    value->alias = v;
    value->producer = v < plan->n_inputs ? NNC_NONE : v - plan->n_inputs;
    if (v < plan->n_inputs) {
      if (check_shape(&inputs[v], v, error)) return error->status;
      value->shape = inputs[v];
    } else {
      nnc_op *op = &plan->op[value->producer];
      if (nnc_infer_shape(plan, op, error)) return error->status;
      for (int j = 0; j < op->spec.n_inputs; j++) {
        nnc_value *input = &plan->value[op->spec.input[j]];
        input->uses++;
        value->needs_grad |= input->needs_grad;
      }
      value->needs_grad |= nnc_python_param(plan, op, 0).cols || has_parameters(op);
    }
    if (set_extent(value, plan->element))
      return nnc_fail(error, NNC_ERROR_SIZE, "%s: one sample alone is larger than the address space",
                      value->producer == NNC_NONE ? "the input" : plan->op[value->producer].spec.name);
  }
  for (int i = 0; i < plan->n_outputs; i++) {
    const int v = plan->output[i];
    if (v < 0 || v >= plan->n_values)
      return nnc_fail(error, NNC_ERROR_VALUE, "output %d names value %d, which does not exist", i, v);
    for (int j = 0; j < i; j++)
      if (plan->output[j] == v) return nnc_fail(error, NNC_ERROR_VALUE, "outputs %d and %d are the same value", j, i);
    plan->value[v].uses++;
  }
  return NNC_OK;
}

static nnc_status build(nnc_plan *plan, const nnc_shape *inputs, const nnc_op_spec *ops, const int *outputs, nnc_error *error) {
  plan->op = nnc_alloc((size_t)plan->n_ops * sizeof *plan->op);
  plan->value = nnc_alloc((size_t)plan->n_values * sizeof *plan->value);
  plan->output = nnc_alloc((size_t)plan->n_outputs * sizeof *plan->output);
  plan->timeline = nnc_alloc(((size_t)plan->n_ops + 1) * sizeof *plan->timeline);
  if (!plan->op || !plan->value || !plan->output || !plan->timeline)
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for %d layers", plan->n_ops);
  memcpy(plan->output, outputs, (size_t)plan->n_outputs * sizeof *outputs);
  int *last_sharer = nnc_alloc((size_t)plan->n_ops * sizeof *last_sharer);
  if (!last_sharer) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for %d layers", plan->n_ops);
  copy_ops(plan, ops, last_sharer, error);
  nnc_free(last_sharer);
  if (error->status || infer(plan, inputs, error)) return error->status;
  nnc_mark_time(plan);
  nnc_fuse(plan);
  nnc_choose_drivers(plan);
  for (int i = 0; i < plan->n_outputs; i++)
    for (int j = 0; j < i; j++)
      if (plan->value[plan->output[i]].alias == plan->value[plan->output[j]].alias)
        return nnc_fail(error, NNC_ERROR_VALUE, "outputs %d and %d are the same numbers, one seen through Flatten or Identity", j,
                        i);
  plan->ld = nnc_alloc((size_t)plan->n_values * sizeof *plan->ld);
  if (!plan->ld) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for %d layers", plan->n_ops);
  for (int v = 0; v < plan->n_values; v++) plan->ld[v] = plan->value[v].ld;
  if (nnc_layout_params(plan, error) || nnc_layout_backward(plan, error) || nnc_layout_forms(plan, error) ||
      nnc_choose_writers(plan, error))
    return error->status;
  return nnc_layout_inference(plan, error);
}

nnc_status nnc_plan_create(nnc_plan **result, nnc_dtype dtype, nnc_compute compute, nnc_isa isa, const nnc_shape *inputs,
                           int n_inputs, const nnc_op_spec *ops, int n_ops, const int *outputs, int n_outputs,
                           const nnc_caller *caller, nnc_error *error) {
  *result = NULL;
  *error = (nnc_error){.status = NNC_OK};
  if (n_inputs < 1 || n_ops < 0 || n_outputs < 1 || n_ops > 1 << 24)
    return nnc_fail(error, NNC_ERROR_VALUE, "a network has at least one input and one output, and at most %d layers", 1 << 24);
  if (compute != NNC_COMPUTE_FULL && dtype != NNC_F32)
    return nnc_fail(error, NNC_ERROR_VALUE, "products in lower precision need a network of float32");
  nnc_plan *plan = nnc_alloc(sizeof *plan);
  if (!plan) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a plan");
  plan->dtype = dtype;
  plan->compute = compute;
  plan->group = compute == NNC_COMPUTE_BF16 ? NNC_SAMPLE_GROUP_BF16 : NNC_SAMPLE_GROUP;
  plan->isa = isa;
  plan->low_isa = isa != NNC_ISA_AMX ? isa : compute != NNC_COMPUTE_FULL && nnc_tiles_permit() ? NNC_ISA_AMX : NNC_ISA_AVX512;
  plan->element = dtype == NNC_F32 ? sizeof(float) : sizeof(double);
  plan->n_inputs = n_inputs;
  plan->n_outputs = n_outputs;
  plan->n_ops = n_ops;
  plan->n_values = n_inputs + n_ops;
  if (caller) plan->caller = *caller;
  if (build(plan, inputs, ops, outputs, error)) {
    nnc_plan_free(plan);
    return error->status;
  }
  *result = plan;
  return NNC_OK;
}

void nnc_plan_set_inference(nnc_plan *plan, const unsigned char *flags) {
  for (int i = 0; i < plan->n_ops; i++) plan->op[i].inference = flags[i];
}

void nnc_plan_set_context(nnc_plan *plan, void *context) { plan->caller.context = context; }

/* The blocks of memory that belong to a plan besides itself. */
#define OVER_BLOCKS(BLOCK)               \
  BLOCK(plan->op)                        \
  BLOCK(plan->value)                     \
  BLOCK(plan->param)                     \
  BLOCK(plan->output)                    \
  BLOCK(plan->names)                     \
  BLOCK(plan->indices)                   \
  BLOCK(plan->place)                     \
  BLOCK(atomic_load(&plan->spare))       \
  BLOCK(atomic_load(&plan->small_batch)) \
  BLOCK(plan->output_loss)               \
  BLOCK(plan->loss_attr)                 \
  BLOCK(plan->span)                      \
  BLOCK(plan->task)                      \
  BLOCK(plan->arena)                     \
  BLOCK(plan->act)                       \
  BLOCK(plan->norm_partial)              \
  BLOCK(plan->ld)                        \
  BLOCK(plan->state)                     \
  BLOCK(plan->packed)                    \
  BLOCK(plan->weights)                   \
  BLOCK(plan->version)                   \
  BLOCK(plan->timeline)                  \
  BLOCK(plan->penalty_partial)           \
  BLOCK(plan->summand)

void nnc_plan_free(nnc_plan *plan) {
  if (!plan) return;
#define FREE(block) nnc_free(block);
  OVER_BLOCKS(FREE)
#undef FREE
  nnc_free(plan);
}

size_t nnc_plan_bytes(const nnc_plan *plan) {
  size_t bytes = nnc_block_bytes(plan);
#define COUNT(block) bytes += nnc_block_bytes(block);
  OVER_BLOCKS(COUNT)
#undef COUNT
  return bytes;
}

void nnc_plan_shape(const nnc_plan *plan, int value, nnc_shape *shape) { *shape = plan->value[value].shape; }
