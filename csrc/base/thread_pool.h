/* thread_pool.h: helpers for calls that are over before a team (parallel.h) would have met. The caller works on its tasks at once, and whoever of
 * the crew is awake takes some of them; nobody waits for a helper that has not come. A helper stays awake for some 50 microseconds after
 * its last task, so that calls in quick succession find it there and calls now and then cost no core.
 */
#ifndef NNC_BASE_CREW_H
#define NNC_BASE_CREW_H

#include <stddef.h>

typedef void nnc_crew_fn(void *context, size_t task);

/* One call may have the crew at a time: non-zero where this one has got it, which nnc_crew_leave ends. Never waits; refuses in a forked
 * child and inside a parallel region. */
int nnc_crew_take(void);
void nnc_crew_leave(void);

/* Whether calls follow one another so quickly that helpers are awake or worth waking: from the time of this call and of the end of
 * the last one. */
int nnc_crew_in_rhythm(double now);
void nnc_crew_ends(double now);

/* Have threads - 1 helpers, started and waking; returns how many threads there are, the caller among them. */
int nnc_crew_call(int threads);

/* Do tasks 0 to tasks - 1, each once, on the caller and the helpers called. Each member begins with a range of its own, the same for the
 * same number of tasks and threads: what it reads stays in its cache from one call to the next. */
void nnc_crew_run(int threads, size_t tasks, nnc_crew_fn *fn, void *context);

#endif
