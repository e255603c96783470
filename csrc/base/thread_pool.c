/* thread_pool.c: threads of our own that wait for work, first awake, then asleep.
 *
 * The door says whether there is a job to join: its number, whether it is open, and how many helpers are inside. The caller writes the
 * job while the door is closed and nobody is inside, opens it, works, closes it when no task is left to take, and waits for those inside,
 * each of whom has at most one task to finish. A wake-up that is lost costs speed, never the result, so it needs no lock.
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

/* Seconds that a helper stays awake without work; waking it takes as long in a virtual machine. */
static const double linger = 50e-6;

enum { MOST_HELPERS = 63, OPEN = 1 << 15, INSIDE = OPEN - 1, JOB = 1 << 16 };

typedef struct {
  _Alignas(64) atomic_size_t next;
  size_t end;
} task_range;

static struct {
  atomic_flag taken;
  double ended;     /* when the last call was over: belongs to who has taken the crew, like what follows */
  int size, failed; /* helpers started; one could not be */
  _Alignas(64) atomic_uint door;
  _Alignas(64) atomic_int asleep;
  atomic_int cpu; /* that the caller is on */
  int members;
  nnc_crew_fn *fn;
  void *context;
  task_range range[MOST_HELPERS + 1];
} crew = {.taken = ATOMIC_FLAG_INIT};

static pthread_mutex_t bed = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t alarm_clock = PTHREAD_COND_INITIALIZER;

/* The member's own range first, then what the others have left. */
static void work(int rank) {
  for (int i = 0; i < crew.members; i++) {
    task_range *r = &crew.range[(rank + i) % crew.members];
    while (atomic_load_explicit(&r->next, memory_order_relaxed) < r->end) {
      const size_t task = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
      if (task < r->end) crew.fn(crew.context, task);
    }
  }
}

/* Go in if there is a job that this helper has not seen. */
static int enter(unsigned *seen) {
  unsigned door = atomic_load_explicit(&crew.door, memory_order_relaxed);
  while (door & OPEN && door / JOB != *seen)
    if (atomic_compare_exchange_weak_explicit(&crew.door, &door, door + 1, memory_order_acquire, memory_order_relaxed)) {
      *seen = door / JOB;
      return 1;
    }
  return 0;
}

/* A helper that is woken on the caller's processor takes it from the caller, waits there for work that cannot come, and sleeps again, call
 * after call: it has to go elsewhere at once. */
#if defined(__linux__)
typedef cpu_set_t processors;
static int here(void) { return sched_getcpu(); }
static processors allowed_here(void) {
  processors allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) CPU_ZERO(&allowed);
  return allowed;
}
static void leave_to_caller(const processors *allowed) {
  const int cpu = atomic_load_explicit(&crew.cpu, memory_order_relaxed);
  if (cpu < 0 || here() != cpu) return;
  processors others = *allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
}
#else
typedef int processors;
static int here(void) { return -1; }
static processors allowed_here(void) { return 0; }
static void leave_to_caller(const processors *allowed) { (void)allowed; }
#endif

static void sleep_until_called(void) {
  pthread_mutex_lock(&bed);
  atomic_fetch_add(&crew.asleep, 1);
  pthread_cond_wait(&alarm_clock, &bed);
  atomic_fetch_sub(&crew.asleep, 1);
  pthread_mutex_unlock(&bed);
}

static void *helper(void *given) {
  const int rank = (int)(size_t)given;
  unsigned seen = ~0u;
  double awake_until = nnc_now() + linger;
  const processors allowed = allowed_here();
  nnc_fp_enter();
  leave_to_caller(&allowed);
  for (unsigned turns = 1;; turns++) {
    if (enter(&seen)) {
      if (rank < crew.members) work(rank);
      atomic_fetch_sub_explicit(&crew.door, 1, memory_order_release);
      awake_until = nnc_now() + linger;
    } else if (turns % 32 || nnc_now() < awake_until) {
      nnc_relax(0);
    } else {
      sleep_until_called();
      leave_to_caller(&allowed);
      awake_until = nnc_now() + linger;
    }
  }
  return NULL;
}

int nnc_crew_take(void) {
  return !nnc_is_forked_child() && !omp_in_parallel() && !atomic_flag_test_and_set_explicit(&crew.taken, memory_order_acquire);
}

void nnc_crew_leave(void) { atomic_flag_clear_explicit(&crew.taken, memory_order_release); }

int nnc_crew_in_rhythm(double at) { return at - crew.ended < linger; }

void nnc_crew_ends(double at) { crew.ended = at; }

/* Signals are for the threads that the program has made. */
static void start_helper(void) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  crew.failed = pthread_create(&thread, &attributes, helper, (void *)(size_t)(crew.size + 1)) != 0;
  crew.size += !crew.failed;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int nnc_crew_call(int threads) {
  if (threads > MOST_HELPERS + 1) threads = MOST_HELPERS + 1;
  atomic_store_explicit(&crew.cpu, here(), memory_order_relaxed);
  while (crew.size < threads - 1 && !crew.failed) start_helper();
  if (atomic_load_explicit(&crew.asleep, memory_order_relaxed)) pthread_cond_broadcast(&alarm_clock);
  return threads - 1 < crew.size ? threads : crew.size + 1;
}

void nnc_crew_run(int threads, size_t tasks, nnc_crew_fn *fn, void *context) {
  const unsigned door = atomic_load_explicit(&crew.door, memory_order_relaxed);
  crew.members = threads;
  crew.fn = fn;
  crew.context = context;
  for (int m = 0; m < threads; m++) {
    size_t first;
    nnc_share(&(nnc_member){.rank = m, .size = threads}, tasks, &first, &crew.range[m].end);
    atomic_store_explicit(&crew.range[m].next, first, memory_order_relaxed);
  }
  atomic_store_explicit(&crew.door, (door / JOB + 1) * JOB + OPEN, memory_order_release);
  work(0);
  atomic_fetch_and_explicit(&crew.door, ~(unsigned)OPEN, memory_order_acq_rel);
  for (unsigned turns = 0; atomic_load_explicit(&crew.door, memory_order_acquire) & INSIDE; turns++) nnc_relax(turns);
}
