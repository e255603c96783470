/* int8.c: the products of recurrent layers whose weights are 8-bit integers (plan/int8.h), for inference.
 *
 * The inputs of a window become such integers group by group of samples, in the order of the gates, so that they are one product. The
 * states become some at each step: all rows of a block, in the kernel's order. Both use the same memory, one after the other. */
#include "plan/layers/recurrent/windows.h"

/* Distance between rows of recurrent products; a vector more may be read behind a row. */
static size_t product_row(const nnc_recurrent *r) { return nnc_int8_whole(r->products * r->hidden, 16) + 16; }

int nnc_recurrent_int8_layout(const nnc_recurrent *r, size_t *size) {
  const size_t chunk = r->steps < NNC_RECURRENT_CHUNK ? r->steps : NNC_RECURRENT_CHUNK;
  const size_t inputs = r->int8_input ? chunk * nnc_int8_row(r->input) : 0;
  const size_t states = r->int8 ? nnc_int8_row(r->hidden) + product_row(r) : 0;
  *size = inputs > states ? inputs : states;
  return 0;
}

static const nnc_param *weight_of(const nnc_run *run, const nnc_op *op, int slot) {
  return &run->plan->param[op->param[slot]].layout;
}

void nnc_int8_input_products(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                             const nnc_recurrence *c) {
  const nnc_low_kernels *k = nnc_plan_low_kernels(run->plan);
  const nnc_recurrent *r = &l->r;
  const int slot = (int)w->d * NNC_SLOTS_PER_DIRECTION;
  const nnc_int8_weight weight = nnc_int8_weight_of(weight_of(run, op, slot + NNC_SLOT_W_IH));
  const nnc_int8_rows rows = nnc_int8_rows_at(region(l, NNC_REGION_INT8), l->capacity * l->slots, r->input);
  const nnc_matrix x = nnc_samples(run, run->act, op->spec.input[0], w->first, w->last);
  for (size_t i = 0; i < c->rows; i += c->group) {
    for (size_t t = 0; t < c->steps; t++) {
      const nnc_int8_rows to = nnc_int8_from(&rows, t * c->group);
      k->int8_quantize(&to, x.at + (i * r->steps + w->from + t) * x.ld, c->group, r->input, r->steps * x.ld);
    }
    k->int8_product((float *)c->gates + i / c->group * c->gates_group, &rows, &weight, nnc_values_of(run, op, slot + NNC_SLOT_B_IH),
                    c->steps * c->group, 0, weight.n, c->gates_row);
  }
}

static const void *multiply(const void *context, const void *h, size_t rows, size_t ldh, size_t *ldz) {
  const nnc_int8_products *p = context;
  p->k->int8_quantize(&p->rows, h, rows, p->weight.k, ldh);
  p->k->int8_product(p->z, &p->rows, &p->weight, p->bias, rows, 0, p->weight.n, p->ldz);
  *ldz = p->ldz;
  return p->z;
}

const float *nnc_int8_before(const nnc_int8_products *p, const float *left, size_t rows, size_t left_row, size_t gate, size_t gates,
                             size_t *row) {
  const size_t first = gate * p->weight.k, last = nnc_int8_whole(first + gates * p->weight.k, NNC_INT8_COLUMNS);
  p->k->int8_quantize(&p->rows, left, rows, p->weight.k, left_row);
  p->k->int8_product(p->z, &p->rows, &p->weight, p->bias, rows, first - first % NNC_INT8_COLUMNS,
                     last < p->weight.n ? last : p->weight.n, p->ldz);
  *row = p->ldz;
  return p->z + first;
}

void nnc_int8_use_state(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w, nnc_recurrence *c,
                        nnc_int8_products *products) {
  const int slot = (int)w->d * NNC_SLOTS_PER_DIRECTION;
  float *at = region(l, NNC_REGION_INT8);
  *products = (nnc_int8_products){
      .k = nnc_plan_low_kernels(run->plan),
      .weight = nnc_int8_weight_of(weight_of(run, op, slot + NNC_SLOT_W_HH)),
      .rows = nnc_int8_rows_at(at, l->capacity, l->r.hidden),
      .bias = nnc_values_of(run, op, slot + NNC_SLOT_B_HH),
      .z = at + l->capacity * nnc_int8_row(l->r.hidden),
      .ldz = product_row(&l->r),
  };
  c->multiply = multiply;
  c->context = products;
}
