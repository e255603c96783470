/* parallel.c: parallel regions over OpenMP, the barrier, and the number of threads. */
#define _GNU_SOURCE
#include "base/parallel.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpstate.h"
#include "base/thread_limits.h"
#include "base/tiles.h"

/* With fewer floating-point operations per thread, the barrier of a phase costs more than the threads gain. */
static const double flops_per_thread = 250e3;
/* Iterations of the pause instruction before a waiting thread yields the processor: about 20 microseconds. */
enum { SPIN_LIMIT = 1000 };
/* An upper limit that no machine exceeds. */
enum { MAX_THREADS = 1024 };

struct nnc_parallel_region {
  _Alignas(64) atomic_uint arrived;
  _Alignas(64) atomic_uint phase;
  int size;
};

static atomic_int thread_limit; /* 0: not determined yet */
#if defined(__GLIBC__)
static _Thread_local int own_limit __attribute__((tls_model("initial-exec"))); /* 0: none. scratch.c says why this storage class */
#else
static _Thread_local int own_limit;
#endif
static atomic_int forks;
static pthread_once_t fork_guard = PTHREAD_ONCE_INIT;
static int guard_failed;
static pthread_t survivor; /* the thread that forked, the only one in the child; */
static int survivor_since; /* it has existed since this number of forks */

/* In a forked child, the OpenMP runtime's workers do not exist, and the runtime would wait for them forever. This includes workers
 * that another library has started in the same runtime. */
static void after_fork_in_child(void) {
  const pthread_t self = pthread_self();
  if (!forks || !pthread_equal(self, survivor)) survivor_since = forks;
  survivor = self;
  atomic_fetch_add(&forks, 1);
}
static void install_fork_guard(void) { guard_failed = pthread_atfork(NULL, NULL, after_fork_in_child); }

int nnc_guard_against_fork(void) {
  pthread_once(&fork_guard, install_fork_guard);
  return guard_failed;
}
int nnc_fork_count(void) { return atomic_load_explicit(&forks, memory_order_relaxed); }
unsigned long nnc_fork_survivor(int since) { return since >= survivor_since ? (unsigned long)survivor : 0; }
int nnc_is_forked_child(void) { return nnc_fork_count() > 0; }

static inline void run_thread(nnc_thread *self, int tiles, nnc_parallel_fn *fn, void *context) {
  const nnc_fpstate saved = nnc_fp_enter();
  nnc_tiles_enter(tiles);
  fn(self, context);
  nnc_tiles_leave(tiles);
  nnc_fp_leave(saved);
}

int nnc_parallel(int threads, int tiles, nnc_parallel_fn *fn, void *context) {
  if (threads > 1) threads = nnc_is_forked_child() || omp_in_parallel() ? 1 : nnc_available_threads(threads);
  if (threads <= 1) { /* without a region, whose memory alone costs a small net a hundredth of a step */
    nnc_thread self = {.size = 1};
    run_thread(&self, tiles, fn, context);
    return 1;
  }
  nnc_parallel_region region = {.size = 0};
#pragma omp parallel num_threads(threads)
  {
#pragma omp single
    region.size = omp_get_num_threads(); /* the runtime may provide fewer than requested */
    nnc_thread self = {.region = &region, .rank = omp_get_thread_num(), .size = region.size};
    run_thread(&self, tiles, fn, context);
  }
  return region.size;
}

void nnc_relax(unsigned turns) {
  if (turns >= SPIN_LIMIT) {
    sched_yield();
    return;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void nnc_barrier(nnc_thread *self) {
  if (self->size == 1) return;
  nnc_parallel_region *region = self->region;
  const unsigned next = ++self->phase;
  if (atomic_fetch_add_explicit(&region->arrived, 1, memory_order_acq_rel) + 1 == (unsigned)self->size) {
    atomic_store_explicit(&region->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&region->phase, next, memory_order_release);
    return;
  }
  for (unsigned turns = 0; atomic_load_explicit(&region->phase, memory_order_acquire) != next; turns++) nnc_relax(turns);
}

void nnc_partition(const nnc_thread *self, size_t n, size_t *first, size_t *last) {
  if (self->size == 1) { /* a division costs as much as a small layer */
    *first = 0;
    *last = n;
    return;
  }
  const size_t rank = (size_t)self->rank, size = (size_t)self->size;
  *first = n / size * rank + (n % size < rank ? n % size : rank);
  *last = *first + n / size + (rank < n % size);
}

/* Number of CPUs of the cgroup's quota, rounded up; 0 if there is no quota. Version 2 is tried first, then version 1. */
static int cgroup_cpus(void) {
  long long quota = -1, period = -1;
  FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
  if (f) {
    if (fscanf(f, "%lld %lld", &quota, &period) != 2) quota = -1;
    fclose(f);
  } else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r"))) {
    if (fscanf(f, "%lld", &quota) != 1) quota = -1;
    fclose(f);
    if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r"))) {
      if (fscanf(f, "%lld", &period) != 1) period = -1;
      fclose(f);
    }
  }
  return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

static int default_threads(void) {
  const char *asked = getenv("OMP_NUM_THREADS");
  if (asked) {
    const int n = atoi(asked); /* in a list for nested levels, the first number applies */
    if (n >= 1) return n < MAX_THREADS ? n : MAX_THREADS;
  }
  int n = omp_get_num_procs(); /* respects the affinity mask */
  const int quota = cgroup_cpus();
  if (quota && quota < n) n = quota;
  return n > 1 ? n : 1;
}

int nnc_get_num_threads(void) {
  if (own_limit) return own_limit;
  int n = atomic_load_explicit(&thread_limit, memory_order_relaxed);
  if (!n) {
    n = default_threads();
    atomic_store_explicit(&thread_limit, n, memory_order_relaxed);
  }
  return n;
}

int nnc_set_num_threads(int n) {
  return atomic_exchange_explicit(&thread_limit, n < MAX_THREADS ? n : MAX_THREADS, memory_order_relaxed);
}

int nnc_limit_own_threads(int n) {
  const int before = own_limit;
  own_limit = n < MAX_THREADS ? n : MAX_THREADS;
  return before;
}

static atomic_int forced_threads, lost_parts;

void nnc_force_threads(int n, int lose) {
  atomic_store(&forced_threads, n < MAX_THREADS ? n : MAX_THREADS);
  atomic_store(&lost_parts, lose);
}
int nnc_forced_threads(void) { return atomic_load_explicit(&forced_threads, memory_order_relaxed); }
int nnc_lost_parts(void) { return atomic_load_explicit(&lost_parts, memory_order_relaxed); }

int nnc_threads_for(double flops) {
  if (nnc_forced_threads()) return nnc_forced_threads();
  const double worth = flops / flops_per_thread;
  if (worth <= 1) return 1;
  const int limit = nnc_get_num_threads();
  return worth < limit ? (int)worth : limit;
}
