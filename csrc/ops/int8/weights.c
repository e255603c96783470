/* weights.c: weights of 8-bit integers from those of float, and their packed form. Once per model, so that it need not be fast. */
#include "ops/low_op.h"

size_t KERNEL(int8_quantize_weight)(int8_t *q, float *scale, const float *w, size_t rows, size_t k) {
  const float whole = 12582912; /* 1.5 * 2^23: adding it rounds to a whole number */
  for (size_t j = 0; j < rows; j++, w += k, q += k) {
    float largest = 0;
    for (size_t i = 0; i < k; i++) {
      const float magnitude = __builtin_fabsf(w[i]);
      if (!(magnitude <= __FLT_MAX__)) return j;
      if (magnitude > largest) largest = magnitude;
    }
    scale[j] = largest < 0x1p-119f ? 0 : largest / 127;
    for (size_t i = 0; i < k; i++) q[i] = scale[j] > 0 ? (int8_t)(w[i] / scale[j] + whole - whole) : 0;
  }
  return rows;
}

/* Where q[column][i] stands in the blocks. */
static size_t place(size_t k, size_t column, size_t i) {
  return column / NNC_INT8_COLUMNS * nnc_int8_block(k) +
         (i / NNC_INT8_GROUP * NNC_INT8_COLUMNS + column % NNC_INT8_COLUMNS) * NNC_INT8_GROUP + i % NNC_INT8_GROUP;
}

void KERNEL(int8_pack)(const nnc_int8_weight *to, const int8_t *q, const float *scale) {
  const size_t k = to->k, n = to->n, columns = nnc_int8_whole(n, NNC_INT8_COLUMNS);
  memset(to->blocks, 0, nnc_int8_bytes(k, n) - columns * (sizeof(float) + sizeof(int32_t)));
  for (size_t j = 0; j < columns; j++) {
    int32_t sum = 0;
    to->scale[j] = j < n ? scale[j] : 0;
    for (size_t i = 0; j < n && i < k; i++) {
      to->blocks[place(k, j, i)] = q[j * k + i];
      sum += q[j * k + i];
    }
    to->start[j] = -128 * sum;
  }
}

void KERNEL(int8_unpack)(int8_t *q, float *scale, const nnc_int8_weight *from) {
  for (size_t j = 0; j < from->n; j++) {
    scale[j] = from->scale[j];
    for (size_t i = 0; i < from->k; i++) q[j * from->k + i] = from->blocks[place(from->k, j, i)];
  }
}
