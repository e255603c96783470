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

#if defined(__GLIBC__)
/* Room for it comes with the thread itself. A variable of the usual kind, in a library that is loaded late, is allocated at the thread's
 * first look, which ends the process where memory has ended; other C libraries do not load a library that has one of this kind. */
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
