/* embedding_typed.c: rows of a table, selected by the indices in an input. The derivative with respect to an index is 0. */
#include <string.h>

#include "plan/engine.h"

static const nnc_param *table_of(const nnc_run *run, const nnc_op *op) { return &run->plan->param[op->param[0]].layout; }

static void embedding_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_param *w = table_of(run, op);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  run->k->embedding_forward(y.at, x.at, (real *)w->data, x.rows, x.cols, y.ld, x.ld, w->rows, w->cols, w->ld);
}

static void embedding_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  if (!run->input_grads || op->accumulates[0]) return;
  const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
  for (size_t i = 0; i < dx.rows; i++) memset(dx.at + i * dx.ld, 0, dx.cols * sizeof(real));
}

static void embedding_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows) {
  const nnc_param *w = table_of(run, op);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], 0, rows);
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, 0, rows);
  run->k->embedding_gradient(run->grads + w->offset, x.at, dy.at, x.rows, x.cols, x.ld, dy.ld, task->first, task->last, w->cols,
                             w->ld, op->spec.size.embedding.padding_idx);
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_embedding) = {
    .forward = embedding_forward,
    .backward = embedding_backward,
    .gradient = embedding_gradient,
    .prepare = nnc_nothing_to_prepare,
};
