/* thread_limits.h: how many threads can be had at all. */
#ifndef NNC_BASE_THREADS_H
#define NNC_BASE_THREADS_H

/* How many threads a parallel region of the calling thread can have: `wanted`, or fewer where the system has no more threads or no
 * memory for them. */
int nnc_available_threads(int wanted);

#endif
