/* int8.h: matrices of 8-bit integers for inference, and the contracts of the kernels that make them and multiply with them.
 *
 * A weight W [k, n] has one scale per column, an input x [rows, k] one per row, found when it comes:
 *
 *   scale = max|w| / 127    q = w / scale, rounded to the nearest, ties to even        (weights: q is stored)
 *   scale = max|x| / 127    q = x (127 / max|x|), rounded to the nearest, ties to even (inputs)
 *   y = (float) sum (scale of x * scale of w) + bias                                   sum = sum over k of q_x q_w, exact
 *
 * Every operation is one of float, rounded once, and sums are integers, so that every instruction set gives the same bits. q lies in
 * [-127, 127], so that a sum of NNC_INT8_LONGEST products fits into 32 bits. Where max is below 2^-119, the scale and all q are 0: the
 * quotients would leave the range of float. A row of x with NaN or an infinity has the scale NaN, and so gives NaN everywhere.
 *
 * Inputs are stored as q + 128, which is never negative: the instructions of x86 multiply unsigned by signed bytes. The sum of each
 * column therefore starts at -128 times the sum of its weights. Additions are modulo 2^32, and the result is exact.
 */
#ifndef NNC_OPS_INT8_H
#define NNC_OPS_INT8_H

#include <stddef.h>
#include <stdint.h>

enum {
  NNC_INT8_COLUMNS = 16,      /* of a block */
  NNC_INT8_GROUP = 4,         /* numbers of a column that lie side by side */
  NNC_INT8_LINE = 64,         /* bytes: rows of inputs are whole lines */
  NNC_INT8_ROWS = 16,         /* of a tile */
  NNC_INT8_LONGEST = 1 << 17, /* the largest k */
};

/* A packed weight: the scales; the starts of the sums; and the blocks of 16 columns one after the other, each [k / 4][16][4], with
 * zeros for what k and n lack of whole ones. A tile may read the rest of its 64 numbers of k behind a block and multiply it by 0, so
 * that as much memory follows the last one. */
typedef struct {
  size_t k, n;
  float *scale;   /* [n], rounded up to whole blocks */
  int32_t *start; /* the same */
  int8_t *blocks;
} nnc_int8_weight;

/* Inputs: row after row of q + 128, `ld` bytes apart, then zeros up to whole lines. Rows that are missing in the last tile are memory
 * that may be read. */
typedef struct {
  uint8_t *at;
  float *scale; /* [rows] */
  size_t ld;
} nnc_int8_rows;

static inline size_t nnc_int8_whole(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
static inline size_t nnc_int8_block(size_t k) { return nnc_int8_whole(k, NNC_INT8_GROUP) * NNC_INT8_COLUMNS; }
/* Bytes of a packed weight; it does not overflow where k n floats do not. */
static inline size_t nnc_int8_bytes(size_t k, size_t n) {
  const size_t columns = nnc_int8_whole(n, NNC_INT8_COLUMNS);
  const size_t rest = nnc_int8_whole(k, NNC_INT8_LINE) - nnc_int8_whole(k, NNC_INT8_GROUP);
  return columns * (sizeof(float) + sizeof(int32_t)) + columns / NNC_INT8_COLUMNS * nnc_int8_block(k) + rest * NNC_INT8_COLUMNS;
}
/* Bytes between rows of inputs: an odd number of lines, because rows a power of two apart would compete for the same sets of a cache. */
static inline size_t nnc_int8_ld(size_t k) { return ((k + NNC_INT8_LINE - 1) / NNC_INT8_LINE | 1) * NNC_INT8_LINE; }

/* The parts of a packed weight at `data`, which is aligned to a cache line. */
static inline nnc_int8_weight nnc_int8_weight_at(void *data, size_t k, size_t n) {
  const size_t columns = nnc_int8_whole(n, NNC_INT8_COLUMNS);
  char *at = data;
  return (nnc_int8_weight){k, n, (float *)at, (int32_t *)(at + columns * sizeof(float)),
                           (int8_t *)(at + columns * (sizeof(float) + sizeof(int32_t)))};
}

/* q [rows, k] and scale [rows] of w [rows, k], row by row: the rows of a weight [n, k] in PyTorch's orientation are its columns.
 * Returns the first row with NaN or an infinity, or rows; what comes from it on is then unspecified. */
typedef size_t nnc_int8_quantize_weight(int8_t *q, float *scale, const float *w, size_t rows, size_t k);
/* Writes a packed weight [k, n] from q [n, k] and scale [n], and the reverse. */
typedef void nnc_int8_pack(const nnc_int8_weight *to, const int8_t *q, const float *scale);
typedef void nnc_int8_unpack(int8_t *q, float *scale, const nnc_int8_weight *from);
/* Inputs from x [rows, k]. */
typedef void nnc_int8_quantize(const nnc_int8_rows *to, const float *x, size_t rows, size_t k, size_t ldx);
/* Columns [first, last) of y [rows, n] = x W + bias, for first a multiple of 16 and last another one or n; bias [n] or NULL: nothing
 * is added. y points to column 0. */
typedef void nnc_int8_product(float *y, const nnc_int8_rows *x, const nnc_int8_weight *w, const float *bias, size_t rows,
                              size_t first, size_t last, size_t ldy);

#endif
