/* kernels.h: the dispatch tables. One struct of function pointers per dtype, one instance per instruction set.
 *
 * The prototypes are in kernels.inc, which is included here once for float and once for double. The boundary decides which
 * instruction set is used (the best, or the one that NNCORE_ISA selects), and passes it to the code that needs a table.
 */
#ifndef NNC_OPS_KERNELS_H
#define NNC_OPS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/types.h"

enum {
#define NNC_ACTIVATION(name, saves, scope, attributes) NNC_ACTIVATION_##name,
#include "ops/ops.def"
  NNC_ACTIVATION_COUNT,
};
enum {
#define NNC_LOSS(name, target, attributes) NNC_LOSS_##name,
#include "ops/ops.def"
  NNC_LOSS_COUNT,
};
enum {
#define NNC_OPTIMIZER(name, moments, attributes) NNC_OPTIMIZER_##name,
#include "ops/ops.def"
  NNC_OPTIMIZER_COUNT,
};

/* Element types that gather converts from. */
typedef enum {
  NNC_SOURCE_F32,
  NNC_SOURCE_F64,
  NNC_SOURCE_U8,
  NNC_SOURCE_I8,
  NNC_SOURCE_U16,
  NNC_SOURCE_I16,
  NNC_SOURCE_U32,
  NNC_SOURCE_I32,
  NNC_SOURCE_U64,
  NNC_SOURCE_I64,
  NNC_SOURCE_F16,
  NNC_SOURCE_COUNT,
} nnc_source_type;

enum { NNC_RANDOM_WORDS = 128 }; /* that random_words draws at once: whole sets of any instruction set */

enum { NNC_OPTIMIZER_ATTRIBUTES = 5 };

/* The scalars of one optimizer step, the same for every parameter of a span. Derived values (bias corrections and the
 * like) are computed once per step in plan/optimizer.c, never per element. */
typedef struct {
  double lr;
  double weight_decay;                   /* L2 as PyTorch means it: added to the gradient (adamw: decoupled) */
  double l1, l2;                         /* penalties of the layer: l1*sign(w) + 2*l2*w is added to the gradient (Keras) */
  double grad_scale;                     /* from clipping by norm; 1 otherwise */
  double penalty_scale;                  /* of l1 and l2 of the layer, which the plan multiplies by it; 1 unless they are divided */
  double clip_value;                     /* clip each gradient, penalties included, to +-clip_value; 0 is off */
  double attr[NNC_OPTIMIZER_ATTRIBUTES]; /* in the order of the names in ops.def */
  double derived[4];                     /* see the optimizer's file */
  int64_t step;                          /* 1 for the first update */
} nnc_update;

/* The sums for metrics of classes and decisions: five that are the same for all, then those of the classes or labels.
 *   TOTAL     weight of the decisions; NaN if one of them is undecided
 *   RIGHT     weight of the decisions that are right
 *   ROWS      weight of the rows
 *   NEGATIVE, ZERO   decisions: how many targets are below 0, and how many of the others are not above the target threshold
 *   EACH      see nnc_count */
enum { NNC_SUM_TOTAL, NNC_SUM_RIGHT, NNC_SUM_ROWS, NNC_SUM_NEGATIVE, NNC_SUM_ZERO, NNC_SUM_EACH };

/* What is counted from NNC_SUM_EACH on. */
typedef enum {
  NNC_COUNT_RIGHT, /* nothing */
  NNC_COUNT_EACH,  /* per class or label 3 sums: correctly predicted, true, predicted */
  NNC_COUNT_PAIRS, /* classes: [true class, predicted class] */
  NNC_COUNT_TOP,   /* classes: nothing; right is a row whose class is among the k greatest */
  NNC_COUNT_WHOLE, /* decisions: nothing; a row is one decision, right if all its labels are */
} nnc_count;

/* Statistics of a normalisation, REALs, one per channel: of this batch, saved for backward, and the running ones. */
typedef struct {
  void *mean, *rstd;
  void *running_mean, *running_var;
  void *squares; /* not NULL: only mean and the sum of squared distances from it are computed, for others to join with theirs */
} nnc_norm_statistics;

/* The rows that count in the statistics of a normalisation: of each sample the first lengths[i] * per of its `steps` rows, or all of
 * them if lengths is NULL. */
typedef struct {
  size_t samples, steps;
  const int64_t *lengths;
  size_t per;
} nnc_norm_rows;
static inline size_t nnc_norm_valid(const nnc_norm_rows *rows, size_t sample) {
  return rows->lengths ? (size_t)rows->lengths[sample] * rows->per : rows->steps;
}

/* The statistics that batch normalisation uses: those of the given rows, which it saves; the saved ones; or the running ones. In
 * backward, BATCH sums over the given rows, while TOTALS uses the given dgamma and dbeta. */
typedef enum { NNC_NORM_BATCH, NNC_NORM_SAVED, NNC_NORM_RUNNING, NNC_NORM_TOTALS } nnc_norm_source;
enum { NNC_NORM_CHUNK = 8 }; /* rows per partial sum, which fixes the order of accumulation */

/* Pooling over time: the mean, the largest number, or the last step. */
typedef enum { NNC_POOL_MEAN, NNC_POOL_MAX, NNC_POOL_LAST, NNC_POOL_COUNT } nnc_pool;

/* The recurrent cells: h' = tanh or max(0, .) of a + W h; the gated recurrent unit with its reset after the product (gates r, z,
 * n); the long short-term memory (gates i, f, g, o); the gated recurrent unit with its reset before the product, for which nnc_gru_step has
 * kernels, and nnc_recurrence none. Append, never insert: files have the number. */
typedef enum { NNC_CELL_TANH, NNC_CELL_RELU, NNC_CELL_GRU, NNC_CELL_LSTM, NNC_CELL_GRU_BEFORE, NNC_CELL_COUNT } nnc_cell;

/* What computes recurrent products in another way: z = W h + b of `rows` rows of h, ldh apart. Returns z, [rows, columns of W], whose rows
 * are *ldz apart; as much memory as a vector takes may be read behind each of them. */
typedef const void *nnc_recurrent_multiply(const void *context, const void *h, size_t rows, size_t ldh, size_t *ldz);

/* One direction of a recurrent layer over a range of samples (rows) and a run of time steps. Pointers are to REALs; all distances
 * are in elements. Rows are independent of each other. The bits of a row do not depend on the other rows of a call, or on how the
 * steps are divided into calls that pass on h and c: a sequence of calls of one step gives the bits of one call.
 *
 * gates      [rows, steps, G hidden], G being nnc_cell_gates(cell). In: the input product W_ih x + b_ih in the first
 *            nnc_cell_products(cell) * hidden columns. Out, where h is given: what backward needs, in place: the gates after their
 *            nonlinearity (GRU: r, z, n, W_hn h + b_hn), for tanh and relu nothing. Without h (inference): unspecified, and a GRU
 *            does not touch its last hidden columns.
 * dgates     the same shape and distances, may be gates. Backward: the gradients before the nonlinearity. GRU: of r, z, n, and
 *            of W_hn h + b_hn; the weight gradient of W_hh takes columns r, z and the last, that of W_ih takes r, z, n.
 * y          [rows, steps, hidden], may be NULL: the h of each step. dy, its gradient, has the same distances, and may be NULL.
 * h, c       [rows, steps + 1, hidden], saved for backward, which needs them; NULL in inference; c for the LSTM alone. Slot t
 *            is the state before step t, slot t + 1 the one after; reverse: slot t + 1 before and slot t after.
 *            So W_hh's gradient is the product of h, from slot 0 (reverse: 1) on, with dgates.
 * dh         [rows, steps, hidden], distances of h, may be NULL: the whole gradient of the h of each step, for diagnostics.
 * group      0, or how many rows lie gates_row and h_row apart; the groups of so many rows then lie gates_group and h_group apart in
 *            gates, dgates, h, c and dh.
 * h0, c0     [rows, hidden], initial_row apart (0: one for all rows); NULL is 0. dh0, dc0: dinitial_row apart, may be NULL.
 * h_n, c_n   [rows, hidden], final_row apart; the state after each row's own last step; may be NULL, and may be h0, c0. dh_n, dc_n
 *            likewise, NULL is 0. dh_n may not be dh0.
 * lengths    [rows], NULL: all steps count. Step t counts where first_step + t < lengths[row]. At the others, y and dgates are 0, the state
 *            is handed on as it is, in either direction, and nothing is read of gates and dy, which may hold NaN.
 * reverse    from the last step to the first.
 * mask       [rows, hidden], mask_row apart, NULL: none. The recurrent product is that of mask h, at every step; whatever else reads h takes
 *            it without the mask. W_hh's gradient then needs mask h in place of h: the caller multiplies what is saved.
 * forward, backward   the recurrent weights as recurrent_pack lays them out, backward where it is called.
 * multiply   inference: computes the recurrent products in place of the packed weights, which may be NULL then; NULL: they do it.
 * scratch    nnc_recurrent_scratch(...) elements. All buffers but those named above are distinct. */
typedef struct {
  nnc_cell cell;
  int reverse;
  size_t rows, steps, hidden, first_step;
  const int64_t *lengths;
  size_t group, gates_group, h_group;
  size_t gates_row, gates_step, y_row, y_step, h_row, h_step, initial_row, dinitial_row, final_row, mask_row;
  void *gates, *y, *h, *c, *h_n, *c_n;
  const void *h0, *c0, *forward, *mask;
  void *dgates, *dh, *dh0, *dc0;
  const void *dy, *dh_n, *dc_n, *backward;
  nnc_recurrent_multiply *multiply;
  const void *context; /* of multiply */
  void *scratch;
} nnc_recurrence;

/* Columns of gates per hidden unit, and how many of them begin with an input product (the W of that many gates). */
static inline size_t nnc_cell_gates(nnc_cell cell) { return cell <= NNC_CELL_RELU ? 1 : 4; }
static inline size_t nnc_cell_products(nnc_cell cell) { return cell <= NNC_CELL_RELU ? 1 : cell == NNC_CELL_LSTM ? 4 : 3; }

/* Whether the weight gradient of W_hh is two products: that of its last gate has another operand, or another column of dgates. */
static inline int nnc_last_gate_is_apart(nnc_cell cell) { return cell == NNC_CELL_GRU || cell == NNC_CELL_GRU_BEFORE; }

/* hidden rounded up to whole vectors of any instruction set. */
static inline size_t nnc_recurrent_padded(size_t hidden) { return (hidden + 15) / 16 * 16; }
/* Elements of either packed form of W_hh, forward (with its bias) or backward. */
static inline size_t nnc_recurrent_packed(nnc_cell cell, size_t hidden) {
  return nnc_cell_products(cell) * (hidden + 1) * nnc_recurrent_padded(hidden);
}
/* Rows that a kernel takes at once, and elements of scratch for `rows` of them. */
enum { NNC_RECURRENT_ROWS = 64 };
static inline size_t nnc_recurrent_scratch(nnc_cell cell, size_t rows, size_t hidden) {
  return (rows < NNC_RECURRENT_ROWS ? rows : NNC_RECURRENT_ROWS) * (2 * nnc_cell_products(cell) + 2) *
         (nnc_recurrent_padded(hidden) + 16);
}

/* A half of a time step of NNC_CELL_GRU_BEFORE, for some rows: what is computed from a product (ops/recurrent/gru_before.c). Pointers are to
 * REALs; distances between rows are in elements.
 *
 * lengths    [rows], NULL: all rows count. A row counts where step < lengths[row]. Otherwise nothing is read of gates, product and dy,
 *            and the state is handed on.
 * gates      [rows, 4 hidden]. Forward, in: W_ih x + b_ih in the first 3 hidden columns; out, where saves: r, z, n, r mask h.
 *            Backward: the gradients of the sums of r, z, n, and 0 where a row does not count; the last columns stay.
 * product    forward: W_hh (mask h) + b_hh of r and z, then W_hn operand + b_hn. Backward: da_r and da_z of the step after times W_hh (NULL: 0),
 *            then da_n times W_hn.
 * h          [rows, hidden], ld apart: the state; backward the part of its gradient that goes around the products.
 * left       forward: mask h, like h
 * operand    forward: r mask h, of the second product. Backward: [rows, 3 hidden], the gradients of the sums, of these.
 * y          forward, may be NULL: the state after the step, 0 where a row does not count. Backward: its gradient, may be NULL.
 * saved      forward, may be NULL: the state after the step. Backward: the state before.
 * mask       backward, NULL: none */
typedef struct {
  size_t rows, hidden, ld, gates_row, product_row, operand_row, y_row, saved_row, mask_row;
  const int64_t *lengths;
  int64_t step;
  int saves;
  void *gates, *h, *operand, *y, *saved;
  const void *product, *left, *mask;
} nnc_gru_step;

#define REAL float
#define NNC_TYPED(name) name##_f32
#include "ops/kernels.inc"

#undef REAL
#undef NNC_TYPED

#define REAL double
#define NNC_TYPED(name) name##_f64
#include "ops/kernels.inc"

#undef REAL
#undef NNC_TYPED

const nnc_kernels_f32 *nnc_kernels_for_f32(nnc_isa isa);
/* The same with multiply-adds that are rounded once on every instruction set, so that all give the same bits. */
const nnc_kernels_f32 *nnc_kernels_for_f32_exact(nnc_isa isa);
const nnc_kernels_f64 *nnc_kernels_for_f64(nnc_isa isa);

#endif
