/* autotune.c: see autotune.h. Two costs and a clock; no statistics. */
#include "plan/autotune.h"

#include <float.h>

#include "base/parallel.h"

static const double trial = 1.5e-3;                                /* seconds of a slice that measures */
static const double shortest_interval = 0.1, longest_interval = 2; /* seconds between trials */
static const double team_must_gain = 0.95;                         /* of the time alone, or it is not worth a second core */

static int better(const nnc_pace *pace) { return pace->cost[1] < team_must_gain * pace->cost[0]; }

int nnc_pace_choose(nnc_pace *pace, int wanted, size_t batch, double now, double *until) {
  *until = DBL_MAX;
  if (wanted <= 1) return 1;
  if (nnc_forced_team()) return wanted;
  if (pace->batch != batch) *pace = (nnc_pace){.batch = batch, .interval = shortest_interval};
  const int known = pace->cost[0] > 0 && pace->cost[1] > 0;
  int team = known ? better(pace) : pace->cost[1] == 0;
  if (known && now < pace->probe_at) {
    *until = pace->probe_at;
  } else {
    if (known) team = !team;
    *until = now + trial;
  }
  return team ? wanted : 1;
}

void nnc_pace_report(nnc_pace *pace, int threads, double now, double seconds_per_sample) {
  double *cost = &pace->cost[threads > 1];
  const int known = pace->cost[0] > 0 && pace->cost[1] > 0, was = known && better(pace);
  const int trial_slice = !known || (threads > 1) != was;
  *cost = trial_slice || *cost == 0 ? seconds_per_sample : (*cost + seconds_per_sample) / 2;
  if (!trial_slice) {
    if (better(pace) != was) pace->probe_at = now; /* the choice has become slow: look at the other one at once */
    return;
  }
  pace->interval = !known || better(pace) != was ? shortest_interval : 2 * pace->interval;
  if (pace->interval > longest_interval) pace->interval = longest_interval;
  pace->probe_at = now + pace->interval;
}
