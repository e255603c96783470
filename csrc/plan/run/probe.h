/* probe.h: statistics for diagnosis, in some training steps. Typed; see engine.h. */
#ifndef NNC_PLAN_PROBE_H
#define NNC_PLAN_PROBE_H

#include "plan/engine.h"

#define nnc_probe_before NNC_TYPED(nnc_probe_before)
#define nnc_probe_after NNC_TYPED(nnc_probe_after)

/* The first sampled step from `step` on. Computed only once, because a division takes as long as the barriers of some steps. */
static inline int64_t nnc_probe_next(const nnc_probe *probe, int64_t step) {
  if (!probe) return INT64_MAX;
  if (step <= probe->first) return probe->first;
  const uint64_t every = (uint64_t)probe->every, since = (uint64_t)step - (uint64_t)probe->first;
  const uint64_t next = (uint64_t)step + (every - since % every) % every;
  return next <= INT64_MAX ? (int64_t)next : INT64_MAX;
}
/* Each thread copies its part of the parameters before the update; a barrier must follow. */
void nnc_probe_before(const nnc_run *run, const nnc_thread *self, const nnc_probe *probe);
/* Each thread's part of the statistics, after the complete update and before any thread starts the next step. */
void nnc_probe_after(const nnc_run *run, const nnc_thread *self, nnc_probe *probe);

#endif
