/* races: the parallel regions of parallel.c and the pool of thread_pool.c under ThreadSanitizer (make races), which needs no Python.
 *
 * Phase after phase, each thread reads what others wrote in the phase before. The caller of the pool reads the results of each job
 * at once, while another thread competes for the pool. With the argument "plant", a thread leaves out one barrier: a race that has to be found.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "base/parallel.h"

enum { THREADS = 3, CELLS = 64, PHASES = 200, REGIONS = 20, CALLS = 5000, TASKS = 12 };

static double cell[2][CELLS];
static int planted;

static void phases(nnc_thread *self, void *unused) {
  size_t first, last;
  nnc_partition(self, CELLS, &first, &last);
  for (int phase = 0; phase < PHASES; phase++) {
    const double *from = cell[phase & 1];
    double *to = cell[~phase & 1];
    for (size_t i = first; i < last; i++) to[i] = (from[i] + from[CELLS - 1 - i]) / 2 + phase;
    if (!planted || phase != PHASES / 2) nnc_barrier(self);
  }
  (void)unused;
}

static double from[CELLS], to[TASKS][CELLS];

static void task(void *context, size_t number) {
  const double *given = context;
  for (size_t i = 0; i < CELLS; i++) to[number][i] = given[i] + (double)number;
}

static void *call(void *unused) {
  for (int i = 0; i < CALLS; i++) {
    if (!nnc_pool_acquire()) continue;
    const int threads = nnc_pool_wake(THREADS);
    for (int layer = 0; layer < 3; layer++) {
      for (size_t c = 0; c < CELLS; c++) from[c] = i + layer;
      nnc_pool_run(threads, 0, TASKS, task, from);
      for (size_t t = 0; t < TASKS; t++) {
        if (to[t][CELLS - 1] == i + layer + (double)t) continue;
        puts("a task of the pool was not done");
        exit(1);
      }
    }
    nnc_pool_mark_idle(nnc_now());
    nnc_pool_release();
  }
  return unused;
}

int main(int argc, char **argv) {
  planted = argc > 1 && !strcmp(argv[1], "plant");
  for (int i = 0; i < REGIONS; i++) nnc_parallel(THREADS, 0, phases, NULL);
  pthread_t other;
  if (pthread_create(&other, NULL, call, NULL)) return 2;
  call(NULL);
  pthread_join(other, NULL);
  puts("no race");
  return 0;
}
