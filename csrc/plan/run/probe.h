/* probe.h: figures for diagnosis, on some steps of training. Typed; see engine.h. */
#ifndef NNC_PLAN_PROBE_H
#define NNC_PLAN_PROBE_H

#include "plan/engine.h"

#define nnc_probe_before NNC_TYPED(nnc_probe_before)
#define nnc_probe_after NNC_TYPED(nnc_probe_after)

/* The first step from `step` on that is looked at. Asked for once, since a division takes as long as some steps' barriers. */
static inline int64_t nnc_probe_next(const nnc_probe *probe, int64_t step) {
  if (!probe) return INT64_MAX;
  if (step <= probe->first) return probe->first;
  const uint64_t every = (uint64_t)probe->every, since = (uint64_t)step - (uint64_t)probe->first;
  const uint64_t next = (uint64_t)step + (every - since % every) % every;
  return next <= INT64_MAX ? (int64_t)next : INT64_MAX;
}
/* Each thread keeps its share of the parameters as they are before the update; a barrier must follow. */
void nnc_probe_before(const nnc_run *run, const nnc_thread *self, const nnc_probe *probe);
/* Each thread's share of the figures, after the update of all, before anybody begins the next step. */
void nnc_probe_after(const nnc_run *run, const nnc_thread *self, nnc_probe *probe);

#endif
