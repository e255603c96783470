/* parallel.h: the parallelism of whatever takes longer than to wake a thread (thread_pool.h is for the rest). One primitive opens a team of
 * threads; inside it the members share out numbered tasks and meet at barriers. Which tasks exist never depends on the number of threads,
 * so neither do the results.
 */
#ifndef NNC_BASE_PARALLEL_H
#define NNC_BASE_PARALLEL_H

#include <stddef.h>

typedef struct nnc_team nnc_team;
typedef struct {
  nnc_team *team;
  int rank, size;
  unsigned phase; /* barriers passed so far */
} nnc_member;

typedef void nnc_team_fn(nnc_member *self, void *context);

/* Run fn once on each of `threads` threads (1: directly, without a region). Every member has flush-to-zero set; the caller's
 * floating-point state is restored. Runs serially inside another parallel region and in a forked child, and on fewer threads where there are
 * no more. Returns the size used. */
int nnc_parallel(int threads, nnc_team_fn *fn, void *context);

/* Wait until all members are here: spins for a bounded time, then yields the processor. */
void nnc_barrier(nnc_member *self);

/* One turn of a waiting loop: a pause while `turns` is small, then the processor is given away. */
void nnc_relax(unsigned turns);

/* The member's share [*first, *last) of n tasks of equal cost. */
void nnc_share(const nnc_member *self, size_t n, size_t *first, size_t *last);

/* How many threads a phase of `flops` floating-point operations is worth, at most the limit that is set. */
int nnc_threads_for(double flops);

/* Test switch: every phase gets a team of n threads, however little there is to do, and nobody measures whether that pays (plan/autotune.h,
 * plan/run/intra_op.h); 0 switches it off. lose: so many shares of the parameter tasks more than there are members, which nobody does: a fault
 * that has to be found. */
void nnc_force_team(int n, int lose);
int nnc_forced_team(void); /* 0: none */
int nnc_lost_shares(void);

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
