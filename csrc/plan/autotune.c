/* autotune.c: see autotune.h. */
#include "plan/autotune.h"

#include <float.h>
#include <math.h>

#include "base/parallel.h"

static const double slice_seconds = 0.3e-3; /* seconds of a slice of a trial, which has at least one step */
static const double shortest_interval = 0.01, longest_interval = 0.5; /* seconds of work between trials: twice as long each time */
/* The time that a trial may lose, relative to the time until the next one: more while few trials have confirmed the choice. */
static const double most_regret[] = {0.2, 0.05, 0.01};
static const double least_gain = 0.95; /* the largest time relative to one thread that justifies more cores */
static const double hopeless = 1.5;    /* a trial ends early if the other choice takes longer by this factor */
static const double slower = 1.3;      /* the choice in use has become slow */
static const double memory = 20e-3;    /* seconds over which its cost is averaged */
enum { FIRST_SLICES = 2 };             /* on one thread, before the team is tried for the first time */
enum { HOPELESS_SLICES = 3 };          /* after so many slices, all of them */
enum { OTHERS_LIMIT = 8 };             /* batches of another size before their cost is measured */

int nnc_autotune_fits(const nnc_autotune *a, int wanted, size_t batch) {
  return a->wanted == wanted && batch <= a->batch + a->batch / 3 && batch >= a->batch - a->batch / 4;
}

static void start_trial(nnc_autotune *a) {
  a->is_trial = 1;
  a->half = a->slices = a->is_last_half = 0;
  a->spent = a->samples = 0;
}

/* The first trial starts with one thread, so that a slow team is noticed within a few steps. */
static void reset(nnc_autotune *a, int wanted, size_t batch) {
  *a = (nnc_autotune){.batch = batch, .wanted = wanted, .interval = shortest_interval};
  start_trial(a);
  a->half = 1;
}

static int is_due(const nnc_autotune *a) {
  return a->busy >= a->interval || (a->busy >= a->least && a->recent > slower * a->usual);
}

int nnc_autotune_choose(nnc_autotune *a, int wanted, size_t batch, double now, double *until) {
  *until = DBL_MAX;
  if (wanted <= 1) return 1;
  if (nnc_forced_threads()) return wanted;
  if (nnc_autotune_fits(a, wanted, batch)) a->others = 0;
  else if (!a->batch || ++a->others > OTHERS_LIMIT) reset(a, wanted, batch);
  if (a->others) {
    *until = now;
    return a->is_parallel ? wanted : 1;
  }
  if (!a->is_trial && is_due(a)) start_trial(a);
  *until = !a->is_trial ? now + (a->interval - a->busy) : a->slices ? now + slice_seconds : now;
  return (a->is_trial && !a->half) != a->is_parallel ? wanted : 1;
}

static double median(const double *cost) {
  double sorted[NNC_TRIAL_SLICES];
  for (int i = 0; i < NNC_TRIAL_SLICES; i++) {
    int at = i;
    for (; at > 0 && sorted[at - 1] > cost[i]; at--) sorted[at] = sorted[at - 1];
    sorted[at] = cost[i];
  }
  return sorted[NNC_TRIAL_SLICES / 2];
}

/* kept: whether the choice in use stays; other, own: seconds per sample. */
static void end_trial(nnc_autotune *a, int kept, double other, double own) {
  const double best = kept ? own : other;
  const double lost = kept ? a->spent - a->samples * own : a->samples * (own - other);
  if (!kept) a->is_parallel = !a->is_parallel;
  a->interval = kept && a->usual > 0 ? 2 * a->interval : shortest_interval;
  if (a->interval > longest_interval) a->interval = longest_interval;
  if (!kept) a->confirmed = 0;
  const double regret = most_regret[a->confirmed < 2 ? a->confirmed : 2];
  a->confirmed++;
  a->least = lost / regret > shortest_interval ? lost / regret : shortest_interval;
  if (a->interval < a->least) a->interval = a->least;
  a->usual = a->recent = best;
  a->busy = 0;
  a->is_trial = 0;
}

static double least(const double *cost, int n) {
  double found = cost[0];
  for (int i = 1; i < n; i++) found = fmin(found, cost[i]);
  return found;
}

static void report_trial(nnc_autotune *a, double samples, double seconds) {
  const double cost = seconds / samples;
  if (!a->half) {
    a->spent += seconds;
    a->samples += samples;
  }
  if (a->slices++) a->cost[a->half][a->slices - 2] = cost;
  if (!a->half && a->usual > 0 && a->slices == HOPELESS_SLICES + 1 && least(a->cost[0], HOPELESS_SLICES) > hopeless * a->recent) {
    end_trial(a, 1, cost, a->recent);
    return;
  }
  const int is_first = !a->is_last_half && a->usual == 0;
  if (a->slices <= (is_first ? FIRST_SLICES : NNC_TRIAL_SLICES)) return;
  a->slices = 0;
  if (!a->is_last_half) {
    if (is_first) {
      a->usual = a->recent = least(a->cost[1], FIRST_SLICES);
      for (int i = 0; i < NNC_TRIAL_SLICES; i++) a->cost[1][i] = a->usual;
    }
    a->half = !a->half;
    a->is_last_half = 1;
    return;
  }
  const double other = median(a->cost[0]), own = median(a->cost[1]);
  end_trial(a, a->is_parallel ? own < least_gain * other : other >= least_gain * own, other, own);
}

void nnc_autotune_report(nnc_autotune *a, double samples, double seconds) {
  if (a->others || !a->batch) return;
  if (a->is_trial) {
    report_trial(a, samples, seconds);
    return;
  }
  const double weight = seconds < memory ? seconds / memory : 1;
  a->recent += weight * (seconds / samples - a->recent);
  a->busy += seconds;
}
