/* thread_limits.h: how many threads can be started. */
#ifndef NNC_BASE_THREAD_LIMITS_H
#define NNC_BASE_THREAD_LIMITS_H

/* Number of threads for a parallel region of the calling thread: `wanted`, or fewer if the system has no more threads or no memory
 * for them. */
int nnc_available_threads(int wanted);

#endif
