/* low_kernels.h: the kernels of low precision, with their prototypes and contracts: their dispatch table, one instance per
 * instruction set. They stand beside the float kernels of the same instruction set. They exist for float alone; the table of amx is
 * the only one that differs from that of avx512.
 *
 * All of them
 *  - are called with flush-to-zero set (base/fpstate.h), as everything in a plan is;
 *  - on amx, are called between the entering and the leaving of the tile state by the thread (base/tiles.h), and leave the tiles'
 *    contents undefined; they neither configure nor release tiles themselves;
 *  - give the same bits on every instruction set, for any cut of rows and columns.
 *
 * bfloat16. An operand of a product is an array of blocks of 32 x 32, padded with zeros, each contiguous (2 KB):
 *   left operand    block[r][k]: row-major. If it is a transpose (form at): block[k][r], but on amx as others
 *   right operand   block[column / 16][k / 2][column % 16][k % 2]: pairs of k
 * A pair of k in a right operand multiplies two adjacent k of a left one. Operands are aligned to 64 bytes.
 *
 * The sum, for each element of a product: in each 32 k, the even and the odd k are two chains of fused multiply-adds from +0 in
 * increasing k; then c = c + (even + odd), from c = +0, in increasing blocks. All of it rounds to nearest even and flushes to zero:
 * denormals count as zeros, and a result that is below 2^-126 after rounding becomes one, with its sign. It is what TDPBF16PS
 * does. k is padded with zeros to a multiple of 32. A result that is not a number is the quiet NaN 0x7FC00000.
 *
 * 8-bit integers: ops/int8.h.
 */
#ifndef NNC_OPS_LOW_KERNELS_H
#define NNC_OPS_LOW_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bf16.h"
#include "base/types.h"
#include "ops/kernels.h"
#include "ops/int8.h"

enum { NNC_BF16_SIDE = 32, NNC_BF16_BLOCK = NNC_BF16_SIDE * NNC_BF16_SIDE }; /* elements */

/* The blocks along n elements. */
static inline size_t nnc_bf16_blocks(size_t n) { return (n + NNC_BF16_SIDE - 1) / NNC_BF16_SIDE; }

/* The forms in which a matrix x [rows, cols] is written as an operand; NULL: not wanted. */
typedef struct {
  nnc_bf16 *a;  /* x as a left operand, k = cols: blocks [rows / 32][cols / 32] */
  nnc_bf16 *at; /* x^T as a left operand for bf16_product_at, k = rows: blocks [cols / 32][stride] */
  nnc_bf16 *b;  /* x as a right operand, k = rows: blocks [cols / 32][stride] */
  nnc_bf16 *bt; /* x^T as a right operand, k = cols: blocks [rows / 32][cols / 32] */
  size_t
      stride; /* blocks from one column of blocks to the next in at and b: those of the whole matrix, of which this may be a part */
  int half; /* bf16_pack: x is at most 16 rows, and the forms b and bt have them as the first (1) or second (2) half of a block, whose
               other half is not touched; 0: whole blocks */
} nnc_bf16_forms;

/* Rounded to nearest even, denormals to zero with their sign, NaN quieted; the last blocks are filled with zeros. */
typedef void nnc_bf16_pack(const nnc_bf16_forms *to, const float *x, size_t rows, size_t cols, size_t ldx);

/* What becomes of a product c [m, n]: y = c + bias (bias [n]; NULL: y = c), then max(0, y) if relu (-0 and NaN stay), or 0 where
 * mask is not positive. Nothing is read or written beyond m rows and n columns, but for the padding of the forms. */
typedef struct {
  float *rows; /* y [m, ld], or NULL */
  size_t ld;
  int accumulate; /* rows += y */
  const float *bias;
  int relu;
  const nnc_bf16 *mask; /* form a of a saved output of relu [m, n], or NULL */
  nnc_bf16_forms forms; /* of y */
  float *column_sums;   /* [m / 32, ldsums]: sums of the columns of y over each 32 rows, in order, from +0; or NULL */
  size_t ldsums;
} nnc_bf16_result;

/* c = A B; a: blocks [m / 32][k / 32] of a left operand, b: [n / 32][k / 32] of a right one. Rows of a beyond m are not used. */
typedef void nnc_bf16_product(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k);

/* The same with a left operand in form at. across: not on amx, where it is 0: a has form a of the transpose, which has so many blocks in a row,
 * so that nobody needs to write form at. Its rows may be those of the second half of a block, at most 16, and a lies so far behind the
 * block's beginning. */
typedef void nnc_bf16_product_at(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k,
                                 size_t across);
static inline size_t nnc_bf16_second_half(int tiles) { return (size_t)NNC_BF16_SIDE / 2 * (tiles ? NNC_BF16_SIDE : 1); }

/* y [cols]: the sum of each column of x, from +0: each 32 rows are summed from +0, in order, then the sums of the blocks. So the sums
 * of column_sums, one after the other from +0, give the same bits. */
typedef void nnc_bf16_column_sum(float *y, const float *x, size_t rows, size_t cols, size_t ldx);

/* A weight and what trains it: parameters and moments, [m, ld]; where the optimizer does not use a moment, it is NULL. */
enum { NNC_BF16_MOMENTS = 3 };
typedef struct {
  float *param, *moment[NNC_BF16_MOMENTS];
  size_t ld;
  nnc_optimizer_f32 *optimizer; /* any of the registry, as they work element by element */
  const nnc_update *update;
  nnc_bf16_forms forms; /* of the new parameters */
  size_t across;        /* of a, as for bf16_product_at */
} nnc_bf16_training;

/* One step: the gradient A B [m, n], the optimizer on it, and the forms of what comes out. The bits are those of bf16_product_at, the
 * optimizer and bf16_pack. For dW = X^T dZ: form at of X, form b of dZ, k samples. A thread may take any whole blocks of rows. Gaps
 * between rows are neither read nor written. */
typedef void nnc_bf16_update(const nnc_bf16_training *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k);

/* Rows of a group of samples of a recurrent layer that may be processed by themselves: half a block. */
enum { NNC_BF16_HALF = NNC_BF16_SIDE / 2 };

/* One direction of a recurrent layer, as nnc_recurrence is (kernels.h), with products of bfloat16, for samples [first, first + rows) of
 * a group of 32, first being 0 or 16. What differs in r:
 *   gates      in: x W_ih, unless the kernel computes it (x); nothing is added for b_ih. in_panels: for each 32 units the columns of each
 *              gate, 32 of them, as in `forward`
 *   h          not for the LSTM, whose c tells that backward follows
 *   dgates     in float32, may be NULL
 *   group and its distances   not used
 *   forward    W_hh as right operands: for each 32 units, for each gate, the 32 (the last ones: fewer) columns of these
 *   backward   W_hh^T as right operands: for each 32 units the blocks of the gates' columns, gate by gate, each in whole blocks
 *   scratch    rows * nnc_bf16_recurrent_scratch(...) elements, aligned to 64 bytes
 * bias_ih, bias_hh   [products * hidden]; NULL is 0
 * x          [rows, steps, input], x_row and x_step apart, and x_forward, W_ih in the order of `forward`; NULL
 * Operands of the weights' gradients, whose k is the samples of the group: step t is written to block t. NULL: not wanted.
 *   x_at       form at of x
 *   h_at       form at of the h before each step, times the mask
 *   dgates_b   form b of dgates, gate by gate in whole blocks
 *   stride     blocks from one column of blocks to the next in these
 *   fill       how many samples from `first` on are written: those beyond rows as zeros; whole halves of the block
 * dgates_a   [steps, gates, hidden / 32]: form a of dgates of each step, rows `first` on; a GRU's in the order n, r, z, and that of
 *            W_hn h + b_hn. NULL: not wanted, but amx needs it
 * bias_sums  [rows / 16, gates, hidden in whole blocks]: the sums of dgates over each 16 rows of a step, in order, are added in the order
 *            of the walk
 * A step at which a row does not count gives zeros in dgates_a and dgates_b. */
typedef struct {
  nnc_recurrence r;
  const float *bias_ih, *bias_hh, *x;
  size_t first, fill, input, x_row, x_step, stride;
  int in_panels;
  const nnc_bf16 *x_forward;
  nnc_bf16 *x_at, *h_at, *dgates_a, *dgates_b;
  float *bias_sums;
} nnc_bf16_recurrence;
typedef void nnc_bf16_recurrent_forward(const nnc_bf16_recurrence *r);
typedef void nnc_bf16_recurrent_backward(const nnc_bf16_recurrence *r);

/* Elements of scratch memory per row, of which one row's is enough for what does not depend on the rows. input: 0 without x. */
static inline size_t nnc_bf16_recurrent_scratch(nnc_cell cell, size_t input, size_t hidden) {
  const size_t blocks = nnc_bf16_blocks(hidden), both = blocks + nnc_bf16_blocks(input),
               of_gates = nnc_cell_products(cell) * blocks;
  return both * NNC_BF16_BLOCK / 2 +
         (7 * blocks + (both > 2 * of_gates ? both : 2 * of_gates) + nnc_cell_gates(cell)) * NNC_BF16_SIDE;
}

typedef struct {
#define NNC_LOW_KERNEL(name) nnc_##name *name;
#include "ops/ops.def"
} nnc_low_kernels;

const nnc_low_kernels *nnc_low_kernels_for(nnc_isa isa);

#endif
