/* thread_pool.h: worker threads for calls of a few microseconds, which would end before a parallel region (parallel.h) has started.
 * The caller starts with its tasks at once, and workers that are awake take some of them. No thread waits for a worker that has not
 * joined. A worker spins for about 50 microseconds after its last task. So it is available for calls in quick succession, and
 * occasional calls do not occupy a core.
 */
#ifndef NNC_BASE_THREAD_POOL_H
#define NNC_BASE_THREAD_POOL_H

#include <stddef.h>

typedef void nnc_pool_fn(void *context, size_t task);

/* Only one call may use the pool at a time. Returns non-zero if this call has acquired it; nnc_pool_release releases it. Never
 * waits. Returns 0 in a forked child and inside a parallel region. */
int nnc_pool_acquire(void);
void nnc_pool_release(void);

/* Whether calls follow one another so quickly that workers are awake or worth waking. This depends on the duration of this call and
 * the time since the end of the last one. */
int nnc_pool_is_warm(double now);
void nnc_pool_mark_idle(double now);

/* Start and wake threads - 1 workers. Returns the number of threads, including the caller. */
int nnc_pool_wake(int threads);

/* Run tasks 0 to tasks - 1, each once, on the caller and the woken workers. Each thread starts with its own range, which depends
 * only on the numbers of tasks and threads. So the data that it reads stay in its cache from one call to the next. tiles: whether the
 * tasks use tiles (tiles.h); then the workers have them as well as the caller, who has entered. */
void nnc_pool_run(int threads, int tiles, size_t tasks, nnc_pool_fn *fn, void *context);

#endif
