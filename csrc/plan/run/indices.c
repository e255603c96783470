/* indices.c: the inputs that contain indices into the table of an embedding, and the check of such indices. */
#include <math.h>

#include "base/half.h"
#include "plan/plan.h"
#include "plan/run/strided.h"

size_t nnc_plan_index_bound(const nnc_plan *plan, int input) {
  size_t bound = 0;
  for (int i = 0; i < plan->n_ops; i++) {
    const nnc_op *op = &plan->op[i];
    if (op->spec.kind != NNC_LAYER_embedding || plan->value[op->spec.input[0]].alias != input) continue;
    const size_t rows = (size_t)op->spec.size.embedding.num_embeddings;
    if (!bound || rows < bound) bound = rows;
  }
  return bound;
}

#define FIND(type, is_bad) FIND_AS(type, type, , is_bad)
#define FIND_AS(stored, type, value, is_bad)                                \
  for (size_t i = 0; i < rows; i++) {                                       \
    const stored *row = (const stored *)x->data + (ptrdiff_t)i * x->stride; \
    for (size_t j = 0; j < width; j++) {                                    \
      const type v = value(row[j]);                                         \
      if (is_bad) return i * width + j;                                     \
    }                                                                       \
  }                                                                         \
  break;

static size_t find_in_strided(const nnc_strided *s, size_t rows, size_t width, size_t bound) {
  double buffer[NNC_STRIDED_CHUNK];
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < width; j += NNC_STRIDED_CHUNK) {
      const size_t n = width - j < NNC_STRIDED_CHUNK ? width - j : NNC_STRIDED_CHUNK;
      const nnc_source part = {buffer, s->type, (ptrdiff_t)n};
      nnc_read_strided(s, i, j, n, buffer);
      const size_t bad = nnc_find_bad_index(&part, 1, n, bound);
      if (bad < n) return i * width + j + bad;
    }
  return rows * width;
}

size_t nnc_find_bad_index(const nnc_source *x, size_t rows, size_t width, size_t bound) {
  if ((int)x->type == NNC_SOURCE_STRIDED) return find_in_strided(x->data, rows, width, bound);
  switch (x->type) {
    case NNC_SOURCE_F32: FIND(float, !(v >= 0 && (double)v < (double)bound && truncf(v) == v))
    case NNC_SOURCE_F16: FIND_AS(uint16_t, float, nnc_half_to_float, !(v >= 0 && (double)v < (double)bound && truncf(v) == v))
    case NNC_SOURCE_F64: FIND(double, !(v >= 0 && v < (double)bound && trunc(v) == v))
    case NNC_SOURCE_U8: FIND(uint8_t, v >= bound)
    case NNC_SOURCE_U16: FIND(uint16_t, v >= bound)
    case NNC_SOURCE_U32: FIND(uint32_t, v >= bound)
    case NNC_SOURCE_U64: FIND(uint64_t, v >= bound)
    case NNC_SOURCE_I8: FIND(int8_t, v < 0 || (uint64_t)v >= bound)
    case NNC_SOURCE_I16: FIND(int16_t, v < 0 || (uint64_t)v >= bound)
    case NNC_SOURCE_I32: FIND(int32_t, v < 0 || (uint64_t)v >= bound)
    case NNC_SOURCE_I64: FIND(int64_t, v < 0 || (uint64_t)v >= bound)
    case NNC_SOURCE_COUNT: break;
  }
  return rows * width;
}
