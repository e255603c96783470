/* thread_limits.c: how many threads can be started.
 *
 * The OpenMP runtime ends the process if it cannot start a thread. Therefore, before a parallel region that is larger than the
 * thread's last one, the same number of threads is started here, with stacks of the same size, and ended again. The C library keeps
 * their memory, and the runtime gets it. If the runtime keeps its threads, as it does for regions of one size, nothing is tried.
 */
#define _GNU_SOURCE
#include "base/thread_limits.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/clock.h"

/* An upper limit for the threads of a region; upper limits for the memory that the runtime allocates for a region and for each of
 * its threads; seconds until the next attempt. */
enum { MAX_THREADS = 1024, REGION_BYTES = 32 << 10, THREAD_BYTES = 1 << 10 };
static const double retry_seconds = 1;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t last_count; /* of the calling thread: its size */
static int has_key;
static size_t stack_bytes;    /* as the runtime uses them; 0: the C library's default */
static _Atomic double try_at; /* the time of the next attempt */

/* OMP_STACKSIZE: a number of kilobytes, or of the unit given by a letter after the number. */
static size_t asked_stack(void) {
  const char *text = getenv("OMP_STACKSIZE");
  char *end;
  if (!text && !(text = getenv("GOMP_STACKSIZE"))) return 0;
  const unsigned long long n = strtoull(text, &end, 10);
  if (end == text) return 0;
  while (*end == ' ') end++;
  const int shift = *end == 'B' || *end == 'b' ? 0 : *end == 'M' || *end == 'm' ? 20 : *end == 'G' || *end == 'g' ? 30 : 10;
  return n && n < SIZE_MAX >> (shift + 1) ? (size_t)n << shift : 0;
}

static void prepare(void) {
  has_key = !pthread_key_create(&last_count, NULL);
  stack_bytes = asked_stack();
}

typedef struct {
  pthread_mutex_t *barrier;
  pthread_t thread;
  long id; /* the system's number of the thread */
} probe;

#if defined(__linux__)
static long own_id(void) { return syscall(SYS_gettid); }
/* A joined thread counts for the system's limits until it has ended completely, which takes a moment longer. */
static void wait_until_gone(long id) {
  for (unsigned turns = 0; turns < 100000 && !syscall(SYS_tgkill, getpid(), id, 0); turns++) sched_yield();
}
#else
static long own_id(void) { return 0; }
static void wait_until_gone(long id) { (void)id; }
#endif

static void *wait_for_release(void *given) {
  probe *self = given;
  self->id = own_id();
  pthread_mutex_lock(self->barrier);
  pthread_mutex_unlock(self->barrier);
  return NULL;
}

/* How many of n additional threads can be started at once, with memory for a region of `threads` threads besides. */
static int try_threads(int n, int threads) {
  pthread_mutex_t barrier = PTHREAD_MUTEX_INITIALIZER;
  probe probes[MAX_THREADS];
  pthread_attr_t attributes;
  int made = 0;
  if (pthread_attr_init(&attributes)) return 0;
  if (stack_bytes) pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_mutex_lock(&barrier);
  for (; made < n && made < MAX_THREADS; made++) {
    probes[made].barrier = &barrier;
    if (pthread_create(&probes[made].thread, &attributes, wait_for_release, &probes[made])) break;
  }
  void *memory = malloc(REGION_BYTES + (size_t)threads * THREAD_BYTES);
  pthread_mutex_unlock(&barrier);
  for (int i = 0; i < made; i++) pthread_join(probes[i].thread, NULL);
  for (int i = 0; i < made; i++) wait_until_gone(probes[i].id);
  pthread_attr_destroy(&attributes);
  free(memory);
  return memory ? made : 0;
}

int nnc_available_threads(int wanted) {
  pthread_once(&once, prepare);
  const int last = has_key ? (int)(intptr_t)pthread_getspecific(last_count) : 1, have = last > 1 ? last : 1;
  int threads = wanted;
  if (wanted == have) return threads;
  if (wanted > have) {
    const double now = nnc_now();
    const int may_try = now >= atomic_load_explicit(&try_at, memory_order_relaxed);
    threads = have + (may_try ? try_threads(wanted - have, wanted) : 0);
    if (may_try && threads < wanted) atomic_store_explicit(&try_at, now + retry_seconds, memory_order_relaxed);
  }
  /* If this cannot be stored, the next region is tried again, which is only slower. */
  if (has_key) pthread_setspecific(last_count, (void *)(intptr_t)threads);
  return threads;
}
