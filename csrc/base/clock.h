/* clock.h: seconds since an arbitrary fixed time. */
#ifndef NNC_BASE_CLOCK_H
#define NNC_BASE_CLOCK_H

#include <time.h>

static inline double nnc_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
