/* autotune.h: chooses the number of threads by measurement. Results do not depend on the number of threads, so a plan may change it
 * at any time. It measures its steps on all threads and on one, uses the faster choice, and tries the other one again from time to
 * time. If other programs use the processors, so that threads wait for one that is not running, it changes to one thread.
 */
#ifndef NNC_PLAN_AUTOTUNE_H
#define NNC_PLAN_AUTOTUNE_H

#include <stddef.h>

typedef struct {
  size_t batch;    /* the batch size of the measured costs */
  double cost[2];  /* seconds per sample: on one thread, on all; 0: not measured yet */
  double probe_at; /* time of the next trial of the slower choice */
  double interval; /* between such trials; it doubles while they confirm the choice */
} nnc_autotune;

/* The number of threads of the next slice of steps, `wanted` or 1. *until gets the time when the slice ends. */
int nnc_autotune_choose(nnc_autotune *autotune, int wanted, size_t batch, double now, double *until);
/* Reports the cost of a slice. */
void nnc_autotune_report(nnc_autotune *autotune, int threads, double now, double seconds_per_sample);

#endif
