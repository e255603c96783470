/* linear_typed.c: y = activation(x W + b), its backward pass, and the gradients of W and b.
 *
 * The weight is stored [in, out], so that forward (x W) and the weight's gradient (x^T dz) read it as it lies; dx = dz W^T reads
 * the transposed copy that prepare keeps in the training arena. */
#include "plan/engine.h"

/* Columns come in panels, so that the activation follows the product while the result is in the second cache: as wide as they can be,
 * because each one reads x again, and a multiple of every tile width. */
enum { PANEL_STEP = 192, PANEL_BYTES = 256 << 10 };

static size_t panel_of(size_t rows, size_t cols) {
  const size_t steps = PANEL_BYTES / sizeof(real) / (rows * PANEL_STEP);
  return rows * cols * sizeof(real) <= PANEL_BYTES ? cols : PANEL_STEP * (steps ? steps : 1);
}

static const nnc_param *weight_of(const nnc_run *run, const nnc_op *op) { return &run->plan->param[op->param[0]].layout; }

/* The transposed weight: a copy, but that of one column is the column itself. */
static int is_own_transpose(const nnc_param *w) { return w->cols == 1 && w->ld == 1; }

static int epilogue_of(const nnc_run *run, const nnc_op *op) { return op->loss_fused && run->loss ? NNC_NONE : op->epilogue; }

static void linear_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix z = nnc_samples(run, run->act, op->pre, first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const nnc_param *w = weight_of(run, op);
  const real *weight = run->params + w->offset;
  const real *bias = op->param[1] == NNC_NONE ? NULL : run->params + run->plan->param[op->param[1]].layout.offset;
  const int epilogue = epilogue_of(run, op);
  const size_t panel = epilogue == NNC_NONE ? z.cols : panel_of(z.rows, z.cols);
  for (size_t j = 0; j < z.cols; j += panel) {
    const size_t n = z.cols - j < panel ? z.cols - j : panel;
    run->k->gemm(z.at + j, x.at, weight + j, bias ? bias + j : NULL, z.rows, n, x.cols, z.ld, x.ld, 1, w->ld, 0);
    if (epilogue != NNC_NONE) run->k->activation_forward[epilogue](y.at + j, z.at + j, z.rows, n, y.ld, z.ld, op->epilogue_attr);
  }
}

static void linear_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dz = nnc_samples(run, run->grad, op->out, first, last);
  const int in = op->spec.input[0], epilogue = epilogue_of(run, op);
  if (epilogue != NNC_NONE) {
    const nnc_matrix saved = nnc_samples(run, run->act, op->pre, first, last);
    run->k->activation_backward[epilogue](dz.at, dz.at, saved.at, dz.rows, dz.cols, dz.ld, dz.ld, saved.ld, op->epilogue_attr);
  }
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  const nnc_param *w = weight_of(run, op);
  const real *transposed = is_own_transpose(w) ? run->params + w->offset : run->arena + op->packed;
  run->k->gemm(dx.at, dz.at, transposed, NULL, dx.rows, dx.cols, dz.cols, dx.ld, dz.ld, 1, op->packed_ld, op->accumulates[0]);
}

static void linear_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], 0, rows);
  const nnc_matrix dz = nnc_samples(run, run->grad, op->out, 0, rows);
  const nnc_param *w = weight_of(run, op);
  real *bias = task->bias ? run->grads + run->plan->param[op->param[1]].layout.offset : NULL;
  run->k->linear_gradient(run->grads + w->offset + task->first * w->ld, bias, x.at + task->first, dz.at, task->last - task->first,
                          dz.cols, dz.rows, w->ld, x.ld, dz.ld);
}

static void linear_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) {
  if (!run->plan->value[op->spec.input[0]].needs_grad && !run->input_grads) return;
  const nnc_param *w = weight_of(run, op);
  if (is_own_transpose(w)) return;
  run->k->transpose(run->arena + op->packed + task->first, run->params + w->offset + task->first * w->ld, task->last - task->first,
                    w->cols, op->packed_ld, w->ld);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_linear) = {
    .forward = linear_forward,
    .backward = linear_backward,
    .gradient = linear_gradient,
    .prepare = linear_prepare,
};
