/* parallel.h: parallel regions, for work that takes longer than waking a thread (thread_pool.h is for shorter work). One function
 * opens a parallel region. Inside it the threads partition numbered tasks and meet at barriers. The tasks do not depend on the
 * number of threads, so the results do not depend on it either.
 */
#ifndef NNC_BASE_PARALLEL_H
#define NNC_BASE_PARALLEL_H

#include <stddef.h>

typedef struct nnc_parallel_region nnc_parallel_region;
typedef struct {
  nnc_parallel_region *region;
  int rank, size;
  unsigned phase; /* number of barriers passed so far */
} nnc_thread;

typedef void nnc_parallel_fn(nnc_thread *self, void *context);

/* Run fn once on each of `threads` threads (1: directly, without a region). Every thread has flush-to-zero set, and tiles if they are
 * wanted (tiles.h); the caller's floating-point state is restored afterwards, and tiles are released. Inside another parallel region and in a forked child, fn runs serially. If fewer
 * threads are available, fewer are used. Returns the number of threads used. */
int nnc_parallel(int threads, int tiles, nnc_parallel_fn *fn, void *context);

/* Wait until all threads have arrived. A thread spins for a bounded time, then yields the processor. */
void nnc_barrier(nnc_thread *self);

/* One iteration of a waiting loop: a pause while `turns` is small, afterwards a yield of the processor. */
void nnc_relax(unsigned turns);

/* This thread's part [*first, *last) of n tasks of equal cost. */
void nnc_partition(const nnc_thread *self, size_t n, size_t *first, size_t *last);

/* Number of threads for a phase of `flops` floating-point operations. It is at most the limit that is set. */
int nnc_threads_for(double flops);

/* For tests: every phase gets n threads, even for little work, and the measurements of plan/autotune.h and plan/run/intra_op.h are
 * skipped. 0 disables this. lose: the parameter tasks are cut into this number of additional parts, which no thread does. Tests
 * must find this error. */
void nnc_force_threads(int n, int lose);
int nnc_forced_threads(void); /* 0: none */
int nnc_lost_parts(void);

/* Must be called once, before anything else. From then on forks are counted. Starts no thread. Non-zero if there is no memory. */
int nnc_guard_against_fork(void);
/* Number of forks between the process that loaded the library and this one. Other threads do not exist in a child. */
int nnc_fork_count(void);
/* The number of the thread that has existed through all forks except the first `since`; 0: none. */
unsigned long nnc_fork_survivor(int since);
int nnc_is_forked_child(void);

int nnc_get_num_threads(void);
int nnc_set_num_threads(int n); /* n >= 1, at most 1024 are used; 0: restore the default. Returns the number before, or 0 */
/* For calls from the calling thread alone, instead of the number above. n >= 1; 0: no such limit. Returns the limit before. */
int nnc_limit_own_threads(int n);

#endif
