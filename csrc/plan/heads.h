/* heads.h: losses and statistics of the outputs, for training and evaluation alike. Typed; see engine.h. */
#ifndef NNC_PLAN_HEADS_H
#define NNC_PLAN_HEADS_H

#include "plan/engine.h"

typedef NNC_TYPED(nnc_loss) nnc_loss_fn;

/* What one batch holds for one head: targets and row losses are dense, weight is NULL where all are 1. */
typedef struct {
  real *target, *row_loss;
  const real *weight;
  const int64_t *lengths; /* NULL: all lines count */
} nnc_head_rows;

#define nnc_head_divisor NNC_TYPED(nnc_head_divisor)
#define nnc_head_loss NNC_TYPED(nnc_head_loss)
#define nnc_head_sum NNC_TYPED(nnc_head_sum)
#define nnc_head_statistic NNC_TYPED(nnc_head_statistic)
#define nnc_head_watch NNC_TYPED(nnc_head_watch)

/* The column of the weights that is for this output. */
static inline int nnc_weight_column(const nnc_data *data, int output) { return data->weights > 1 ? output : 0; }
static inline nnc_source nnc_weight_source(const nnc_data *data, int output) {
  nnc_source weight = data->weight;
  const size_t size = weight.type == NNC_SOURCE_F64 ? sizeof(double) : sizeof(float);
  if (weight.data) weight.data = (const char *)weight.data + (size_t)nnc_weight_column(data, output) * size;
  return weight;
}
/* How many lines of sample i count. */
#define nnc_head_lines NNC_TYPED(nnc_head_lines)
size_t nnc_head_lines(const nnc_plan *plan, const nnc_head *head, const int64_t *lengths, size_t i);
/* By what the sum of the row losses of a batch is divided, as its reduction says. */
double nnc_head_divisor(const nnc_head *head, const nnc_plan *plan, const nnc_data *data, size_t start, size_t rows);
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
