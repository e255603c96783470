/* thread_limits.c: how many threads can be had at all.
 *
 * The OpenMP runtime ends the process where it cannot start a thread. So before it has to start some, for a parallel region larger than
 * the last one that this thread opened, as many are started here, with stacks of the same size, and ended again: the runtime finds their
 * memory in the C library's hands. Where it keeps the threads of the last region, as it does for regions of one size, nothing is tried.
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

/* More threads than a region has; what the runtime allocates for a region, and for each of its threads, at most; seconds until another
 * attempt. */
enum { MAX_THREADS = 1024, REGION_BYTES = 32 << 10, THREAD_BYTES = 1 << 10 };
static const double retry_seconds = 1;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t last_count; /* of the calling thread: its size */
static int has_key;
static size_t stack_bytes;    /* as the runtime gives them; 0: what the C library gives */
static _Atomic double try_at; /* when it makes sense to try again */

/* OMP_STACKSIZE: a number of kilobytes, or of what the letter behind it says. */
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
  long id; /* that the system knows it by */
} probe;

#if defined(__linux__)
static long own_id(void) { return syscall(SYS_gettid); }
/* A thread that has been joined counts for the system's limits until it is gone altogether, which takes it a moment more. */
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

/* How many of n more threads can be had at once, with memory for a region of `threads` beside them. */
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
  /* Without a note of it, the next region is tried anew, which is only slower. */
  if (has_key) pthread_setspecific(last_count, (void *)(intptr_t)threads);
  return threads;
}
