/* small_batch_typed.c: prediction of a few rows by a small net, where what surrounds the arithmetic would take longer than the arithmetic. All that
 * does not depend on where the rows and the result lie is made once and kept with the plan, in a workspace that calls from several
 * threads exchange like that of infer_typed.c. */
#include <string.h>

#include "base/fpstate.h"
#include "plan/engine.h"

enum { FEW = 16 }; /* rows that the workspace has room for */
static const double few_flops = 250e3;

/* One op: a product and its activation, with all that layers/linear_typed.c would look up, or what its driver does. */
typedef struct {
  const nnc_op *op;
  nnc_forward_fn *forward; /* NULL: a product */
  int x, z, y;
  const nnc_param *weight, *bias; /* bias: or NULL */
} nnc_few_step;

/* The steps, the tables and the values of FEW rows follow. Of the input and the output: which values lie in the caller's arrays, and
 * how many. */
typedef struct {
  nnc_run run;
  real **act;
  size_t *ld;
  int *view[2], views[2];
  nnc_few_step *step;
  int steps;
} nnc_few;

int NNC_TYPED(nnc_takes_few)(const nnc_plan *plan, const nnc_source *x, size_t rows) {
  return plan->is_plain && rows && rows <= FEW && plan->flops * (double)rows < few_flops &&
         x->type == (NNC_BUILD_F64 ? NNC_SOURCE_F64 : NNC_SOURCE_F32) && x->stride == (ptrdiff_t)plan->value[0].cols;
}

static nnc_few_step step_of(const nnc_plan *plan, const nnc_op *op) {
  nnc_few_step step = {.op = op, .forward = nnc_op_forward(op)};
  if (op->spec.kind != NNC_LAYER_linear || plan->value[op->out].lines != 1) return step;
  step.forward = NULL;
  step.x = op->spec.input[0];
  step.z = op->pre;
  step.y = op->out;
  step.weight = &plan->param[op->param[0]].layout;
  step.bias = op->param[1] == NNC_NONE ? NULL : &plan->param[op->param[1]].layout;
  return step;
}

static nnc_few *make(const nnc_plan *plan) {
  const size_t n = (size_t)plan->n_values, head = (sizeof(nnc_few) + NNC_ALIGNMENT - 1) / NNC_ALIGNMENT * NNC_ALIGNMENT,
               tables = n * (sizeof(real *) + sizeof(size_t) + 2 * sizeof(int)) + (size_t)plan->n_ops * sizeof(nnc_few_step) +
                        2 * NNC_ALIGNMENT;
  nnc_few *few = nnc_alloc(head + FEW * plan->sample_elements * sizeof(real) + tables);
  if (!few) return NULL;
  real *values = (real *)((char *)few + head);
  few->step = (nnc_few_step *)(values + FEW * plan->sample_elements);
  few->act = (real **)(few->step + plan->n_ops);
  few->ld = (size_t *)(few->act + n);
  few->view[0] = (int *)(few->ld + n);
  few->view[1] = few->view[0] + n;
  few->views[0] = few->views[1] = 0;
  const int root[2] = {0, plan->value[plan->output[0]].alias};
  memcpy(few->ld, plan->ld, n * sizeof *few->ld);
  for (int v = 0; v < plan->n_values; v++) {
    few->act[v] = values + plan->place[v] * FEW;
    for (int end = 0; end < 2; end++)
      if (plan->value[v].alias == root[end]) few->view[end][few->views[end]++] = v;
  }
  few->steps = 0;
  for (int i = 0; i < plan->n_ops; i++)
    if (!plan->op[i].skipped) few->step[few->steps++] = step_of(plan, &plan->op[i]);
  few->run = (nnc_run){.plan = plan, .k = nnc_plan_kernels(plan), .act = few->act, .ld = few->ld, .work = values, .work_rows = FEW};
  few->run.block = few;
  return few;
}

/* Dense arrays: a view of several lines, through a reshape, has the distance between its lines already. */
static void lend(const nnc_few *few, int end, real *at, size_t ld) {
  for (int i = 0; i < few->views[end]; i++) {
    const int v = few->view[end][i];
    few->act[v] = at;
    if (few->run.plan->value[v].lines == 1) few->ld[v] = ld;
  }
}

static void take(const nnc_few *few, const nnc_few_step *s, size_t rows) {
  if (s->forward) {
    s->forward(&few->run, s->op, 0, rows);
    return;
  }
  const real *params = few->run.params;
  const nnc_kernels *k = few->run.k;
  const nnc_param *w = s->weight;
  real *z = few->act[s->z], *y = few->act[s->y];
  k->gemm(z, few->act[s->x], params + w->offset, s->bias ? params + s->bias->offset : NULL, rows, w->cols, w->rows, few->ld[s->z],
          few->ld[s->x], 1, w->ld, 0);
  if (s->op->epilogue == NNC_NONE) return;
  k->activation_forward[s->op->epilogue](y, z, rows, w->cols, few->ld[s->y], few->ld[s->z], s->op->epilogue_attr);
}

nnc_status NNC_TYPED(nnc_predict_few)(nnc_plan *plan, const nnc_source *x, size_t rows, void *out, nnc_error *error) {
  nnc_few *few = atomic_exchange_explicit(&plan->few, NULL, memory_order_acquire);
  if (!few && !(few = make(plan)))
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a workspace of %zu numbers", FEW * plan->sample_elements);
  const nnc_fpstate saved = nnc_fp_enter();
  lend(few, 0, (real *)x->data, (size_t)x->stride);
  lend(few, 1, out, plan->value[plan->output[0]].cols);
  few->run.params = plan->params;
  for (int i = 0; i < few->steps; i++) take(few, &few->step[i], rows);
  nnc_fp_leave(saved);
  void *other = atomic_exchange_explicit(&plan->few, few, memory_order_release);
  if (other) nnc_free(other);
  return NNC_OK;
}
