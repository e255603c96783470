/* nncore.h: the only header that the Python boundary sees: status codes, the plan, and the dispatch tables for single ops.
 *
 * Life of a plan: create (description -> checked op records, shapes, fusion, parameter layout), bind (the caller's buffers),
 * compile (losses, optimizer), then train / evaluate / predict, each of which returns at a step boundary within a time budget.
 * No function here prints, exits, or keeps a reference to what it was given, except the buffers of nnc_plan_bind.
 */
#ifndef NNCORE_H
#define NNCORE_H

#include "base/arena.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/types.h"
#include "ops/kernels.h"
#include "ops/registry.h"
#include "plan/optimizer.h"

enum { NNC_MAX_RANK = 8, NNC_MAX_INPUTS = 8, NNC_MAX_SIZES = 10, NNC_MAX_ATTRIBUTES = 4, NNC_MAX_MOMENTS = 3 };

/* Single kernels for whoever does not link this library; see plan/kernel_interface.c. The sizes come first and stay there: who gets the
 * struct compares them with its own before it uses the rest. */
typedef struct {
  size_t size, table_size, update_size, recurrence_size; /* of this struct, nnc_kernels_f32 and _f64, nnc_update, nnc_recurrence */
  const nnc_kernels_f32 *(*kernels_for_f32)(nnc_isa isa);
  const nnc_kernels_f64 *(*kernels_for_f64)(nnc_isa isa);
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

/* What an op record holds, by the names of ops.def, and by position, as Python fills it in. */
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
  int shares; /* an earlier op of the same kind and sizes whose parameters this one uses, or -1 */
} nnc_op_spec;

/* A parameter inside the buffers: rows x cols at `offset` elements, rows `ld` apart. A weight is stored [in, out]; `transposed`
 * says that its users see it as [cols, rows]. */
typedef struct nnc_param {
  int op;
  char role[40];
  size_t offset, rows, cols, ld;
  int transposed, vector;
  nnc_shape shape; /* of a vector, as its users see it; rank 0: as it is */
} nnc_param;

/* What the caller computes itself: ops of kind "python", losses and metrics. It is called by the thread that called the core, with
 * arrays that lie in the core's memory: rows samples, `ld` elements between lines. `block` is the allocation that holds them; who
 * keeps an array calls nnc_retain on it. */
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
  int adds[NNC_MAX_INPUTS]; /* dx is to be added to */
  int adds_params;          /* another op that shares them has written the gradients of the parameters */
  void *target, *row_loss;  /* dense; a loss fills one number per line */
  const void *weight;       /* [rows, weight_width], or NULL; see nnc_weights */
  size_t weight_width;
  const int64_t *lengths; /* of a metric: how many time steps of each sample count; NULL: all */
} nnc_call;
typedef struct {
  void *context;
  /* All three return non-zero to stop everything. shape: what an op makes of its inputs. param: role and cols of the parameter in
   * a slot; no cols where there is none. */
  int (*shape)(void *context, int op, const nnc_shape *inputs, int n_inputs, nnc_shape *out);
  int (*param)(void *context, int op, int slot, struct nnc_param *param);
  int (*call)(void *context, const nnc_call *call);
} nnc_caller;

/* caller: may be NULL where no op is of kind "python", and no loss or metric. */
nnc_status nnc_plan_create(nnc_plan **plan, nnc_dtype dtype, nnc_isa isa, const nnc_shape *inputs, int n_inputs,
                           const nnc_op_spec *ops, int n_ops, const int *outputs, int n_outputs, const nnc_caller *caller,
                           nnc_error *error);
void nnc_plan_free(nnc_plan *plan);
void nnc_plan_shape(const nnc_plan *plan, int value, nnc_shape *shape);

int nnc_plan_param_count(const nnc_plan *plan);
void nnc_plan_param(const nnc_plan *plan, int i, nnc_param *param);
/* Floating-point operations of one sample through all matrix products, forward. */
double nnc_plan_flops(const nnc_plan *plan);
/* Length of each buffer in elements, padding included. */
size_t nnc_plan_elements(const nnc_plan *plan);
/* Running statistics, in a buffer of their own. */
int nnc_plan_state_count(const nnc_plan *plan);
void nnc_plan_state(const nnc_plan *plan, int i, nnc_param *state);
size_t nnc_plan_state_elements(const nnc_plan *plan);
/* Give every parameter and running statistic another place, in buffers that other plans share, of these lengths. Before bind and compile. */
void nnc_plan_place(nnc_plan *plan, const size_t *params, size_t elements, const size_t *states, size_t state_elements);
/* Time steps that lengths count; 0 where no input has a time dimension, or where *op (else -1) mixes the steps. */
size_t nnc_plan_steps(const nnc_plan *plan, int *op);
/* How an op mixes time steps, and what to do instead: the second half of a sentence; NULL where it does not. */
const char *nnc_plan_mixing(const nnc_plan *plan, int op);
/* Whether the first dimension of a value is time, so that lengths say how much of it counts. */
int nnc_plan_is_timed(const nnc_plan *plan, int value);
/* States of one sample in all recurrent layers, in elements: layer by layer h and, LSTM, c, each [directions, hidden]. */
size_t nnc_plan_carry(const nnc_plan *plan);
/* What the last training batch left for the next one where layers are stateful: [*rows, nnc_plan_carry()], rows of the batch; or NULL.
 * carry_on: let the next batch begin with such states; needs reserve(rows), and copies. reset: let it begin afresh. */
int nnc_plan_is_stateful(const nnc_plan *plan);
const void *nnc_plan_carried(const nnc_plan *plan, size_t *rows);
void nnc_plan_carry_on(nnc_plan *plan, const void *states, size_t rows);
void nnc_plan_reset_states(nnc_plan *plan);
/* Let a plan of the same layers, compiled but not run yet, go on where another one stands: with the states that it carries. */
nnc_status nnc_plan_inherit(nnc_plan *plan, const nnc_plan *before, nnc_error *error);
/* After a backward pass over `rows` samples, for a recurrent op: norms[t] = the norm of the loss's gradient by what its gates at step
 * t are computed from, over samples, directions and gates. */
void nnc_plan_step_norms(const nnc_plan *plan, int op, size_t rows, double *norms);
/* Fewest samples that a batch must have, in training or at inference: 2 where a statistic of one sample would be meaningless, and then
 * *op says where. */
size_t nnc_plan_least_rows(const nnc_plan *plan, int training, int *op);
/* An input that holds indices into a table: how many rows that has; 0 for any other input. */
size_t nnc_plan_index_bound(const nnc_plan *plan, int input);
/* Buffers of nnc_plan_elements() elements, cache-line aligned, which the caller keeps alive; unused moments are NULL, and so
 * is `average` where none is kept. */
void nnc_plan_bind(nnc_plan *plan, void *params, void *grads, void *states, void *average, void *const moments[NNC_MAX_MOMENTS]);

enum { NNC_LOSS_CALLED = -1 }; /* the caller's */
typedef enum { NNC_MEAN, NNC_SUM, NNC_WEIGHTED_MEAN } nnc_reduction;
typedef struct {
  int loss;         /* NNC_LOSS_..., never a _logits one; or NNC_LOSS_CALLED */
  int index_target; /* NNC_LOSS_CALLED: one class index per line */
  int from_logits;
  int reduction;
  double weight; /* in the sum over the outputs */
  double attr[2];
} nnc_loss_spec;

typedef struct {
  int optimizer; /* NNC_OPTIMIZER_... */
  double attr[NNC_OPTIMIZER_ATTRIBUTES];
  double weight_decay;
  double clip_norm, clip_norm_each, clip_value; /* of all gradients together, of each parameter's, of each element; 0: off */
  double ema_momentum;                          /* of the moving average of the parameters; 0: none is kept */
} nnc_optimizer_spec;

typedef struct {
  int trainable;
  double lr_scale, weight_decay, l1, l2;
  double max_norm; /* of what goes into one unit: a column as stored, or a row of what is not stored transposed; 0: off */
} nnc_param_options;

typedef enum { NNC_STATISTIC_NONE, NNC_STATISTIC_CONFUSION, NNC_STATISTIC_RESIDUALS } nnc_statistic_kind;
typedef struct {
  int kind;
  size_t classes;
  double threshold, target_threshold;
  int called; /* the caller watches, too */
} nnc_statistic_spec;

/* losses and statistics: one per output; options: one per parameter. */
nnc_status nnc_plan_compile(nnc_plan *plan, const nnc_loss_spec *losses, const nnc_optimizer_spec *optimizer,
                            const nnc_param_options *options, const nnc_statistic_spec *statistics, nnc_error *error);
/* Make room for training batches of up to `rows` samples. */
nnc_status nnc_plan_reserve(nnc_plan *plan, size_t rows, nnc_error *error);
/* Whoever made the plan hands it on: its calls go there from now on. */
void nnc_plan_set_context(nnc_plan *plan, void *context);
/* In a forked child, of a plan that another thread of the parent may have been using when the fork came: forget what is known of its memory
 * (which is lost), so that the next nnc_plan_reserve plans anew. Carried states are lost; parameters and moments are the caller's. */
void nnc_plan_after_fork(nnc_plan *plan);
/* Bytes that the training arena takes for batches of `rows`; PTRDIFF_MAX where that is more than can be counted. */
size_t nnc_plan_arena_bytes(const nnc_plan *plan, size_t rows);

/* Rows whose numbers do not lie side by side, aligned and in this machine's byte order; or long doubles, which are read as doubles. */
typedef struct {
  const char *data;
  nnc_source_type type; /* as what they are read */
  size_t bytes;         /* of a number as it is stored */
  int is_swapped, is_extended;
  ptrdiff_t row; /* bytes from a row to the next, */
  int rank;
  size_t dim[NNC_MAX_RANK];
  ptrdiff_t step[NNC_MAX_RANK]; /* and from a number to the next in each dimension of a row */
} nnc_strided;

enum { NNC_SOURCE_STRIDED = NNC_SOURCE_COUNT }; /* a further type of source, whose data is an nnc_strided */

/* Where data comes from: rows `stride` elements apart; data == NULL: absent. */
typedef struct {
  const void *data;
  nnc_source_type type;
  ptrdiff_t stride;
} nnc_source;

/* Figures for diagnosis, added up on the steps number `first`, first + every, ...; see plan/run/probe_typed.c. The memory is the
 * caller's. */
typedef struct {
  int64_t first, every;
  int64_t steps;  /* how many have been looked at */
  double *params; /* 4 per parameter: norms of gradient, weight and change, ratio of the last two */
  double *units;  /* per activation 4 sums for each of its columns: y, y^2, zeros, saturated; then the numbers per column */
  const size_t *unit_offset; /* where those of an op begin */
  void *before;              /* nnc_plan_elements() of them */
} nnc_probe;

/* Weights of the rows: `width` numbers for each, every one of them for as many lines of the output as its neighbour, so that 1 is for the
 * whole sample and the number of lines for each by itself. */
typedef struct {
  nnc_source source; /* float or double; absent: all 1 */
  size_t width;
} nnc_weights;

typedef struct {
  const nnc_source *x;        /* one per input */
  const nnc_source *y;        /* one per output */
  const nnc_weights *weights; /* one per output; NULL: all 1 */
  const int64_t *order;       /* which row comes when; NULL: as they stand */
  const int64_t *lengths;     /* how many time steps of each row count, 1 to nnc_plan_steps(); NULL: all */
  size_t rows;
  double *const *statistics; /* one per output, or NULL; added to */
  double *parts; /* training: pairs that are added to, or NULL: per output its summed row losses, and by what their sum is divided;
                  * then the penalty times the rows of the batch, and the rows */
  nnc_probe *probe; /* NULL: none */
} nnc_data;

/* What sequences bring along besides x: one per row each; any may be NULL. */
typedef struct {
  const int64_t *lengths;
  const void *initial; /* [rows, nnc_plan_carry()] */
  void *final;
} nnc_sequences;

typedef struct {
  uint64_t seed;
  int64_t step; /* updates done so far; INT64_MAX: no more can be counted, and none is done */
} nnc_progress;

/* Where a call of the caller's fails, the functions below stop before the step that it belongs to changes a parameter. */

/* The first of the rows x width numbers that is no whole number in [0, bound), or rows * width. */
size_t nnc_find_bad_index(const nnc_source *x, size_t rows, size_t width, size_t bound);
/* Steps on the batches that begin at `first`; at most max_steps, and no new one after `budget` seconds. Returns the number
 * done; progress->step moves along. lr and loss hold one number per step. Needs compile, bind and reserve(batch). */
size_t nnc_plan_train(nnc_plan *plan, const nnc_data *data, size_t batch, size_t first, size_t max_steps, const double *lr,
                      double *loss, nnc_progress *progress, double budget);
/* Inference and loss on the rows from `first` on: sums[0] += sum of weighted row losses, sums[1] += number of rows (or of their weights for
 * NNC_WEIGHTED_MEAN). *next gets the first row not done. */
nnc_status nnc_plan_evaluate(nnc_plan *plan, const nnc_data *data, size_t first, double *sums, size_t *next, double budget,
                             nnc_error *error);
/* What the L1 and L2 penalties of the parameters add to the loss; training reports it with the loss, evaluation does not. */
double nnc_plan_penalty(const nnc_plan *plan);
/* Inference. sequences may be NULL. out: one dense [rows, width] array per output. Safe to call from several threads at once. */
nnc_status nnc_plan_predict(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, size_t first,
                            void *const *out, size_t *next, double budget, nnc_error *error);

/* Pack the recurrent weights, as they are now, for all predictions from now on: for streams of single time steps, where it would cost
 * more than the step. Not while another thread predicts. */
nnc_status nnc_plan_freeze(nnc_plan *plan, nnc_error *error);

/* The pieces of a step, for loops written by hand. forward keeps what backward needs; both get the same sequences, or
 * NULL. grad_inputs may hold NULLs. */
void nnc_plan_forward(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, int training,
                      void *const *out, const nnc_progress *progress);
void nnc_plan_backward(nnc_plan *plan, const nnc_sequences *sequences, size_t rows, const void *const *grad_outputs,
                       void *const *grad_inputs, int training, const nnc_progress *progress);
void nnc_plan_apply(nnc_plan *plan, double lr, nnc_progress *progress);

/* For tests: the first number of threads, up to `most`, that do not have all rows of n parameter tasks of so much work between them,
 * each once; 0: none. */
int nnc_find_bad_partition(const double *work, const size_t *rows, int n, int most);

/* The permutation of 0 .. n-1 that belongs to (seed, epoch). */
void nnc_shuffle(int64_t *order, size_t n, uint64_t seed, uint64_t epoch);

/* Whether n targets lie in [0, 1], or are indices below `classes`. */
int nnc_are_probabilities(const void *y, nnc_dtype dtype, size_t n);
int nnc_are_classes(const int64_t *y, size_t n, size_t classes);

#endif
