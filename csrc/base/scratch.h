/* scratch.h: memory for the copies that a kernel makes, one block per thread. */
#ifndef NNC_BASE_SCRATCH_H
#define NNC_BASE_SCRATCH_H

enum { NNC_SCRATCH_BYTES = 220 * 1024 };

/* NNC_SCRATCH_BYTES for this thread only, cache-line aligned, the same block each time; NULL if there is no memory. */
void *nnc_scratch(void);

#endif
