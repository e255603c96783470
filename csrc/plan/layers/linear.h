/* linear.h: what the drivers of dense layers have in common, linear_typed.c and linear_bf16.c. */
#ifndef NNC_PLAN_LINEAR_H
#define NNC_PLAN_LINEAR_H

#include "plan/engine.h"

/* The activation that is applied to the result: none where the loss contains it. */
static inline int nnc_linear_epilogue(const nnc_run *run, const nnc_op *op) {
  return op->loss_fused && run->loss ? NNC_NONE : op->epilogue;
}

/* Columns are divided into panels, so that the activation is applied while the result is in the second-level cache. Panels are as
 * wide as possible, because each one reads x again, and a multiple of every tile width and of the side of a block. */
static inline size_t nnc_linear_panel(size_t rows, size_t cols) {
  enum { STEP = 192, BYTES = 256 << 10 };
  const size_t steps = BYTES / sizeof(real) / (rows * STEP);
  return rows * cols * sizeof(real) <= BYTES ? cols : STEP * (steps ? steps : 1);
}

#endif
