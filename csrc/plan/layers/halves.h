/* halves.h: rows of a weight as the kernels of bfloat16 take them: whole blocks, or, where threads divide a block, a half of it. */
#ifndef NNC_PLAN_HALVES_H
#define NNC_PLAN_HALVES_H

#include "ops/low_kernels.h"

/* Whole blocks (half 0), or a half of one: the first (1) or the second (2). */
typedef struct {
  size_t first, last;
  int half;
} nnc_bf16_rows;

/* The first of rows [first, last) that can be taken at once, of a weight with so many rows. `first` begins a half. */
static inline nnc_bf16_rows nnc_bf16_next_rows(size_t first, size_t last, size_t rows) {
  const size_t inside = first % NNC_BF16_SIDE, whole = last == rows ? last : last - last % NNC_BF16_SIDE;
  if (inside) return (nnc_bf16_rows){first, first + inside < last ? first + inside : last, 2};
  return first < whole ? (nnc_bf16_rows){first, whole, 0} : (nnc_bf16_rows){first, last, 1};
}

/* Where they begin in a left operand of bf16_product_at, whose columns of blocks are `stride` apart. */
static inline size_t nnc_bf16_rows_at(const nnc_bf16_rows *rows, size_t stride, int tiles) {
  return rows->first / NNC_BF16_SIDE * stride * NNC_BF16_BLOCK + (rows->half == 2 ? nnc_bf16_second_half(tiles) : 0);
}

#endif
