/* nncore.h: the only header that the Python boundary sees: status codes, the plan, and the dispatch tables for single ops.
 *
 * Life of a plan: create (description -> checked op records, shapes, fusion, parameter layout), bind (the caller's buffers),
 * compile (losses, optimizer), then train / evaluate / predict, each of which returns at a step boundary within a time budget. No
 * function here prints or exits. None keeps a reference to its arguments, except nnc_plan_bind to the buffers.
 */
#ifndef NNCORE_H
#define NNCORE_H

#include "base/arena.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/tiles.h"
#include "base/types.h"
#include "ops/kernels.h"
#include "ops/low_kernels.h"
#include "ops/registry.h"
#include "plan/optimizer.h"

enum { NNC_MAX_RANK = 8, NNC_MAX_INPUTS = 8, NNC_MAX_SIZES = 10, NNC_MAX_ATTRIBUTES = 4, NNC_MAX_MOMENTS = 3 };

/* Single kernels for modules that do not link this library; see plan/kernel_interface.c. The sizes always come first: a module
 * compares them with its own before it uses the rest. */
typedef struct {
  size_t size, table_size, update_size, recurrence_size; /* of this struct, nnc_kernels_f32 and _f64, nnc_update, nnc_recurrence */
  size_t low_table_size;                                 /* of nnc_low_kernels */
  const nnc_kernels_f32 *(*kernels_for_f32)(nnc_isa isa);
  const nnc_kernels_f64 *(*kernels_for_f64)(nnc_isa isa);
  const nnc_low_kernels *(*low_kernels_for)(nnc_isa isa);
  int (*tiles_permit)(void); /* base/tiles.h: needed for the low kernels of AMX */
  void (*tiles_configure)(void), (*tiles_release)(void);
  const char *const *isa_names;
  const nnc_loss_info *losses;
  const nnc_optimizer_info *optimizers;
  void (*optimizer_prepare)(int optimizer, nnc_update *update);
  int (*optimizer_uses)(int optimizer, const double *attr, int moment);
} nnc_kernel_interface;

const nnc_kernel_interface *nnc_get_kernel_interface(void);

typedef struct nnc_plan nnc_plan;

typedef struct {
  nnc_status status;
  char message[400];
} nnc_error;

typedef struct {
  int rank;
  size_t dim[NNC_MAX_RANK]; /* of one sample, without the batch */
} nnc_shape;

/* The fields of an op record, by their names in ops.def, and by position for Python. */
typedef union {
  int64_t at[NNC_MAX_SIZES];
#define SIZES(...) __VA_OPT__(int64_t __VA_ARGS__;)
#define NNC_LAYER(name, sizes, attributes) \
  struct nnc_##name##_sizes {              \
    sizes                                  \
  } name;
#include "ops/ops.def"
} nnc_sizes;

typedef union {
  double at[NNC_MAX_ATTRIBUTES];
#define ATTRIBUTES(...) __VA_OPT__(double __VA_ARGS__;)
#define NNC_LAYER(name, sizes, attributes) \
  struct nnc_##name##_attributes {         \
    attributes                             \
  } name;
#define NNC_ACTIVATION(name, saves, scope, attributes) \
  struct nnc_##name##_attributes {                     \
    attributes                                         \
  } name;
#include "ops/ops.def"
} nnc_attributes;

_Static_assert(sizeof(nnc_sizes) == NNC_MAX_SIZES * sizeof(int64_t), "a kind of layer has too many sizes");
_Static_assert(sizeof(nnc_attributes) == NNC_MAX_ATTRIBUTES * sizeof(double), "an op has too many attributes");

/* One op of the description. Values are numbered: inputs first, then one per op. */
typedef struct {
  int kind; /* NNC_LAYER_... */
  int code; /* activation: NNC_ACTIVATION_... */
  const char *name;
  int n_inputs;
  int input[NNC_MAX_INPUTS];
  nnc_sizes size;
  nnc_attributes attr;
  const int64_t *indices; /* take: all of them; a plan copies them */
  size_t n_indices;
  int shares; /* an earlier op of the same kind and sizes whose parameters this one uses, or -1 */
} nnc_op_spec;

/* A parameter: rows x cols values at `data`, rows `ld` apart, in the plan's own memory or in that of another plan whose layer it
 * shares; and its gradient, moments and average at `offset` elements of their buffers. A weight is stored as [in, out]. If `transposed`
 * is set, users see it as [cols, rows]. */
typedef struct nnc_param {
  int op;
  char role[40];
  void *data; /* set by nnc_plan_bind */
  size_t offset, rows, cols, ld;
  int transposed, vector;
  nnc_shape shape;                 /* of a vector, as users see it; rank 0: [rows, cols] */
  size_t packed_rows, packed_cols; /* `data` is a weight [in, out] of 8-bit integers (ops/int8.h); 0: numbers */
} nnc_param;

/* Calls into Python: ops of kind "python", losses and metrics. They run on the thread that called the core. The arrays are in the
 * core's memory: `rows` samples, `ld` elements between lines. `block` is the allocation that contains them. Code that keeps an
 * array calls nnc_retain on the block. */
typedef struct {
  void *data; /* NULL: not wanted, or absent */
  size_t ld;
} nnc_array;
typedef enum { NNC_CALL_FORWARD, NNC_CALL_BACKWARD, NNC_CALL_LOSS, NNC_CALL_METRIC } nnc_call_kind;
typedef struct {
  nnc_call_kind kind;
  int index;    /* of the op, or of the output */
  int training; /* as of layers: dropout drops */
  size_t rows;
  void *block;
  nnc_array y, dy; /* the result and its gradient; a loss writes dy */
  nnc_array x[NNC_MAX_INPUTS], dx[NNC_MAX_INPUTS];
  int adds[NNC_MAX_INPUTS]; /* the result must be added to dx */
  int adds_params;          /* another op or batch has written the gradients of the parameters; the result must be added */
  void *target, *row_loss;  /* dense; a loss fills one number per line */
  const void *weight;       /* [rows, weight_width], or NULL; see nnc_weights */
  size_t weight_width;
  const int64_t *lengths; /* number of valid time steps of each sample, of what comes from an op, or goes to a metric; NULL: all */
} nnc_call;
typedef struct {
  void *context;
  /* All three return non-zero to stop the run. shape: the output shape of an op for its input shapes. param: role and cols of the
   * parameter in a slot; cols is 0 if the slot is empty. */
  int (*shape)(void *context, int op, const nnc_shape *inputs, int n_inputs, nnc_shape *out);
  int (*param)(void *context, int op, int slot, struct nnc_param *param);
  int (*call)(void *context, const nnc_call *call);
} nnc_caller;

/* compute: another one than NNC_COMPUTE_FULL needs NNC_F32. caller: may be NULL if there are no ops of kind "python" and no losses or metrics in Python. */
nnc_status nnc_plan_create(nnc_plan **plan, nnc_dtype dtype, nnc_compute compute, nnc_isa isa, const nnc_shape *inputs,
                           int n_inputs, const nnc_op_spec *ops, int n_ops, const int *outputs, int n_outputs,
                           const nnc_caller *caller, nnc_error *error);
void nnc_plan_free(nnc_plan *plan);
/* The memory that belongs to a plan, in bytes. The buffers to which it is bound do not. */
size_t nnc_plan_bytes(const nnc_plan *plan);
void nnc_plan_shape(const nnc_plan *plan, int value, nnc_shape *shape);

int nnc_plan_param_count(const nnc_plan *plan);
void nnc_plan_param(const nnc_plan *plan, int i, nnc_param *param);
/* Floating-point operations of all matrix products for one sample, forward. */
double nnc_plan_flops(const nnc_plan *plan);
/* Length of each buffer in elements, padding included. */
size_t nnc_plan_elements(const nnc_plan *plan);
/* Running statistics, which have their own buffer. */
int nnc_plan_state_count(const nnc_plan *plan);
void nnc_plan_state(const nnc_plan *plan, int i, nnc_param *state);
size_t nnc_plan_state_elements(const nnc_plan *plan);
/* Number of time steps to which lengths refer; 0 if no input has time, or if the op *op (else -1) mixes time steps. */
size_t nnc_plan_steps(const nnc_plan *plan, int *op);
/* How an op mixes time steps, and what to do instead, as the second half of a sentence; NULL if it does not. */
const char *nnc_plan_mixing(const nnc_plan *plan, int op);
/* Whether the first dimension of a value is time. Of a sequence of length n, *times * n + *plus steps are then valid. */
int nnc_plan_is_timed(const nnc_plan *plan, int value, size_t *times, size_t *plus);
/* States of one sample in all recurrent layers, in elements: layer by layer h and, LSTM, c, each [directions, hidden]. */
size_t nnc_plan_carry(const nnc_plan *plan);
/* The states that the last training batch of stateful layers left, be it a step or a forward pass in training mode: [*rows, nnc_plan_carry()], one row per sample of the batch; or
 * NULL. carry_on: start the next batch with these states; it copies them and needs reserve(rows). reset: start the next batch with
 * zeros. */
int nnc_plan_is_stateful(const nnc_plan *plan);
const void *nnc_plan_carried(const nnc_plan *plan, size_t *rows);
void nnc_plan_carry_on(nnc_plan *plan, const void *states, size_t rows);
void nnc_plan_reset_states(nnc_plan *plan);
/* Let a compiled plan of the same layers continue from the carried states of another plan, or without any if it has none. */
nnc_status nnc_plan_inherit(nnc_plan *plan, const nnc_plan *before, nnc_error *error);
/* For a recurrent op, after a backward pass over `rows` samples: norms[t] = the norm of the gradient with respect to the gates'
 * inputs at step t, over samples, directions and gates. */
void nnc_plan_step_norms(const nnc_plan *plan, int op, size_t rows, double *norms);
/* The smallest number of samples of a batch, in training or at inference. It is 2 if a statistic of one sample has no meaning; *op
 * is then the op with the statistic. */
size_t nnc_plan_least_rows(const nnc_plan *plan, int training, int *op);
/* Whether a batch of one sample of length 1 is too small in the same way, though its sequence has more steps. */
int nnc_plan_needs_two_steps(const nnc_plan *plan, int training, int *op);
/* For an input of indices: the number of rows of the table; 0 for other inputs. */
size_t nnc_plan_index_bound(const nnc_plan *plan, int input);
/* params, states: where the values of each parameter and running statistic are. versions: for each parameter a counter of the
 * changes of its values; the functions below count theirs, and so does who changes them otherwise. The others are buffers of nnc_plan_elements()
 * elements. All are cache-line aligned. The caller keeps them alive. Unused moments are NULL, and so is `average` if there is no
 * moving average. Must come before compile. */
void nnc_plan_bind(nnc_plan *plan, void *const *params, uint64_t *const *versions, void *grads, void *const *states, void *average,
                   void *const moments[NNC_MAX_MOMENTS]);

enum { NNC_MAX_OUTPUTS = 64 };
enum { NNC_LOSS_CALLED = -1 }; /* a loss in Python */
typedef enum { NNC_MEAN, NNC_SUM, NNC_WEIGHTED_MEAN } nnc_reduction;
typedef struct {
  int loss;         /* NNC_LOSS_..., never a _logits one; or NNC_LOSS_CALLED */
  int index_target; /* NNC_LOSS_CALLED: one class index per line */
  int from_logits;
  int reduction;
  double weight; /* in the sum over the outputs */
  int n_attr;
  const double *attr;
  int ignores; /* rows whose class index is `ignored` count in no sum: neither in the loss nor in its divisor nor in a statistic */
  double ignored;
} nnc_loss_spec;

typedef struct {
  int optimizer; /* NNC_OPTIMIZER_... */
  double attr[NNC_OPTIMIZER_ATTRIBUTES];
  double weight_decay;
  double clip_norm, clip_norm_each, clip_value; /* of all gradients together, of each parameter's, of each element; 0: off */
  double ema_momentum;                          /* of the moving average of the parameters; 0: no average */
  int divides_penalties; /* the penalties of a step are divided by what the loss of its first output is divided by */
} nnc_optimizer_spec;

typedef struct {
  int trainable;
  double lr_scale, weight_decay, l1, l2;
  double max_norm; /* limit for the weights into one unit: a column as stored, or a row if not stored transposed; 0: off */
} nnc_param_options;

/* What is added up for the metrics of an output: counts of classes or of decisions (kernels.h), sums of residuals (seven per column,
 * after the sums that counts have in common), or the sum of a loss (after the weight of its lines). */
typedef enum { NNC_STATISTIC_CLASSES, NNC_STATISTIC_DECISIONS, NNC_STATISTIC_RESIDUALS, NNC_STATISTIC_LOSS } nnc_statistic_kind;
enum { NNC_STATISTIC_ATTRIBUTES = 8 };
typedef struct {
  int kind;
  nnc_count count;
  size_t k;         /* for NNC_COUNT_TOP */
  int weighted;     /* whether rows count with their weights */
  double threshold; /* decisions: positive above it; targets above 0.5, be they 0/1 or -1/+1 */
  int loss;         /* NNC_LOSS_..., for NNC_STATISTIC_LOSS; it takes the targets of the output */
  double attr[NNC_STATISTIC_ATTRIBUTES];
} nnc_statistic_spec;

enum { NNC_MAX_STATISTICS = 32 };
typedef struct {
  int n;
  nnc_statistic_spec of[NNC_MAX_STATISTICS];
  int called; /* metrics in Python see the output too */
} nnc_statistics;

/* The number of doubles that a statistic of an output with so many columns has. Those of an output lie one after the other. */
size_t nnc_statistic_size(const nnc_statistic_spec *spec, size_t cols);

/* losses and statistics: one per output; options: one per parameter. */
nnc_status nnc_plan_compile(nnc_plan *plan, const nnc_loss_spec *losses, const nnc_optimizer_spec *optimizer,
                            const nnc_param_options *options, const nnc_statistics *statistics, nnc_error *error);
/* Reserve memory for training batches of up to `rows` samples. */
nnc_status nnc_plan_reserve(nnc_plan *plan, size_t rows, nnc_error *error);
/* Reserve the memory that sums of gradients over several batches need. */
nnc_status nnc_plan_reserve_sum(nnc_plan *plan, nnc_error *error);
/* Let ops compute as at inference in training, too, or not; one flag per op. Dropout and noise then do nothing, batch norm uses its
 * running statistics and does not change them, and Python is told so. */
void nnc_plan_set_inference(nnc_plan *plan, const unsigned char *flags);
/* Processes ("ranks") that train one model, each with rows of its own. In every step, all of them make the same calls. These are made on
 * the thread that called the core, and return non-zero to stop the run. The buffer of gradients then has one more element. */
typedef struct {
  int (*sum)(void *context, void *numbers, size_t n, nnc_dtype dtype); /* over all ranks, in place, with the same bits on each */
  int (*gather)(void *context, void *records, size_t bytes);           /* [ranks, bytes], of which each rank sets its own */
  int rank, ranks;
  int apart;       /* each makes its own updates: nothing is exchanged in a step */
  int joins_norms; /* the statistics of batch normalisation are those of the rows of all ranks */
} nnc_ranks;
/* The context of the calls is that of nnc_caller. ranks may be NULL: alone. Comes after compile. */
void nnc_plan_set_ranks(nnc_plan *plan, const nnc_ranks *ranks);
/* Set a new owner of the plan. Calls into Python go to it from now on. */
void nnc_plan_set_context(nnc_plan *plan, void *context);
/* For a forked child, if another thread of the parent may have been using the plan at the time of the fork. The plan forgets its
 * memory (which is lost), so the next nnc_plan_reserve allocates it again. Carried states are lost. Parameters and moments belong
 * to the caller and are kept. */
void nnc_plan_after_fork(nnc_plan *plan);
/* Bytes of the training arena for batches of `rows` samples; PTRDIFF_MAX if that overflows. */
size_t nnc_plan_arena_bytes(const nnc_plan *plan, size_t rows);

/* Rows whose elements are not contiguous, aligned and in this machine's byte order; or long doubles, which are converted to
 * doubles. */
typedef struct {
  const char *data;
  nnc_source_type type; /* the type to which they are converted */
  size_t bytes;         /* size of a stored element */
  int is_swapped, is_extended;
  ptrdiff_t row; /* bytes between rows, */
  int rank;
  size_t dim[NNC_MAX_RANK];
  ptrdiff_t step[NNC_MAX_RANK]; /* and between elements in each dimension of a row */
} nnc_strided;

enum { NNC_SOURCE_STRIDED = NNC_SOURCE_COUNT }; /* an additional source type, whose data is an nnc_strided */

/* A source of data: rows `stride` elements apart; data == NULL: absent. */
typedef struct {
  const void *data;
  nnc_source_type type;
  ptrdiff_t stride;
} nnc_source;

/* Statistics for diagnosis, accumulated at the steps `first`, first + every, ...; see plan/run/probe_typed.c. The caller owns the
 * memory. */
typedef struct {
  int64_t first, every;
  int64_t steps;  /* number of sampled steps */
  double *params; /* 4 per parameter: norms of gradient, weight and change, ratio of the last two */
  double *units;  /* per activation 4 sums for each column: y, y^2, zeros, saturated; then the number of values per column */
  const size_t *unit_offset; /* the position of the sums of an op */
  void *before;              /* the parameters before the update, nnc_plan_elements() */
} nnc_probe;

/* Weights of the rows: `width` numbers per row. Each number applies to the same number of lines of the output. With width 1 it
 * applies to the whole sample. With the number of lines, each line has its own. */
typedef struct {
  nnc_source source; /* float or double; absent: all 1 */
  size_t width;
} nnc_weights;

/* One batch of a step of several batches. All but the last one leave the parameters and the counter of steps as they are, and leave
 * their gradients for the next one. */
typedef struct {
  size_t number; /* from 0 */
  int is_last;
  const double *totals; /* per output: the divisor of the sum of the row losses of the whole step; see nnc_plan_total_weights */
} nnc_part;

/* The rows of all ranks (nnc_ranks). Batch j of an epoch has the rows [j * batch[r], (j + 1) * batch[r]) of rank r, as far as it has
 * any; every rank does every step, if need be without rows. */
typedef struct {
  const int64_t *rows, *batch; /* by rank */
  size_t first;                /* the number in the epoch of the first batch of this call */
  const double *totals; /* [steps, outputs]: the divisors of the steps of this call; NULL: as no line has a weight or length */
} nnc_share;

typedef struct {
  const nnc_source *x;        /* one per input */
  const nnc_source *y;        /* one per output */
  const nnc_weights *weights; /* one per output; NULL: all 1 */
  const int64_t *order;       /* the order of the rows; NULL: as stored */
  const int64_t *lengths;     /* number of valid time steps of each row, 1 to nnc_plan_steps(); NULL: all */
  size_t rows;
  double *const *statistics; /* one per output, or NULL; sums are added to them */
  double *parts;        /* training: pairs to which sums are added, or NULL: per output the sum of its row losses and their divisor;
                    * then the penalty times the rows of the batch, and the rows */
  nnc_probe *probe;     /* NULL: none */
  size_t accumulate;    /* training: number of batches of a step, whose gradients are added before the update; 0 means 1 */
  const nnc_part *part; /* training: the data are one batch of a step of several; NULL: they are whole steps */
  const nnc_share *share; /* training with ranks: the data are the rows of one of them; NULL: alone */
} nnc_data;

/* Additional data of sequences besides x, one row each; any may be NULL. */
typedef struct {
  const int64_t *lengths;
  const void *initial; /* [rows, nnc_plan_carry()] */
  void *final;
} nnc_sequences;

typedef struct {
  uint64_t seed;
  int64_t step;  /* number of updates done so far; at INT64_MAX no more updates are done */
  uint64_t pass; /* number of forward passes in training mode since the last update. Each draws its own random numbers; the step of
                  * nnc_plan_train draws those of pass 0. Updates set it to 0; the caller counts. */
} nnc_progress;

/* If a call into Python fails, the functions below stop before the current step changes a parameter. */

/* The index of the first of the rows x width numbers that is not a whole number in [0, bound), or rows * width. */
size_t nnc_find_bad_index(const nnc_source *x, size_t rows, size_t width, size_t bound);
/* Run training steps on the batches from row `first` on: at most max_steps, and no new one after `budget` seconds. Returns the
 * number of steps, and advances progress->step. lr and loss hold one number per step. Needs compile, bind and reserve(batch); with
 * several batches per step also nnc_plan_reserve_sum, and no stateful layers. */
size_t nnc_plan_train(nnc_plan *plan, const nnc_data *data, size_t batch, size_t first, size_t max_steps, const double *lr,
                      double *loss, nnc_progress *progress, double budget);
/* Per output: the divisor of the sum of the row losses of all rows, according to its reduction. The divisor of several batches is
 * the sum of theirs, but for NNC_SUM, for which it is 1. totals: [steps, outputs], for `rows` rows each. Needs compile. */
void nnc_plan_total_weights(const nnc_plan *plan, const nnc_data *data, size_t rows, double *totals);
/* Inference and loss for the rows from `first` on: sums[0] += sum of weighted row losses, sums[1] += number of rows (for
 * NNC_WEIGHTED_MEAN, the sum of their weights). *next gets the first row that has not been processed. */
nnc_status nnc_plan_evaluate(nnc_plan *plan, const nnc_data *data, size_t first, double *sums, size_t *next, double budget,
                             nnc_error *error);
/* The contribution of the L1 and L2 penalties to the loss. The loss of training includes it, that of evaluation does not. */
double nnc_plan_penalty(const nnc_plan *plan);
/* Inference. sequences may be NULL. out: one dense [rows, width] array per output. Safe to call from several threads at once. */
nnc_status nnc_plan_predict(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, size_t first,
                            void *const *out, size_t *next, double budget, nnc_error *error);

/* Pack the current recurrent weights for all future predictions. Streams of single time steps use this, because packing would cost
 * more than the step. Must not be called while another thread predicts. */
nnc_status nnc_plan_freeze(nnc_plan *plan, nnc_error *error);

/* The parts of a step, for training loops written by hand. forward keeps the values that backward needs; both get the same
 * sequences, or NULL. In training mode, stateful layers begin with the carried states, as in nnc_plan_train, and forward leaves
 * theirs; reserve(rows) comes first. grad_inputs may contain NULLs. */
void nnc_plan_forward(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, int training,
                      void *const *out, const nnc_progress *progress);
/* progress: that of forward. accumulate: add to the gradients instead of replacing them; needs nnc_plan_reserve_sum. */
void nnc_plan_backward(nnc_plan *plan, const nnc_sequences *sequences, size_t rows, const void *const *grad_outputs,
                       void *const *grad_inputs, int training, int accumulate, const nnc_progress *progress);
void nnc_plan_apply(nnc_plan *plan, double lr, nnc_progress *progress);

/* How many times faster products are in bfloat16 than in float32, measured in about a millisecond; 0 where bfloat16 cannot be faster. */
double nnc_measure_bf16(nnc_isa isa);

/* For tests: how plans in bfloat16 that are made from now on write operands. SEPARATE: each layer its own, from float32 rows, and
 * weights are updated when their gradients are complete. WOVEN: gradient, update and operands of a weight in one pass also without
 * tiles. */
enum { NNC_OPERANDS_AUTO, NNC_OPERANDS_SEPARATE, NNC_OPERANDS_WOVEN };
void nnc_force_operand_mode(int mode);

/* For tests: the first number of threads, up to `most`, with which n parameter tasks of this work are not processed completely and
 * exactly once; 0: none. */
int nnc_find_bad_partition(const double *work, const size_t *rows, int n, int most);

/* The permutation of 0 .. n-1 that (seed, epoch) determines. */
void nnc_shuffle(int64_t *order, size_t n, uint64_t seed, uint64_t epoch, nnc_isa isa);

/* Whether n targets are in [0, 1], or are indices below `classes`. */
int nnc_are_probabilities(const void *y, nnc_dtype dtype, size_t n);
int nnc_are_classes(const int64_t *y, size_t n, size_t classes);
/* Whether n targets are all in {0, 1} or all in {-1, 1}; NaN may be among them. */
int nnc_are_decisions(const void *y, nnc_dtype dtype, size_t n);

#endif
