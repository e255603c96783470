/* plan.h: the compiled network. Only the files of plan/ include it.
 *
 * A value is a batch of samples; one sample is `lines` lines of `cols` numbers, `ld` apart, so that a batch of n samples is one [n
 * * lines, cols] matrix for every op that works on the last dimension. Offsets count elements, not bytes.
 */
#ifndef NNC_PLAN_PLAN_H
#define NNC_PLAN_PLAN_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/sizes.h"
#include "nncore.h"
#include "ops/low_kernels.h"
#include "plan/autotune.h"

enum {
#define NNC_LAYER(name, sizes, attributes) NNC_LAYER_##name,
#include "ops/ops.def"
  NNC_LAYER_COUNT,
};

/* Which driver runs an op (run/walk_typed.c): that of its kind, or one of these, which compute products in lower precision. */
enum { NNC_DRIVER_LINEAR_BF16 = NNC_LAYER_COUNT, NNC_DRIVER_COUNT };

enum { NNC_NONE = -1, NNC_MAX_PARAMS = 10 };

/* Samples are divided into groups of this size; the last group of a batch may be smaller. A group is whole tiles, and a recurrent
 * layer stores its data by group. */
enum { NNC_SAMPLE_GROUP = 8 };
/* The same in a plan with products in bfloat16, whose operands are made of blocks of so many rows. */
enum { NNC_SAMPLE_GROUP_BF16 = 32 };

/* A weight with fewer inputs or outputs stays float32 where others compute in lower precision: it would be mostly padding, and a few
 * features may need their digits. A rule of shapes, so that results do not depend on the machine. */
enum { NNC_LOW_SIDE = 16 };
static inline int nnc_is_large(size_t inputs, size_t outputs) { return inputs >= NNC_LOW_SIDE && outputs >= NNC_LOW_SIDE; }

/* The valid time steps of a value, from the length of the sequence: times * length + plus. Joining values one after the other in time
 * makes others than {1, 0}. */
typedef struct {
  size_t times, plus;
} nnc_timeline;

typedef struct {
  nnc_shape shape;
  size_t lines, cols, ld;
  int producer; /* op, or NNC_NONE for an input */
  int uses;     /* how many ops read it, plus one if it is an output */
  int needs_grad;
  int timed;           /* its first dimension is time, as it is in the input: lengths apply; see passes/time.c */
  int timeline;        /* if so: which of the plan's */
  int alias;           /* the value whose memory and gradient this one shares; itself if its own */
  size_t act, grad;    /* offsets per sample in the training arena, times the number of rows reserved */
  int is_operand;      /* a linear layer in bfloat16 reads it; */
  size_t left, left_t; /* as an operand in bfloat16: the offsets of its forms a and, with tiles, at in the training arena */
} nnc_value;

/* One op record. */
typedef struct {
  nnc_op_spec spec; /* spec.name points into the plan */
  int out;
  int driver;                /* NNC_DRIVER_..., or its kind */
  int skipped;               /* does nothing: merged into another op, or an alias */
  int inference;             /* it computes as at inference in training, too: nnc_plan_set_inference */
  const char *mixes;         /* how it mixes time steps, and what to do instead; NULL: it does not */
  int param[NNC_MAX_PARAMS]; /* by slot: indices into the plan's parameters, or NNC_NONE; slot 0 is the weight, 1 the bias */
  int next;                  /* the next op that uses the same parameters, or NNC_NONE */
  int epilogue;              /* linear: the activation applied to its result, or NNC_NONE */
  nnc_attributes epilogue_attr;
  double flops;                    /* multiply-adds of one sample, forward, times two */
  int pre;                         /* linear with an epilogue that saves its input: the value that keeps it; otherwise == out */
  int loss_fused;                  /* the activation of this op is part of the loss while training */
  int accumulates[NNC_MAX_INPUTS]; /* another op has already written the gradient of this input */
  int whole_batch;                 /* needs the statistics of the batch at inference, too */
  size_t state;                    /* offset of its running statistics: mean, variance, number of batches */
  size_t saved;                    /* offset in the training arena of the values that it saves for backward */
  size_t joined;                   /* batch norm with ranks: and of what they exchange */
  size_t packed;                   /* linear, recurrent: offset in the training arena of values derived from the weights */
  size_t packed_ld;
  int operand;              /* linear in bfloat16: the value whose forms it reads: its input, or what this is a view of */
  int packs;                /* it writes these forms, as no op before it does */
  int writes_forms;         /* its product writes the forms of its result, */
  int no_rows;              /* and no float32 rows in training, as nothing reads them */
  int before;               /* the op whose has_dz is set by this one, or NNC_NONE */
  int has_dz;               /* the op that reads its result writes the gradient after its activation, as operands and sums */
  size_t dz_left, dz_right; /* the forms a and b of the gradient of its result, in the training arena; */
  size_t dz_sums;           /* and, if has_dz, the sums of its columns over each block of rows */
  size_t unit;          /* samples of which a thread may take a multiple in training, where these are fewer than a group; or 0 */
  size_t carry;         /* recurrent: where its states lie among those of a sample */
  int last[2];          /* recurrent: the values that are its last h and c, or NNC_NONE */
  size_t work, weights; /* recurrent, inference: offsets of its working memory, per sample, and of its packed weights */
} nnc_op;

/* The loss of one output. */
typedef struct {
  int loss_input; /* the value that the loss kernel reads: logits if the final activation is fused into it */
  int prediction; /* the value that users see */
  int loss;
  int index_target;
  int reduction;
  int ignores; /* some class indices do not count: the one that is `ignored`, and those below 0 */
  double weight, ignored;
  const double *attr;
  size_t target_cols;
  size_t target, row_loss, row_weight; /* offsets in the training arena */
  nnc_statistics statistics;
  double loss_sum;                  /* of the batches of a step so far */
  int logits_kernel, probabilities; /* a _logits kernel; it also writes the probabilities in place */
} nnc_output_loss;

/* The cost of predictions of few rows, on one thread and on several: see plan/run/intra_op.h. */
typedef struct {
  nnc_autotune autotune;
  int threads, calls;
  double rows, spent, until; /* of the counted calls of this slice: rows and seconds; when it ends */
} nnc_intra_op_slice;

typedef struct {
  nnc_param layout;
  size_t elements; /* rows * ld, rounded up */
  nnc_param_options options;
  size_t right, right_t; /* of a linear layer in bfloat16: the offsets of the forms b and bt in the training arena, */
  size_t packed;         /* and of the form b among the packed weights for inference, in blocks */
} nnc_parameter;

/* Adjacent parameters with the same update options. */
typedef struct {
  size_t offset, elements;
  int param; /* the first of them */
  nnc_param_options options;
} nnc_span;

/* Tasks are cut at multiples of this number of rows: whole tiles, and whole cache lines of a transposed weight; woven updates take
 * whole blocks of bfloat16. */
enum { NNC_TASK_ROWS = 16, NNC_TASK_ROWS_WOVEN = 32 };

/* A part of the parameter phase: rows [first, last) of the parameter in a slot of an op. `bias` is the slot of the bias that is
 * processed with it, or 0. columns: for a vector, which has only one row, elements [first, last), and the same of its bias. The
 * cost of all tasks before it and its own cost are whole numbers, from which the part of a thread is computed exactly: see
 * plan/partition.h. */
typedef struct {
  int op, slot, bias, columns;
  size_t first, last, unit; /* threads divide it at multiples of `unit` rows */
  double work;
  uint64_t before, cost;
} nnc_task;

struct nnc_plan {
  nnc_dtype dtype;
  nnc_compute compute;
  nnc_isa isa;
  nnc_isa low_isa; /* of the kernels of low precision: AMX only if the process may use tiles, and never for products in float32 */
  size_t element;  /* bytes */
  int n_inputs, n_outputs, n_ops, n_values, n_params;
  nnc_op *op;
  nnc_value *value;
  nnc_parameter *param;
  int *output;
  char *names;
  int64_t *indices; /* of its ops */
  size_t elements;  /* of each parameter buffer */
  double flops;     /* multiply-adds of one sample, forward, times two */
  int whole_batch;  /* whether one of its ops is */
  int operand_mode; /* for tests: nnc_force_operand_mode */
  int n_bf16;       /* number of its linear ops in bfloat16 */
  size_t group;     /* samples per group: NNC_SAMPLE_GROUP or NNC_SAMPLE_GROUP_BF16 */

  nnc_ranks ranks; /* sum is NULL: alone */
  nnc_caller caller;
  int n_called; /* number of ops that Python computes */

  void *grads, *moments[NNC_MAX_MOMENTS];
  void *average;    /* of the parameters over the steps, or NULL */
  nnc_param *state; /* running statistics: learned from the data, not by gradients */
  int n_states;
  size_t state_elements;

  /* inference: each thread processes one block of samples at a time */
  size_t steps;           /* of the inputs that have a time dimension; 0: none has */
  nnc_timeline *timeline; /* the different ones; the first is {1, 0}, that of the inputs */
  int n_timelines;
  size_t carry;           /* states of one sample in all recurrent layers: h and c of each direction, layer by layer */
  size_t packed_elements; /* derived weights that inference computes in each call */
  void *packed;           /* or that were computed once: nnc_plan_freeze */
  size_t weight_blocks;   /* of linear layers in bfloat16, as operands for inference: run/weights.c */
  void *weights;
  atomic_flag weights_lock;
  uint64_t **version; /* per parameter: counts the changes of its values; it stands beside them, as several plans may use them */
  size_t *place;      /* per value: offset per sample in the workspace, liveness-shared */
  size_t sample_elements;      /* workspace of one sample */
  size_t block;                /* samples per block */
  _Atomic(void *) spare;       /* a workspace that is not in use */
  _Atomic(void *) small_batch; /* another one, for a few rows: see run/small_batch_typed.c */
  int is_plain;      /* one input and one output of single lines, which share no memory; each op needs only its own sample */
  double wide_flops; /* of one sample in the layers whose columns can be divided among threads */
  nnc_intra_op_slice intra_op;

  /* training */
  int compiled;
  nnc_autotune autotune;
  nnc_output_loss *output_loss;
  double *loss_attr; /* the attributes of the losses, one after the other */
  nnc_optimizer_spec optimizer;
  nnc_span *span;
  int n_spans;
  nnc_task *task;
  int n_tasks;
  double work;              /* of all tasks */
  uint64_t task_cost;       /* the same as a whole number */
  int stateful, carry_turn; /* some recurrent layers start a batch with the last states of the previous one, carried[carry_turn] */
  size_t carried[2], carried_rows;
  int fused_update; /* whether the update follows each gradient while it is in cache */
  double *norm_partial;
  int constrained;         /* whether some parameter has a max_norm */
  int n_penalty_pieces;    /* of the parameters with penalties */
  double *penalty_partial; /* the contribution of each piece */
  size_t rows_reserved;
  int is_sharing;      /* whether some parameters belong to several ops */
  size_t shared_grads; /* if so: offset of a second gradient buffer */
  void *summand;       /* another one, for gradients that are added to those of earlier batches; NULL: not needed so far */
  size_t lengths;      /* offset of the batch's lengths, in units of int64_t */
  void *arena;
  void **act, **grad; /* per value: where its first row lies in the training arena */
  size_t *ld;         /* per value: its leading dimension */
};

/* Whether its kernels use tiles, so that threads have to enter and leave: base/tiles.h. */
static inline int nnc_plan_has_tiles(const nnc_plan *plan) { return plan->low_isa == NNC_ISA_AMX; }

/* Whether its linear layers in bfloat16 weave product and update (ops/bf16/update.c). Where products take as long as the traffic of the
 * parameters, that does not pay. */
static inline int nnc_plan_weaves(const nnc_plan *plan) {
  return plan->operand_mode == NNC_OPERANDS_WOVEN || (nnc_plan_has_tiles(plan) && plan->operand_mode == NNC_OPERANDS_AUTO);
}

/* passes/create.c, passes/shapes.c, passes/time.c, passes/fuse.c, passes/layout.c: the passes of nnc_plan_create, in this order */
/* The parameter in a slot of an op that Python computes; cols is 0 if the slot is empty. */
nnc_param nnc_python_param(const nnc_plan *plan, const nnc_op *op, int slot);
nnc_status nnc_infer_shape(nnc_plan *plan, nnc_op *op, nnc_error *error);
void nnc_mark_time(nnc_plan *plan);
/* What a slice or a take reads of a dimension of its input: `count` indices from `first` on, `step` apart, or those of the list, which
 * count from the end if they are negative. axis < 0: there is no such dimension. */
typedef struct {
  int axis;
  size_t first, count;
  int64_t step;
  const int64_t *list;
} nnc_section;
nnc_section nnc_section_of(const nnc_plan *plan, const nnc_op *op); /* passes/shapes.c */
/* Whether an op joins values one after the other in time. */
int nnc_joins_time(const nnc_plan *plan, const nnc_op *op); /* passes/time.c */
void nnc_fuse(nnc_plan *plan);
void nnc_fuse_losses(nnc_plan *plan);
int nnc_logits_kernel(int loss); /* the kernel that takes logits in place of probabilities; NNC_NONE if there is none */
nnc_status nnc_layout_params(nnc_plan *plan, nnc_error *error);
nnc_status nnc_layout_inference(nnc_plan *plan, nnc_error *error);
/* passes/forms.c: which ops compute in bfloat16, and the memory for their operands */
void nnc_choose_drivers(nnc_plan *plan);
nnc_status nnc_layout_forms(nnc_plan *plan, nnc_error *error);
nnc_status nnc_choose_writers(nnc_plan *plan, nnc_error *error);
int nnc_reserve_forms(nnc_plan *plan, size_t rows, size_t *total);
size_t nnc_operand_bytes(const nnc_plan *plan, const nnc_op *op);         /* that training keeps per sample */
int nnc_operand_memory(const nnc_plan *plan, size_t rows, size_t *bytes); /* that inference needs, beside its values */
nnc_status nnc_layout_backward(nnc_plan *plan, nnc_error *error);         /* passes/compile.c */

/* run/weights.c: the packed weights for inference, of the present values; NULL if there is no memory. The caller frees them. */
void *nnc_take_weights(nnc_plan *plan);
static inline nnc_bf16 *nnc_packed_weights(void *block) { return (nnc_bf16 *)((char *)block + NNC_ALIGNMENT); }
void nnc_drop_weights(nnc_plan *plan);
void nnc_count_changes(const nnc_plan *plan); /* after the values of parameters have changed */

/* values.c */
nnc_status nnc_fail(nnc_error *error, nnc_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A shape as text, such as "[*, 3, 4]"; the star is the batch dimension. Returns buffer. */
const char *nnc_shape_text(char *buffer, size_t size, const nnc_shape *shape);
size_t nnc_value_elements(const nnc_value *value); /* of one sample, padding included */
/* Adds a parameter of op i in one of its slots; non-zero on overflow. */
int nnc_add_param(nnc_plan *plan, int i, int slot, nnc_param layout, size_t *total);
/* layers/recurrent/recurrent.c: the passes for recurrent layers; non-zero on overflow */
nnc_status nnc_infer_recurrent(nnc_plan *plan, nnc_op *op, nnc_error *error);
nnc_status nnc_infer_state(nnc_plan *plan, nnc_op *op, nnc_error *error);
int nnc_place_recurrent(nnc_plan *plan, int i, size_t *total);
int nnc_place_carry(nnc_plan *plan, nnc_op *op);
int nnc_reserve_recurrent(const nnc_plan *plan, nnc_op *op, size_t rows, size_t *total);
int nnc_work_recurrent(nnc_plan *plan, nnc_op *op, size_t *work);
size_t nnc_recurrent_bytes(const nnc_plan *plan, const nnc_op *op); /* that training keeps per sample */
int nnc_norm_rank(const nnc_op *op);                                /* layer_norm: dimensions of a group, */
size_t nnc_norm_size(const nnc_op *op);                             /* numbers in a group, */
size_t nnc_norm_groups(const nnc_plan *plan, const nnc_op *op);     /* and groups in a sample */
/* Rows per piece of a parameter with penalties; 0 without penalties. */
size_t nnc_penalty_rows(const nnc_param *layout, const nnc_param_options *options);
/* The scalars of the update that turns `done` updates into done + 1. */
nnc_update nnc_update_scalars(const nnc_plan *plan, double lr, int64_t done);

/* The engine: all functions that compute with numbers, once per dtype. */
#define NNC_ENGINE(dtype)                                                                                                       \
  size_t nnc_train_##dtype(nnc_plan *, const nnc_data *, size_t batch, size_t first, size_t max_steps, const double *lr,        \
                           double *loss, nnc_progress *, double budget);                                                        \
  nnc_status nnc_evaluate_##dtype(nnc_plan *, const nnc_data *, size_t first, double *sums, size_t *next, double budget,        \
                                  nnc_error *);                                                                                 \
  nnc_status nnc_predict_##dtype(nnc_plan *, const nnc_source *x, const nnc_sequences *, size_t rows, size_t first,             \
                                 void *const *out, size_t *next, double budget, nnc_error *);                                   \
  int nnc_fits_small_batch_##dtype(const nnc_plan *, const nnc_source *x, size_t rows);                                         \
  nnc_status nnc_predict_small_batch_##dtype(nnc_plan *, const nnc_source *x, size_t rows, void *out, nnc_error *);             \
  void nnc_forward_##dtype(nnc_plan *, const nnc_source *x, const nnc_sequences *, size_t rows, int training, void *const *out, \
                           const nnc_progress *);                                                                               \
  void nnc_backward_##dtype(nnc_plan *, const nnc_sequences *, size_t rows, const void *const *grad_outputs,                    \
                            void *const *grad_inputs, int training, int accumulate, const nnc_progress *);                      \
  void nnc_step_norms_##dtype(const nnc_plan *, int op, size_t rows, double *norms);                                            \
  void nnc_pack_##dtype(const nnc_plan *, void *packed);                                                                        \
  void nnc_apply_##dtype(nnc_plan *, double lr, nnc_progress *);                                                                \
  void nnc_total_weights_##dtype(const nnc_plan *, const nnc_data *, size_t rows, double *totals);                              \
  double nnc_penalty_##dtype(const nnc_plan *);
NNC_ENGINE(f32)
NNC_ENGINE(f64)

#endif
