/* gru_before_bf16.c: the products of GRU(reset_after=False) where they take bfloat16.
 *
 *   sum of a gate = (product of h's or r h's operand + b_hh) + (product of x's + b_ih)
 *
 * Each product is a sum from +0 (low_kernels.h), then its bias is added. The rest of a step is float32, by kernels that give the same
 * bits on every CPU. Gradients of the sums are rounded once, for all their products. The operands of the weights' gradients lie
 * where bf16.c has them; r h in the place of a fourth gate of dgates. The gradient of a bias is a sum of float32, over time in a group. */
#include "plan/layers/recurrent/windows.h"

enum { BLOCK = NNC_BF16_BLOCK };

static const nnc_low_kernels *kernels_of(const nnc_run *run) { return nnc_low_kernels_for(run->plan->low_isa); }
static nnc_bf16 *weights(const nnc_recurrent_layer *l, size_t d, size_t at) {
  return (nnc_bf16 *)(l->weights + d * l->packed.direction + at);
}

/* Blocks of k in a weight's gradient; the block of step t of a window; a gate in the forms of dgates, or the form of h. */
static size_t all_steps(const nnc_recurrent_layer *l) { return nnc_bf16_blocks(l->samples) * l->r.steps; }
static nnc_bf16 *form(const nnc_recurrent_layer *l, const nnc_window *w, nnc_region region_of, size_t number, size_t t) {
  const size_t units = region_of == NNC_REGION_X_FORM ? 0 : nnc_bf16_blocks(l->r.hidden);
  return (nnc_bf16 *)region(l, region_of) +
         (number * units * all_steps(l) + w->first / NNC_BF16_SIDE * l->r.steps + w->from + t) * BLOCK;
}

/* Forms of an operand: in scratch, behind the floats; those of the gradients of a step, gate by gate. */
static nnc_bf16 *operand_of(const nnc_recurrence *c) {
  return (nnc_bf16 *)((float *)c->scratch + c->rows * 8 * (nnc_recurrent_padded(c->hidden) + 16));
}
static nnc_bf16 *gradients_of(const nnc_before *b, size_t gate) {
  const nnc_recurrent_layer *l = b->l;
  float *at = region(l, NNC_REGION_D_CHUNK) + b->w->first * l->regions.size[NNC_REGION_D_CHUNK];
  return (nnc_bf16 *)at + gate * nnc_bf16_blocks(l->r.hidden) * BLOCK;
}

/* y [rows, gates * n] = the products with k columns of an operand, and the bias. */
static void multiply(const nnc_run *run, float *y, size_t ld, const nnc_bf16 *left, const nnc_bf16 *right, size_t rows,
                     size_t gates, size_t n, size_t k, const float *bias) {
  const size_t at_once = n % NNC_BF16_SIDE ? 1 : gates;
  for (size_t g = 0; g < gates; g += at_once) {
    const nnc_bf16_result to = {.rows = y + g * n, .ld = ld, .bias = bias ? bias + g * n : NULL};
    kernels_of(run)->bf16_product(&to, left, right + g * nnc_bf16_blocks(n) * nnc_bf16_blocks(k) * BLOCK, rows, at_once * n, k);
  }
}

void nnc_bf16_before_inputs(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                            const nnc_recurrence *c) {
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  const int by_step = l->training || c->rows >= c->steps;
  const size_t lines = by_step ? c->steps : c->rows, rows = by_step ? c->rows : c->steps, sample = l->r.steps * x.ld;
  const nnc_bf16 *right = weights(l, w->d, l->packed.input);
  nnc_bf16_forms to = {.a = operand_of(c), .stride = all_steps(l)};
  for (size_t i = 0; i < lines; i++) {
    if (l->training && w->d == 0) to.at = form(l, w, NNC_REGION_X_FORM, 0, i);
    kernels_of(run)->bf16_pack(&to, x.at + w->from * x.ld + i * (by_step ? x.ld : sample), rows, l->r.input,
                               by_step ? sample : x.ld);
    multiply(run, (float *)c->gates + i * (by_step ? c->gates_step : c->gates_row), by_step ? c->gates_row : c->gates_step, to.a,
             right, rows, 3, l->r.hidden, l->r.input, nnc_values_of(run, op, (int)w->d * NNC_SLOTS_PER_DIRECTION + NNC_SLOT_B_IH));
  }
}

void nnc_bf16_before(const nnc_before *b, size_t t, const float *left, size_t left_row, size_t gate, size_t gates,
                     const float *bias) {
  const nnc_recurrent *r = &b->l->r;
  const size_t units = nnc_bf16_blocks(r->hidden);
  nnc_bf16_forms to = {.a = operand_of(b->c), .stride = all_steps(b->l)};
  if (b->l->training)
    to.at = gate ? form(b->l, b->w, NNC_REGION_D_FORM, b->w->d * r->kept + 3, t) : form(b->l, b->w, NNC_REGION_H_FORM, b->w->d, t);
  kernels_of(b->run)->bf16_pack(&to, left, b->rows, r->hidden, left_row);
  multiply(b->run, b->product, 3 * b->ld, to.a, weights(b->l, b->w->d, 0) + gate * units * units * BLOCK, b->rows, gates, r->hidden,
           r->hidden, bias);
}

void nnc_bf16_before_back(const nnc_before *b, size_t gate, size_t gates) {
  const size_t hidden = b->l->r.hidden, units = nnc_bf16_blocks(hidden);
  multiply(b->run, b->product, 3 * b->ld, gradients_of(b, gate),
           weights(b->l, b->w->d, b->l->packed.backward) + gate * units * units * BLOCK, b->rows, 1, hidden,
           gates * units * NNC_BF16_SIDE, NULL);
}

void nnc_bf16_before_pack(const nnc_before *b, size_t t, size_t gate, size_t gates) {
  const size_t hidden = b->l->r.hidden;
  for (size_t g = gate; g < gate + gates; g++) {
    const nnc_bf16_forms to = {.a = gradients_of(b, g),
                               .b = form(b->l, b->w, NNC_REGION_D_FORM, b->w->d * b->l->r.kept + g, t),
                               .stride = all_steps(b->l)};
    kernels_of(b->run)->bf16_pack(&to, b->operand + g * hidden, b->rows, hidden, 3 * b->ld);
  }
}

void nnc_bf16_before_dx(const nnc_before *b, size_t t) {
  const nnc_run *run = b->run;
  const int value = b->op->spec.input[0];
  if (!run->plan->value[value].needs_grad && !run->input_grads) return;
  const nnc_recurrent *r = &b->l->r;
  const nnc_matrix dx = nnc_samples(run, run->grad, value, b->w->first, b->w->last);
  const nnc_bf16_result to = {
      .rows = dx.at + (b->w->from + t) * dx.ld, .ld = r->steps * dx.ld, .accumulate = b->op->accumulates[0] || b->w->d};
  kernels_of(run)->bf16_product(&to, gradients_of(b, 0), weights(b->l, b->w->d, b->l->packed.transposed), b->rows, r->input,
                                3 * nnc_bf16_blocks(r->hidden) * NNC_BF16_SIDE);
}
