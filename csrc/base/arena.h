/* arena.h: one aligned block, handed out by offset. Offsets are planned first (nnc_arena_take), then the block is allocated once. */
#ifndef NNC_BASE_ARENA_H
#define NNC_BASE_ARENA_H

#include <stddef.h>

/* Zeroed, cache-line aligned; NULL where memory ends. */
void *nnc_alloc(size_t bytes);
void nnc_free(void *block);
/* One more owner of a block: it goes when all have freed it. */
void nnc_retain(void *block);
/* How many blocks have been allocated since the library was loaded: the tests assert that a step adds none. */
size_t nnc_alloc_count(void);
/* Test switch: the k-th allocation from now fails (1 is the next); 0 switches it off. */
void nnc_alloc_fail_at(size_t k);

/* Reserve n elements of the given size at the end of an arena of *total bytes: *offset gets the place, in elements. */
int nnc_arena_take(size_t *total, size_t *offset, size_t n, size_t element);

#endif
