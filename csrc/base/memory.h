/* memory.h: the largest amount of memory that this process may have. */
#ifndef NNC_BASE_MEMORY_H
#define NNC_BASE_MEMORY_H

#include <stddef.h>

/* Bytes: the machine's memory and swap space, or a smaller limit of the cgroup or of the process (ulimit -v, -d). Memory that is in
 * use already is not subtracted. The function reads files, so call it only for large requests. */
size_t nnc_memory_limit(void);

/* Whether this number of bytes is larger than that. Requests below 256 MB are not checked. */
static inline int nnc_exceeds_memory(size_t bytes) { return bytes >= (size_t)256 << 20 && bytes > nnc_memory_limit(); }

#endif
