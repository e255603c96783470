/* scratch.c: a block per thread, allocated when the thread first asks and freed when it ends.
 *
 * The stack is no place for it: musl gives a thread 128 KB, and threading.stack_size or OMP_STACKSIZE may give it less. */
#include "base/scratch.h"

#include <pthread.h>

#include "base/arena.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* frees the block */
static int has_key;
static _Thread_local void *own;

static void make_key(void) { has_key = !pthread_key_create(&key, nnc_free); }

static void *allocate(void) {
  pthread_once(&once, make_key);
  void *block = has_key ? nnc_alloc(NNC_SCRATCH_BYTES) : NULL;
  if (block && pthread_setspecific(key, block)) {
    nnc_free(block);
    return NULL;
  }
  return block;
}

void *nnc_scratch(void) {
  if (!own) own = allocate();
  return own;
}
