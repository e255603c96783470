/* thread_pool.c: worker threads that wait for work. They spin first and sleep later.
 *
 * The state of the job is one word: its number, whether it is open, and the number of active workers. The caller writes the job
 * while it is closed and no worker is active. Then it opens the job, works, closes it when no task is left, and waits for the
 * active workers, each of which has at most one task to finish. A lost wake-up costs only speed, so no lock is needed.
 */
#define _GNU_SOURCE
#include "base/thread_pool.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/fpstate.h"
#include "base/parallel.h"
#include "base/tiles.h"

/* Seconds that a worker spins without work. Waking a worker takes as long in a virtual machine. */
static const double spin_seconds = 50e-6;

enum { MAX_WORKERS = 63, OPEN = 1 << 15, ACTIVE = OPEN - 1, JOB = 1 << 16 };

typedef struct {
  _Alignas(64) atomic_size_t next;
  size_t end;
} task_range;

static struct {
  atomic_flag taken;
  double ended;     /* the time when the last call ended; like the following fields, only the owner of the pool uses it */
  int size, failed; /* number of workers; whether starting one has failed */
  _Alignas(64) atomic_uint state;
  _Alignas(64) atomic_int asleep;
  atomic_int cpu; /* the processor of the caller */
  int threads, tiles;
  nnc_pool_fn *fn;
  void *context;
  task_range range[MAX_WORKERS + 1];
} pool = {.taken = ATOMIC_FLAG_INIT};

static pthread_mutex_t sleep_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_up = PTHREAD_COND_INITIALIZER;

/* First the thread's own range, then the rest of the other ranges. */
static void run_tasks(int rank) {
  for (int i = 0; i < pool.threads; i++) {
    task_range *r = &pool.range[(rank + i) % pool.threads];
    while (atomic_load_explicit(&r->next, memory_order_relaxed) < r->end) {
      const size_t task = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
      if (task < r->end) pool.fn(pool.context, task);
    }
  }
}

/* Join the job if this worker has not seen it yet. */
static int join_job(unsigned *seen) {
  unsigned state = atomic_load_explicit(&pool.state, memory_order_relaxed);
  while (state & OPEN && state / JOB != *seen)
    if (atomic_compare_exchange_weak_explicit(&pool.state, &state, state + 1, memory_order_acquire, memory_order_relaxed)) {
      *seen = state / JOB;
      return 1;
    }
  return 0;
}

/* If a worker is woken on the caller's processor, it takes the processor from the caller, finds no work, and sleeps again. This
 * would repeat in every call. So the worker moves to another processor at once. */
#if defined(__linux__)
typedef cpu_set_t cpu_mask;
static int current_cpu(void) { return sched_getcpu(); }
static cpu_mask allowed_cpus(void) {
  cpu_mask allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) CPU_ZERO(&allowed);
  return allowed;
}
static void move_off_caller(const cpu_mask *allowed) {
  const int cpu = atomic_load_explicit(&pool.cpu, memory_order_relaxed);
  if (cpu < 0 || current_cpu() != cpu) return;
  cpu_mask others = *allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
}
#else
typedef int cpu_mask;
static int current_cpu(void) { return -1; }
static cpu_mask allowed_cpus(void) { return 0; }
static void move_off_caller(const cpu_mask *allowed) { (void)allowed; }
#endif

static void sleep_until_woken(void) {
  pthread_mutex_lock(&sleep_mutex);
  atomic_fetch_add(&pool.asleep, 1);
  pthread_cond_wait(&wake_up, &sleep_mutex);
  atomic_fetch_sub(&pool.asleep, 1);
  pthread_mutex_unlock(&sleep_mutex);
}

static void *worker(void *given) {
  const int rank = (int)(size_t)given;
  unsigned seen = ~0u;
  double awake_until = nnc_now() + spin_seconds;
  const cpu_mask allowed = allowed_cpus();
  nnc_fp_enter();
  move_off_caller(&allowed);
  for (unsigned turns = 1;; turns++) {
    if (join_job(&seen)) {
      if (rank < pool.threads) {
        nnc_tiles_enter(pool.tiles);
        run_tasks(rank);
        nnc_tiles_leave(pool.tiles);
      }
      atomic_fetch_sub_explicit(&pool.state, 1, memory_order_release);
      awake_until = nnc_now() + spin_seconds;
    } else if (turns % 32 || nnc_now() < awake_until) {
      nnc_relax(0);
    } else {
      sleep_until_woken();
      move_off_caller(&allowed);
      awake_until = nnc_now() + spin_seconds;
    }
  }
  return NULL;
}

int nnc_pool_acquire(void) {
  return !nnc_is_forked_child() && !omp_in_parallel() && !atomic_flag_test_and_set_explicit(&pool.taken, memory_order_acquire);
}

void nnc_pool_release(void) { atomic_flag_clear_explicit(&pool.taken, memory_order_release); }

int nnc_pool_is_warm(double at) { return at - pool.ended < spin_seconds; }

void nnc_pool_mark_idle(double at) { pool.ended = at; }

/* Only threads of the program itself handle signals. */
static void start_worker(void) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pool.failed = pthread_create(&thread, &attributes, worker, (void *)(size_t)(pool.size + 1)) != 0;
  pool.size += !pool.failed;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int nnc_pool_wake(int threads) {
  if (threads > MAX_WORKERS + 1) threads = MAX_WORKERS + 1;
  atomic_store_explicit(&pool.cpu, current_cpu(), memory_order_relaxed);
  while (pool.size < threads - 1 && !pool.failed) start_worker();
  if (atomic_load_explicit(&pool.asleep, memory_order_relaxed)) pthread_cond_broadcast(&wake_up);
  return threads - 1 < pool.size ? threads : pool.size + 1;
}

void nnc_pool_run(int threads, int tiles, size_t tasks, nnc_pool_fn *fn, void *context) {
  const unsigned state = atomic_load_explicit(&pool.state, memory_order_relaxed);
  pool.threads = threads;
  pool.tiles = tiles;
  pool.fn = fn;
  pool.context = context;
  for (int m = 0; m < threads; m++) {
    size_t first;
    nnc_partition(&(nnc_thread){.rank = m, .size = threads}, tasks, &first, &pool.range[m].end);
    atomic_store_explicit(&pool.range[m].next, first, memory_order_relaxed);
  }
  atomic_store_explicit(&pool.state, (state / JOB + 1) * JOB + OPEN, memory_order_release);
  run_tasks(0);
  atomic_fetch_and_explicit(&pool.state, ~(unsigned)OPEN, memory_order_acq_rel);
  for (unsigned turns = 0; atomic_load_explicit(&pool.state, memory_order_acquire) & ACTIVE; turns++) nnc_relax(turns);
}
