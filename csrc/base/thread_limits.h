/* thread_limits.h: how many threads can be had at all. */
#ifndef NNC_BASE_THREADS_H
#define NNC_BASE_THREADS_H

/* The size of the team that the calling thread can open: `wanted`, or fewer where the system has no more threads or no memory for them. */
int nnc_affordable_team(int wanted);

#endif
