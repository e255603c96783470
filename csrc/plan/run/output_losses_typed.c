/* output_losses_typed.c: the losses of a batch and the sums for the metrics. */
#include <math.h>

#include "ops/registry.h"
#include "plan/run/output_losses.h"

size_t nnc_output_lines(const nnc_plan *plan, const nnc_output_loss *out, const int64_t *lengths, size_t i) {
  const nnc_value *v = &plan->value[out->prediction];
  if (!lengths || !v->timed) return v->lines;
  const nnc_timeline *time = &plan->timeline[v->timeline];
  return (time->times * (size_t)nnc_fetch_length(plan, lengths + i) + time->plus) * (v->lines / v->shape.dim[0]);
}

/* How many of the first `count` lines belong to the g-th weight, if each weight is for `per` lines. */
static size_t lines_of_weight(size_t g, size_t per, size_t count) {
  const size_t first = g * per;
  return count <= first ? 0 : count - first < per ? count - first : per;
}

double nnc_output_sample_weight(const nnc_plan *plan, const nnc_output_loss *out, const nnc_output_batch *b, size_t i) {
  const size_t lines = plan->value[out->prediction].lines, count = nnc_output_lines(plan, out, b->lengths, i);
  const int weighted = out->reduction == NNC_WEIGHTED_MEAN && b->weight;
  double sum = 0;
  if (out->ignores) {
    const real *target = b->target + i * lines;
    for (size_t t = 0; t < count; t++)
      sum += target[t] < 0 ? 0 : weighted ? (double)b->weight[i * b->width + t / (lines / b->width)] : 1;
    return sum;
  }
  if (!weighted) return (double)count;
  for (size_t g = 0; g < b->width; g++)
    sum += (double)b->weight[i * b->width + g] * (double)lines_of_weight(g, lines / b->width, count);
  return sum;
}

/* The same for a batch in the caller's data. */
static double weight_at(const nnc_weights *own, size_t row, size_t g) {
  const ptrdiff_t at = (ptrdiff_t)row * own->source.stride + (ptrdiff_t)g;
  return own->source.type == NNC_SOURCE_F64 ? ((const double *)own->source.data)[at]
                                            : (double)((const float *)own->source.data)[at];
}

static double counted_line_sum(const nnc_output_loss *out, const nnc_plan *plan, const nnc_data *data, size_t row, size_t count,
                               const nnc_weights *own, size_t per) {
  enum { CHUNK = 64 };
  real label[CHUNK];
  double sum = 0;
  for (size_t first = 0; first < count; first += CHUNK) {
    const size_t n = count - first < CHUNK ? count - first : CHUNK;
    nnc_fetch_part(nnc_plan_kernels(plan), label, &data->y[out - plan->output_loss], row, first, n);
    nnc_mark_ignored(out, label, n);
    for (size_t t = 0; t < n; t++) sum += label[t] < 0 ? 0 : own ? weight_at(own, row, (first + t) / per) : 1;
  }
  return sum;
}

/* The sum over samples of the number of valid lines times their weights, from the caller's data, because no thread has the whole
 * batch. */
static double line_sum(const nnc_output_loss *out, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows) {
  const nnc_weights *own = out->reduction == NNC_WEIGHTED_MEAN ? nnc_weights_of(data, (int)(out - plan->output_loss)) : NULL;
  const size_t width = own ? own->width : 1, per = plan->value[out->prediction].lines / width;
  double sum = 0;
  for (size_t i = 0; i < rows; i++) {
    const size_t row = data->order ? (size_t)data->order[start + i] : start + i;
    const size_t count = nnc_output_lines(plan, out, data->lengths, row);
    if (out->ignores) {
      sum += counted_line_sum(out, plan, data, row, count, own, per);
      continue;
    }
    for (size_t g = 0; g < width; g++) sum += (own ? weight_at(own, row, g) : 1) * (double)lines_of_weight(g, per, count);
  }
  return sum;
}

double nnc_output_total_weight(const nnc_output_loss *out, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows) {
  const int weighted = out->reduction == NNC_WEIGHTED_MEAN && nnc_weights_of(data, (int)(out - plan->output_loss));
  if (out->reduction == NNC_SUM) return 1;
  if (!weighted && !data->lengths && !out->ignores) return (double)rows * (double)plan->value[out->prediction].lines;
  return line_sum(out, plan, data, start, rows);
}

void NNC_TYPED(nnc_total_weights)(const nnc_plan *plan, const nnc_data *data, size_t rows, double *totals) {
  for (size_t start = 0; start < data->rows; start += rows) {
    const size_t left = data->rows - start;
    for (int i = 0; i < plan->n_outputs; i++)
      *totals++ = nnc_output_total_weight(&plan->output_loss[i], plan, data, start, left < rows ? left : rows);
  }
}

static nnc_call callback_of(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t rows,
                            nnc_call_kind kind) {
  const nnc_matrix y = nnc_samples(run, run->act, out->prediction, 0, rows);
  return (nnc_call){
      .kind = kind, .index = (int)(out - run->plan->output_loss), .rows = rows, .y = {y.at, y.ld}, .target = b->target};
}

/* Python computes losses and gradients of the lines without weights and scale; these are applied here. */
static void called_loss(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t rows, double scale) {
  const size_t lines = run->plan->value[out->prediction].lines;
  nnc_call call = callback_of(run, out, b, rows, NNC_CALL_LOSS);
  nnc_matrix dy = {0};
  if (run->grad) dy = nnc_samples(run, run->grad, out->prediction, 0, rows);
  call.dy = (nnc_array){dy.at, dy.ld};
  call.row_loss = b->row_loss;
  nnc_call_out(run, &call);
  for (size_t i = 0; i < rows * lines; i++) {
    const int padding = b->lengths && i % lines >= nnc_output_lines(run->plan, out, b->lengths, i / lines);
    const real weight = padding ? 0 : b->weight ? b->weight[i / (lines / b->width)] : 1, factor = (real)(scale * (double)weight);
    b->row_loss[i] = padding ? 0 : b->row_loss[i] * weight;
    for (size_t j = 0; j < dy.cols; j++) dy.at[i * dy.ld + j] = padding ? 0 : dy.at[i * dy.ld + j] * factor;
  }
}

void nnc_output_watch(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t rows) {
  nnc_call call = callback_of(run, out, b, rows, NNC_CALL_METRIC);
  call.weight = b->weight;
  call.weight_width = b->width;
  call.lengths = nnc_lengths_of(run, out->prediction);
  nnc_call_out(run, &call);
}

void nnc_output_losses(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t first, size_t last,
                       double scale) {
  if (out->loss == NNC_LOSS_CALLED) {
    called_loss(run, out, b, last, scale); /* first is 0: nnc_output_is_called */
    return;
  }
  const nnc_matrix z = nnc_samples(run, run->act, out->loss_input, first, last);
  const size_t lines = run->plan->value[out->prediction].lines;
  nnc_loss_fn *loss = run->k->loss[out->loss];
  real *grad = run->grad ? nnc_samples(run, run->grad, out->loss_input, first, last).at : NULL;
  real *pred = out->probabilities ? nnc_samples(run, run->act, out->prediction, first, last).at : NULL;
  real *row_loss = b->row_loss + first * lines;
  const real *target = b->target + first * lines * out->target_cols;
  const int masked = b->lengths && run->plan->value[out->prediction].timed, line_by_line = !b->weight || b->width == lines;
  if (!masked && line_by_line) {
    loss(grad, pred, row_loss, z.at, target, b->weight ? b->weight + first * lines : NULL, z.rows, z.cols, z.ld, out->target_cols,
         scale, out->attr);
    return;
  }
  /* If a weight is for several lines, it is multiplied into the scale. Invalid lines give zeros. */
  const size_t pieces = line_by_line ? 1 : b->width, per = lines / pieces;
  for (size_t i = 0; i < last - first; i++) {
    const size_t count = nnc_output_lines(run->plan, out, b->lengths, first + i);
    for (size_t g = 0; g < pieces; g++) {
      const size_t line = i * lines + g * per, at = line * z.ld, n = lines_of_weight(g, per, count);
      const real w = line_by_line ? 1 : b->weight[(first + i) * pieces + g];
      loss(grad ? grad + at : NULL, pred ? pred + at : NULL, row_loss + line, z.at + at, target + line * out->target_cols,
           line_by_line && b->weight ? b->weight + first * lines + line : NULL, n, z.cols, z.ld, out->target_cols,
           scale * (double)w, out->attr);
      for (size_t t = 0; t < n && !line_by_line; t++) row_loss[line + t] *= w;
      for (size_t t = n; t < per; t++) {
        row_loss[line + t] = 0;
        for (size_t j = 0; j < z.cols && grad; j++) grad[at + t * z.ld + j] = 0;
      }
    }
  }
}

double nnc_output_loss_sum(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t rows, double sum) {
  for (size_t i = 0; i < rows * run->plan->value[out->prediction].lines; i++) sum += (double)b->row_loss[i];
  return sum;
}

/* The loss of n lines, a few at a time, because the memory for row losses holds the loss that is trained. */
static void sum_loss(const nnc_run *run, const nnc_statistic_spec *s, double *sums, const real *z, const real *target,
                     const real *weight, size_t n, size_t cols, size_t ld, size_t ldt) {
  enum { PIECE = 64 };
  for (size_t first = 0; first < n; first += PIECE) {
    real row_loss[PIECE];
    const size_t rows = n - first < PIECE ? n - first : PIECE;
    run->k->loss[s->loss](NULL, NULL, row_loss, z + first * ld, target + first * ldt, NULL, rows, cols, ld, ldt, 0, s->attr);
    for (size_t r = 0; r < rows; r++) {
      const double w = weight ? (double)weight[first + r] : 1;
      if (w == 0 || (nnc_losses[s->loss].is_index && target[(first + r) * ldt] < 0)) continue; /* an ignored class */
      sums[0] += w;
      sums[1] += w * (double)row_loss[r];
    }
  }
}

static void add_lines(const nnc_run *run, const nnc_output_loss *out, const nnc_statistic_spec *s, double *sums, const real *z,
                      const real *target, const real *weight, size_t n, size_t width, size_t ld) {
  /* Where the target is half as wide as the output, its columns are those of the first half. */
  const int whole = out->index_target || (s->kind == NNC_STATISTIC_LOSS && nnc_losses[s->loss].is_half);
  const size_t ldt = out->target_cols, cols = whole ? width : ldt;
  switch (s->kind) {
    case NNC_STATISTIC_CLASSES:
      run->k->count_classes(sums, z, target, weight, n, cols, ld, ldt, out->index_target, s->count, s->k);
      return;
    case NNC_STATISTIC_DECISIONS:
      run->k->count_decisions(sums, z, target, weight, n, cols, ld, ldt, s->count, s->threshold, 0.5);
      return;
    case NNC_STATISTIC_LOSS: sum_loss(run, s, sums, z, target, weight, n, cols, ld, ldt); return;
    default:
      for (size_t r = 0; r < n; r++) sums[NNC_SUM_ROWS] += !weight || weight[r] != 0;
      run->k->sum_residuals(sums + NNC_SUM_EACH, z, target, weight, n, cols, ld, ldt);
  }
}

static void add_statistic(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t rows,
                          const nnc_statistic_spec *s, double *sums) {
  const size_t lines = run->plan->value[out->prediction].lines;
  const real *weights = s->weighted ? b->weight : NULL;
  const int masked = b->lengths && run->plan->value[out->prediction].timed, line_by_line = !weights || b->width == lines;
  const size_t step = masked || !line_by_line ? 1 : rows, pieces = line_by_line ? 1 : b->width, per = lines / pieces;
  for (size_t first = 0; first < rows; first += step) { /* weights for several lines, or invalid lines: sample by sample */
    const nnc_matrix z = nnc_samples(run, run->act, out->prediction, first, first + step);
    const size_t count = masked ? nnc_output_lines(run->plan, out, b->lengths, first) : z.rows;
    for (size_t t = 0; t < (line_by_line ? 1 : count); t++) {
      const size_t n = line_by_line ? count : 1;
      const real *weight = !weights ? NULL : weights + first * b->width + t / per;
      const real *target = b->target + (first * lines + t) * out->target_cols;
      add_lines(run, out, s, sums, z.at + t * z.ld, target, weight, n, z.cols, z.ld);
    }
  }
}

void nnc_output_statistics(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *b, size_t rows, double *sums) {
  for (int i = 0; sums && i < out->statistics.n; i++) {
    add_statistic(run, out, b, rows, &out->statistics.of[i], sums);
    sums +=
        nnc_statistic_size(&out->statistics.of[i], out->index_target ? run->plan->value[out->prediction].cols : out->target_cols);
  }
}
