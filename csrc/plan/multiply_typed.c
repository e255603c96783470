/* multiply_typed.c: y = a b, element by element; da = dy b and db = dy a. More factors are a chain of such ops.
 *
 * Dimensions of 1, and leading ones that are missing, stretch to those of the other factor, as in NumPy: then lines of the result are
 * taken one by one, each with the lines that lie under it. The gradient of what was stretched is a sum: over the lines of a sample in
 * increasing order, and over the columns of a line in increasing order. */
#include <string.h>

#include "plan/engine.h"

/* Where the line of an input lies that goes into line `line` of the result, within a sample. */
static size_t line_under(const nnc_shape *out, const nnc_shape *in, size_t line) {
  size_t at = 0, step = 1;
  for (int d = out->rank - 2, k = in->rank - 2; d >= 0 && k >= 0; d--, k--) {
    if (in->dim[k] > 1) at += line % out->dim[d] * step;
    step *= in->dim[k];
    line /= out->dim[d];
  }
  return at;
}

static int is_stretched(const nnc_run *run, const nnc_op *op) {
  const nnc_value *v = run->plan->value, *a = &v[op->spec.input[0]], *b = &v[op->spec.input[1]];
  return a->lines != v[op->out].lines || b->lines != v[op->out].lines || a->cols != b->cols;
}

typedef struct {
  const nnc_shape *shape;
  nnc_matrix m;
  size_t lines; /* of one sample */
} factor;

static factor factor_of(const nnc_run *run, real *const *base, int value, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  return (factor){&v->shape, nnc_samples(run, base, value, first, last), v->lines};
}

static real *line_of(const factor *f, const factor *out, size_t sample, size_t line) {
  return f->m.at + (sample * f->lines + line_under(out->shape, f->shape, line)) * f->m.ld;
}

static void stretched_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const factor y = factor_of(run, run->act, op->out, first, last);
  const factor a = factor_of(run, run->act, op->spec.input[0], first, last);
  const factor b = factor_of(run, run->act, op->spec.input[1], first, last);
  const size_t n = y.m.cols;
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < y.lines; l++) {
      real *to = line_of(&y, &y, s, l);
      const real *u = line_of(&a, &y, s, l), *v = line_of(&b, &y, s, l);
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

static void stretched_backward(const nnc_run *run, const nnc_op *op, int j, size_t first, size_t last) {
  const factor dy = factor_of(run, run->grad, op->out, first, last);
  const factor dx = factor_of(run, run->grad, op->spec.input[j], first, last);
  const factor other = factor_of(run, run->act, op->spec.input[1 - j], first, last);
  const size_t n = dy.m.cols;
  for (size_t r = 0; r < dx.m.rows && !op->accumulates[j]; r++) memset(dx.m.at + r * dx.m.ld, 0, dx.m.cols * sizeof(real));
  for (size_t s = 0; s < last - first; s++)
    for (size_t l = 0; l < dy.lines; l++) {
      real *to = line_of(&dx, &dy, s, l);
      const real *g = line_of(&dy, &dy, s, l), *v = line_of(&other, &dy, s, l);
      if (dx.m.cols < n) *to += dot(g, v, n);
      else if (other.m.cols < n) run->k->combine(to, to, g, 1, n, n, n, n, 1, (double)*v, 0);
      else run->k->multiply(to, g, v, 1, n, n, n, n, 1);
    }
}

static void multiply_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (is_stretched(run, op)) {
    stretched_forward(run, op, first, last);
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
    if (is_stretched(run, op)) {
      stretched_backward(run, op, j, first, last);
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
