/* flatten_typed.c: a view of its input, memory and gradient alike (see passes/fuse.c), so there is nothing to run. */
#include "plan/engine.h"

static void flatten_rows(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  (void)run, (void)op, (void)first, (void)last;
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_flatten) = {
    .forward = flatten_rows,
    .backward = flatten_rows,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
