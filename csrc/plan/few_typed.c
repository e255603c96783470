/* few_typed.c: prediction of a few rows by a small net, where what surrounds the arithmetic would take longer than the arithmetic. All that
 * does not depend on where the rows and the result lie is made once and kept with the plan, in a workspace that calls from several
 * threads exchange like that of infer_typed.c. */
#include <string.h>

#include "base/fpstate.h"
#include "plan/engine.h"

enum { FEW = 16 }; /* rows that the workspace has room for */
static const double few_flops = 250e3;

/* The tables and the values of FEW rows follow. Of the input and the output: which values lie in the caller's arrays, and how many. */
typedef struct {
  nnc_run run;
  real **act;
  size_t *ld;
  int *view[2], views[2];
} nnc_few;

int NNC_TYPED(nnc_takes_few)(const nnc_plan *plan, const nnc_source *x, size_t rows) {
  return plan->is_plain && rows && rows <= FEW && plan->flops * (double)rows < few_flops &&
         x->type == (NNC_BUILD_F64 ? NNC_SOURCE_F64 : NNC_SOURCE_F32) && x->stride >= (ptrdiff_t)plan->value[0].cols;
}

static nnc_few *make(const nnc_plan *plan) {
  const size_t n = (size_t)plan->n_values, head = (sizeof(nnc_few) + NNC_ALIGNMENT - 1) / NNC_ALIGNMENT * NNC_ALIGNMENT,
               tables = n * (sizeof(real *) + sizeof(size_t) + 2 * sizeof(int)) + NNC_ALIGNMENT;
  nnc_few *few = nnc_alloc(head + FEW * plan->sample_elements * sizeof(real) + tables);
  if (!few) return NULL;
  real *values = (real *)((char *)few + head);
  few->act = (real **)(values + FEW * plan->sample_elements);
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
  few->run = (nnc_run){.plan = plan, .k = nnc_plan_kernels(plan), .act = few->act, .ld = few->ld, .work = values, .work_rows = FEW};
  few->run.block = few;
  return few;
}

static void lend(const nnc_few *few, int end, real *at, size_t ld) {
  for (int i = 0; i < few->views[end]; i++) {
    few->act[few->view[end][i]] = at;
    few->ld[few->view[end][i]] = ld;
  }
}

nnc_status NNC_TYPED(nnc_predict_few)(nnc_plan *plan, const nnc_source *x, size_t rows, void *out, nnc_error *error) {
  nnc_few *few = atomic_exchange_explicit(&plan->few, NULL, memory_order_acquire);
  if (!few && !(few = make(plan)))
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a workspace of %zu numbers", FEW * plan->sample_elements);
  const nnc_fpstate saved = nnc_fp_enter();
  lend(few, 0, (real *)x->data, (size_t)x->stride);
  lend(few, 1, out, plan->value[plan->output[0]].cols);
  few->run.params = plan->params;
  nnc_run_forward(&few->run, 0, rows);
  nnc_fp_leave(saved);
  void *other = atomic_exchange_explicit(&plan->few, few, memory_order_release);
  if (other) nnc_free(other);
  return NNC_OK;
}
