/* scratch.h: memory for the copies that a kernel makes, one block per thread. */
#ifndef NNC_BASE_SCRATCH_H
#define NNC_BASE_SCRATCH_H

enum { NNC_SCRATCH_BYTES = 220 * 1024 };

/* NNC_SCRATCH_BYTES for this thread alone, cache-line aligned, the same ones each time; NULL where memory ends. */
void *nnc_scratch(void);

#endif
