/* thread_pool.h: worker threads for calls of microseconds, which would be over before a parallel region (parallel.h) has begun. The
 * caller works on its tasks at once, and workers that are awake take some of them; nobody waits for a worker that has not come. A worker
 * stays awake for some 50 microseconds after its last task, so that calls in quick succession find it there and calls now and then cost
 * no core.
 */
#ifndef NNC_BASE_CREW_H
#define NNC_BASE_CREW_H

#include <stddef.h>

typedef void nnc_pool_fn(void *context, size_t task);

/* One call may have the pool at a time: non-zero where this one has got it, which nnc_pool_release ends. Never waits; refuses in a forked
 * child and inside a parallel region. */
int nnc_pool_acquire(void);
void nnc_pool_release(void);

/* Whether calls follow one another so quickly that workers are awake or worth waking: from the time of this call and of the end of
 * the last one. */
int nnc_pool_is_warm(double now);
void nnc_pool_mark_idle(double now);

/* Start and wake threads - 1 workers; returns how many threads there are, the caller among them. */
int nnc_pool_wake(int threads);

/* Do tasks 0 to tasks - 1, each once, on the caller and the workers that were woken. Each thread begins with a range of its own, the
 * same for the same number of tasks and threads: what it reads stays in its cache from one call to the next. */
void nnc_pool_run(int threads, size_t tasks, nnc_pool_fn *fn, void *context);

#endif
