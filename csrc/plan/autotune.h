/* autotune.h: chooses the number of threads by measurement. Bits do not depend on the number of threads, so a plan may change it
 * whenever it likes: it measures its steps on all threads and on one, keeps to the faster, and tries the slower again from time to time.
 * Beside a busy neighbour, where threads wait for one that has lost its processor, this falls back to one thread.
 */
#ifndef NNC_PLAN_PACE_H
#define NNC_PLAN_PACE_H

#include <stddef.h>

typedef struct {
  size_t batch;    /* what the costs were measured with */
  double cost[2];  /* seconds per sample: on one thread, on all; 0: not measured yet */
  double probe_at; /* when to try the slower one again */
  double interval; /* between such trials: doubles while they confirm the choice */
} nnc_autotune;

/* How many threads the next slice of steps should use, `wanted` or 1; *until gets when the slice has to end. */
int nnc_autotune_choose(nnc_autotune *autotune, int wanted, size_t batch, double now, double *until);
/* What the slice cost. */
void nnc_autotune_report(nnc_autotune *autotune, int threads, double now, double seconds_per_sample);

#endif
