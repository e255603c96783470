/* autotune.h: chooses the number of threads by measurement. Results do not depend on the number of threads, so a plan may change it
 * at any time.
 *
 * A trial runs a few slices of steps with each choice, first the one that is not in use (the first trial: one thread), and compares their
 * costs. The first slice after a change is not counted unless it is long: it wakes threads, and the caches still contain the data of the
 * other choice. So a trial compares the two choices under the same conditions, whatever else runs between the steps. A single trial
 * decides only at the beginning. Later, one that speaks against the choice in use is repeated soon, and several together change it.
 * Trials cost time where they use the slower choice; the next one waits until the sum of this is a hundredth of the time that the plan
 * has worked since. If the choice in use becomes slower than it was, for example because other programs use the processors, the next
 * trial comes earlier.
 */
#ifndef NNC_PLAN_AUTOTUNE_H
#define NNC_PLAN_AUTOTUNE_H

#include <stddef.h>

enum { NNC_TRIAL_SLICES = 5 }; /* counted slices per choice */

typedef struct {
  size_t batch;                     /* the batch size of the measurements; 0: there are none */
  int wanted;                       /* the number of threads of the team in the measurements */
  int is_parallel;                  /* the choice in use */
  int is_trial;                     /* a trial is running: */
  int half, is_last_half, slices;   /* 0: of the other choice, 1: of the choice in use; slices that have ended in this half */
  double cost[2][NNC_TRIAL_SLICES]; /* by half: seconds per sample, */
  double size[2][NNC_TRIAL_SLICES]; /* and samples */
  double spent, samples;            /* of the other choice, with the slice that is not counted */
  double usual, recent; /* seconds per sample of the choice in use: at its last confirmation, and a moving average; 0: unknown */
  double busy;          /* seconds that the plan has worked since the last trial */
  double interval, next, least; /* between trials, in such seconds: as it grows; until the next one, and at least */
  double gain;                  /* of the other choice in the last trials, in units of one thread's speed; at least 0 */
  double owed;                  /* seconds that trials have lost and that work has not made up for */
  int confirmed;                /* trials in succession that chose the choice in use */
  unsigned trials;
  int others; /* slices in succession that the measurements do not fit */
} nnc_autotune;

/* Whether the measurements are valid for this number of threads and a batch of this size. */
int nnc_autotune_fits(const nnc_autotune *autotune, int wanted, size_t batch);

/* The number of threads of the next slice of steps, `wanted` or 1. *until gets the time when the slice ends. */
int nnc_autotune_choose(nnc_autotune *autotune, int wanted, size_t batch, double now, double *until);
/* Reports the cost of the slice for which the number was chosen. If the cost is not reported, the slice is repeated. */
void nnc_autotune_report(nnc_autotune *autotune, double samples, double seconds);

#endif
