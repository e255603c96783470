/* autotune.c: see autotune.h. */
#include "plan/autotune.h"

#include <float.h>
#include <math.h>

#include "base/parallel.h"

static const double slice_seconds = 0.3e-3; /* seconds of a slice of a trial, which has at least one step */
static const double first_interval = 0.01, longest_interval = 0.5, growth = 1.618; /* seconds of work between trials, growing */
static const double doubtful_interval = 0.015; /* the same while the last trials speak against the choice in use */
static const double spread = 0.9;              /* intervals vary by this much, relative to themselves */
/* The time that a trial may lose, relative to the time until the next one: more while few trials have confirmed the choice. */
static const double most_regret[] = {0.2, 0.2, 0.1, 0.03, 0.01};
/* The sum of gains in trials that changes the choice, likewise: a choice that was confirmed needs more than one trial against it. */
static const double needed_gain[] = {0, 0.4, 0.4, 0.8, 1.6};
static const double least_gain = 0.05; /* in speed, relative to one thread, that justifies more cores */
static const double most_gain = 1;     /* that one trial can show */
static const double outlier = 3;       /* slices that cost this many times the least of their trial count as that */
static const double hopeless = 1.5;    /* a trial ends early if the other choice takes longer by this factor */
static const double slower = 1.3;      /* the choice in use has become slow */
static const double memory = 0.1;      /* seconds over which its cost is averaged */
static const double long_slice = 1e-3; /* seconds; waking threads is a small part of it */
enum { FIRST_SLICES = 2 };             /* on one thread, before the team is tried for the first time */
enum { HOPELESS_SLICES = 3 };          /* after so many slices, all of them */
enum { SETTLED = 4 };                  /* after so many confirmations, the last of these numbers hold */
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
  *a = (nnc_autotune){.batch = batch, .wanted = wanted, .interval = first_interval};
  start_trial(a);
  a->half = 1;
}

static int is_due(const nnc_autotune *a) { return a->busy >= a->next || (a->busy >= a->least && a->recent > slower * a->usual); }

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
  *until = !a->is_trial ? now + (a->next - a->busy) : a->slices ? now + slice_seconds : now;
  return (a->is_trial && !a->half) != a->is_parallel ? wanted : 1;
}

/* Seconds of work until the next trial. The program may work in turns with others whose threads keep the processors for a while, and
 * trials at equal distances, or distances that double, meet the same part of every turn. The parts of multiples of the golden ratio
 * fill an interval evenly. */
static double varied(double interval, unsigned trial) {
  const double turns = trial * 0.6180339887498949;
  return interval * (1 - spread + 2 * spread * (turns - floor(turns)));
}

/* other, own: seconds per sample. A trial may fall on a moment that favours one choice, so what counts is the sum of gains. It is 0
 * again as soon as the choice in use has gained as much. */
static void end_trial(nnc_autotune *a, double other, double own) {
  const double team = (a->is_parallel ? other / own : own / other) - 1 - least_gain;
  a->gain = fmax(0, a->gain + fmin(most_gain, a->is_parallel ? -team : team));
  const int age = a->confirmed < SETTLED ? a->confirmed : SETTLED, is_kept = a->gain <= needed_gain[age];
  const double lost = is_kept ? a->spent - a->samples * own : a->samples * (own - other);
  a->owed = age < SETTLED ? fmax(0, lost) : fmax(0, fmax(0, a->owed - most_regret[SETTLED] * a->busy) + lost);
  double pause = a->owed / most_regret[age];
  if (!is_kept) {
    a->is_parallel = !a->is_parallel;
    a->confirmed = 0;
    a->gain = 0;
    a->interval = first_interval;
    a->usual = a->recent = other;
    pause = fmax(0, lost) / most_regret[0];
  } else if (a->gain > 0) {
    pause = fmax(0, lost) / most_regret[0];
  } else {
    a->confirmed++;
    a->interval = fmin(growth * a->interval, longest_interval);
    a->usual = a->recent;
  }
  a->next = varied(a->gain > 0 ? doubtful_interval : a->interval, ++a->trials);
  a->least = fmax(fmin(a->next, first_interval), pause);
  a->next = fmax(a->next, a->least);
  a->busy = 0;
  a->is_trial = 0;
}

static double least(const double *cost, int n) {
  double found = cost[0];
  for (int i = 1; i < n; i++) found = fmin(found, cost[i]);
  return found;
}

/* Seconds per sample of n slices. */
static double mean(const double *cost, const double *samples, int n, double most) {
  double seconds = 0, all = 0;
  for (int i = 0; i < n; i++) {
    seconds += samples[i] * fmin(cost[i], most);
    all += samples[i];
  }
  return seconds / all;
}

static void report_trial(nnc_autotune *a, double samples, double seconds) {
  const int is_first = !a->is_last_half && !a->trials;
  if (!a->half) {
    a->spent += seconds;
    a->samples += samples;
  }
  if (!a->slices && seconds > long_slice && a->trials) a->slices = 1;
  if (a->slices++) {
    a->cost[a->half][a->slices - 2] = seconds / samples;
    a->size[a->half][a->slices - 2] = samples;
  }
  if (!a->half && a->usual > 0 && a->slices == HOPELESS_SLICES + 1 && least(a->cost[0], HOPELESS_SLICES) > hopeless * a->recent) {
    end_trial(a, mean(a->cost[0], a->size[0], HOPELESS_SLICES, DBL_MAX), a->recent);
    return;
  }
  if (a->slices <= (is_first ? FIRST_SLICES : NNC_TRIAL_SLICES)) return;
  a->slices = 0;
  if (!a->is_last_half) {
    if (is_first) {
      a->usual = a->recent = least(a->cost[1], FIRST_SLICES);
      for (int i = 0; i < NNC_TRIAL_SLICES; i++) {
        a->cost[1][i] = a->usual;
        a->size[1][i] = 1;
      }
    }
    a->half = !a->half;
    a->is_last_half = 1;
    return;
  }
  const double most = outlier * fmin(least(a->cost[0], NNC_TRIAL_SLICES), least(a->cost[1], NNC_TRIAL_SLICES));
  end_trial(a, mean(a->cost[0], a->size[0], NNC_TRIAL_SLICES, most), mean(a->cost[1], a->size[1], NNC_TRIAL_SLICES, most));
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
