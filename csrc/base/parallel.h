/* parallel.h: the parallelism of whatever takes longer than to wake a thread (thread_pool.h is for the rest). One primitive opens a
 * parallel region; inside it the threads partition numbered tasks and meet at barriers. Which tasks exist never depends on the number of
 * threads, so neither do the results.
 */
#ifndef NNC_BASE_PARALLEL_H
#define NNC_BASE_PARALLEL_H

#include <stddef.h>

typedef struct nnc_parallel_region nnc_parallel_region;
typedef struct {
  nnc_parallel_region *region;
  int rank, size;
  unsigned phase; /* barriers passed so far */
} nnc_thread;

typedef void nnc_parallel_fn(nnc_thread *self, void *context);

/* Run fn once on each of `threads` threads (1: directly, without a region). Every thread has flush-to-zero set; the caller's
 * floating-point state is restored. Runs serially inside another parallel region and in a forked child, and on fewer threads where there are
 * no more. Returns the size used. */
int nnc_parallel(int threads, nnc_parallel_fn *fn, void *context);

/* Wait until all threads are here: spins for a bounded time, then yields the processor. */
void nnc_barrier(nnc_thread *self);

/* One turn of a waiting loop: a pause while `turns` is small, then the processor is given away. */
void nnc_relax(unsigned turns);

/* This thread's part [*first, *last) of n tasks of equal cost. */
void nnc_partition(const nnc_thread *self, size_t n, size_t *first, size_t *last);

/* How many threads a phase of `flops` floating-point operations is worth, at most the limit that is set. */
int nnc_threads_for(double flops);

/* Test switch: every phase gets n threads, however little there is to do, and nobody measures whether that pays (plan/autotune.h,
 * plan/run/intra_op.h); 0 switches it off. lose: the parameter tasks are cut into so many parts more than there are threads, which
 * nobody does: a fault that has to be found. */
void nnc_force_threads(int n, int lose);
int nnc_forced_threads(void); /* 0: none */
int nnc_lost_parts(void);

/* To be called once, before anything else: from then on forks are counted. Starts no thread. Non-zero where memory ends. */
int nnc_guard_against_fork(void);
/* How many forks lie between the process that loaded the library and this one; in a child, threads that were there are not. */
int nnc_fork_count(void);
/* The number of the one thread that has come through all forks but the first `since`; 0: none has. */
unsigned long nnc_fork_survivor(int since);
int nnc_is_forked_child(void);

int nnc_get_num_threads(void);
void nnc_set_num_threads(int n); /* n >= 1, of which at most 1024 count; 0: back to the default */

#endif
