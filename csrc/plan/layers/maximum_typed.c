/* maximum_typed.c: the larger of two values, or the smaller one, element by element. The gradient goes to the one that is chosen, half
 * to each where they are equal. More inputs are a chain of such ops. Inputs whose shapes differ are broadcast (broadcast.h). */
#include "plan/layers/broadcast.h"

/* The same as the kernels (csrc/ops/elementwise/merge.c), for single numbers. */
static real chosen(real a, real b, int is_minimum) { return (is_minimum ? a < b : a > b) || a != a ? a : b; }
static real share(real dy, real own, real other, int is_minimum) {
  return (is_minimum ? own > other : own < other) ? 0 : own == other ? dy * (real)0.5 : dy;
}

static void broadcast_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_operand y = nnc_operand_of(run, run->act, op->out, first, last);
  const nnc_operand a = nnc_operand_of(run, run->act, op->spec.input[0], first, last);
  const nnc_operand b = nnc_operand_of(run, run->act, op->spec.input[1], first, last);
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < y.lines; l++) {
      real *to = nnc_broadcast_line(&y, &y, s, l);
      const real *u = nnc_broadcast_line(&a, &y, s, l), *v = nnc_broadcast_line(&b, &y, s, l);
      for (size_t c = 0; c < y.m.cols; c++)
        to[c] = chosen(u[a.m.cols == 1 ? 0 : c], v[b.m.cols == 1 ? 0 : c], op->spec.size.maximum.is_minimum != 0);
    }
}

static void broadcast_backward(const nnc_run *run, const nnc_op *op, int j, size_t first, size_t last) {
  const nnc_operand dy = nnc_operand_of(run, run->grad, op->out, first, last);
  const nnc_operand dx = nnc_operand_of(run, run->grad, op->spec.input[j], first, last);
  const nnc_operand own = nnc_operand_of(run, run->act, op->spec.input[j], first, last);
  const nnc_operand other = nnc_operand_of(run, run->act, op->spec.input[1 - j], first, last);
  if (!op->accumulates[j]) nnc_clear_operand(&dx);
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < dy.lines; l++) {
      real *to = nnc_broadcast_line(&dx, &dy, s, l);
      const real *g = nnc_broadcast_line(&dy, &dy, s, l), *u = nnc_broadcast_line(&own, &dy, s, l),
                 *v = nnc_broadcast_line(&other, &dy, s, l);
      for (size_t c = 0; c < dy.m.cols; c++) {
        const size_t at = dx.m.cols == 1 ? 0 : c;
        to[at] += share(g[c], u[at], v[other.m.cols == 1 ? 0 : c], op->spec.size.maximum.is_minimum != 0);
      }
    }
}

static void maximum_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (nnc_is_broadcast(run, op)) {
    broadcast_forward(run, op, first, last);
    return;
  }
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const nnc_matrix a = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix b = nnc_samples(run, run->act, op->spec.input[1], first, last);
  run->k->maximum(y.at, a.at, b.at, y.rows, y.cols, y.ld, a.ld, b.ld, op->spec.size.maximum.is_minimum != 0);
}

static void maximum_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  for (int j = 0; j < 2; j++) {
    const int in = op->spec.input[j];
    if (!run->plan->value[in].needs_grad && !run->input_grads) continue;
    if (nnc_is_broadcast(run, op)) {
      broadcast_backward(run, op, j, first, last);
      continue;
    }
    const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
    const nnc_matrix own = nnc_samples(run, run->act, in, first, last);
    const nnc_matrix other = nnc_samples(run, run->act, op->spec.input[1 - j], first, last);
    real *to = op->accumulates[j] ? run->arena + op->packed + (dx.at - run->grad[in]) : dx.at;
    run->k->maximum_backward(to, dy.at, own.at, other.at, dx.rows, dx.cols, dx.ld, dy.ld, own.ld, other.ld,
                             op->spec.size.maximum.is_minimum != 0);
    if (op->accumulates[j]) run->k->accumulate(dx.at, to, dx.rows, dx.cols, dx.ld, dx.ld);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_maximum) = {
    .forward = maximum_forward,
    .backward = maximum_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
