/* intra_op.h: parallelism within an op: whether a prediction of few rows partitions the columns of its wide layers among the threads of
 * the pool (base/thread_pool.h). Bits do not depend on it. One thread does all where there is little work, where calls come now and
 * then, so that the workers would be asleep, where another call has the pool, and where one thread has been measured to be as fast
 * (plan/autotune.h).
 */
#ifndef NNC_PLAN_ASSIST_H
#define NNC_PLAN_ASSIST_H

#include "plan/plan.h"

typedef struct {
  int threads; /* that share the columns; 1: the caller's alone */
  int has_pool, counts;
  double began;
} nnc_intra_op;

nnc_intra_op nnc_intra_op_begin(nnc_plan *plan, size_t rows);
void nnc_intra_op_end(nnc_plan *plan, const nnc_intra_op *intra_op);

#endif
