/* add_typed.c: y = first x0 + rest (x1 + x2 + ...) + offset, of any number of inputs, from left to right: Add (1, 1), Subtract
 * (1, -1), Average (1/n, 1/n), and with one input, a scale and a shift. Terms whose shapes differ are broadcast (broadcast.h). */
#include "plan/layers/broadcast.h"

/* Of input j. */
static double scale_of(const nnc_op *op, int j) { return j ? op->spec.attr.add.rest : op->spec.attr.add.first; }

static void broadcast_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_operand y = nnc_operand_of(run, run->act, op->out, first, last);
  const size_t n = y.m.cols;
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const nnc_operand x = nnc_operand_of(run, run->act, op->spec.input[j], first, last);
    const double scale = scale_of(op, j);
    for (size_t s = 0; s < last - first; s++)
      for (size_t l = 0; l < y.lines; l++) {
        real *to = nnc_broadcast_line(&y, &y, s, l);
        const real *from = nnc_broadcast_line(&x, &y, s, l);
        if (j == 0) /* the result has no valid content yet */
          for (size_t c = 0; c < n; c++) to[c] = (real)op->spec.attr.add.offset;
        if (x.m.cols == n) run->k->combine(to, to, from, 1, n, n, n, n, 1, scale, 0);
        else run->k->combine(to, to, NULL, 1, n, n, n, n, 1, 0, scale * (double)*from);
      }
  }
}

static void broadcast_backward(const nnc_run *run, const nnc_op *op, int j, size_t first, size_t last) {
  const nnc_operand dy = nnc_operand_of(run, run->grad, op->out, first, last);
  const nnc_operand dx = nnc_operand_of(run, run->grad, op->spec.input[j], first, last);
  const double scale = scale_of(op, j);
  const size_t n = dy.m.cols;
  if (!op->accumulates[j]) nnc_clear_operand(&dx);
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < dy.lines; l++) {
      real *to = nnc_broadcast_line(&dx, &dy, s, l), sum = 0;
      const real *g = nnc_broadcast_line(&dy, &dy, s, l);
      if (dx.m.cols == n) {
        run->k->combine(to, to, g, 1, n, n, n, n, 1, scale, 0);
        continue;
      }
      for (size_t c = 0; c < n; c++) sum += g[c];
      *to += (real)scale * sum;
    }
}

static void add_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix y = nnc_samples(run, run->act, op->out, first, last);
  const nnc_matrix a = nnc_samples(run, run->act, op->spec.input[0], first, last);
  const double first_scale = op->spec.attr.add.first, rest_scale = op->spec.attr.add.rest, offset = op->spec.attr.add.offset;
  if (nnc_is_broadcast(run, op)) {
    broadcast_forward(run, op, first, last);
    return;
  }
  if (op->spec.n_inputs == 1) run->k->combine(y.at, a.at, NULL, y.rows, y.cols, y.ld, a.ld, a.ld, first_scale, 0, offset);
  for (int j = 1; j < op->spec.n_inputs; j++) {
    const nnc_matrix b = nnc_samples(run, run->act, op->spec.input[j], first, last);
    if (j == 1) run->k->combine(y.at, a.at, b.at, y.rows, y.cols, y.ld, a.ld, b.ld, first_scale, rest_scale, offset);
    else run->k->combine(y.at, y.at, b.at, y.rows, y.cols, y.ld, y.ld, b.ld, 1, rest_scale, 0);
  }
}

static void add_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_matrix dy = nnc_samples(run, run->grad, op->out, first, last);
  for (int j = 0; j < op->spec.n_inputs; j++) {
    const int in = op->spec.input[j];
    if (!run->plan->value[in].needs_grad && !run->input_grads) continue;
    if (nnc_is_broadcast(run, op)) {
      broadcast_backward(run, op, j, first, last);
      continue;
    }
    const nnc_matrix dx = nnc_samples(run, run->grad, in, first, last);
    const double scale = scale_of(op, j);
    if (op->accumulates[j]) run->k->combine(dx.at, dx.at, dy.at, dx.rows, dx.cols, dx.ld, dx.ld, dy.ld, 1, scale, 0);
    else run->k->combine(dx.at, dy.at, NULL, dx.rows, dx.cols, dx.ld, dy.ld, dy.ld, scale, 0, 0);
  }
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_add) = {
    .forward = add_forward,
    .backward = add_backward,
    .gradient = nnc_no_gradient,
    .prepare = nnc_nothing_to_prepare,
};
