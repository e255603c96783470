/* partition.h: the distribution of the rows of the parameter tasks among the threads.
 *
 * The tasks form a sequence, each with a length equal to its cost, and the sequence is cut into one equal part per thread. The
 * arithmetic uses whole numbers: each part starts where the previous one ends, and the last part ends with the last task. With
 * floating point, a rounded cut could leave out the end of a task, whose parameters would then never be trained.
 */
#ifndef NNC_PLAN_PARTITION_H
#define NNC_PLAN_PARTITION_H

#include "plan/plan.h"

/* The cost of all tasks together, except for rounding. Its product with the rank of a thread fits into 64 bits, and so does the
 * product of a cost and the rows of a task, of which there are fewer than 2^28. */
#define NNC_TOTAL_COST ((uint64_t)1 << 32)

/* The cost of work as a part of a total. It is at least 1, because a task without cost would be in no part. */
static inline uint64_t nnc_cost_of(double work, double total) {
  const double part = work / total;
  return part > 0 && part <= 1 ? (uint64_t)(part * (double)NNC_TOTAL_COST) + 1 : 1;
}

/* The first row of a task that thread `rank` of `size` processes. It is task->last if the threads before it process the whole task.
 * The parts [row(rank), row(rank + 1)) of the ranks 0 to size - 1 cover all rows, each once. */
static inline size_t nnc_partition_row(const nnc_task *task, uint64_t total, int rank, int size) {
  const uint64_t end = total * (uint64_t)rank / (uint64_t)size;
  if (end >= task->before + task->cost) return task->last;
  if (end <= task->before) return task->first;
  const uint64_t rows = (end - task->before) * (task->last - task->first);
  const size_t row = task->first + (size_t)((rows + task->cost * (task->unit / 2)) / (task->cost * task->unit)) * task->unit;
  return row < task->last ? row : task->last;
}

/* Whether `size` threads process all rows of all tasks exactly once. */
static inline int nnc_partition_covers(const nnc_task *tasks, int n, uint64_t total, int size) {
  for (int i = 0; i < n; i++) {
    size_t at = tasks[i].first;
    if (nnc_partition_row(&tasks[i], total, 0, size) != at || nnc_partition_row(&tasks[i], total, size, size) != tasks[i].last)
      return 0;
    for (int rank = 1; rank <= size; rank++) {
      const size_t next = nnc_partition_row(&tasks[i], total, rank, size);
      if (next < at || next > tasks[i].last) return 0;
      at = next;
    }
  }
  return 1;
}

#endif
