/* scratch.c: one block per thread. It is allocated at the thread's first request and freed when the thread ends.
 *
 * The stack is too small: musl gives a thread 128 KB, and threading.stack_size or OMP_STACKSIZE may reduce that. */
#include "base/scratch.h"

#include <pthread.h>

#include "base/arena.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* frees the block */
static int has_key;

static void make_key(void) { has_key = !pthread_key_create(&key, nnc_free); }

#if defined(__GLIBC__)
/* This storage class is allocated together with the thread. A thread-local variable of the usual kind, in a library that is loaded
 * late, is allocated at its first use; if there is no memory then, the process ends. C libraries that do not support this storage
 * class refuse to load such a library. */
static _Thread_local void *own __attribute__((tls_model("initial-exec")));
static void *owned(void) { return own; }
static void remember(void *block) { own = block; }
#else
static void *owned(void) { return has_key ? pthread_getspecific(key) : NULL; }
static void remember(void *block) { (void)block; }
#endif

static void *allocate(void) {
  pthread_once(&once, make_key);
  if (!has_key) return NULL;
  void *block = nnc_alloc(NNC_SCRATCH_BYTES);
  if (block && pthread_setspecific(key, block)) {
    nnc_free(block);
    return NULL;
  }
  remember(block);
  return block;
}

void *nnc_scratch(void) {
  void *block = owned();
  return block ? block : allocate();
}
