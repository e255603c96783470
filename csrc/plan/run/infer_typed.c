/* infer_typed.c: prediction and evaluation. The samples are cut into blocks; each thread takes the next block, runs it through the
 * network in a workspace of its own, and writes its rows of the result. A plan keeps one spare workspace and exchanges it
 * atomically, so that calls from several threads share nothing and a single call allocates nothing. */
#include <string.h>

#include "base/sizes.h"
#include "plan/int8.h"
#include "plan/run/intra_op.h"
#include "plan/run/output_losses.h"

typedef struct {
  size_t bytes;
  int threads;
  size_t stride; /* bytes per thread */
} nnc_workspace;

typedef struct {
  nnc_plan *plan;
  const nnc_source *x;
  const nnc_sequences *sequences; /* or NULL */
  size_t rows, first, block, blocks;
  size_t room;      /* rows for which a thread has memory: a block, or more */
  void *const *out; /* predict */
  const nnc_data *data;
  double *sums; /* evaluate */
  double deadline;
  nnc_workspace *space;
  void *weights; /* packed ones of layers in lower precision, or NULL */
  int failed;
  int intra_op_threads; /* threads for the wide layers of a single block */
  atomic_size_t next;   /* block to take */
  atomic_size_t turn;   /* block whose sums are to be added */
} nnc_job;

/* A thread's part: value pointers, leading dimensions, then the values of one block; evaluation adds targets, losses, weights.
 * Non-zero on overflow. */
static int thread_bytes(const nnc_plan *plan, size_t block, int evaluate, size_t *bytes) {
  size_t elements = plan->sample_elements, n;
  int overflow = 0;
  for (int i = 0; i < plan->n_outputs && evaluate; i++)
    overflow |=
        nnc_mul(&n, plan->value[plan->output[i]].lines, plan->output_loss[i].target_cols + 2) || nnc_add(&elements, elements, n);
  const size_t tables = (size_t)plan->n_values * (sizeof(real *) + sizeof(size_t));
  const size_t lengths = plan->steps ? block * (size_t)plan->n_timelines * sizeof(int64_t) : 0,
               gaps = 4 * NNC_ALIGNMENT * ((size_t)plan->n_outputs + 2);
  overflow |= nnc_mul(&n, block, elements) || nnc_add(&n, n, plan->packed_elements) || nnc_mul(&n, n, sizeof(real)) ||
              nnc_add(bytes, n, tables + lengths + gaps);
  *bytes -= *bytes % NNC_ALIGNMENT;
  return overflow || nnc_operand_memory(plan, block, &n) || nnc_add(bytes, *bytes, n);
}

static nnc_workspace *take_workspace(nnc_plan *plan, int threads, size_t stride) {
  const size_t bytes = NNC_ALIGNMENT + (size_t)threads * stride;
  nnc_workspace *space = atomic_exchange_explicit(&plan->spare, NULL, memory_order_acquire);
  if (!space || space->bytes < bytes) {
    nnc_free(space);
    space = nnc_alloc(bytes);
    if (!space) return NULL;
    space->bytes = bytes;
  }
  space->threads = threads;
  space->stride = stride;
  return space;
}

static void give_workspace(nnc_plan *plan, nnc_workspace *space) {
  nnc_free(atomic_exchange_explicit(&plan->spare, space, memory_order_release));
}

static void *carve(char **at, size_t bytes) {
  void *piece = *at;
  *at += (bytes + NNC_ALIGNMENT - 1) / NNC_ALIGNMENT * NNC_ALIGNMENT;
  return piece;
}

/* Whether a single line is also used as several lines, through a reshape. Then samples must be contiguous. */
static int is_folded(const nnc_plan *plan, int root) {
  for (int v = 0; v < plan->n_values; v++)
    if (plan->value[v].alias == root && plan->value[v].lines > 1) return 1;
  return 0;
}

/* Inputs of the network's own type are read in place. */
static int read_in_place(const nnc_plan *plan, int input, const nnc_source *x) {
  if (plan->n_called) return 0; /* arrays that are passed to Python must be in the core's memory */
  const nnc_value *v = &plan->value[input];
  return x->type == (NNC_BUILD_F64 ? NNC_SOURCE_F64 : NNC_SOURCE_F32) &&
         (v->lines > 1                     ? x->stride == (ptrdiff_t)(v->lines * v->ld)
          : x->stride > (ptrdiff_t)v->cols ? !is_folded(plan, input)
                                           : x->stride == (ptrdiff_t)v->cols);
}

typedef struct {
  nnc_run run;
  real **act;
  size_t *ld;
  real *values;
  int64_t *lengths; /* memory for those of a block */
  char *rest;
} nnc_place;

static void pack(const nnc_run *run) {
  for (int i = 0; i < run->plan->n_ops; i++)
    if (run->plan->op[i].spec.kind == NNC_LAYER_recurrent) nnc_prepare_recurrent(run, &run->plan->op[i]);
}

static nnc_place place_thread(const nnc_job *job, const nnc_thread *self) {
  const nnc_plan *plan = job->plan;
  char *at = (char *)job->space + NNC_ALIGNMENT + (size_t)self->rank * job->space->stride;
  nnc_place p;
  p.act = carve(&at, (size_t)plan->n_values * sizeof *p.act);
  p.ld = carve(&at, (size_t)plan->n_values * sizeof *p.ld);
  p.values = carve(&at, job->room * plan->sample_elements * sizeof(real));
  real *packed = plan->packed ? plan->packed : carve(&at, plan->packed_elements * sizeof(real));
  p.lengths = carve(&at, plan->steps ? job->room * (size_t)plan->n_timelines * sizeof *p.lengths : 0);
  size_t operand = 0;
  nnc_operand_memory(plan, job->room, &operand);
  nnc_bf16 *own_operand = carve(&at, operand);
  p.rest = at;
  memcpy(p.ld, plan->ld, (size_t)plan->n_values * sizeof *p.ld);
  for (int v = 0; v < plan->n_values; v++) p.act[v] = p.values + plan->place[v] * job->room;
  p.run = (nnc_run){.plan = plan, .k = nnc_plan_kernels(plan), .act = p.act, .ld = p.ld};
  p.run.work = p.values;
  p.run.work_rows = job->room;
  p.run.packed = packed;
  p.run.operand = own_operand;
  p.run.low = nnc_low_kernels_for(plan->low_isa);
  p.run.weights = job->weights ? nnc_packed_weights(job->weights) : NULL;
  p.run.intra_op_threads = job->intra_op_threads;
  if (!plan->packed && plan->carry) pack(&p.run);
  p.run.block = job->space;
  p.run.failed = (int *)&job->failed;
  return p;
}

void NNC_TYPED(nnc_pack)(const nnc_plan *plan, void *packed) {
  real nowhere;
  const nnc_run run = {.plan = plan, .k = nnc_plan_kernels(plan), .work = &nowhere, .packed = packed};
  pack(&run);
}

/* Whether output i can be computed in the caller's array: no other value or input shares its memory. */
static int write_in_place(const nnc_plan *plan, int i) {
  if (nnc_calls_out(plan)) return 0;
  const int root = plan->value[plan->output[i]].alias;
  if (root < plan->n_inputs || plan->value[plan->output[i]].lines > 1) return 0;
  for (int j = 0; j < plan->n_outputs; j++)
    if (j != i && plan->value[plan->output[j]].alias == root) return 0;
  return plan->value[root].lines == 1;
}

/* Move a value and its views to other memory. Values of several lines are dense everywhere, so only the distance of single lines
 * changes. */
static void redirect(const nnc_place *p, int root, real *to, size_t ld) {
  const nnc_plan *plan = p->run.plan;
  for (int v = 0; v < plan->n_values; v++) {
    if (plan->value[v].alias != root) continue;
    p->act[v] = to;
    if (plan->value[root].lines == 1 && plan->value[v].lines == 1) p->ld[v] = ld;
  }
}

static void run_block(const nnc_job *job, nnc_place *p, size_t start, size_t rows) {
  const nnc_plan *plan = job->plan;
  const nnc_sequences none = {NULL, NULL, NULL}, *sequences = job->sequences ? job->sequences : &none;
  p->run.lengths = sequences->lengths ? p->lengths : NULL;
  p->run.lengths_ld = job->room;
  for (size_t i = 0; i < rows && sequences->lengths; i++)
    nnc_take_length(plan, p->lengths + i, job->room, sequences->lengths + start + i);
  p->run.initial = sequences->initial ? (const real *)sequences->initial + start * plan->carry : NULL;
  p->run.final = sequences->final ? (real *)sequences->final + start * plan->carry : NULL;
  for (int i = 0; i < plan->n_inputs; i++) {
    const nnc_value *v = &plan->value[i];
    const nnc_source *x = &job->x[i];
    if (!(v->timed && sequences->lengths) && read_in_place(plan, i, x))
      redirect(p, i, (real *)x->data + (ptrdiff_t)start * x->stride, v->lines == 1 ? (size_t)x->stride : v->ld);
    else nnc_fetch(p->run.k, p->act[i], x, NULL, start, 0, rows, v->lines * v->cols, nnc_value_elements(v));
    nnc_clear_padding(&p->run, p->run.act, i, 0, rows);
  }
  for (int i = 0; i < plan->n_outputs && job->out; i++) {
    const nnc_value *v = &plan->value[plan->output[i]];
    if (write_in_place(plan, i)) redirect(p, v->alias, (real *)job->out[i] + start * v->cols, v->cols);
  }
  nnc_run_forward(&p->run, 0, rows);
  if (job->failed) return;
  for (int i = 0; i < plan->n_outputs && job->out; i++) {
    if (write_in_place(plan, i)) continue;
    const nnc_matrix y = nnc_samples(&p->run, p->run.act, plan->output[i], 0, rows);
    real *to = (real *)job->out[i] + start * plan->value[plan->output[i]].lines * y.cols;
    for (size_t r = 0; r < y.rows; r++) memcpy(to + r * y.cols, y.at + r * y.ld, y.cols * sizeof(real));
  }
}

static void evaluate_block(const nnc_job *job, const nnc_place *p, size_t number, size_t start, size_t rows) {
  const nnc_plan *plan = job->plan;
  const nnc_data *data = job->data;
  char *at = p->rest;
  nnc_output_batch b[plan->n_outputs];
  for (int i = 0; i < plan->n_outputs; i++) {
    const nnc_output_loss *out = &plan->output_loss[i];
    const size_t lines = plan->value[out->prediction].lines;
    b[i].target = carve(&at, job->room * lines * out->target_cols * sizeof(real));
    b[i].row_loss = carve(&at, job->room * lines * sizeof(real));
    const nnc_weights *w = nnc_weights_of(data, i);
    real *weight = w ? carve(&at, job->room * w->width * sizeof(real)) : NULL;
    if (w) nnc_fetch(p->run.k, weight, &w->source, NULL, start, 0, rows, w->width, w->width);
    b[i].weight = weight;
    b[i].width = w ? w->width : 1;
    b[i].lengths = p->run.lengths;
    nnc_fetch(p->run.k, b[i].target, &data->y[i], NULL, start, 0, rows, lines * out->target_cols, lines * out->target_cols);
    nnc_mark_ignored(out, b[i].target, rows * lines);
    nnc_output_losses(&p->run, out, &b[i], 0, rows, 1);
    if (out->statistics.called && !job->failed) nnc_output_watch(&p->run, out, &b[i], rows);
    if (job->failed) return;
  }
  for (unsigned spins = 0; atomic_load_explicit(&job->turn, memory_order_acquire) != number; spins++) nnc_relax(spins);
  for (int i = 0; i < plan->n_outputs; i++) {
    const nnc_output_loss *out = &plan->output_loss[i];
    job->sums[2 * i] = nnc_output_loss_sum(&p->run, out, &b[i], rows, job->sums[2 * i]);
    for (size_t r = 0; r < rows; r++) job->sums[2 * i + 1] += nnc_output_sample_weight(plan, out, &b[i], r);
    if (data->statistics) nnc_output_statistics(&p->run, out, &b[i], rows, data->statistics[i]);
  }
  atomic_store_explicit((atomic_size_t *)&job->turn, number + 1, memory_order_release);
}

static void infer_thread(nnc_thread *self, void *context) {
  nnc_job *job = context;
  nnc_place p = place_thread(job, self);
  p.run.loss = job->data != NULL;
  do {
    const size_t number = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
    if (number >= job->blocks) return;
    const size_t start = job->first + number * job->block, left = job->rows - start, rows = left < job->block ? left : job->block;
    run_block(job, &p, start, rows);
    if (job->data && !job->failed) evaluate_block(job, &p, number, start, rows);
  } while (job->blocks > 1 && !job->failed && nnc_now() < job->deadline);
}

static nnc_status run_job(nnc_job *job, size_t *next, nnc_error *error) {
  nnc_plan *plan = job->plan;
  *next = job->rows;
  if (job->first >= job->rows) return NNC_OK;
  const size_t left = job->rows - job->first;
  int threads = nnc_calls_out(plan) || plan->whole_batch ? 1 : nnc_threads_for(plan->flops * (double)left);
  int op;
  if (left < nnc_plan_least_rows(plan, 0, &op))
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s: one row has no variance to normalise by, and no running statistics are tracked; pass "
                    "at least 2 rows at once, or use track_running_stats=True",
                    plan->op[op].spec.name);
  const int64_t *lengths = job->sequences ? job->sequences->lengths : NULL;
  if (left == 1 && lengths && nnc_fetch_length(plan, &lengths[job->first]) == 1 && nnc_plan_needs_two_steps(plan, 0, &op))
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s: one step has no variance to normalise by, and no running statistics are tracked; pass at least 2 valid "
                    "steps at once, or use track_running_stats=True",
                    plan->op[op].spec.name);
  /* Blocks are whole tiles. A batch smaller than one block is still divided among as many threads as are useful. */
  job->block = plan->block;
  if (left < job->block * (size_t)threads) job->block = ((left + (size_t)threads - 1) / (size_t)threads + 7) / 8 * 8;
  if (left < job->block || plan->whole_batch) job->block = left;
  job->blocks = (left + job->block - 1) / job->block;
  if ((size_t)threads > job->blocks) threads = (int)job->blocks;
  job->room = nnc_int8_room(plan, job->block);
  size_t stride, all;
  if (thread_bytes(plan, job->room, job->data != NULL, &stride) || nnc_mul(&all, stride, (size_t)threads) ||
      nnc_add(&all, all, NNC_ALIGNMENT))
    return nnc_fail(error, NNC_ERROR_SIZE, "the workspace for %zu rows is larger than the address space; pass fewer rows at once",
                    job->block);
  if (plan->n_bf16 && !(job->weights = nnc_take_weights(plan)))
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for a copy of the weights in bfloat16");
  job->space = take_workspace(plan, threads, stride);
  if (!job->space) {
    nnc_free(job->weights);
    return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the workspace of %d threads (%zu bytes)", threads, all);
  }
  nnc_intra_op intra_op = {.threads = 1};
  if (job->blocks == 1 && job->out && !nnc_calls_out(plan)) intra_op = nnc_intra_op_begin(plan, left);
  job->intra_op_threads = intra_op.threads;
  nnc_parallel(threads, nnc_plan_has_tiles(plan), infer_thread, job);
  nnc_intra_op_end(plan, &intra_op);
  give_workspace(plan, job->space);
  nnc_free(job->weights);
  const size_t taken = atomic_load(&job->next), done = taken < job->blocks ? taken : job->blocks;
  *next = job->first + done * job->block < job->rows ? job->first + done * job->block : job->rows;
  return NNC_OK;
}

nnc_status NNC_TYPED(nnc_predict)(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, size_t first,
                                  void *const *out, size_t *next, double budget, nnc_error *error) {
  if (first == 0 && !sequences && NNC_TYPED(nnc_fits_small_batch)(plan, x, rows)) {
    *next = rows;
    return NNC_TYPED(nnc_predict_small_batch)(plan, x, rows, out[0], error);
  }
  nnc_job job = {.plan = plan, .x = x, .sequences = sequences, .rows = rows, .first = first, .out = out};
  job.deadline = rows > first + plan->block ? nnc_now() + budget : 0;
  return run_job(&job, next, error);
}

nnc_status NNC_TYPED(nnc_evaluate)(nnc_plan *plan, const nnc_data *data, size_t first, double *sums, size_t *next, double budget,
                                   nnc_error *error) {
  const nnc_sequences sequences = {.lengths = data->lengths};
  nnc_job job = {
      .plan = plan, .x = data->x, .sequences = &sequences, .rows = data->rows, .first = first, .data = data, .sums = sums};
  job.deadline = nnc_now() + budget;
  return run_job(&job, next, error);
}
