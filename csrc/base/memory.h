/* memory.h: how much memory this process may have at all. */
#ifndef NNC_BASE_MEMORY_H
#define NNC_BASE_MEMORY_H

#include <stddef.h>

/* Bytes: the machine's memory and swap space, or less where a limit of the cgroup or of the process (ulimit -v, -d) says so. What is taken
 * already is not subtracted. Reads files: ask where much memory is wanted. */
size_t nnc_memory_limit(void);

/* Whether so many bytes are more than that; asks only from 256 MB on. */
static inline int nnc_exceeds_memory(size_t bytes) { return bytes >= (size_t)256 << 20 && bytes > nnc_memory_limit(); }

#endif
