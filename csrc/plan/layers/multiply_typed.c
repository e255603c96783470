/* multiply_typed.c: y = a b, element by element; da = dy b and db = dy a. More factors are a chain of such ops. Factors whose shapes
 * differ are broadcast (broadcast.h). */
#include "plan/layers/broadcast.h"

static void broadcast_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_operand y = nnc_operand_of(run, run->act, op->out, first, last);
  const nnc_operand a = nnc_operand_of(run, run->act, op->spec.input[0], first, last);
  const nnc_operand b = nnc_operand_of(run, run->act, op->spec.input[1], first, last);
  const size_t n = y.m.cols;
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < y.lines; l++) {
      real *to = nnc_broadcast_line(&y, &y, s, l);
      const real *u = nnc_broadcast_line(&a, &y, s, l), *v = nnc_broadcast_line(&b, &y, s, l);
      if (a.m.cols == b.m.cols) run->k->multiply(to, u, v, 1, n, n, n, n, 0);
      else if (b.m.cols == 1) run->k->combine(to, u, NULL, 1, n, n, n, n, (double)*v, 0, 0);
      else run->k->combine(to, v, NULL, 1, n, n, n, n, (double)*u, 0, 0);
    }
}

static real dot(const real *u, const real *v, size_t n) {
  real sum = 0;
  for (size_t j = 0; j < n; j++) sum += u[j] * v[j];
  return sum;
}

static void broadcast_backward(const nnc_run *run, const nnc_op *op, int j, size_t first, size_t last) {
  const nnc_operand dy = nnc_operand_of(run, run->grad, op->out, first, last);
  const nnc_operand dx = nnc_operand_of(run, run->grad, op->spec.input[j], first, last);
  const nnc_operand other = nnc_operand_of(run, run->act, op->spec.input[1 - j], first, last);
  const size_t n = dy.m.cols;
  if (!op->accumulates[j]) nnc_clear_operand(&dx);
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < dy.lines; l++) {
      real *to = nnc_broadcast_line(&dx, &dy, s, l);
      const real *g = nnc_broadcast_line(&dy, &dy, s, l), *v = nnc_broadcast_line(&other, &dy, s, l);
      if (dx.m.cols < n) *to += dot(g, v, n);
      else if (other.m.cols < n) run->k->combine(to, to, g, 1, n, n, n, n, 1, (double)*v, 0);
      else run->k->multiply(to, g, v, 1, n, n, n, n, 1);
    }
}

static void multiply_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (nnc_is_broadcast(run, op)) {
    broadcast_forward(run, op, first, last);
    return;
  }
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const nnc_matrix a = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const nnc_matrix b = nnc_samples(run, run->act, op->spec.input[1], first, last);
  run->k->multiply(y.at, a.at, b.at, y.rows, y.cols, y.ld, a.ld, b.ld, 0);
}

static void multiply_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  for (int j = 0; j < 2; j++) {
    const int in = op->spec.input[j];
    if (!run->plan->value[in].needs_grad && !run->input_grads) continue;
    if (nnc_is_broadcast(run, op)) {
      broadcast_backward(run, op, j, first, last);
      continue;
    }
    const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
    const nnc_matrix other = nnc_samples(run, run->act, op->spec.input[1 - j], first, last);
    run->k->multiply(dx.at, dy.at, other.at, dx.rows, dx.cols, dx.ld, dy.ld, other.ld, op->accumulates[j]);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_multiply) = {
    .forward = multiply_forward,
    .backward = multiply_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
