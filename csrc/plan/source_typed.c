/* source_typed.c: rows of the caller's data into the arena. */
#include "plan/engine.h"

void nnc_fetch(const nnc_kernels *k, real *to, const nnc_source *source, const int64_t *order, size_t start, size_t first,
               size_t last, size_t cols, size_t ld) {
  static const unsigned char bytes[NNC_SOURCE_COUNT] = {4, 8, 1, 1, 2, 2, 4, 4, 8, 8};
  const char *data = source->data;
  if (!order) data += (ptrdiff_t)(start + first) * source->stride * bytes[source->type];
  k->gather(to + first * ld, data, source->type, order ? order + start + first : NULL, last - first, cols, ld, source->stride);
}
