/* scratch.c: a block per thread, allocated when the thread first asks and freed when it ends.
 *
 * The stack is no place for it: musl gives a thread 128 KB, and threading.stack_size or OMP_STACKSIZE may give it less. */
#include "base/scratch.h"

#include <pthread.h>

#include "base/arena.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* frees the block */
static int has_key;

static void make_key(void) { has_key = !pthread_key_create(&key, nnc_free); }

static void *allocate(void) {
  void *block = nnc_alloc(NNC_SCRATCH_BYTES);
  if (block && pthread_setspecific(key, block)) {
    nnc_free(block);
    return NULL;
  }
  return block;
}

/* Not a _Thread_local variable: in a library that is loaded late, a thread's first look at one allocates, and ends the process where memory
 * has ended. */
void *nnc_scratch(void) {
  pthread_once(&once, make_key);
  if (!has_key) return NULL;
  void *own = pthread_getspecific(key);
  return own ? own : allocate();
}
