/* flatten_typed.c: a view of its input, memory and gradient alike (see fuse.c), so there is nothing to run. */
#include "plan/engine.h"

static void flatten_rows(const nnc_run *run, const nnc_op *op, size_t first, size_t last) { (void)run, (void)op, (void)first, (void)last; }

static void flatten_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  (void)run, (void)op, (void)task, (void)rows;
}

static void flatten_prepare(const nnc_run *run, const nnc_op *op, const nnc_task *task) { (void)run, (void)op, (void)task; }

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_flatten) = {flatten_rows, flatten_rows, flatten_gradient, flatten_prepare};
