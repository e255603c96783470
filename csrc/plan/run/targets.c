/* targets.c: checks of targets, which every step on a batch makes. There is no branch in the loops, so that they are vectorised. */
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
  for (size_t i = 0; i < n; i++) outside |= (uint64_t)y[i] >= classes; /* as unsigned, a negative index is very large */
  return !outside;
}

int nnc_are_decisions(const void *y, nnc_dtype dtype, size_t n) {
  int zeros = 0, negative = 0, other = 0;
  for (size_t i = 0; i < n; i++) {
    const double t = dtype == NNC_F32 ? (double)((const float *)y)[i] : ((const double *)y)[i];
    zeros |= t == 0;
    negative |= t == -1;
    other |= (t != 0) & (t != 1) & (t != -1) & (t == t);
  }
  return !other && !(zeros && negative);
}
