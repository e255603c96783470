/* linear_typed.c: y = activation(x W + b), its backward pass, and the gradients of W and b.
 *
 * The weight is stored as [in, out], so that forward (x W) and the weight's gradient (x^T dz) read it in its own layout; dx = dz
 * W^T reads the transposed copy that prepare keeps in the training arena. With weights of 8-bit integers (plan/int8.h), forward first
 * makes such integers of x, once for all columns. */
#include "base/thread_pool.h"
#include "plan/layers/linear.h"
#include "plan/int8.h"

/* Panels of columns for the threads of the pool are four cache lines wide; they are read from top to bottom. */
enum { INTRA_OP_BYTES = 256 };

static const nnc_param *weight_of(const nnc_run *run, const nnc_op *op) { return &run->plan->param[op->param[0]].layout; }

/* The transposed weight: a copy. For one column it is the column itself. */
static int is_own_transpose(const nnc_param *w) { return w->cols == 1 && w->ld == 1; }

typedef struct {
  const nnc_run *run;
  const nnc_op *op;
  nnc_matrix x, z, y;
  size_t panel;
  const nnc_int8_rows *rows; /* x for a weight of 8-bit integers; NULL: the weight is one of numbers */
} forward_job;

static nnc_int8_rows rows_of(const nnc_run *run, const nnc_op *op, const nnc_matrix *x) {
  const size_t room = run->work_rows * run->plan->value[op->spec.input[0]].lines;
  const nnc_int8_rows rows = nnc_int8_rows_at(run->work + op->work * run->work_rows, room, x->cols);
  nnc_plan_low_kernels(run->plan)->int8_quantize(&rows, (const float *)x->at, x->rows, x->cols, x->ld);
  return rows;
}

static inline void multiply(const forward_job *job, size_t j, size_t n) {
  const nnc_run *run = job->run;
  const nnc_op *op = job->op;
  const nnc_matrix *x = &job->x, *z = &job->z;
  const nnc_param *w = weight_of(run, op);
  const real *bias = nnc_values_of(run, op, 1);
  if (job->rows) {
    const nnc_int8_weight packed = nnc_int8_weight_of(w);
    nnc_plan_low_kernels(run->plan)->int8_product((float *)z->at, job->rows, &packed, (const float *)bias, z->rows, j, j + n,
                                                  z->ld);
    return;
  }
  run->k->gemm(z->at + j, x->at, (real *)w->data + j, bias ? bias + j : NULL, z->rows, n, x->cols, z->ld, x->ld, 1, w->ld, 0);
}

static inline void forward_panel(const forward_job *job, size_t j) {
  const nnc_run *run = job->run;
  const nnc_op *op = job->op;
  const nnc_matrix *z = &job->z, *y = &job->y;
  const size_t n = z->cols - j < job->panel ? z->cols - j : job->panel;
  const int epilogue = nnc_linear_epilogue(run, op);
  multiply(job, j, n);
  if (epilogue != NNC_NONE)
    run->k->activation_forward[epilogue](y->at + j, z->at + j, z->rows, n, y->ld, z->ld, op->epilogue_attr.at);
}

static void forward_task(void *context, size_t task) {
  const forward_job *job = context;
  forward_panel(job, task * job->panel);
}

static void linear_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  forward_job job = {run,
                     op,
                     nnc_samples(run, run->act, op->spec.input[0], first, last),
                     nnc_samples(run, run->act, op->pre, first, last),
                     nnc_samples(run, run->act, op->out, first, last),
                     0,
                     NULL};
  nnc_int8_rows rows;
  if (weight_of(run, op)->packed_rows) {
    rows = rows_of(run, op, &job.x);
    job.rows = &rows;
  }
  const size_t cols = job.z.cols;
  if (run->intra_op_threads > 1 && nnc_is_wide(op->flops * (double)(last - first))) {
    job.panel = INTRA_OP_BYTES / sizeof(real);
    nnc_pool_run(run->intra_op_threads, nnc_plan_has_tiles(run->plan), (cols + job.panel - 1) / job.panel, forward_task, &job);
    return;
  }
  job.panel = nnc_linear_epilogue(run, op) == NNC_NONE ? cols : nnc_linear_panel(job.z.rows, cols);
  for (size_t j = 0; j < cols; j += job.panel) forward_panel(&job, j);
}

static void linear_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dz = nnc_samples(run, run->grad, op->out, first, last);
  const int in = op->spec.input[0], epilogue = nnc_linear_epilogue(run, op);
  if (epilogue != NNC_NONE) {
    const nnc_matrix saved = nnc_samples(run, run->act, op->pre, first, last);
    run->k->activation_backward[epilogue](dz.at, dz.at, saved.at, dz.rows, dz.cols, dz.ld, dz.ld, saved.ld, op->epilogue_attr.at);
  }
  if (!run->plan->value[in].needs_grad && !run->input_grads) return;
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  const nnc_param *w = weight_of(run, op);
  const real *transposed = is_own_transpose(w) ? (real *)w->data : run->arena + op->packed;
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
  run->k->transpose(run->arena + op->packed + task->first, (real *)w->data + task->first * w->ld, task->last - task->first, w->cols,
                    op->packed_ld, w->ld);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_linear) = {
    .forward = linear_forward,
    .backward = linear_backward,
    .gradient = linear_gradient,
    .prepare = linear_prepare,
};
