/* targets.c: whether targets are what a loss takes: every step on a batch asks. No branch inside a loop, so that it is a few vectors. */
#include "nncore.h"

int nnc_are_probabilities(const void *y, nnc_dtype dtype, size_t n) {
  int outside = 0;
  if (dtype == NNC_F32)
    for (size_t i = 0; i < n; i++) outside |= !(((const float *)y)[i] >= 0) | !(((const float *)y)[i] <= 1); /* NaN is outside */
  else
    for (size_t i = 0; i < n; i++) outside |= !(((const double *)y)[i] >= 0) | !(((const double *)y)[i] <= 1);
  return !outside;
}

int nnc_are_classes(const int64_t *y, size_t n, size_t classes) {
  int outside = 0;
  for (size_t i = 0; i < n; i++) outside |= (uint64_t)y[i] >= classes; /* seen as unsigned, a negative index is a huge one */
  return !outside;
}
