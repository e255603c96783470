/* intra_op.h: whether a prediction of few rows has the crew (base/thread_pool.h) help with its wide layers, whose columns are shared out. Bits do
 * not depend on it. One thread below a measured amount of work; alone, too, where calls come now and then, so that helpers would sleep,
 * where another call has the crew, and where being alone has been measured to be as fast (plan/autotune.h).
 */
#ifndef NNC_PLAN_ASSIST_H
#define NNC_PLAN_ASSIST_H

#include "plan/plan.h"

typedef struct {
  int threads; /* 1: alone */
  int has_crew, counts;
  double began;
} nnc_assist;

/* Whether a layer of so many operations is shared out. */
static inline int nnc_is_wide(double flops) { return flops >= 60e3; }

nnc_assist nnc_assist_begin(nnc_plan *plan, size_t rows);
void nnc_assist_end(nnc_plan *plan, const nnc_assist *assist);

#endif
