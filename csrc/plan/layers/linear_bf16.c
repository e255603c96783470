/* linear_bf16.c: linear_typed.c with products of operands in bfloat16, for float. Sums, biases, activations and gradients are
 * float32; passes/forms.c has the memory of the operands.
 *
 * Samples [first, last) are whole groups of 32, so the rows of a thread are whole blocks of every operand; only the last group of a
 * batch may be smaller. In training, the operands of the whole batch have as many blocks of rows as the batch, not as the arena. */
#include "base/thread_pool.h"
#include "plan/layers/halves.h"
#include "plan/layers/linear.h"

/* Columns of a panel for a thread of the pool: two blocks. */
enum { INTRA_OP_COLUMNS = 2 * NNC_BF16_SIDE };

static const nnc_parameter *weight_of(const nnc_run *run, const nnc_op *op) { return &run->plan->param[op->param[0]]; }

static nnc_bf16 *in_arena(const nnc_run *run, size_t offset) { return (nnc_bf16 *)run->arena + offset; }

/* Of a matrix with a row for each line of a value: the blocks of rows of the whole batch, and those before a sample. */
static size_t batch_blocks(const nnc_run *run, int value) { return nnc_bf16_blocks(run->rows * run->plan->value[value].lines); }
static size_t blocks_before(const nnc_run *run, int value, size_t sample) {
  return sample * run->plan->value[value].lines / NNC_BF16_SIDE;
}

/* From where the rows of samples from `first` on lie in a left operand of the whole batch, whose k are the columns of a value. */
static nnc_bf16 *left_from(const nnc_run *run, size_t offset, int value, size_t first) {
  const size_t blocks = blocks_before(run, value, first) * nnc_bf16_blocks(run->plan->value[value].cols);
  return in_arena(run, offset) + blocks * NNC_BF16_BLOCK;
}

/* The same for an operand whose k are the rows. */
static nnc_bf16 *rows_from(const nnc_run *run, size_t offset, int value, size_t first) {
  return in_arena(run, offset) + blocks_before(run, value, first) * NNC_BF16_BLOCK;
}

/* The forms of a value, from a sample on; and those of the gradient of an op's result. */
static nnc_bf16_forms value_forms(const nnc_run *run, int value, size_t first) {
  const nnc_value *v = &run->plan->value[value];
  return (nnc_bf16_forms){.a = left_from(run, v->left, value, first),
                          .at = nnc_plan_has_tiles(run->plan) ? rows_from(run, v->left_t, value, first) : NULL,
                          .stride = batch_blocks(run, value)};
}
static int has_dx(const nnc_run *run, const nnc_op *op) {
  return run->plan->value[op->spec.input[0]].needs_grad || run->input_grads;
}
static nnc_bf16_forms dz_forms(const nnc_run *run, const nnc_op *op, size_t first) {
  return (nnc_bf16_forms){.a = has_dx(run, op) ? left_from(run, op->dz_left, op->out, first) : NULL,
                          .b = rows_from(run, op->dz_right, op->out, first),
                          .stride = batch_blocks(run, op->out)};
}

/* The input as a left operand. */
static const nnc_bf16 *input_of(const nnc_run *run, const nnc_op *op, size_t first, nnc_matrix x) {
  if (!run->arena) { /* inference */
    const nnc_bf16_forms forms = {.a = run->operand};
    run->low->bf16_pack(&forms, x.at, x.rows, x.cols, x.ld);
    return run->operand;
  }
  const nnc_bf16_forms forms = value_forms(run, op->operand, first);
  if (op->packs) run->low->bf16_pack(&forms, x.at, x.rows, x.cols, x.ld);
  return forms.a;
}

typedef struct {
  const nnc_run *run;
  const nnc_op *op;
  const nnc_bf16 *x, *w;
  nnc_matrix z, y;
  size_t first, k, panel;
} forward_job;

static void forward_panel(const forward_job *job, size_t j) {
  const nnc_run *run = job->run;
  const nnc_op *op = job->op;
  const nnc_matrix *z = &job->z, *y = &job->y;
  const size_t n = z->cols - j < job->panel ? z->cols - j : job->panel;
  const int epilogue = nnc_linear_epilogue(run, op), by_product = epilogue == NNC_ACTIVATION_relu;
  const int writes = run->arena && op->writes_forms; /* then there is one panel */
  const nnc_bf16_result result = {
      .rows = writes && op->no_rows && !run->keeps_rows ? NULL : z->at + j,
      .ld = z->ld,
      .bias = op->param[1] == NNC_NONE ? NULL : nnc_values_of(run, op, 1) + j,
      .relu = by_product,
      .forms = writes ? value_forms(run, op->out, job->first) : (nnc_bf16_forms){0},
  };
  run->low->bf16_product(&result, job->x, job->w + j / NNC_BF16_SIDE * nnc_bf16_blocks(job->k) * NNC_BF16_BLOCK, z->rows, n,
                         job->k);
  if (epilogue != NNC_NONE && !by_product)
    run->k->activation_forward[epilogue](y->at + j, z->at + j, z->rows, n, y->ld, z->ld, op->epilogue_attr.at);
}

static void forward_task(void *context, size_t task) {
  const forward_job *job = context;
  forward_panel(job, task * job->panel);
}

static void forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_parameter *w = weight_of(run, op);
  forward_job job = {run,
                     op,
                     input_of(run, op, first, x),
                     run->arena ? in_arena(run, w->right) : run->weights + w->packed * NNC_BF16_BLOCK,
                     nnc_samples(run, run->act, op->pre, first, last),
                     nnc_samples(run, run->act, op->out, first, last),
                     first,
                     x.cols,
                     0};
  const size_t cols = job.z.cols;
  if (run->intra_op_threads > 1 && nnc_is_wide(op->flops * (double)(last - first))) {
    job.panel = INTRA_OP_COLUMNS;
    nnc_pool_run(run->intra_op_threads, nnc_plan_has_tiles(run->plan), (cols + job.panel - 1) / job.panel, forward_task, &job);
    return;
  }
  const int epilogue = nnc_linear_epilogue(run, op);
  job.panel = epilogue == NNC_NONE || epilogue == NNC_ACTIVATION_relu ? cols : nnc_linear_panel(job.z.rows, cols);
  for (size_t j = 0; j < cols; j += job.panel) forward_panel(&job, j);
}

/* The gradient after the derivative of the activation, as operands; the layer behind may have written them already. */
static nnc_bf16_forms dz_of(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_bf16_forms forms = dz_forms(run, op, first);
  if (op->has_dz) return forms;
  const nnc_matrix dz = nnc_samples(run, run->grad, op->out, first, last);
  const int epilogue = nnc_linear_epilogue(run, op);
  if (epilogue != NNC_NONE) {
    const nnc_matrix saved = nnc_samples(run, run->act, op->pre, first, last);
    run->k->activation_backward[epilogue](dz.at, dz.at, saved.at, dz.rows, dz.cols, dz.ld, dz.ld, saved.ld, op->epilogue_attr.at);
  }
  run->low->bf16_pack(&forms, dz.at, dz.rows, dz.cols, dz.ld);
  return forms;
}

/* The sums of the columns of an op's dz over each 32 rows, from a sample on. */
static float *sums_from(const nnc_run *run, const nnc_op *op, size_t first) {
  return (float *)run->arena + op->dz_sums + blocks_before(run, op->out, first) * run->plan->value[op->out].cols;
}

static void backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_bf16_forms dz = dz_of(run, op, first, last);
  if (!dz.a) return;
  const nnc_matrix dx = nnc_samples(run, run->grad, op->spec.input[0], first, last);
  nnc_bf16_result result = {.rows = dx.at, .ld = dx.ld, .accumulate = op->accumulates[0]};
  if (op->before != NNC_NONE) {
    const nnc_op *before = &run->plan->op[op->before];
    result =
        (nnc_bf16_result){.forms = dz_forms(run, before, first), .column_sums = sums_from(run, before, first), .ldsums = dx.cols};
    if (before->epilogue != NNC_NONE) result.mask = left_from(run, run->plan->value[op->operand].left, op->operand, first);
  }
  run->low->bf16_product(&result, dz.a, in_arena(run, weight_of(run, op)->right_t), dx.rows, dx.cols,
                         run->plan->value[op->out].cols);
}

static void bias_gradient(const nnc_run *run, const nnc_op *op, nnc_matrix dz) {
  real *bias = run->grads + run->plan->param[op->param[1]].layout.offset;
  if (op->has_dz) run->k->column_sum(bias, sums_from(run, op, 0), nnc_bf16_blocks(dz.rows), dz.cols, dz.cols, 0);
  else run->low->bf16_column_sum(bias, dz.at, dz.rows, dz.cols, dz.ld);
}

/* The transposed input as a left operand: form at, or, without tiles, form a of the input, which has `across` blocks in a row. The
 * columns of its blocks are `stride` apart. */
typedef struct {
  const nnc_bf16 *at;
  size_t across, stride;
} transposed_input;
static transposed_input transposed_of(const nnc_run *run, const nnc_op *op, size_t rows) {
  const nnc_value *v = &run->plan->value[op->operand];
  if (nnc_plan_has_tiles(run->plan)) return (transposed_input){in_arena(run, v->left_t), 0, nnc_bf16_blocks(rows)};
  return (transposed_input){in_arena(run, v->left), nnc_bf16_blocks(v->cols), 1};
}

static void gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_matrix dz = nnc_samples(run, run->grad, op->out, 0, rows);
  const nnc_param *w = &weight_of(run, op)->layout;
  const transposed_input x = transposed_of(run, op, dz.rows);
  for (nnc_bf16_rows part = {.last = task->first}; part.last < task->last;) {
    part = nnc_bf16_next_rows(part.last, task->last, w->rows);
    const nnc_bf16_result result = {.rows = run->grads + w->offset + part.first * w->ld, .ld = w->ld};
    run->low->bf16_product_at(&result, x.at + nnc_bf16_rows_at(&part, x.stride, nnc_plan_has_tiles(run->plan)),
                              in_arena(run, op->dz_right), part.last - part.first, dz.cols, dz.rows, x.across);
  }
  if (task->bias) bias_gradient(run, op, dz);
}

/* Whether a layer with these parameters passes a gradient on, so that it needs the transposed weight. */
static int needs_transpose(const nnc_run *run, const nnc_op *op) {
  if (run->input_grads) return 1;
  for (;; op = &run->plan->op[op->next]) {
    if (run->plan->value[op->spec.input[0]].needs_grad) return 1;
    if (op->next == NNC_NONE) return 0;
  }
}

/* The forms of the weight, from a row on. */
static nnc_bf16_forms weight_forms(const nnc_run *run, const nnc_op *op, size_t first) {
  const nnc_parameter *w = weight_of(run, op);
  const size_t before = first / NNC_BF16_SIDE;
  return (nnc_bf16_forms){
      .b = in_arena(run, w->right) + before * NNC_BF16_BLOCK,
      .bt = needs_transpose(run, op) ? in_arena(run, w->right_t) + before * nnc_bf16_blocks(w->layout.cols) * NNC_BF16_BLOCK : NULL,
      .stride = nnc_bf16_blocks(w->layout.rows),
  };
}

static void prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) {
  if (op->spec.shares != NNC_NONE) return; /* its owner does it */
  const nnc_param *w = &weight_of(run, op)->layout;
  for (nnc_bf16_rows part = {.last = task->first}; part.last < task->last;) {
    part = nnc_bf16_next_rows(part.last, task->last, w->rows);
    nnc_bf16_forms forms = weight_forms(run, op, part.first);
    forms.half = part.half;
    run->low->bf16_pack(&forms, (real *)w->data + part.first * w->ld, part.last - part.first, w->cols, w->ld);
  }
}

static int train(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows, const nnc_update *update) {
  const nnc_plan *plan = run->plan;
  const nnc_parameter *w = weight_of(run, op);
  if (!w->options.trainable || !nnc_plan_weaves(plan)) return 0;
  const nnc_matrix dz = nnc_samples(run, run->grad, op->out, 0, rows);
  const nnc_update own = nnc_update_of(run, update, &w->options);
  const size_t ld = w->layout.ld, offset = w->layout.offset + task->first * ld;
  const transposed_input x = transposed_of(run, op, dz.rows);
  nnc_bf16_training to = {
      .param = (real *)w->layout.data + task->first * ld,
      .ld = ld,
      .optimizer = run->k->optimizer[plan->optimizer.optimizer],
      .update = &own,
      .forms = weight_forms(run, op, task->first),
      .across = x.across,
  };
  for (int i = 0; i < NNC_MAX_MOMENTS; i++) to.moment[i] = plan->moments[i] ? (real *)plan->moments[i] + offset : NULL;
  run->low->bf16_update(&to, x.at + task->first / NNC_BF16_SIDE * x.stride * NNC_BF16_BLOCK, in_arena(run, op->dz_right),
                        task->last - task->first, dz.cols, dz.rows);
  nnc_update_average(run, update, w, offset, (task->last - task->first) * ld);
  if (task->bias) bias_gradient(run, op, dz);
  return 1;
}

const nnc_driver_f32 nnc_driver_linear_bf16_f32 = {
    .forward = forward,
    .backward = backward,
    .gradient = gradient,
    .prepare = prepare,
    .train = train,
};
