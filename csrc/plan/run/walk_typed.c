/* walk_typed.c: the ops of a plan in order, in reverse, and one thread's part of the parameter tasks. */
#include "plan/engine.h"
#include "plan/partition.h"

static const NNC_TYPED(nnc_driver) *const drivers[NNC_DRIVER_COUNT] = {
#define NNC_LAYER(name, sizes, attributes) &NNC_TYPED(nnc_driver_##name),
#include "ops/ops.def"
#if !NNC_BUILD_F64
    [NNC_DRIVER_LINEAR_BF16] = &nnc_driver_linear_bf16_f32,
#endif
};

void nnc_no_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  (void)run, (void)op, (void)task, (void)rows;
}

void nnc_nothing_to_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) { (void)run, (void)op, (void)task; }

nnc_forward_fn *nnc_op_forward(const nnc_op *op) { return op->skipped ? NULL : drivers[op->driver]->forward; }

nnc_run nnc_training_run(const nnc_plan *plan, const nnc_progress *progress, nnc_thread *self, size_t rows) {
  return (nnc_run){
      .plan = plan,
      .k = nnc_plan_kernels(plan),
      .low = nnc_low_kernels_for(plan->low_isa),
      .act = (real *const *)plan->act,
      .grad = (real *const *)plan->grad,
      .ld = plan->ld,
      .grads = plan->grads,
      .arena = plan->arena,
      .block = plan->arena,
      .seed = progress->seed,
      .step = progress->step,
      .pass = progress->pass,
      .self = self,
      .rows = rows,
      .lengths_ld = plan->rows_reserved,
  };
}

/* Batch norm, which combines the samples: all threads must arrive, each processes its channels, and all wait for the result. Parts
 * are whole cache lines. */
static void over_channels(const nnc_run *run, const nnc_op *op, void (*channels)(const nnc_run *, const nnc_op *, size_t, size_t)) {
  const size_t count = (size_t)op->spec.size.batch_norm.num_features, line = NNC_ALIGNMENT / sizeof(real);
  size_t first, last;
  nnc_partition(run->self, (count + line - 1) / line, &first, &last);
  nnc_barrier(run->self);
  if (first < last) channels(run, op, first * line, last * line < count ? last * line : count);
  nnc_barrier(run->self);
}

/* With ranks, whose statistics are joined: non-zero if that fails. */
static int join_ranks(const nnc_run *run, const nnc_op *op, void (*joined)(const nnc_run *, const nnc_op *)) {
  if (!nnc_op_joins(run, op)) return 0;
  if (run->self->rank == 0) joined(run, op);
  nnc_barrier(run->self);
  return *run->failed;
}

/* Ops that share parameters add their gradients in a fixed order: the first one writes the gradient itself; each other one writes
 * into a second buffer, which is then added. If gradients are added to those of earlier batches, the first one does so too. So
 * drivers need to handle neither. */
static real *second_grads(const nnc_run *run) {
  return run->plan->summand ? run->plan->summand : run->arena + run->plan->shared_grads;
}

static nnc_run with_second_grads(const nnc_run *run) {
  nnc_run other = *run;
  other.grads = second_grads(run);
  return other;
}

static void add_second_grads(const nnc_run *run, size_t offset, size_t n) {
  run->k->accumulate(run->grads + offset, second_grads(run) + offset, 1, n, n, n);
}

/* In reverse order of the ops, like the backward pass. */
static void backward_channels(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (op->next == NNC_NONE && !run->accumulates) {
    drivers[op->driver]->backward_channels(run, op, first, last);
    return;
  }
  const nnc_run other = with_second_grads(run);
  drivers[op->driver]->backward_channels(&other, op, first, last);
  for (int slot = 0; slot < NNC_MAX_PARAMS; slot++)
    if (op->param[slot] != NNC_NONE) add_second_grads(run, run->plan->param[op->param[slot]].layout.offset + first, last - first);
}

/* An op that processes the whole batch at once. In inference, a block counts as the batch. */
static void over_batch(const nnc_run *run, const nnc_op *op, void (*whole)(const nnc_run *, const nnc_op *, size_t, size_t)) {
  nnc_barrier(run->self);
  if (run->self->rank == 0) whole(run, op, 0, run->rows);
  nnc_barrier(run->self);
}

/* An op whose samples can be divided into more parts than those of other ops: a recurrent layer takes most of the time, and the groups
 * of a small batch may be too few for the threads. */
static int divides_groups(const nnc_run *run, const nnc_op *op) {
  const size_t groups = (run->rows + run->plan->group - 1) / run->plan->group;
  return op->unit && run->self && groups % (size_t)run->self->size != 0;
}

static void over_units(const nnc_run *run, const nnc_op *op, void (*part)(const nnc_run *, const nnc_op *, size_t, size_t)) {
  size_t first, last;
  nnc_partition(run->self, (run->rows + op->unit - 1) / op->unit, &first, &last);
  nnc_barrier(run->self);
  if (first < last) part(run, op, first * op->unit, last * op->unit < run->rows ? last * op->unit : run->rows);
  nnc_barrier(run->self);
}

void nnc_run_forward(const nnc_run *run, size_t first, size_t last) {
  for (int i = 0; i < run->plan->n_ops; i++) {
    const nnc_op *op = &run->plan->op[i];
    if (op->skipped) continue;
    if ((nnc_op_trains(run, op) || op->whole_batch) && run->self && drivers[op->driver]->forward_channels) {
      if (run->self->rank == 0) drivers[op->driver]->begin_batch(run, op);
      if (first < last) drivers[op->driver]->forward_partial(run, op, first, last);
      over_channels(run, op, drivers[op->driver]->forward_channels);
      if (join_ranks(run, op, drivers[op->driver]->forward_joined)) return;
      if (first < last) drivers[op->driver]->forward_rest(run, op, first, last);
    } else if (run->self && drivers[op->driver]->whole_batch) {
      over_batch(run, op, drivers[op->driver]->forward);
      if (*run->failed) return;
    } else if (divides_groups(run, op)) {
      over_units(run, op, drivers[op->driver]->forward);
    } else if (first < last) {
      drivers[op->driver]->forward(run, op, first, last);
    }
  }
}

void nnc_run_backward(const nnc_run *run, size_t first, size_t last) {
  for (int i = run->plan->n_ops - 1; i >= 0; i--) {
    const nnc_op *op = &run->plan->op[i];
    if (op->skipped || !(run->plan->value[op->out].needs_grad || run->input_grads)) continue;
    if (drivers[op->driver]->backward_channels) {
      if (first < last) drivers[op->driver]->backward_partial(run, op, first, last);
      over_channels(run, op, backward_channels);
      if (join_ranks(run, op, drivers[op->driver]->backward_joined)) return;
      if (first < last) drivers[op->driver]->backward_rest(run, op, first, last);
    } else if (drivers[op->driver]->whole_batch) {
      over_batch(run, op, drivers[op->driver]->backward);
      if (*run->failed) return;
    } else if (divides_groups(run, op)) {
      over_units(run, op, drivers[op->driver]->backward);
    } else if (first < last) {
      drivers[op->driver]->backward(run, op, first, last);
    }
  }
}

void nnc_run_without_rows(const nnc_run *run) {
  const int n = run->plan->n_ops;
  for (int turn = 0; turn < 2 * n; turn++) {
    const nnc_op *op = &run->plan->op[turn < n ? turn : 2 * n - 1 - turn];
    if (op->spec.kind != NNC_LAYER_batch_norm || !nnc_op_joins(run, op)) continue;
    const NNC_TYPED(nnc_driver) *driver = drivers[op->driver];
    if (turn >= n && !(run->plan->value[op->out].needs_grad || run->input_grads)) continue;
    if (turn < n && run->self->rank == 0) driver->begin_batch(run, op);
    over_channels(run, op, turn < n ? driver->forward_channels : backward_channels);
    if (join_ranks(run, op, turn < n ? driver->forward_joined : driver->backward_joined)) return;
  }
}

/* The thread's part of a task; it may be empty. With only one thread it is the whole task, without computation: divisions and
 * copies would cost as much as a small layer. */
static const nnc_task *part_of(const nnc_thread *self, const nnc_plan *plan, const nnc_task *task, nnc_task *part) {
  if (self->size == 1) return task;
  const int parts = self->size + nnc_lost_parts();
  *part = *task;
  part->first = nnc_partition_row(task, plan->task_cost, self->rank, parts);
  part->last = nnc_partition_row(task, plan->task_cost, self->rank + 1, parts);
  if (part->first > task->first && !task->columns) part->bias = 0;
  return part;
}

/* The elements of the parameter in a slot that a task processes in the buffers: its own or those of its bias. */
typedef struct {
  const nnc_parameter *param;
  size_t offset, elements;
} nnc_range;

static nnc_range range_of(const nnc_run *run, const nnc_op *op, const nnc_task *task, int slot) {
  const nnc_parameter *p = &run->plan->param[op->param[slot]];
  if (task->columns) return (nnc_range){p, p->layout.offset + task->first, task->last - task->first};
  if (slot != task->slot) return (nnc_range){p, p->layout.offset, p->elements};
  return (nnc_range){p, p->layout.offset + task->first * p->layout.ld, (task->last - task->first) * p->layout.ld};
}

/* The gradients of ops from `op` on that share these parameters, in the order of the ops. */
static void add_gradients(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_plan *plan = run->plan;
  if (drivers[op->driver]->gradient == nnc_no_gradient) return; /* done by backward */
  const nnc_run other = with_second_grads(run);
  for (;; op = &plan->op[op->next]) {
    const nnc_range w = range_of(run, op, task, task->slot);
    drivers[op->driver]->gradient(&other, op, task, rows);
    add_second_grads(run, w.offset, w.elements);
    if (task->bias) {
      const nnc_range b = range_of(run, op, task, task->bias);
      add_second_grads(run, b.offset, b.elements);
    }
    if (op->next == NNC_NONE) return;
  }
}

static void gradients_of_task(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  if (run->accumulates) {
    add_gradients(run, op, task, rows);
    return;
  }
  drivers[op->driver]->gradient(run, op, task, rows);
  if (op->next != NNC_NONE) add_gradients(run, &run->plan->op[op->next], task, rows);
}

static void prepare_all(const nnc_run *run, const nnc_task *task) {
  for (int i = task->op; i != NNC_NONE; i = run->plan->op[i].next)
    drivers[run->plan->op[i].driver]->prepare(run, &run->plan->op[i], task);
}

static void update_task(const nnc_run *run, const nnc_op *op, const nnc_task *task, const nnc_update *update) {
  const nnc_range w = range_of(run, op, task, task->slot);
  nnc_update_range(run, update, w.param, w.offset, w.elements);
  if (!task->bias) return;
  const nnc_range b = range_of(run, op, task, task->bias);
  nnc_update_range(run, update, b.param, b.offset, b.elements);
}

/* Trains rows of a weight in one pass, if they are of one op, and if nobody sees the gradient: after the last step of a call, users
 * may. */
static int trained_at_once(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows, const nnc_update *update) {
  if (!drivers[op->driver]->train || op->next != NNC_NONE || run->accumulates || run->keeps_rows) return 0;
  if (!drivers[op->driver]->train(run, op, task, rows, update)) return 0;
  if (!task->bias) return 1;
  const nnc_range b = range_of(run, op, task, task->bias);
  nnc_update_range(run, update, b.param, b.offset, b.elements);
  return 1;
}

void nnc_run_gradients(const nnc_run *run, const nnc_thread *self, size_t rows, const nnc_update *update, int prepare) {
  for (int i = 0; i < run->plan->n_tasks; i++) {
    nnc_task part;
    const nnc_task *task = part_of(self, run->plan, &run->plan->task[i], &part);
    if (task->first == task->last) continue;
    const nnc_op *op = &run->plan->op[task->op];
    if (update && prepare && trained_at_once(run, op, task, rows, update)) continue;
    gradients_of_task(run, op, task, rows);
    if (!update) continue;
    update_task(run, op, task, update);
    if (prepare) prepare_all(run, task);
  }
}

void nnc_run_prepare(const nnc_run *run, const nnc_thread *self) {
  for (int i = 0; i < run->plan->n_tasks; i++) {
    nnc_task part;
    const nnc_task *task = part_of(self, run->plan, &run->plan->task[i], &part);
    if (task->first < task->last) prepare_all(run, task);
  }
}

/* The op that produces a value or, for an input, reads it, if there is only one. */
static const nnc_op *neighbour(const nnc_plan *plan, int value) {
  if (plan->value[value].uses != 1) return NULL;
  if (plan->value[value].producer != NNC_NONE) return &plan->op[plan->value[value].producer];
  for (int i = 0; i < plan->n_ops; i++)
    for (int j = 0; j < plan->op[i].spec.n_inputs; j++)
      if (plan->op[i].spec.input[j] == value) return &plan->op[i];
  return NULL;
}

int nnc_may_be_external(const nnc_plan *plan, int value) {
  const nnc_op *op = neighbour(plan, value);
  if (!op || op->skipped || op->epilogue != NNC_NONE || !drivers[op->driver]->external_arrays) return 0;
  for (int v = 0; v < plan->n_values; v++)
    if (v != value && plan->value[v].alias == value) return 0;
  return plan->value[value].alias == value && plan->ld[value] == plan->value[value].cols;
}
