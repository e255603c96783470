/* ahead.h: a product that also fetches, between its steps, what its caller needs after it. */
#ifndef NNC_OPS_BF16_AHEAD_H
#define NNC_OPS_BF16_AHEAD_H

#include "ops/low_op.h"

/* Lines of 64 bytes of some matrices of one shape, and where the next one is. */
typedef struct {
  const float *matrix[4];
  size_t count, rows, lines, ld; /* matrices; lines of a row */
  size_t at, row, line;
} fetch_list;

/* How many lines have to be fetched in each of some turns. */
INLINE size_t fetch_share(const fetch_list *list, size_t turns) {
  return list && turns ? (list->count * list->rows * list->lines + turns - 1) / turns : 0;
}

/* The next lines, to the second-level cache. */
INLINE void fetch_more(fetch_list *list, size_t lines) {
  for (; lines && list->at < list->count; lines--) {
    __builtin_prefetch(list->matrix[list->at] + list->row * list->ld + list->line * 16, 0, 2);
    if (++list->line < list->lines) continue;
    list->line = 0;
    if (++list->row < list->rows) continue;
    list->row = 0;
    list->at++;
  }
}

/* transposed: a has form at, or, across, form a of the transpose. list: NULL for none. Uses the first PRODUCT_SCRATCH bytes of the thread's scratch. */
enum { PRODUCT_SCRATCH = 96 * 1024 };
void KERNEL(bf16_product_ahead)(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k,
                                int transposed, size_t across, fetch_list *list);

#endif
