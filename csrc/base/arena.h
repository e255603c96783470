/* arena.h: one aligned block, handed out by offset. Offsets are planned first (nnc_arena_take), then the block is allocated once. */
#ifndef NNC_BASE_ARENA_H
#define NNC_BASE_ARENA_H

#include <stddef.h>

/* Zeroed and cache-line aligned; NULL if there is no memory. */
void *nnc_alloc(size_t bytes);
void nnc_free(void *block);
/* Adds an owner to a block. The block is freed when all owners have freed it. */
void nnc_retain(void *block);
/* Whether it has a single owner. */
int nnc_has_one_owner(const void *block);
/* The size of a block from nnc_alloc; 0 for NULL. */
size_t nnc_block_bytes(const void *block);
/* Number of blocks allocated since the library was loaded. The tests assert that a step allocates none. */
size_t nnc_alloc_count(void);
/* For tests: the k-th allocation from now on fails (1 is the next). 0 disables this. */
void nnc_alloc_fail_at(size_t k);

/* Reserve n elements of the given size at the end of an arena of *total bytes. *offset gets the position in elements. */
int nnc_arena_take(size_t *total, size_t *offset, size_t n, size_t element);

#endif
