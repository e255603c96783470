/* output_losses.h: losses and statistics of the outputs, for training and evaluation alike. Typed; see engine.h. */
#ifndef NNC_PLAN_HEADS_H
#define NNC_PLAN_HEADS_H

#include "plan/engine.h"

typedef NNC_TYPED(nnc_loss) nnc_loss_fn;

/* What one batch holds for one head: targets, row losses and weights are dense. */
typedef struct {
  real *target, *row_loss;
  const real *weight; /* [rows, width], as in nnc_weights; NULL: all 1 */
  size_t width;
  const int64_t *lengths; /* NULL: all lines count */
} nnc_head_rows;

#define nnc_head_count NNC_TYPED(nnc_head_count)
#define nnc_head_total NNC_TYPED(nnc_head_total)
#define nnc_head_loss NNC_TYPED(nnc_head_loss)
#define nnc_head_sum NNC_TYPED(nnc_head_sum)
#define nnc_head_statistic NNC_TYPED(nnc_head_statistic)
#define nnc_head_watch NNC_TYPED(nnc_head_watch)

/* The weights for an output, or NULL where all are 1. */
static inline const nnc_weights *nnc_weights_of(const nnc_data *data, int output) {
  return data->weights && data->weights[output].source.data ? &data->weights[output] : NULL;
}
/* How many lines of sample i count. */
#define nnc_head_lines NNC_TYPED(nnc_head_lines)
size_t nnc_head_lines(const nnc_plan *plan, const nnc_head *head, const int64_t *lengths, size_t i);
/* What sample i of a batch that has been fetched counts in the mean of the row losses. */
double nnc_head_count(const nnc_plan *plan, const nnc_head *head, const nnc_head_rows *rows_of, size_t i);
/* By what the sum of the row losses of a batch is divided, as its reduction says; where all weights are 0, the total is, and the loss is
 * to be 0, not NaN. */
double nnc_head_total(const nnc_head *head, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows);
static inline double nnc_divisor(double total) { return total != 0 ? total : 1; }
/* Row losses, and gradients times `scale` where the run has gradients, of samples [first, last). */
void nnc_head_loss(const nnc_run *run, const nnc_head *head, const nnc_head_rows *rows_of, size_t first, size_t last, double scale);
/* `sum` plus the row losses, one after the other, so that the bits do not depend on how the rows were cut into batches. */
double nnc_head_sum(const nnc_run *run, const nnc_head *head, const nnc_head_rows *rows_of, size_t rows, double sum);
void nnc_head_statistic(const nnc_run *run, const nnc_head *head, const nnc_head_rows *rows_of, size_t rows, double *sums);

/* Whether the caller computes the loss or watches the output: that takes all rows at once. */
static inline int nnc_head_is_called(const nnc_head *head) { return head->loss == NNC_LOSS_CALLED || head->statistic.called; }
static inline int nnc_calls_out(const nnc_plan *plan) {
  int n = plan->n_called;
  for (int i = 0; i < plan->n_outputs && plan->compiled; i++) n += nnc_head_is_called(&plan->head[i]);
  return n > 0;
}
/* Let the caller see `rows` predictions and targets. */
void nnc_head_watch(const nnc_run *run, const nnc_head *head, const nnc_head_rows *rows_of, size_t rows);

#endif
