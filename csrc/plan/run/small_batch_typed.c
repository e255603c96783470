/* small_batch_typed.c: prediction of a few rows by a small network, where the preparation would take longer than the arithmetic.
 * All data that do not depend on the positions of the rows and the result are computed once and kept with the plan, in a workspace
 * that calls from several threads exchange like that of infer_typed.c. */
#include <string.h>

#include "base/fpstate.h"
#include "base/tiles.h"
#include "plan/engine.h"

enum { MAX_ROWS = 16 }; /* rows for which the workspace has memory */
static const double max_flops = 250e3;

/* One op: a product and its activation, with all values that layers/linear_typed.c would look up, or a call of its driver. */
typedef struct {
  const nnc_op *op;
  nnc_forward_fn *forward; /* NULL: a product */
  int x, z, y;
  const nnc_param *weight, *bias; /* bias: or NULL */
} nnc_small_batch_step;

/* The steps, the tables and the values of MAX_ROWS rows follow. For the input and the output: the values that are in the caller's
 * arrays, and their number. */
typedef struct {
  nnc_run run;
  real **act;
  size_t *ld;
  int *view[2], views[2];
  nnc_small_batch_step *step;
  int steps;
} nnc_small_batch;

static int is_own_type(const nnc_source *x) { return x->type == (NNC_BUILD_F64 ? NNC_SOURCE_F64 : NNC_SOURCE_F32); }

int NNC_TYPED(nnc_fits_small_batch)(const nnc_plan *plan, const nnc_source *x, size_t rows) {
  return plan->is_plain && rows && rows <= MAX_ROWS && plan->flops * (double)rows < max_flops &&
         (!is_own_type(x) || x->stride == (ptrdiff_t)plan->value[0].cols);
}

static nnc_small_batch_step step_of(const nnc_plan *plan, const nnc_op *op) {
  nnc_small_batch_step step = {.op = op, .forward = nnc_op_forward(op)};
  if (op->spec.kind != NNC_LAYER_linear || plan->value[op->out].lines != 1) return step;
  if (op->driver != NNC_LAYER_linear || plan->param[op->param[0]].layout.packed_rows) return step;
  step.forward = NULL;
  step.x = op->spec.input[0];
  step.z = op->pre;
  step.y = op->out;
  step.weight = &plan->param[op->param[0]].layout;
  step.bias = op->param[1] == NNC_NONE ? NULL : &plan->param[op->param[1]].layout;
  return step;
}

static nnc_small_batch *make(const nnc_plan *plan) {
  const size_t n = (size_t)plan->n_values, head = (sizeof(nnc_small_batch) + NNC_ALIGNMENT - 1) / NNC_ALIGNMENT * NNC_ALIGNMENT,
               tables = n * (sizeof(real *) + sizeof(size_t) + 2 * sizeof(int)) +
                        (size_t)plan->n_ops * sizeof(nnc_small_batch_step) + 2 * NNC_ALIGNMENT;
  size_t operand;
  if (nnc_operand_memory(plan, MAX_ROWS, &operand)) return NULL;
  nnc_small_batch *space = nnc_alloc(head + operand + MAX_ROWS * plan->sample_elements * sizeof(real) + tables);
  if (!space) return NULL;
  real *values = (real *)((char *)space + head + operand);
  space->step = (nnc_small_batch_step *)(values + MAX_ROWS * plan->sample_elements);
  space->act = (real **)(space->step + plan->n_ops);
  space->ld = (size_t *)(space->act + n);
  space->view[0] = (int *)(space->ld + n);
  space->view[1] = space->view[0] + n;
  space->views[0] = space->views[1] = 0;
  const int root[2] = {0, plan->value[plan->output[0]].alias};
  memcpy(space->ld, plan->ld, n * sizeof *space->ld);
  for (int v = 0; v < plan->n_values; v++) {
    space->act[v] = values + plan->place[v] * MAX_ROWS;
    for (int end = 0; end < 2; end++)
      if (plan->value[v].alias == root[end]) space->view[end][space->views[end]++] = v;
  }
  space->steps = 0;
  for (int i = 0; i < plan->n_ops; i++)
    if (!plan->op[i].skipped) space->step[space->steps++] = step_of(plan, &plan->op[i]);
  space->run = (nnc_run){
      .plan = plan, .k = nnc_plan_kernels(plan), .act = space->act, .ld = space->ld, .work = values, .work_rows = MAX_ROWS};
  space->run.block = space;
  space->run.low = nnc_low_kernels_for(plan->low_isa);
  space->run.operand = (nnc_bf16 *)((char *)space + head);
  return space;
}

/* Dense memory. A view of several lines, through a reshape, already has the right distance between its lines. */
static inline void use_external(const nnc_small_batch *space, int end, real *at, size_t ld) {
  for (int i = 0; i < space->views[end]; i++) {
    const int v = space->view[end][i];
    space->act[v] = at;
    if (space->run.plan->value[v].lines == 1) space->ld[v] = ld;
  }
}

static void run_step(const nnc_small_batch *space, const nnc_small_batch_step *s, size_t rows) {
  if (s->forward) {
    s->forward(&space->run, s->op, 0, rows);
    return;
  }
  const nnc_kernels *k = space->run.k;
  const nnc_param *w = s->weight;
  real *z = space->act[s->z], *y = space->act[s->y];
  k->gemm(z, space->act[s->x], w->data, s->bias ? s->bias->data : NULL, rows, w->cols, w->rows, space->ld[s->z], space->ld[s->x], 1,
          w->ld, 0);
  if (s->op->epilogue == NNC_NONE) return;
  k->activation_forward[s->op->epilogue](y, z, rows, w->cols, space->ld[s->y], space->ld[s->z], s->op->epilogue_attr.at);
}

nnc_status NNC_TYPED(nnc_predict_small_batch)(nnc_plan *plan, const nnc_source *x, size_t rows, void *out, nnc_error *error) {
  nnc_small_batch *space = atomic_exchange_explicit(&plan->small_batch, NULL, memory_order_acquire);
  if (!space && !(space = make(plan)))
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a workspace of %zu numbers", MAX_ROWS * plan->sample_elements);
  void *weights = NULL;
  if (plan->n_bf16 && !(weights = nnc_take_weights(plan))) {
    nnc_free(space);
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a copy of the weights in bfloat16");
  }
  space->run.weights = weights ? nnc_packed_weights(weights) : NULL;
  const nnc_fpstate saved = nnc_fp_enter();
  nnc_tiles_enter(nnc_plan_has_tiles(plan));
  const size_t width = plan->value[0].cols;
  real *samples = is_own_type(x) ? (real *)x->data : space->run.work + plan->place[0] * MAX_ROWS;
  if (!is_own_type(x)) nnc_fetch(space->run.k, samples, x, NULL, 0, 0, rows, width, width);
  use_external(space, 0, samples, width);
  use_external(space, 1, out, plan->value[plan->output[0]].cols);
  for (int i = 0; i < space->steps; i++) run_step(space, &space->step[i], rows);
  nnc_tiles_leave(nnc_plan_has_tiles(plan));
  nnc_fp_leave(saved);
  nnc_free(weights);
  void *other = atomic_exchange_explicit(&plan->small_batch, space, memory_order_release);
  if (other) nnc_free(other);
  return NNC_OK;
}
