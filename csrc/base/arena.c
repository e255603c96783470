/* arena.c: the only file of the core that allocates. */
#define _GNU_SOURCE
#include "base/arena.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/sizes.h"

static atomic_size_t allocations, fail_countdown;

/* In front of every block, on a line of its own. */
typedef struct {
  _Alignas(NNC_ALIGNMENT) atomic_size_t owners;
} header;

/* Weights are read by columns, a row of a page of its own at a time: pages of 2 MB keep them within reach of the address cache. */
enum { HUGE_PAGE = 2 << 20 };

static void *take(size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes >= HUGE_PAGE) {
    void *block; /* aligned_alloc would want a whole number of pages */
    if (posix_memalign(&block, HUGE_PAGE, bytes)) return NULL;
    (void)madvise(block, bytes, MADV_HUGEPAGE); /* advice: without, it is slower */
    return block;
  }
#endif
  return aligned_alloc(NNC_ALIGNMENT, bytes);
}

void *nnc_alloc(size_t bytes) {
  atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
  if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) && atomic_fetch_sub(&fail_countdown, 1) == 1) return NULL;
  size_t rounded;
  if (nnc_round_up(&rounded, bytes ? bytes : 1, 1) || nnc_add(&rounded, rounded, sizeof(header))) return NULL;
  header *block = take(rounded);
  if (!block) return NULL;
  memset(block, 0, rounded);
  atomic_store_explicit(&block->owners, 1, memory_order_relaxed);
  return block + 1;
}

void nnc_hold(void *block) { atomic_fetch_add_explicit(&((header *)block - 1)->owners, 1, memory_order_relaxed); }

void nnc_free(void *block) {
  if (!block) return;
  header *own = (header *)block - 1;
  if (atomic_fetch_sub_explicit(&own->owners, 1, memory_order_acq_rel) == 1) free(own);
}

size_t nnc_alloc_count(void) { return atomic_load_explicit(&allocations, memory_order_relaxed); }

void nnc_alloc_fail_at(size_t k) { atomic_store(&fail_countdown, k); }

int nnc_arena_take(size_t *total, size_t *offset, size_t n, size_t element) {
  size_t bytes;
  if (nnc_mul(&bytes, n, element) || nnc_round_up(&bytes, bytes, 1)) return 1;
  *offset = *total / element;
  return nnc_add(total, *total, bytes);
}
