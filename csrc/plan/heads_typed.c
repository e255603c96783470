/* heads_typed.c: the losses of a batch and what the metrics need of it. */
#include <math.h>

#include "plan/heads.h"

size_t nnc_head_lines(const nnc_plan *plan, const nnc_head *head, const int64_t *lengths, size_t i) {
  const nnc_value *v = &plan->value[head->output];
  return lengths && v->timed ? (size_t)lengths[i] * (v->lines / v->shape.dim[0]) : v->lines;
}

/* The sum over samples of how many lines count, times the sample's weight. */
static double line_sum(const nnc_head *head, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows, int weighted) {
  const nnc_source own = nnc_weight_source(data, (int)(head - plan->head));
  double sum = 0;
  for (size_t i = 0; i < rows; i++) {
    const size_t row = data->order ? (size_t)data->order[start + i] : start + i;
    const ptrdiff_t at = (ptrdiff_t)row * own.stride;
    const double weight = !weighted                    ? 1
                          : own.type == NNC_SOURCE_F64 ? ((const double *)own.data)[at]
                                                       : (double)((const float *)own.data)[at];
    sum += weight * (double)nnc_head_lines(plan, head, data->lengths, row);
  }
  return sum;
}

double nnc_head_divisor(const nnc_head *head, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows) {
  const int weighted = head->reduction == NNC_WEIGHTED_MEAN && data->weight.data;
  if (head->reduction == NNC_SUM) return 1;
  if (!weighted && !data->lengths) return (double)rows * (double)plan->value[head->output].lines;
  const double sum = line_sum(head, plan, data, start, rows, weighted);
  return sum != 0 ? sum : 1; /* all weights 0: the loss is 0, not NaN */
}

static nnc_call head_call(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows, nnc_call_kind kind) {
  const nnc_matrix y = nnc_samples(run, run->act, head->output, 0, rows);
  return (nnc_call){.kind = kind, .index = (int)(head - run->plan->head), .rows = rows, .y = {y.at, y.ld}, .target = b->target};
}

/* The caller gives losses and gradients of the lines as they are; weights and scale are ours. */
static void called_loss(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows, double scale) {
  const size_t lines = run->plan->value[head->output].lines;
  nnc_call call = head_call(run, head, b, rows, NNC_CALL_LOSS);
  nnc_matrix dy = {0};
  if (run->grad) dy = nnc_samples(run, run->grad, head->output, 0, rows);
  call.dy = (nnc_lent){dy.at, dy.ld};
  call.row_loss = b->row_loss;
  nnc_call_out(run, &call);
  for (size_t i = 0; i < rows * lines; i++) {
    const int padding = b->lengths && i % lines >= nnc_head_lines(run->plan, head, b->lengths, i / lines);
    const real weight = padding ? 0 : b->weight ? b->weight[i / lines] : 1, factor = (real)(scale * (double)weight);
    b->row_loss[i] = padding ? 0 : b->row_loss[i] * weight;
    for (size_t j = 0; j < dy.cols; j++) dy.at[i * dy.ld + j] = padding ? 0 : dy.at[i * dy.ld + j] * factor;
  }
}

void nnc_head_watch(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows) {
  nnc_call call = head_call(run, head, b, rows, NNC_CALL_METRIC);
  call.weight = b->weight;
  call.lengths = run->plan->value[head->output].timed ? b->lengths : NULL;
  nnc_call_out(run, &call);
}

void nnc_head_loss(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t first, size_t last, double scale) {
  if (head->loss == NNC_LOSS_CALLED) {
    called_loss(run, head, b, last, scale); /* first is 0: nnc_head_is_called */
    return;
  }
  const nnc_matrix z = nnc_samples(run, run->act, head->value, first, last);
  const size_t lines = run->plan->value[head->output].lines;
  nnc_loss_fn *loss = run->k->loss[head->loss];
  real *grad = run->grad ? nnc_samples(run, run->grad, head->value, first, last).at : NULL;
  real *pred = head->probabilities ? nnc_samples(run, run->act, head->output, first, last).at : NULL;
  real *row_loss = b->row_loss + first * lines;
  const real *target = b->target + first * lines * head->target_cols;
  const int masked = b->lengths && run->plan->value[head->output].timed;
  if (!masked && (!b->weight || lines == 1)) {
    loss(grad, pred, row_loss, z.at, target, b->weight ? b->weight + first : NULL, z.rows, z.cols, z.ld, head->target_cols, scale,
         head->attr);
    return;
  }
  /* One weight per sample, several lines per sample: the weight becomes part of the scale. Lines that do not count give zeros. */
  for (size_t i = 0; i < last - first; i++) {
    const size_t at = i * lines * z.ld, count = nnc_head_lines(run->plan, head, b->lengths, first + i);
    const real w = b->weight ? b->weight[first + i] : 1;
    loss(grad ? grad + at : NULL, pred ? pred + at : NULL, row_loss + i * lines, z.at + at, target + i * lines * head->target_cols,
         NULL, count, z.cols, z.ld, head->target_cols, scale * (double)w, head->attr);
    for (size_t t = 0; t < count; t++) row_loss[i * lines + t] *= w;
    for (size_t t = count; t < lines; t++) {
      row_loss[i * lines + t] = 0;
      for (size_t j = 0; j < z.cols && grad; j++) grad[at + t * z.ld + j] = 0;
    }
  }
}

double nnc_head_sum(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows, double sum) {
  for (size_t i = 0; i < rows * run->plan->value[head->output].lines; i++) sum += (double)b->row_loss[i];
  return sum;
}

void nnc_head_statistic(const nnc_run *run, const nnc_head *head, const nnc_head_rows *b, size_t rows, double *sums) {
  if (!sums || head->statistic.kind == NNC_STATISTIC_NONE) return;
  const size_t lines = run->plan->value[head->output].lines;
  const int masked = b->lengths && run->plan->value[head->output].timed, singly = b->weight && lines > 1;
  const size_t step = singly || masked ? 1 : rows;
  const nnc_statistic_spec *s = &head->statistic;
  for (size_t first = 0; first < rows;
       first += step) { /* several lines per weighted sample, or not all of them: sample by sample */
    const nnc_matrix z = nnc_samples(run, run->act, head->output, first, first + step);
    const real *target = b->target + first * lines * head->target_cols;
    const size_t count = masked ? nnc_head_lines(run->plan, head, b->lengths, first) : z.rows;
    for (size_t t = 0; t < (singly ? count : 1); t++) {
      const size_t n = singly ? 1 : count;
      const real *weight = b->weight ? b->weight + first : NULL, *at = z.at + t * z.ld, *aim = target + t * head->target_cols;
      if (s->kind == NNC_STATISTIC_CONFUSION)
        run->k->count_confusion(sums, at, aim, weight, n, z.cols, z.ld, head->target_cols, s->classes, head->index_target,
                                s->threshold, s->target_threshold);
      else run->k->sum_residuals(sums, at, aim, weight, n, z.cols, z.ld, head->target_cols);
    }
  }
}
