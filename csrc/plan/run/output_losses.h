/* output_losses.h: losses and statistics of the outputs, for training and evaluation. Typed; see engine.h. */
#ifndef NNC_PLAN_OUTPUT_LOSSES_H
#define NNC_PLAN_OUTPUT_LOSSES_H

#include "plan/engine.h"

typedef NNC_TYPED(nnc_loss) nnc_loss_fn;

/* The data of one batch for one output. Targets, row losses and weights are dense. */
typedef struct {
  real *target, *row_loss;
  const real *weight; /* [rows, width], as in nnc_weights; NULL: all 1 */
  size_t width;
  const int64_t *lengths; /* NULL: all lines are valid */
} nnc_output_batch;

#define nnc_output_sample_weight NNC_TYPED(nnc_output_sample_weight)
#define nnc_output_total_weight NNC_TYPED(nnc_output_total_weight)
#define nnc_output_losses NNC_TYPED(nnc_output_losses)
#define nnc_output_loss_sum NNC_TYPED(nnc_output_loss_sum)
#define nnc_output_statistics NNC_TYPED(nnc_output_statistics)
#define nnc_output_watch NNC_TYPED(nnc_output_watch)

/* The weights for an output, or NULL if all are 1. */
static inline const nnc_weights *nnc_weights_of(const nnc_data *data, int output) {
  return data->weights && data->weights[output].source.data ? &data->weights[output] : NULL;
}
/* Number of valid lines of sample i. */
#define nnc_output_lines NNC_TYPED(nnc_output_lines)
size_t nnc_output_lines(const nnc_plan *plan, const nnc_output_loss *out, const int64_t *lengths, size_t i);
/* Mark the class indices that do not count: -1 in place of the ignored one. Every fetched batch of targets must be marked. */
static inline void nnc_mark_ignored(const nnc_output_loss *out, real *target, size_t n) {
  for (size_t i = 0; i < n && out->ignores; i++) target[i] = (double)target[i] == out->ignored ? -1 : target[i];
}
/* The weight of sample i of a fetched batch in the mean of the row losses. */
double nnc_output_sample_weight(const nnc_plan *plan, const nnc_output_loss *out, const nnc_output_batch *rows_of, size_t i);
/* The divisor of the sum of the row losses of a batch, according to its reduction. It is 0 if all weights are 0; nnc_divisor then
 * returns 1, so that the loss is 0 instead of NaN. */
double nnc_output_total_weight(const nnc_output_loss *out, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows);
static inline double nnc_divisor(double total) { return total != 0 ? total : 1; }
/* Row losses, and gradients times `scale` where the run has gradients, of samples [first, last). */
void nnc_output_losses(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *rows_of, size_t first, size_t last,
                       double scale);
/* `sum` plus the row losses, one after the other, so that the bits do not depend on the division of the rows into batches. */
double nnc_output_loss_sum(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *rows_of, size_t rows,
                           double sum);
void nnc_output_statistics(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *rows_of, size_t rows,
                           double *sums);

/* Whether Python computes the loss or sees the output. That needs all rows at once. */
static inline int nnc_output_is_called(const nnc_output_loss *out) {
  return out->loss == NNC_LOSS_CALLED || out->statistics.called;
}
static inline int nnc_calls_out(const nnc_plan *plan) {
  int n = plan->n_called;
  for (int i = 0; i < plan->n_outputs && plan->compiled; i++) n += nnc_output_is_called(&plan->output_loss[i]);
  return n > 0;
}
/* Pass `rows` predictions and targets to Python. */
void nnc_output_watch(const nnc_run *run, const nnc_output_loss *out, const nnc_output_batch *rows_of, size_t rows);

#endif
