/* heads_typed.c: the losses of a batch and what the metrics need of it. */
#include <math.h>

#include "plan/heads.h"

static double weight_sum(const nnc_data *data, size_t start, size_t rows) {
  if (!data->weight.data) return (double)rows;
  double sum = 0;
  for (size_t i = 0; i < rows; i++) {
    const size_t row = data->order ? (size_t)data->order[start + i] : start + i;
    const ptrdiff_t at = (ptrdiff_t)row * data->weight.stride;
    sum += data->weight.type == NNC_SOURCE_F64 ? ((const double *)data->weight.data)[at]
                                               : (double)((const float *)data->weight.data)[at];
  }
  return sum;
}

double nnc_head_divisor(const nnc_head *head, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows) {
  const double lines = (double)plan->value[head->output].lines;
  if (head->reduction == NNC_SUM) return 1;
  if (head->reduction == NNC_MEAN) return (double)rows * lines;
  const double sum = weight_sum(data, start, rows) * lines;
  return sum != 0 ? sum : 1; /* all weights 0: the loss is 0, not NaN */
}

void nnc_head_loss(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t first, size_t last, double scale) {
  const nnc_matrix z = nnc_samples(run, run->act, head->value, first, last);
  const size_t lines = run->plan->value[head->output].lines;
  nnc_loss_fn *loss = run->k->loss[head->loss];
  real *grad = run->grad ? nnc_samples(run, run->grad, head->value, first, last).at : NULL;
  real *pred = head->probabilities ? nnc_samples(run, run->act, head->output, first, last).at : NULL;
  real *row_loss = b->row_loss + first * lines;
  const real *target = b->target + first * lines * head->target_cols;
  if (!b->weight || lines == 1) {
    loss(grad, pred, row_loss, z.at, target, b->weight ? b->weight + first : NULL, z.rows, z.cols, z.ld, head->target_cols, scale,
         head->attr);
    return;
  }
  /* One weight per sample, several lines per sample: the weight becomes part of the scale. */
  for (size_t i = 0; i < last - first; i++) {
    const size_t at = i * lines * z.ld;
    const real w = b->weight[first + i];
    loss(grad ? grad + at : NULL, pred ? pred + at : NULL, row_loss + i * lines, z.at + at, target + i * lines * head->target_cols,
         NULL, lines, z.cols, z.ld, head->target_cols, scale * (double)w, head->attr);
    for (size_t t = 0; t < lines; t++) row_loss[i * lines + t] *= w;
  }
}

double nnc_head_sum(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows, double sum) {
  for (size_t i = 0; i < rows * run->plan->value[head->output].lines; i++) sum += (double)b->row_loss[i];
  return sum;
}

void nnc_head_statistic(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows, double *sums) {
  if (!sums || head->statistic.kind == NNC_STATISTIC_NONE) return;
  const size_t lines = run->plan->value[head->output].lines;
  const int singly = b->weight && lines > 1;
  const size_t step = singly ? 1 : rows;
  const nnc_statistic_spec *s = &head->statistic;
  for (size_t first = 0; first < rows; first += step) { /* several lines per weighted sample: sample by sample */
    const nnc_matrix z = nnc_samples(run, run->act, head->output, first, first + step);
    const real *target = b->target + first * lines * head->target_cols;
    for (size_t t = 0; t < (singly ? lines : 1); t++) {
      const size_t n = singly ? 1 : z.rows;
      const real *weight = b->weight ? b->weight + first : NULL, *at = z.at + t * z.ld, *aim = target + t * head->target_cols;
      if (s->kind == NNC_STATISTIC_CONFUSION)
        run->k->count_confusion(sums, at, aim, weight, n, z.cols, z.ld, head->target_cols, s->classes, head->index_target,
                                s->threshold, s->target_threshold);
      else run->k->sum_residuals(sums, at, aim, weight, n, z.cols, z.ld, head->target_cols);
    }
  }
}
