/* autotune.c: see autotune.h. Two costs and a clock; no statistics. */
#include "plan/autotune.h"

#include <float.h>

#include "base/parallel.h"

static const double trial_seconds = 1.5e-3;                        /* seconds of a slice that is measured */
static const double shortest_interval = 0.1, longest_interval = 2; /* seconds between trials */
static const double least_gain = 0.95;                             /* the largest time relative to one thread that justifies more
cores */

static int parallel_pays(const nnc_autotune *autotune) { return autotune->cost[1] < least_gain * autotune->cost[0]; }

int nnc_autotune_choose(nnc_autotune *autotune, int wanted, size_t batch, double now, double *until) {
  *until = DBL_MAX;
  if (wanted <= 1) return 1;
  if (nnc_forced_threads()) return wanted;
  if (autotune->batch != batch) *autotune = (nnc_autotune){.batch = batch, .interval = shortest_interval};
  const int known = autotune->cost[0] > 0 && autotune->cost[1] > 0;
  int parallel = known ? parallel_pays(autotune) : autotune->cost[1] == 0;
  if (known && now < autotune->probe_at) {
    *until = autotune->probe_at;
  } else {
    if (known) parallel = !parallel;
    *until = now + trial_seconds;
  }
  return parallel ? wanted : 1;
}

void nnc_autotune_report(nnc_autotune *autotune, int threads, double now, double seconds_per_sample) {
  double *cost = &autotune->cost[threads > 1];
  const int known = autotune->cost[0] > 0 && autotune->cost[1] > 0, was = known && parallel_pays(autotune);
  const int trial_slice = !known || (threads > 1) != was;
  *cost = trial_slice || *cost == 0 ? seconds_per_sample : (*cost + seconds_per_sample) / 2;
  if (!trial_slice) {
    if (parallel_pays(autotune) != was) autotune->probe_at = now; /* the choice has become slow: try the other one at once */
    return;
  }
  autotune->interval = !known || parallel_pays(autotune) != was ? shortest_interval : 2 * autotune->interval;
  if (autotune->interval > longest_interval) autotune->interval = longest_interval;
  autotune->probe_at = now + autotune->interval;
}
