/* races: the team of parallel.c and the crew of base/thread_pool.c under ThreadSanitizer (make races), whose judgement needs no Python.
 *
 * Phase after phase, each member reads what others wrote in the phase before; the results of each job of the crew are read by its caller
 * at once, while another thread competes for the crew. Told "plant", a member leaves out one barrier: a race that has to be found.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "base/parallel.h"

enum { THREADS = 3, CELLS = 64, PHASES = 200, TEAMS = 20, CALLS = 5000, TASKS = 12 };

static double cell[2][CELLS];
static int planted;

static void member(nnc_member *self, void *unused) {
  size_t first, last;
  nnc_share(self, CELLS, &first, &last);
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
    if (!nnc_crew_take()) continue;
    const int threads = nnc_crew_call(THREADS);
    for (int layer = 0; layer < 3; layer++) {
      for (size_t c = 0; c < CELLS; c++) from[c] = i + layer;
      nnc_crew_run(threads, TASKS, task, from);
      for (size_t t = 0; t < TASKS; t++) {
        if (to[t][CELLS - 1] == i + layer + (double)t) continue;
        puts("a task of the crew was not done");
        exit(1);
      }
    }
    nnc_crew_ends(nnc_now());
    nnc_crew_leave();
  }
  return unused;
}

int main(int argc, char **argv) {
  planted = argc > 1 && !strcmp(argv[1], "plant");
  for (int i = 0; i < TEAMS; i++) nnc_parallel(THREADS, member, NULL);
  pthread_t other;
  if (pthread_create(&other, NULL, call, NULL)) return 2;
  call(NULL);
  pthread_join(other, NULL);
  puts("no race");
  return 0;
}
