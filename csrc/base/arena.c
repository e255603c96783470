/* arena.c: the only file of the core that allocates. */
#define _GNU_SOURCE
#include "base/arena.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/memory.h"
#include "base/sizes.h"

static atomic_size_t allocations, fail_countdown;

/* The header of every block. It has a cache line of its own. */
typedef struct {
  _Alignas(NNC_ALIGNMENT) atomic_size_t references;
  size_t bytes;
  void *mapped; /* the pages of the block, if it has its own, and their number of bytes */
  size_t mapped_bytes;
} header;

/* Weights are read by columns, one row at a time, and each row may be on another page. With pages of 2 MB the TLB covers them. */
enum { HUGE_PAGE = 2 << 20 };
/* From this size on, a block gets pages from the operating system, which are zero already. Writing zeros would take seconds and
 * touch memory that may never be used. */
enum { MAPPED_FROM = 64 << 20 };

#if defined(__linux__) && defined(MADV_HUGEPAGE)
static header *map(size_t bytes) {
  size_t whole;
  if (nnc_add(&whole, bytes, HUGE_PAGE)) return NULL;
  char *pages = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NULL;
  header *block = (header *)(pages + (HUGE_PAGE - (uintptr_t)pages % HUGE_PAGE) % HUGE_PAGE);
  (void)madvise(block, bytes, MADV_HUGEPAGE); /* a hint; without it the code is only slower */
  block->mapped = pages;
  block->mapped_bytes = whole;
  return block;
}

static void *take(size_t bytes) {
  if (bytes < HUGE_PAGE) return aligned_alloc(NNC_ALIGNMENT, bytes);
  void *block; /* not from aligned_alloc, which needs a multiple of the page size */
  if (posix_memalign(&block, HUGE_PAGE, bytes)) return NULL;
  (void)madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

static void give_back(header *block) {
  if (block->mapped) munmap(block->mapped, block->mapped_bytes);
  else free(block);
}
#else
static void *take(size_t bytes) { return aligned_alloc(NNC_ALIGNMENT, bytes); }
static header *map(size_t bytes) {
  header *block = take(bytes);
  if (block) memset(block, 0, bytes);
  return block;
}
static void give_back(header *block) { free(block); }
#endif

static header *take_zeroed(size_t bytes) {
  if (bytes >= MAPPED_FROM) return nnc_exceeds_memory(bytes) ? NULL : map(bytes);
  header *block = take(bytes);
  if (block) memset(block, 0, bytes);
  return block;
}

void *nnc_alloc(size_t bytes) {
  atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
  if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) && atomic_fetch_sub(&fail_countdown, 1) == 1) return NULL;
  size_t rounded;
  if (nnc_round_up(&rounded, bytes ? bytes : 1, 1) || nnc_add(&rounded, rounded, sizeof(header))) return NULL;
  header *block = take_zeroed(rounded);
  if (!block) return NULL;
  atomic_store_explicit(&block->references, 1, memory_order_relaxed);
  block->bytes = rounded;
  return block + 1;
}

size_t nnc_block_bytes(const void *block) { return block ? ((const header *)block - 1)->bytes : 0; }

void nnc_retain(void *block) { atomic_fetch_add_explicit(&((header *)block - 1)->references, 1, memory_order_relaxed); }

int nnc_has_one_owner(const void *block) {
  return atomic_load_explicit(&((const header *)block - 1)->references, memory_order_acquire) == 1;
}

void nnc_free(void *block) {
  if (!block) return;
  header *own = (header *)block - 1;
  if (atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) == 1) give_back(own);
}

size_t nnc_alloc_count(void) { return atomic_load_explicit(&allocations, memory_order_relaxed); }

void nnc_alloc_fail_at(size_t k) { atomic_store(&fail_countdown, k); }

int nnc_arena_take(size_t *total, size_t *offset, size_t n, size_t element) {
  size_t bytes;
  if (nnc_mul(&bytes, n, element) || nnc_round_up(&bytes, bytes, 1)) return 1;
  *offset = *total / element;
  return nnc_add(total, *total, bytes);
}
