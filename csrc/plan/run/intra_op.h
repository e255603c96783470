/* intra_op.h: parallelism within an op: whether a prediction of few rows divides the columns of its wide layers among the threads
 * of the pool (base/thread_pool.h). Results do not depend on it. One thread is used in these cases: there is little work; calls are
 * so infrequent that the workers would sleep; another call uses the pool; or one thread has been measured to be as fast
 * (plan/autotune.h).
 */
#ifndef NNC_PLAN_INTRA_OP_H
#define NNC_PLAN_INTRA_OP_H

#include "plan/plan.h"

typedef struct {
  int threads;          /* number of threads for the columns; 1: only the caller */
  int has_pool, counts; /* counts: in the slice that is measured */
  size_t rows;
  double began;
} nnc_intra_op;

nnc_intra_op nnc_intra_op_begin(nnc_plan *plan, size_t rows);
void nnc_intra_op_end(nnc_plan *plan, const nnc_intra_op *intra_op);

#endif
