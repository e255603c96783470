/* probe_typed.c: statistics for finding out why a network does not learn, computed in every n-th training step.
 *
 * Per parameter, the norms |g|, |w| and |w' - w| and the ratio |w' - w| / |w|, summed over the sampled steps; per column (unit) of
 * each activation, sums over the samples of y, y^2, [y = 0] and [y saturated], followed by the number of y; padding does not count. One thread processes
 * the whole of a parameter or activation, so that no sum depends on the number of threads. The weights before the update are
 * copied. The next step overwrites the activations, so all threads meet before it starts.
 */
#include <math.h>
#include <string.h>

#include "plan/run/probe.h"

/* The interval outside of which an activation is nearly constant: where its derivative is at most about 4 % of its greatest one.
 * The bounds of hardtanh and hardsigmoid are moved inwards by more than float32 rounds away. */
static void linear_range(const nnc_op *op, double *low, double *high) {
  const nnc_attributes *attr = &op->spec.attr;
  double margin;
  *low = -INFINITY;
  *high = INFINITY;
  switch (op->spec.code) {
    case NNC_ACTIVATION_sigmoid: *low = 0.01, *high = 0.99; break;
    case NNC_ACTIVATION_tanh: *low = -0.98, *high = 0.98; break;
    case NNC_ACTIVATION_softsign: *low = -0.8, *high = 0.8; break;
    case NNC_ACTIVATION_hardtanh: /* a lower bound of 0, as of ReLU6, is no saturation: half of the values are there */
      margin = 1e-6 * (attr->hardtanh.max_val - attr->hardtanh.min_val);
      if (attr->hardtanh.min_val != 0) *low = attr->hardtanh.min_val + margin;
      *high = attr->hardtanh.max_val - margin;
      break;
    case NNC_ACTIVATION_hardsigmoid: *low = 1e-6, *high = 1 - 1e-6; break;
    case NNC_ACTIVATION_celu: *low = -0.98 * attr->celu.alpha; break;
    case NNC_ACTIVATION_elu: *low = -0.98 * attr->elu.alpha; break;
    case NNC_ACTIVATION_selu: *low = -0.98 * 1.7580993408473766; break; /* scale * alpha */
    default: break;
  }
}

static void probe_units(const nnc_run *run, const nnc_op *op, double *total) {
  const int value = (int)(op - run->plan->op) + run->plan->n_inputs;
  const nnc_value *v = &run->plan->value[value];
  const int64_t *lengths = nnc_lengths_of(run, value);
  const size_t together = lengths ? 1 : run->rows; /* samples; the padding of each is left out */
  double low, high;
  linear_range(op, &low, &high);
  for (size_t i = 0; i < run->rows; i += together) {
    const nnc_matrix y = nnc_samples(run, run->act, value, i, i + together);
    const size_t lines = lengths ? (size_t)lengths[i] * (v->lines / v->shape.dim[0]) : y.rows;
    run->k->unit_sums(total, y.at, lines, y.cols, y.ld, low, high);
    total[4 * y.cols] += (double)lines;
  }
}

void nnc_probe_before(const nnc_run *run, const nnc_thread *self, const nnc_probe *probe) {
  for (int i = 0; i < run->plan->n_params; i++) {
    const nnc_parameter *p = &run->plan->param[i];
    size_t first, last;
    nnc_partition(self, p->elements, &first, &last);
    memcpy((real *)probe->before + p->layout.offset + first, (real *)p->layout.data + first, (last - first) * sizeof(real));
  }
}

static void probe_parameter(const nnc_run *run, const nnc_probe *probe, int i) {
  const nnc_parameter *p = &run->plan->param[i];
  const size_t at = p->layout.offset;
  double *total = probe->params + 4 * i, changes[2];
  run->k->sum_changes(changes, (const real *)probe->before + at, p->layout.data, p->elements);
  const double weight = sqrt(changes[0]), moved = sqrt(changes[1]);
  total[0] += sqrt(run->k->sum_squares(run->grads + at, p->elements));
  total[1] += weight;
  total[2] += moved;
  total[3] += weight > 0 ? moved / weight : 0;
}

void nnc_probe_after(const nnc_run *run, const nnc_thread *self, nnc_probe *probe) {
  const nnc_plan *plan = run->plan;
  int turn = 0;
  for (int i = 0; i < plan->n_params; i++)
    if (turn++ % self->size == self->rank) probe_parameter(run, probe, i);
  for (int i = 0; i < plan->n_ops; i++)
    if (plan->op[i].spec.kind == NNC_LAYER_activation && turn++ % self->size == self->rank)
      probe_units(run, &plan->op[i], probe->units + probe->unit_offset[i]);
  if (self->rank) return;
  probe->steps++;
}
