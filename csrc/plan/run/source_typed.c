/* source_typed.c: copies rows of the caller's data into the arena. Steps after a sample's length become zeros, because the caller's
 * values there, possibly NaN, must not enter a sum over time. */
#include <string.h>

#include "plan/engine.h"
#include "plan/run/strided.h"

static void fetch_strided(const nnc_kernels *k, real *to, const nnc_strided *s, const int64_t *order, size_t start, size_t first,
                          size_t last, size_t cols, size_t ld) {
  double buffer[NNC_STRIDED_CHUNK]; /* large enough for any element type */
  for (size_t r = first; r < last; r++)
    for (size_t j = 0; j < cols; j += NNC_STRIDED_CHUNK) {
      const size_t n = cols - j < NNC_STRIDED_CHUNK ? cols - j : NNC_STRIDED_CHUNK;
      nnc_read_strided(s, order ? (size_t)order[start + r] : start + r, j, n, buffer);
      k->gather(to + r * ld + j, buffer, s->type, NULL, 1, n, n, (ptrdiff_t)n);
    }
}

static const unsigned char source_bytes[NNC_SOURCE_COUNT] = {4, 8, 1, 1, 2, 2, 4, 4, 8, 8, 2};

void nnc_fetch_part(const nnc_kernels *k, real *to, const nnc_source *source, size_t row, size_t first, size_t n) {
  if ((int)source->type == NNC_SOURCE_STRIDED) {
    const nnc_strided *s = source->data;
    double buffer[NNC_STRIDED_CHUNK];
    for (size_t j = 0; j < n; j += NNC_STRIDED_CHUNK) {
      const size_t some = n - j < NNC_STRIDED_CHUNK ? n - j : NNC_STRIDED_CHUNK;
      nnc_read_strided(s, row, first + j, some, buffer);
      k->gather(to + j, buffer, s->type, NULL, 1, some, some, (ptrdiff_t)some);
    }
    return;
  }
  const char *data = (const char *)source->data + ((ptrdiff_t)row * source->stride + (ptrdiff_t)first) * source_bytes[source->type];
  k->gather(to, data, source->type, NULL, 1, n, n, (ptrdiff_t)n);
}

void nnc_fetch(const nnc_kernels *k, real *to, const nnc_source *source, const int64_t *order, size_t start, size_t first,
               size_t last, size_t cols, size_t ld) {
  const char *data = source->data;
  if ((int)source->type == NNC_SOURCE_STRIDED) {
    fetch_strided(k, to, source->data, order, start, first, last, cols, ld);
    return;
  }
  if (!order) data += (ptrdiff_t)(start + first) * source->stride * source_bytes[source->type];
  k->gather(to + first * ld, data, source->type, order ? order + start + first : NULL, last - first, cols, ld, source->stride);
}

void nnc_clear_padding(const nnc_run *run, real *const *base, int value, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  const int64_t *lengths = nnc_lengths_of(run, value);
  if (!lengths) return;
  const size_t steps = v->shape.dim[0], step = v->lines * v->cols / steps,
               sample = nnc_value_elements(v); /* several lines: dense */
  for (size_t i = first; i < last; i++) {
    const size_t length = (size_t)lengths[i];
    memset(base[value] + i * sample + length * step, 0, (steps - length) * step * sizeof(real));
  }
}
