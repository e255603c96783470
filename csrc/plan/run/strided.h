/* strided.h: see strided.c. */
#ifndef NNC_PLAN_STRIDED_H
#define NNC_PLAN_STRIDED_H

#include "nncore.h"

enum { NNC_STRIDED_CHUNK = 64 }; /* elements that are converted at once */

/* Elements [first, first + n) of a row, contiguous, as s->type. */
void nnc_read_strided(const nnc_strided *s, size_t row, size_t first, size_t n, void *to);

#endif
