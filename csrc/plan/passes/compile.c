/* compile.c: makes a network trainable: losses, update spans, parameter tasks, and the training arena. */
#include <assert.h>
#include <string.h>

#include "base/sizes.h"
#include "ops/registry.h"
#include "plan/optimizer.h"
#include "plan/plan.h"
#include "plan/layers/recurrent/recurrent.h"
#include "plan/partition.h"

/* attr: memory for the attributes of all losses. */
static void set_output_losses(nnc_plan *plan, const nnc_loss_spec *losses, const nnc_statistics *statistics, double *attr) {
  nnc_free(plan->loss_attr);
  plan->loss_attr = attr;
  for (int i = 0; i < plan->n_outputs; i++) {
    const int called = losses[i].loss == NNC_LOSS_CALLED, half = !called && nnc_losses[losses[i].loss].is_half;
    nnc_output_loss *out = &plan->output_loss[i];
    *out = (nnc_output_loss){
        .loss = losses[i].loss,
        .index_target = called ? losses[i].index_target : nnc_losses[losses[i].loss].is_index,
        .reduction = losses[i].reduction,
        .weight = losses[i].weight,
        .ignores = losses[i].ignores,
        .ignored = losses[i].ignored,
        .attr = attr,
        .logits_kernel = losses[i].from_logits,
        .statistics = statistics[i],
    };
    for (int j = 0; j < losses[i].n_attr; j++) *attr++ = losses[i].attr[j];
    out->target_cols = out->index_target ? 1 : plan->value[plan->output[i]].cols / (half ? 2 : 1);
  }
  nnc_fuse_losses(plan);
  for (int i = 0; i < plan->n_outputs; i++)
    if (plan->output_loss[i].logits_kernel) plan->output_loss[i].loss = nnc_logits_kernel(plan->output_loss[i].loss);
}

/* The first writer of a gradient sets it, later ones add to it. The loss writes first, then the ops from the last to the first. */
static void mark_accumulation(nnc_plan *plan, unsigned char *written) {
  for (int i = 0; i < plan->n_outputs; i++) written[plan->value[plan->output[i]].alias] = 1;
  for (int i = plan->n_ops - 1; i >= 0; i--) {
    nnc_op *op = &plan->op[i];
    if (op->skipped) continue;
    for (int j = 0; j < op->spec.n_inputs; j++) {
      const int root = plan->value[op->spec.input[j]].alias;
      const int in_place = root == plan->value[op->out].alias;
      op->accumulates[j] = written[root] && !in_place;
      written[root] = 1;
    }
  }
}

static int same_options(const nnc_param_options *a, const nnc_param_options *b) {
  return a->trainable == b->trainable && a->lr_scale == b->lr_scale && a->weight_decay == b->weight_decay && a->l1 == b->l1 &&
         a->l2 == b->l2 && a->max_norm == b->max_norm;
}

static void set_spans(nnc_plan *plan) {
  plan->n_spans = 0;
  for (int i = 0; i < plan->n_params; i++) {
    const nnc_parameter *p = &plan->param[i];
    nnc_span *last = plan->n_spans ? &plan->span[plan->n_spans - 1] : NULL;
    const char *first = last ? plan->param[last->param].layout.data : NULL; /* values may belong to another plan */
    const int adjacent = last && last->offset + last->elements == p->layout.offset &&
                         first + last->elements * plan->element == (const char *)p->layout.data;
    if (adjacent && plan->optimizer.clip_norm_each == 0 && same_options(&last->options, &p->options))
      last->elements = p->layout.offset + p->elements - last->offset;
    else plan->span[plan->n_spans++] = (nnc_span){p->layout.offset, p->elements, i, p->options};
  }
}

/* Tasks are blocks of weight rows of about TASK_ELEMENTS, whose gradient stays in the second-level cache until the update has read
 * it. They have at least LEAST_ROWS, because each of them reads the whole gradient of the layer's result. */
enum { TASK_ELEMENTS = 128 << 10, LEAST_ROWS = 96, FUSED_FROM = 4 << 10 };

static size_t unit_of(const nnc_plan *plan, const nnc_op *op) {
  return op->driver == NNC_DRIVER_LINEAR_BF16 && nnc_plan_weaves(plan) ? NNC_TASK_ROWS_WOVEN : NNC_TASK_ROWS;
}

static size_t rows_per_task(const nnc_plan *plan, size_t cols) {
  size_t rows = TASK_ELEMENTS / cols;
  rows -= rows % (plan->compute == NNC_COMPUTE_BF16 ? NNC_TASK_ROWS_WOVEN : NNC_TASK_ROWS);
  return rows < LEAST_ROWS ? LEAST_ROWS : rows;
}

static void add_task(nnc_plan *plan, nnc_task task) {
  if (plan->task) plan->task[plan->n_tasks] = task;
  plan->n_tasks++;
  plan->work += task.work;
}

/* Sets the cost of each task as a whole number, when the total work is known. Returns the total cost. */
static uint64_t set_costs(nnc_task *task, int n, double work) {
  uint64_t total = 0;
  for (int i = 0; i < n; i++) {
    task[i].before = total;
    task[i].cost = nnc_cost_of(task[i].work, work);
    total += task[i].cost;
  }
  return total;
}

int nnc_find_bad_partition(const double *work, const size_t *rows, int n, int most) {
  nnc_task *task = nnc_alloc((size_t)n * sizeof *task);
  double all = 0;
  int size = 1;
  if (!task) return -1;
  for (int i = 0; i < n; all += work[i++]) task[i] = (nnc_task){.last = rows[i], .unit = NNC_TASK_ROWS, .work = work[i]};
  const uint64_t total = set_costs(task, n, all);
  while (size <= most && nnc_partition_covers(task, n, total, size)) size++;
  nnc_free(task);
  return size <= most ? size : 0;
}

/* The factor by which preparing the next step increases the cost of a weight: it makes the copy that the gradient of the input
 * reads. Measured at 64 samples. */
static double preparation(const nnc_plan *plan, const nnc_op *op) {
  return op->spec.kind == NNC_LAYER_linear && plan->value[op->spec.input[0]].needs_grad ? 1.15 : 1;
}

/* The tasks of one weight. `bias` is the slot of the parameter that is processed with its first rows, if that exists. */
static void add_tasks(nnc_plan *plan, int i, int slot, int bias) {
  const nnc_op *op = &plan->op[i];
  if (op->param[slot] == NNC_NONE || op->spec.shares != NNC_NONE) return; /* the first op's tasks serve all ops that share */
  const nnc_param *w = &plan->param[op->param[slot]].layout;
  const size_t step = rows_per_task(plan, w->cols);
  int sharers = 1;
  for (int other = op->next; other != NNC_NONE; other = plan->op[other].next) sharers++;
  for (size_t first = 0; first < w->rows; first += step) {
    const size_t last = first + step < w->rows ? first + step : w->rows;
    const int along = first == 0 && bias && op->param[bias] != NNC_NONE ? bias : 0;
    const double work = (double)(last - first + (along ? 1 : 0)) * (double)w->cols * sharers *
                        (double)plan->value[op->spec.input[0]].lines * preparation(plan, op);
    add_task(plan, (nnc_task){i, slot, along, 0, first, last, unit_of(plan, op), work, 0, 0});
  }
}

/* The tasks of a vector whose gradient is a sum over the samples, by columns. */
static void add_column_tasks(nnc_plan *plan, int i) {
  enum { TASK_COLUMNS = 256, MOST_TASKS = 4096 };
  const nnc_op *op = &plan->op[i];
  if (op->param[0] == NNC_NONE || op->spec.shares != NNC_NONE) return;
  const size_t cols = plan->param[op->param[0]].layout.cols;
  int sharers = 1;
  for (int other = op->next; other != NNC_NONE; other = plan->op[other].next) sharers++;
  const size_t step = (cols / TASK_COLUMNS / MOST_TASKS + 1) * TASK_COLUMNS;
  for (size_t first = 0; first < cols; first += step) {
    const size_t last = cols - first < step ? cols : first + step;
    add_task(plan, (nnc_task){i, 0, op->param[1] == NNC_NONE ? 0 : 1, 1, first, last, NNC_TASK_ROWS,
                              2.0 * (double)(last - first) * sharers * (double)plan->value[op->spec.input[0]].lines, 0, 0});
  }
}

static void set_tasks(nnc_plan *plan) {
  plan->n_tasks = 0;
  plan->work = 0;
  for (int i = 0; i < plan->n_ops; i++) {
    const int kind = plan->op[i].spec.kind, alike = kind == NNC_LAYER_python; /* each parameter has its own tasks */
    if (kind == NNC_LAYER_layer_norm) {
      add_column_tasks(plan, i);
      continue;
    }
    if (kind != NNC_LAYER_recurrent) {
      add_tasks(plan, i, 0, !alike);
      for (int slot = 1; alike && slot < NNC_MAX_PARAMS; slot++) add_tasks(plan, i, slot, 0);
      continue;
    }
    for (int slot = 0; slot < NNC_SLOT_INITIAL; slot += slot % 4 ? 3 : 1) add_tasks(plan, i, slot, slot + NNC_SLOT_B_IH);
    for (int slot = NNC_SLOT_INITIAL; slot < NNC_MAX_PARAMS; slot++) add_tasks(plan, i, slot, 0);
  }
}

/* Losses and optimizers do not change these two. A backward pass by hand needs them as well. */
nnc_status nnc_layout_backward(nnc_plan *plan, nnc_error *error) {
  set_tasks(plan); /* only counts them */
  plan->task = nnc_alloc((size_t)plan->n_tasks * sizeof *plan->task);
  unsigned char *written = plan->task ? nnc_alloc((size_t)plan->n_values) : NULL;
  if (!written) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the backward pass of %d layers", plan->n_ops);
  set_tasks(plan);
  plan->task_cost = set_costs(plan->task, plan->n_tasks, plan->work);
  for (int size = 1; size <= 64; size++) assert(nnc_partition_covers(plan->task, plan->n_tasks, plan->task_cost, size));
  mark_accumulation(plan, written);
  nnc_free(written);
  return NNC_OK;
}

size_t nnc_penalty_rows(const nnc_param *layout, const nnc_param_options *options) {
  enum { PIECE = 16 << 10 };
  if (!options->trainable || (options->l1 == 0 && options->l2 == 0)) return 0;
  return layout->cols < PIECE ? PIECE / layout->cols : 1;
}

static nnc_status set_options(nnc_plan *plan, const nnc_param_options *options, nnc_error *error) {
  size_t pieces = 0;
  int constrained = 0;
  for (int i = 0; i < plan->n_params; i++) {
    const size_t rows = nnc_penalty_rows(&plan->param[i].layout, &options[i]);
    if (rows) pieces += (plan->param[i].layout.rows + rows - 1) / rows;
    constrained |= options[i].trainable && options[i].max_norm > 0;
  }
  double *partial = pieces ? nnc_alloc(pieces * sizeof *partial) : NULL;
  if (pieces && !partial) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the penalties of %d layers", plan->n_ops);
  nnc_free(plan->penalty_partial);
  plan->penalty_partial = partial;
  plan->n_penalty_pieces = (int)pieces;
  plan->constrained = constrained;
  for (int i = 0; i < plan->n_params; i++) plan->param[i].options = options[i];
  return NNC_OK;
}

nnc_status nnc_plan_compile(nnc_plan *plan, const nnc_loss_spec *losses, const nnc_optimizer_spec *optimizer,
                            const nnc_param_options *options, const nnc_statistics *statistics, nnc_error *error) {
  *error = (nnc_error){.status = NNC_OK};
  nnc_output_loss *out = plan->output_loss ? plan->output_loss : nnc_alloc((size_t)plan->n_outputs * sizeof *out);
  nnc_span *span = plan->span ? plan->span : nnc_alloc((size_t)plan->n_params * sizeof *span);
  double *partial = plan->norm_partial ? plan->norm_partial : nnc_alloc((size_t)plan->n_params * sizeof *partial);
  plan->output_loss = out;
  plan->span = span;
  plan->norm_partial = partial;
  if (!out || !span || !partial) /* only at the first call: an old configuration stays valid */
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory to compile a network of %d layers", plan->n_ops);
  size_t attributes = 1;
  for (int i = 0; i < plan->n_outputs; i++) attributes += (size_t)losses[i].n_attr;
  double *attr = nnc_alloc(attributes * sizeof *attr);
  if (!attr) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory to compile a network of %d layers", plan->n_ops);
  if (set_options(plan, options, error)) {
    nnc_free(attr);
    return error->status;
  }
  set_output_losses(plan, losses, statistics, attr);
  plan->optimizer = *optimizer;
  set_spans(plan);
  plan->fused_update =
      optimizer->clip_norm == 0 && optimizer->clip_norm_each == 0 && !plan->constrained && plan->elements >= FUSED_FROM;
  plan->compiled = 1;
  nnc_plan_set_ranks(plan, NULL);
  return NNC_OK;
}

/* The memory of the losses, or of what ranks exchange, has changed, so the arena must be planned again. */
void nnc_plan_set_ranks(nnc_plan *plan, const nnc_ranks *ranks) {
  plan->ranks = ranks ? *ranks : (nnc_ranks){.ranks = 1};
  plan->rows_reserved = plan->carried_rows = 0;
  nnc_free(plan->arena);
  plan->arena = NULL;
}

size_t nnc_statistic_size(const nnc_statistic_spec *spec, size_t cols) {
  switch (spec->kind) {
    case NNC_STATISTIC_RESIDUALS: return NNC_SUM_EACH + 7 * cols;
    case NNC_STATISTIC_LOSS: return 2;
    default: return NNC_SUM_EACH + (spec->count == NNC_COUNT_EACH ? 3 * cols : spec->count == NNC_COUNT_PAIRS ? cols * cols : 0);
  }
}

nnc_update nnc_update_scalars(const nnc_plan *plan, double lr, int64_t done) {
  nnc_update update = {
      .lr = lr,
      .weight_decay = plan->optimizer.weight_decay,
      .grad_scale = 1,
      .penalty_scale = 1,
      .clip_value = plan->optimizer.clip_value,
      .step = done + 1,
  };
  memcpy(update.attr, plan->optimizer.attr, sizeof update.attr);
  nnc_optimizer_prepare(plan->optimizer.optimizer, &update);
  return update;
}

/* Whether an op can add to an input's gradient that others have written, without separate memory. */
static int adds_directly(const nnc_op *op) {
  switch (op->spec.kind) {
    case NNC_LAYER_linear:
    case NNC_LAYER_add:
    case NNC_LAYER_multiply:
    case NNC_LAYER_concat:
    case NNC_LAYER_permute:
    case NNC_LAYER_repeat_vector:
    case NNC_LAYER_slice:
    case NNC_LAYER_take:
    case NNC_LAYER_recurrent:
    case NNC_LAYER_state: return 1;
    default: return 0;
  }
}

/* Offsets of everything in the training arena for `rows` samples; returns its bytes in *total, and non-zero on overflow. */
static int plan_arena(nnc_plan *plan, size_t rows, size_t *total) {
  *total = 0;
  const size_t element = plan->element;
  for (int v = 0; v < plan->n_values; v++) {
    nnc_value *value = &plan->value[v];
    size_t n;
    if (value->alias != v) continue;
    if (nnc_mul(&n, nnc_value_elements(value), rows) || nnc_arena_take(total, &value->act, n, element) ||
        nnc_arena_take(total, &value->grad, n, element))
      return 1;
  }
  for (int i = 0; i < plan->n_outputs && plan->compiled; i++) {
    nnc_output_loss *out = &plan->output_loss[i];
    size_t lines, n;
    if (nnc_mul(&lines, rows, plan->value[out->prediction].lines) || nnc_mul(&n, lines, out->target_cols) ||
        nnc_arena_take(total, &out->target, n, element) || nnc_arena_take(total, &out->row_loss, lines, element) ||
        nnc_arena_take(total, &out->row_weight, lines, element))
      return 1;
  }
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    if (op->spec.kind == NNC_LAYER_batch_norm) { /* see layers/batch_norm_typed.c */
      const size_t steps = op->spec.size.batch_norm.features_last ? plan->value[op->out].lines : 1;
      size_t row, n, chunks = rows / NNC_NORM_CHUNK + 1;
      if (steps > 1 && nnc_mul(&chunks, rows, (steps + NNC_NORM_CHUNK - 1) / NNC_NORM_CHUNK)) return 1;
      if (nnc_round_up(&row, (size_t)op->spec.size.batch_norm.num_features, element) || nnc_mul(&n, chunks, 2) ||
          nnc_add(&n, n, 4) || nnc_mul(&n, row, n) || nnc_arena_take(total, &op->saved, n, element))
        return 1;
      if (plan->ranks.joins_norms && (nnc_mul(&n, 2 * row + NNC_ALIGNMENT / element, (size_t)plan->ranks.ranks) ||
                                      nnc_arena_take(total, &op->joined, n, element)))
        return 1;
    }
    if (op->spec.kind == NNC_LAYER_dropout) { /* a byte per number */
      const nnc_value *out = &plan->value[op->out];
      size_t n;
      if (nnc_mul(&n, rows, out->lines) || nnc_mul(&n, n, out->cols) || nnc_arena_take(total, &op->saved, n / element + 1, element))
        return 1;
    }
    if (op->spec.kind == NNC_LAYER_recurrent && nnc_reserve_recurrent(plan, op, rows, total)) return 1;
    if (op->spec.kind == NNC_LAYER_layer_norm) {
      size_t n;
      if (nnc_mul(&n, 2 * nnc_norm_groups(plan, op), rows) || nnc_arena_take(total, &op->saved, n, element)) return 1;
    }
    if (op->driver != NNC_LAYER_linear) continue;
    const nnc_param *w = &plan->param[op->param[0]].layout;
    size_t n;
    if (nnc_leading_dim(&op->packed_ld, w->rows, element) || nnc_mul(&n, op->packed_ld, w->cols) ||
        nnc_arena_take(total, &op->packed, n, element))
      return 1;
  }
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    size_t n = 0;
    for (int j = 0; j < op->spec.n_inputs; j++)
      if (op->accumulates[j] && !adds_directly(op)) n = nnc_value_elements(&plan->value[op->spec.input[j]]);
    if (n && (nnc_mul(&n, n, rows) || nnc_arena_take(total, &op->packed, n, element))) return 1;
  }
  if (plan->n_bf16 && nnc_reserve_forms(plan, rows, total)) return 1;
  for (int i = 0; i < 2; i++) {
    size_t n;
    if (nnc_mul(&n, plan->stateful ? plan->carry : 0, rows) || nnc_arena_take(total, &plan->carried[i], n, element)) return 1;
  }
  size_t lengths;
  return (plan->is_sharing && nnc_arena_take(total, &plan->shared_grads, plan->elements, element)) ||
         nnc_mul(&lengths, rows, (size_t)plan->n_timelines) || nnc_arena_take(total, &plan->lengths, lengths, sizeof(int64_t));
}

/* How many numbers of one sample enter a statistic of batch normalisation. */
static size_t rows_of_statistic(const nnc_plan *plan, const nnc_op *op) {
  const nnc_value *v = &plan->value[op->out];
  return op->spec.size.batch_norm.features_last ? v->lines : v->shape.rank == 1 ? 1 : v->cols;
}

size_t nnc_plan_least_rows(const nnc_plan *plan, int training, int *op) {
  for (*op = 0; *op < plan->n_ops; ++*op)
    if (plan->op[*op].spec.kind == NNC_LAYER_batch_norm && ((training && !plan->op[*op].inference) || plan->op[*op].whole_batch) &&
        rows_of_statistic(plan, &plan->op[*op]) == 1)
      return 2;
  return 1;
}

int nnc_plan_needs_two_steps(const nnc_plan *plan, int training, int *op) {
  for (*op = 0; *op < plan->n_ops; ++*op) {
    const nnc_op *o = &plan->op[*op];
    const nnc_value *v = &plan->value[o->out];
    if (o->spec.kind != NNC_LAYER_batch_norm || !v->timed || !((training && !o->inference) || o->whole_batch)) continue;
    const nnc_timeline *time = &plan->timeline[v->timeline];
    if (time->times + time->plus == 1 && v->lines == v->shape.dim[0]) return 1;
  }
  return 0;
}

size_t nnc_plan_arena_bytes(const nnc_plan *plan, size_t rows) {
  size_t total = 0, n;
  int overflow = 0;
  for (int v = 0; v < plan->n_values; v++)
    if (plan->value[v].alias == v)
      overflow |=
          nnc_mul(&n, nnc_value_elements(&plan->value[v]), 2 * plan->element) || nnc_mul(&n, n, rows) || nnc_add(&total, total, n);
  for (int i = 0; i < plan->n_ops; i++)
    if (plan->op[i].spec.kind == NNC_LAYER_recurrent)
      overflow |= nnc_mul(&n, nnc_recurrent_bytes(plan, &plan->op[i]), rows) || nnc_add(&total, total, n);
  for (int i = 0; i < plan->n_ops; i++)
    overflow |= nnc_mul(&n, nnc_operand_bytes(plan, &plan->op[i]), rows) || nnc_add(&total, total, n);
  return overflow ? PTRDIFF_MAX : total;
}

nnc_status nnc_plan_reserve(nnc_plan *plan, size_t rows, nnc_error *error) {
  if (plan->arena && rows <= plan->rows_reserved) return NNC_OK; /* with 0 rows, the transposed weights are still needed */
  *error = (nnc_error){.status = NNC_OK};
  if (plan->compute == NNC_COMPUTE_INT8)
    return nnc_fail(error, NNC_ERROR_VALUE,
                    "weights of 8-bit integers are for inference alone; train the model that was quantized, and quantize it again");
  size_t total;
  const size_t before = plan->rows_reserved, carried = plan->carried[plan->carry_turn];
  const int overflow = plan_arena(plan, rows, &total);
  void **table = overflow ? NULL : nnc_alloc(2 * (size_t)plan->n_values * sizeof *table);
  char *arena = table ? nnc_alloc(total) : NULL;
  if (!arena) {
    nnc_free(table);
    if (before) plan_arena(plan, before, &total); /* restore the offsets of the existing arena */
    return overflow
               ? nnc_fail(error, NNC_ERROR_SIZE, "a batch of %zu rows is larger than the address space; lower batch_size", rows)
               : nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a batch of %zu rows (%zu bytes); lower batch_size", rows, total);
  }
  if (plan->arena && plan->stateful)
    memcpy(arena + plan->carried[plan->carry_turn] * plan->element, (char *)plan->arena + carried * plan->element,
           plan->carried_rows * plan->carry * plan->element);
  nnc_free(plan->arena);
  nnc_free(plan->act);
  plan->arena = arena;
  plan->act = table;
  plan->grad = table + plan->n_values;
  for (int v = 0; v < plan->n_values; v++) {
    const nnc_value *root = &plan->value[plan->value[v].alias];
    plan->act[v] = arena + root->act * plan->element;
    plan->grad[v] = arena + root->grad * plan->element;
  }
  plan->rows_reserved = rows;
  return NNC_OK;
}

nnc_status nnc_plan_reserve_sum(nnc_plan *plan, nnc_error *error) {
  if (!plan->summand) plan->summand = nnc_alloc(plan->elements * plan->element);
  return plan->summand ? NNC_OK : nnc_fail(error, NNC_ERROR_MEMORY, "no memory to add up gradients of several batches");
}

nnc_status nnc_plan_inherit(nnc_plan *plan, const nnc_plan *before, nnc_error *error) {
  size_t rows;
  if (plan->compiled) nnc_plan_set_ranks(plan, before->ranks.sum ? &before->ranks : NULL);
  const void *states = nnc_plan_carried(before, &rows);
  const nnc_status status = states ? nnc_plan_reserve(plan, rows, error) : NNC_OK;
  if (status != NNC_OK) return status;
  if (states) nnc_plan_carry_on(plan, states, rows);
  else nnc_plan_reset_states(plan);
  return status;
}
