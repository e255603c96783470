/* strided.h: see strided.c. */
#ifndef NNC_PLAN_SPREAD_H
#define NNC_PLAN_SPREAD_H

#include "nncore.h"

enum { NNC_STRIDED_CHUNK = 64 }; /* numbers that are brought together at once */

/* Numbers [first, first + n) of a row, side by side, as s->type. */
void nnc_read_strided(const nnc_strided *s, size_t row, size_t first, size_t n, void *to);

#endif
