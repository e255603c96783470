/* int8.h: weights of 8-bit integers in a plan for inference (NNC_COMPUTE_INT8), for the drivers of the layers that have them.
 *
 * A weight is packed (ops/int8.h) and stands among the parameters as a vector of so many floats, which nobody reads as such. It has
 * no other form, and so no gradient. Its layer computes the 8-bit integers of its input in the memory of the run, after the values. */
#ifndef NNC_PLAN_INT8_H
#define NNC_PLAN_INT8_H

#include "plan/plan.h"

/* Whether a plan packs a weight of so many inputs and outputs. One with more inputs than a sum has room for stays float32. */
static inline int nnc_is_int8(const nnc_plan *plan, size_t inputs, size_t outputs) {
  return plan->compute == NNC_COMPUTE_INT8 && nnc_is_large(inputs, outputs) && inputs <= NNC_INT8_LONGEST;
}

/* Adds a weight [rows, cols], packed where is_packed; non-zero on overflow. */
int nnc_add_weight(nnc_plan *plan, int op, int slot, nnc_param layout, int is_packed, size_t *total);

/* Floats per row that inputs of k numbers take: q and the scale. */
static inline size_t nnc_int8_row(size_t k) { return nnc_int8_ld(k) / sizeof(float) + 1; }

/* Memory for `rows` rows, a multiple of 16, at `data`: the scales, then the rows. */
static inline nnc_int8_rows nnc_int8_rows_at(void *data, size_t rows, size_t k) {
  return (nnc_int8_rows){(uint8_t *)data + rows * sizeof(float), data, nnc_int8_ld(k)};
}
static inline nnc_int8_rows nnc_int8_from(const nnc_int8_rows *rows, size_t first) {
  return (nnc_int8_rows){rows->at + first * rows->ld, rows->scale + first, rows->ld};
}

static inline nnc_int8_weight nnc_int8_weight_of(const nnc_param *p) {
  return nnc_int8_weight_at(p->data, p->packed_rows, p->packed_cols);
}

/* Rows for which a thread has memory, if it is asked for `rows`: whole tiles. */
static inline size_t nnc_int8_room(const nnc_plan *plan, size_t rows) {
  return plan->compute == NNC_COMPUTE_INT8 ? nnc_int8_whole(rows, NNC_INT8_ROWS) : rows;
}

static inline const nnc_low_kernels *nnc_plan_low_kernels(const nnc_plan *plan) { return nnc_low_kernels_for(plan->low_isa); }

#endif
