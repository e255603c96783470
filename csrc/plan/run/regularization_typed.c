/* regularization_typed.c: operations on the weights of a step besides their update: penalties in the loss, the max-norm constraint,
 * and the moving average of the parameters with such a constraint. The partition of pieces and columns either does not depend on
 * the number of threads or does not affect the bits (whole columns).
 */
#include <math.h>

#include "plan/engine.h"

static double piece_penalty(const nnc_run *run, const nnc_parameter *p, size_t first, size_t rows) {
  double sums[2];
  run->k->sum_penalties(sums, (real *)p->layout.data + first * p->layout.ld, rows, p->layout.cols, p->layout.ld);
  return p->options.l1 * sums[0] + p->options.l2 * sums[1];
}

/* The sum of all pieces in order. With partial != NULL, it sets the contributions of the pieces of one thread. */
static double walk_pieces(const nnc_run *run, double *partial, size_t rank, size_t size) {
  size_t piece = 0;
  double sum = 0;
  for (int i = 0; i < run->plan->n_params; i++) {
    const nnc_parameter *p = &run->plan->param[i];
    const size_t step = nnc_penalty_rows(&p->layout, &p->options);
    for (size_t first = 0; step && first < p->layout.rows; first += step, piece++) {
      if (piece % size != rank) continue;
      const size_t left = p->layout.rows - first;
      const double own = piece_penalty(run, p, first, left < step ? left : step);
      if (partial) partial[piece] = own;
      else sum += own;
    }
  }
  return sum;
}

void nnc_run_penalties(const nnc_run *run, const nnc_thread *self) {
  walk_pieces(run, run->plan->penalty_partial, (size_t)self->rank, (size_t)self->size);
}

double nnc_penalty_sum(const nnc_plan *plan) {
  double sum = 0;
  for (int i = 0; i < plan->n_penalty_pieces; i++) sum += plan->penalty_partial[i];
  return sum;
}

double NNC_TYPED(nnc_penalty)(const nnc_plan *plan) {
  const nnc_run run = {.plan = plan, .k = nnc_plan_kernels(plan)};
  return walk_pieces(&run, NULL, 0, 1);
}

/* Each row is a unit: the vectors of an embedding, and initial states. */
static void limit_rows(const nnc_run *run, const nnc_parameter *p, const nnc_thread *self, double momentum) {
  const size_t cols = p->layout.cols, ld = p->layout.ld;
  size_t first, last;
  nnc_partition(self, p->layout.rows, &first, &last);
  for (size_t r = first; r < last; r++) {
    real *w = (real *)p->layout.data + r * ld;
    const double norm = sqrt(run->k->sum_squares(w, cols));
    if (norm > p->options.max_norm) run->k->combine(w, w, NULL, 1, cols, ld, ld, ld, p->options.max_norm / norm, 0, 0);
    if (run->plan->average) run->k->average((real *)run->plan->average + p->layout.offset + r * ld, w, 1, cols, ld, momentum);
  }
}

void nnc_run_constraints(const nnc_run *run, const nnc_thread *self, double momentum) {
  const nnc_plan *plan = run->plan;
  const size_t line = NNC_ALIGNMENT / sizeof(real);
  for (int i = 0; i < plan->n_params; i++) {
    const nnc_parameter *p = &plan->param[i];
    if (!p->options.trainable || p->options.max_norm == 0) continue;
    if (!p->layout.transposed && !p->layout.vector) {
      limit_rows(run, p, self, momentum);
      continue;
    }
    size_t first, last;
    nnc_partition(self, (p->layout.cols + line - 1) / line, &first, &last);
    first *= line;
    last = last * line < p->layout.cols ? last * line : p->layout.cols;
    if (first >= last) continue;
    real *w = (real *)p->layout.data + first;
    run->k->max_norm(w, p->layout.rows, last - first, p->layout.ld, p->options.max_norm);
    if (plan->average)
      run->k->average((real *)plan->average + p->layout.offset + first, w, p->layout.rows, last - first, p->layout.ld, momentum);
  }
}
