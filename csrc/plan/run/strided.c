/* strided.c: rows that the gather kernels cannot read directly: with non-contiguous columns (Fortran order), of the other byte
 * order, unaligned, or of extended precision. They are converted in small parts, so that a file larger than memory is never copied.
 * */
#include <string.h>

#include "plan/run/strided.h"

static const char *address_of(const nnc_strided *s, size_t row, size_t j) {
  const char *at = s->data + (ptrdiff_t)row * s->row;
  for (int d = s->rank - 1; d >= 0; d--) {
    at += (ptrdiff_t)(j % s->dim[d]) * s->step[d];
    j /= s->dim[d];
  }
  return at;
}

void nnc_read_strided(const nnc_strided *s, size_t row, size_t first, size_t n, void *to) {
  char *out = to;
  for (size_t j = 0; j < n; j++) {
    const char *from = address_of(s, row, first + j);
    if (s->is_extended) {
      long double wide;
      memcpy(&wide, from, sizeof wide);
      const double narrow = (double)wide;
      memcpy(out, &narrow, sizeof narrow);
      out += sizeof narrow;
      continue;
    }
    for (size_t b = 0; b < s->bytes; b++) out[b] = from[s->is_swapped ? s->bytes - 1 - b : b];
    out += s->bytes;
  }
}
