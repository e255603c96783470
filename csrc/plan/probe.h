/* probe.h: figures for diagnosis, on some steps of training. Typed; see engine.h. */
#ifndef NNC_PLAN_PROBE_H
#define NNC_PLAN_PROBE_H

#include "plan/engine.h"

#define nnc_probe_before NNC_TYPED(nnc_probe_before)
#define nnc_probe_after NNC_TYPED(nnc_probe_after)

static inline int nnc_probe_is_due(const nnc_probe *probe, int64_t step) {
  return step >= probe->first && (step - probe->first) % probe->every == 0;
}
/* Each member keeps its share of the parameters as they are before the update; a barrier must follow. */
void nnc_probe_before(const nnc_run *run, const nnc_member *self, const nnc_probe *probe);
/* Each member's share of the figures, after the update of all, before anybody begins the next step. */
void nnc_probe_after(const nnc_run *run, const nnc_member *self, nnc_probe *probe);

#endif
