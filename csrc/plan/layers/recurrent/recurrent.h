/* recurrent.h: the meaning of the record of a recurrent layer, for the passes and for its driver.
 *
 * One record is one layer in one or both directions. Its sizes are those of ops.def; its parameters lie in the slots
 *
 *   4 d + 0   weight_ih [input, gates * hidden]      4 d + 2   bias_ih [gates * hidden]
 *   4 d + 1   weight_hh [hidden, gates * hidden]     4 d + 3   bias_hh [gates * hidden]
 *
 * of direction d, and the learned initial states, [directions, hidden] each, in 8 (h_0) and 9 (c_0).
 *
 * Initial states that the network computes are its inputs 1 (h) and, LSTM, 2 (c): values of whole layers, in which sublayer `index`
 * has the numbers [index * directions * hidden, ...) of a sample. Its last states are values too where ops of kind state, right
 * behind it, ask for them: they copy them forward, and backward the recurrent op begins with their gradients.
 *
 * Its memory besides input and output is divided into regions, one after the other, each with the same size for every sample of a
 * batch: see nnc_region. In training they hold all time steps, in inference a chunk of them and one direction at a time. In groups
 * of samples (NNC_SAMPLE_GROUP), time is the first dimension. So the data of a step are contiguous, products over time and samples
 * have no gaps between rows, and threads, which process whole groups, do not share cache lines or prefetches.
 */
#ifndef NNC_PLAN_RECURRENT_H
#define NNC_PLAN_RECURRENT_H

#include "plan/plan.h"

enum { NNC_SLOT_W_IH, NNC_SLOT_W_HH, NNC_SLOT_B_IH, NNC_SLOT_B_HH, NNC_SLOTS_PER_DIRECTION, NNC_SLOT_INITIAL = 8 };

/* Time steps whose input products are computed ahead: they stay in the second-level cache until the cell reads them. */
enum { NNC_RECURRENT_CHUNK = 16 };

typedef enum {
  NNC_REGION_GATES,   /* [directions, groups, steps, samples, kept * hidden] */
  NNC_REGION_X,       /* [groups, steps, samples, input]: training */
  NNC_REGION_H,       /* [directions, groups, steps + 1, samples, hidden]: training */
  NNC_REGION_C,       /* the same, LSTM */
  NNC_REGION_STATE,   /* [directions, samples, states, hidden]: handed from chunk to chunk */
  NNC_REGION_DSTATE,  /* the same twice, and the gradient of the initial state: training */
  NNC_REGION_PARTIAL, /* [directions, groups, input + hidden, products * hidden], and the biases behind: training, see `partial` */
  NNC_REGION_MASK,    /* [samples, directions * hidden], of recurrent dropout: training */
  NNC_REGION_SCRATCH, /* of the kernels */
  /* Training with products of bfloat16: the operands of the weight gradients, whose k is groups, steps, samples (nnc_bf16_forms). Groups
   * are full here. */
  NNC_REGION_X_FORM,    /* at of x */
  NNC_REGION_H_FORM,    /* [directions]: at of the h before each step, times the mask */
  NNC_REGION_D_FORM,    /* [directions]: b of dgates, gate by gate in whole blocks */
  NNC_REGION_D_CHUNK,   /* [groups, chunk of steps]: a of dgates */
  NNC_REGION_BIAS_SUMS, /* [directions, halves of groups, gates, hidden in whole blocks]: sums of dgates */
  NNC_REGION_INT8, /* inference with weights of 8-bit integers: a chunk of x or a step of h as such, and the recurrent products */
  NNC_REGION_COUNT,
} nnc_region;

typedef struct {
  nnc_cell cell;
  size_t input, hidden, steps;
  size_t products; /* blocks of `hidden` columns in the weights */
  size_t kept;     /* blocks in the gates */
  size_t states;   /* 1 (h) or 2 (h, c) */
  size_t directions;
  size_t truncate; /* steps of a window that gradients do not leave; 0: no windows */
  size_t index;    /* of the sublayer */
  int bias, sequences, learns_state, stateful, takes_states;
  int bf16, bf16_input; /* the recurrent products, and those of the input, take bfloat16 */
  int int8, int8_input; /* the same for 8-bit integers */
  size_t group;         /* samples of a group */
  double dropout;       /* of h in the recurrent product */
} nnc_recurrent;

nnc_recurrent nnc_recurrent_of(const nnc_plan *plan, const nnc_op *op);

/* The positions of the regions: region i starts at first[i] times the capacity in samples, and takes size[i] per sample; directions
 * follow each other. */
typedef struct {
  size_t first[NNC_REGION_COUNT], size[NNC_REGION_COUNT], total;
  size_t gates_row, state_row, x_row; /* between samples */
  size_t partial_row, partial;        /* of the weight gradients of one group of samples; 0: they are not kept separately */
} nnc_regions;

/* Derived weights of each direction: W_hh for the kernels, forward at 0; in training also backward, and W_ih transposed. With products
 * of bfloat16: W_ih as a right operand at `input`. GRU_BEFORE without these has no form for forward, and the transpose for backward, whose
 * rows are hidden_ld apart. */
typedef struct {
  size_t backward, input, transposed, ld, hidden_ld, direction, total;
} nnc_packed;

/* Memory of a sample for 8-bit integers: int8.c. */
int nnc_recurrent_int8_layout(const nnc_recurrent *r, size_t *size);

/* Non-zero on overflow. */
int nnc_recurrent_layout(const nnc_recurrent *r, int training, size_t element, nnc_regions *regions);
int nnc_recurrent_pack_layout(const nnc_recurrent *r, int training, size_t element, nnc_packed *packed);

#endif
