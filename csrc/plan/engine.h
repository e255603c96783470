/* engine.h: common declarations of the files that compute with numbers. They are named *_typed.c and compiled once per dtype.
 *
 * A run is one pass over the plan on one thread: the positions of values, the kernels, and the mode. Drivers translate one op
 * record into kernel calls on a range of samples (forward, backward) or of weight rows (gradient, prepare).
 */
#ifndef NNC_PLAN_ENGINE_H
#define NNC_PLAN_ENGINE_H

#include "base/sizes.h"
#include "ops/low_kernels.h"
#include "plan/optimizer.h"
#include "plan/plan.h"

#if NNC_BUILD_F64
typedef double real;
#define NNC_TYPED(name) name##_f64
#else
typedef float real;
#define NNC_TYPED(name) name##_f32
#endif

typedef NNC_TYPED(nnc_kernels) nnc_kernels;

typedef struct {
  const nnc_plan *plan;
  const nnc_kernels *k;
  const nnc_low_kernels *low; /* of a plan with products in lower precision */
  real *const *act;           /* per value: its first sample */
  real *const *grad;          /* the same for gradients; NULL in inference */
  const size_t *ld;           /* per value */
  real *grads, *arena;
  int training;       /* training mode, in which dropout is active */
  int loss;           /* a loss is attached: activations that are fused into it are skipped */
  int input_grads;    /* whether the gradients of the inputs are computed */
  int keeps_rows;     /* bfloat16: all values are wanted as float32 rows, and all gradients of weights, for diagnosis */
  int accumulates;    /* the gradients of the parameters are added to those of earlier batches: walk_typed.c */
  nnc_thread *self;   /* NULL in inference, where no op needs other samples than its own */
  size_t rows;        /* of the whole batch; with ranks, of this one's part, */
  size_t rows_before; /* and of the parts of lower ranks */
  void *block;        /* the allocation that contains act and grad */
  int *failed;        /* set if a call into Python fails: all threads stop at the next barrier */
  uint64_t seed, pass;
  int64_t step;
  const int64_t *lengths; /* [timelines, lengths_ld]: number of valid time steps of each sample; NULL: all */
  size_t lengths_ld;
  const real *initial; /* [samples, plan->carry]: initial states of recurrent layers; NULL: the learned ones, or zeros */
  real *final;         /* the same: memory for their last states; NULL: not wanted */
  int carried;         /* initial has the states of the previous batch, which only stateful layers use */
  real *work, *packed; /* inference: memory of `work_rows` samples, and derived weights; NULL in training */
  size_t work_rows;
  const nnc_bf16 *weights; /* inference: packed weights of linear layers in bfloat16, */
  nnc_bf16 *operand;       /* and memory for the operand of one */
  int intra_op_threads;    /* inference: number of threads for the columns of wide layers; 0 or 1: one thread */
} nnc_run;

typedef struct {
  /* Samples [first, last). backward turns the gradient of the result into that of the inputs. */
  void (*forward)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  void (*backward)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  /* For ops whose result for one sample depends on the others (batch norm); NULL if samples are independent. They replace
   * backward, and in training also forward: _partial of each thread's samples, a barrier, _channels [first, last) over the whole
   * batch, a barrier, and _rest of the samples. */
  void (*begin_batch)(const nnc_run *run, const nnc_op *op); /* one thread, before forward_partial */
  void (*forward_partial)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  void (*forward_channels)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  void (*forward_rest)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  void (*backward_partial)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  void (*backward_channels)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  void (*backward_rest)(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
  /* Between _channels and _rest, where ranks join their statistics: one thread. */
  void (*forward_joined)(const nnc_run *run, const nnc_op *op);
  void (*backward_joined)(const nnc_run *run, const nnc_op *op);
  /* forward and backward process the whole batch at once, on the calling thread. The other threads wait. */
  int whole_batch;
  /* If no activation follows, backward does not need the result of forward, and does not write into the gradient that it reads. So
   * the result and the gradients may be in the caller's arrays. */
  int external_arrays;
  /* Gradient of the weight rows [first, last) (and of the bias) over a batch of `rows` samples. */
  void (*gradient)(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows);
  /* The gradient of the weight rows [first, last), their update, and the values that are derived from them, in one pass in which the
   * gradient is not kept; the gradient of the bias as above. NULL, or returns 0: to be done one after the other. */
  int (*train)(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows, const nnc_update *update);
  /* Update the values that are derived from the weight rows [first, last). */
  void (*prepare)(const nnc_run *run, const nnc_op *op, const nnc_task *task);
} NNC_TYPED(nnc_driver);

extern const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_linear_bf16);
#define NNC_LAYER(name, sizes, attributes) extern const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_##name);
#include "ops/ops.def"

/* layers/python_typed.c: call into Python; sets *run->failed if that fails. */
#define nnc_call_out NNC_TYPED(nnc_call_out)
void nnc_call_out(const nnc_run *run, nnc_call *call);

/* What ranks exchange (nnc_ranks), on the calling thread; sets *run->failed if that fails. */
#define nnc_sum_over_ranks NNC_TYPED(nnc_sum_over_ranks)
#define nnc_gather_from_ranks NNC_TYPED(nnc_gather_from_ranks)
void nnc_sum_over_ranks(const nnc_run *run, real *numbers, size_t n);
void nnc_gather_from_ranks(const nnc_run *run, void *records, size_t bytes);

/* For ops without parameters. */
#define nnc_no_gradient NNC_TYPED(nnc_no_gradient)
#define nnc_nothing_to_prepare NNC_TYPED(nnc_nothing_to_prepare)
void nnc_no_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows);
void nnc_nothing_to_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task);

/* layers/recurrent/recurrent_typed.c: compute the values that inference derives from the weights of a recurrent layer. */
#define nnc_prepare_recurrent NNC_TYPED(nnc_prepare_recurrent)
void nnc_prepare_recurrent(const nnc_run *run, const nnc_op *op);
/* The position of the last h (0) or c (1) of direction d after forward; rows are *row apart. */
#define nnc_last_state NNC_TYPED(nnc_last_state)
const real *nnc_last_state(const nnc_run *run, const nnc_op *op, size_t which, size_t d, size_t *row);

/* Whether a layer with this number of operations should be divided among the threads of the pool, in a prediction of few rows:
 * run/intra_op.h. */
static inline int nnc_is_wide(double flops) { return flops >= 60e3; }

/* The source of an op's random words: a separate stream per step (see ops/random/random.h), and a separate key per forward pass.
 * The key of pass 0 is the seed; the others differ from it by the finalizer of MurmurHash3 (Appleby 2011), a bijection. */
typedef struct {
  uint32_t key[2], stream[2];
} nnc_words;

static inline nnc_words nnc_words_of(const nnc_run *run, const nnc_op *op) {
  uint64_t key = run->pass;
  key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
  key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53u;
  key ^= key >> 33 ^ run->seed;
  return (nnc_words){{(uint32_t)key, (uint32_t)(key >> 32)},
                     {(uint32_t)run->step, (uint32_t)(op - run->plan->op) ^ (uint32_t)((uint64_t)run->step >> 32 << 24)}};
}

/* Whether an op computes as in training. */
static inline int nnc_op_trains(const nnc_run *run, const nnc_op *op) { return run->training && !op->inference; }

/* Whether batch normalisation uses the statistics of the rows of all ranks. */
static inline int nnc_op_joins(const nnc_run *run, const nnc_op *op) {
  return run->plan->ranks.joins_norms && run->self && nnc_op_trains(run, op);
}

/* The thread's samples of a batch: whole groups. Batch norm computes its partial sums for these groups too. */
_Static_assert(NNC_SAMPLE_GROUP % NNC_NORM_CHUNK == 0 && NNC_SAMPLE_GROUP_BF16 % NNC_SAMPLE_GROUP == 0,
               "no chunk may belong to two threads");
static inline void nnc_partition_samples(const nnc_plan *plan, const nnc_thread *self, size_t rows, size_t *first, size_t *last) {
  const size_t group = plan->group;
  if (self->size == 1) { /* a division costs as much as a small layer */
    *first = 0;
    *last = rows;
    return;
  }
  nnc_partition(self, (rows + group - 1) / group, first, last);
  *first = *first * group < rows ? *first * group : rows;
  *last = *last * group < rows ? *last * group : rows;
}

/* The values of the parameter in a slot of an op, or NULL. */
static inline real *nnc_values_of(const nnc_run *run, const nnc_op *op, int slot) {
  return op->param[slot] == NNC_NONE ? NULL : run->plan->param[op->param[slot]].layout.data;
}

/* The same in one of the buffers of gradients. */
static inline real *nnc_param_at(const nnc_run *run, const nnc_op *op, int slot, real *buffer) {
  return op->param[slot] == NNC_NONE ? NULL : buffer + run->plan->param[op->param[slot]].layout.offset;
}

/* A range of samples of one value as a matrix. */
typedef struct {
  real *at;
  size_t rows, cols, ld;
} nnc_matrix;

static inline nnc_matrix nnc_samples(const nnc_run *run, real *const *base, int value, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  const size_t ld = run->ld[value];
  return (nnc_matrix){base[value] + first * v->lines * ld, (last - first) * v->lines, v->cols, ld};
}

/* The destination for the gradient of input j, dx: dx itself, or separate memory if another op has already written dx.
 * nnc_add_gradient then adds it to dx. */
static inline real *nnc_place_gradient(const nnc_run *run, const nnc_op *op, int j, nnc_matrix dx) {
  return op->accumulates[j] ? run->arena + op->packed + (dx.at - run->grad[op->spec.input[j]]) : dx.at;
}
static inline void nnc_add_gradient(const nnc_run *run, const nnc_op *op, int j, nnc_matrix dx, const real *from) {
  if (op->accumulates[j]) run->k->accumulate(dx.at, from, dx.rows, dx.cols, dx.ld, dx.ld);
}

/* run/walk_typed.c: all ops in order, in reverse, and the parameter tasks of one thread */
#define nnc_run_forward NNC_TYPED(nnc_run_forward)
#define nnc_op_forward NNC_TYPED(nnc_op_forward)
#define nnc_run_backward NNC_TYPED(nnc_run_backward)
#define nnc_run_gradients NNC_TYPED(nnc_run_gradients)
#define nnc_run_prepare NNC_TYPED(nnc_run_prepare)
void nnc_run_forward(const nnc_run *run, size_t first, size_t last);
typedef void nnc_forward_fn(const nnc_run *run, const nnc_op *op, size_t first, size_t last);
nnc_forward_fn *nnc_op_forward(const nnc_op *op); /* forward of its driver; NULL if there is nothing to do */
void nnc_run_backward(const nnc_run *run, size_t first, size_t last);
/* The part in both of a rank without rows: it takes part in joining statistics. */
#define nnc_run_without_rows NNC_TYPED(nnc_run_without_rows)
void nnc_run_without_rows(const nnc_run *run);
/* update != NULL: each task's parameters are updated while they are in cache. If `prepare`, they are also prepared for the next
 * step. */
void nnc_run_gradients(const nnc_run *run, const nnc_thread *self, size_t rows, const nnc_update *update, int prepare);
void nnc_run_prepare(const nnc_run *run, const nnc_thread *self);
/* Whether a value that is an input or output of the network, and its gradient, may be in the caller's array, which is dense. */
#define nnc_may_be_external NNC_TYPED(nnc_may_be_external)
int nnc_may_be_external(const nnc_plan *plan, int value);

/* run/update_typed.c: clipping by norm and the update of all spans. Every thread calls it. A barrier must come before and after. */
#define nnc_run_update NNC_TYPED(nnc_run_update)
#define nnc_update_range NNC_TYPED(nnc_update_range)
void nnc_run_update(const nnc_run *run, nnc_thread *self, const nnc_update *update);
#define nnc_update_of NNC_TYPED(nnc_update_of)
/* The scalars of the update of a parameter with these options. */
nnc_update nnc_update_of(const nnc_run *run, const nnc_update *update, const nnc_param_options *options);
/* param: the parameter with element `offset` of the buffers; those that follow it may be included, if their values do so too. */
#define nnc_update_average NNC_TYPED(nnc_update_average)
void nnc_update_average(const nnc_run *run, const nnc_update *update, const nnc_parameter *param, size_t offset, size_t n);
void nnc_update_range(const nnc_run *run, const nnc_update *update, const nnc_parameter *param, size_t offset, size_t n);

/* run/regularization_typed.c: penalties in the loss, the max-norm constraint, the moving average. Every thread calls the nnc_run_
 * functions. */
#define nnc_run_penalties NNC_TYPED(nnc_run_penalties)
#define nnc_penalty_sum NNC_TYPED(nnc_penalty_sum)
#define nnc_run_constraints NNC_TYPED(nnc_run_constraints)
void nnc_run_penalties(const nnc_run *run, const nnc_thread *self); /* a barrier must come between this and nnc_penalty_sum */
double nnc_penalty_sum(const nnc_plan *plan);
void nnc_run_constraints(const nnc_run *run, const nnc_thread *self, double momentum); /* after the update and a barrier */

/* The kernels of a plan, and a run over its training arena. A plan that computes in lower precision has the same bits on every
 * instruction set. */
#define nnc_plan_kernels NNC_TYPED(nnc_plan_kernels)
#define nnc_training_run NNC_TYPED(nnc_training_run)
static inline const nnc_kernels *nnc_plan_kernels(const nnc_plan *plan) {
#if !NNC_BUILD_F64
  if (plan->compute != NNC_COMPUTE_FULL) return nnc_kernels_for_f32_exact(plan->isa);
#endif
  return NNC_TYPED(nnc_kernels_for)(plan->isa);
}
nnc_run nnc_training_run(const nnc_plan *plan, const nnc_progress *progress, nnc_thread *self, size_t rows);

/* run/source_typed.c: copies rows [first, last) of a batch that starts at row `start` of the data into a value or target buffer. */
#define nnc_fetch NNC_TYPED(nnc_fetch)
void nnc_fetch(const nnc_kernels *k, real *to, const nnc_source *source, const int64_t *order, size_t start, size_t first,
               size_t last, size_t cols, size_t ld);

/* Elements [first, first + n) of one row of the data. */
#define nnc_fetch_part NNC_TYPED(nnc_fetch_part)
void nnc_fetch_part(const nnc_kernels *k, real *to, const nnc_source *source, size_t row, size_t first, size_t n);

/* The number of valid time steps of a row, from the caller's memory, where other threads may write. It is read only once, and an
 * invalid length is replaced by the nearest valid one. Kernels and drivers read copies of it. */
static inline int64_t nnc_fetch_length(const nnc_plan *plan, const int64_t *from) {
  const int64_t length = *(const volatile int64_t *)from, steps = (int64_t)plan->steps;
  return length < 1 ? 1 : length > steps ? steps : length;
}

/* Copies the length of a row, and computes the number of valid steps on each timeline: to[timeline * ld]. */
static inline void nnc_take_length(const nnc_plan *plan, int64_t *to, size_t ld, const int64_t *from) {
  to[0] = nnc_fetch_length(plan, from);
  for (int i = 1; i < plan->n_timelines; i++)
    to[(size_t)i * ld] = (int64_t)plan->timeline[i].times * to[0] + (int64_t)plan->timeline[i].plus;
}

/* The numbers of valid time steps of a value, by sample; NULL: all of them. */
static inline const int64_t *nnc_lengths_of(const nnc_run *run, int value) {
  const nnc_value *v = &run->plan->value[value];
  return run->lengths && v->timed ? run->lengths + (size_t)v->timeline * run->lengths_ld : NULL;
}

/* Set a value (base: run->act) or its gradient (run->grad) to zero, for samples [first, last), after the length of each. */
#define nnc_clear_padding NNC_TYPED(nnc_clear_padding)
void nnc_clear_padding(const nnc_run *run, real *const *base, int value, size_t first, size_t last);

#endif
