/* gather.c: rows of a source of any element type, selected by an index, converted to the network's dtype and stored contiguously.
 * This is how a batch is read from the data. Conversions are C's (integers round to nearest); half precision is exact. The caller
 * has checked the index.
 *
 * The hardware's prefetcher cannot predict the first lines of shuffled rows, so the row that comes LOOKAHEAD picks later is
 * prefetched here. The prefetcher finds the rest of a long row. Rows shorter than a line need no prefetch: out-of-order execution
 * sees enough of them in advance.
 */
#include "base/half.h"
#include "ops/op.h"

enum { LOOKAHEAD = 8, LINE = 64, LINES_AHEAD = 8 };

typedef struct {
  const char *start;
  const int64_t *index;
  ptrdiff_t stride; /* in bytes */
  size_t rows, cols, row_bytes;
  size_t rows_ahead; /* rows, or 0 not to prefetch */
} picked_rows;

INLINE const void *row_at(const picked_rows *from, size_t r) {
  if (r + LOOKAHEAD < from->rows_ahead) {
    const char *ahead = from->start + from->index[r + LOOKAHEAD] * from->stride;
    const size_t bytes = from->row_bytes < LINES_AHEAD * LINE ? from->row_bytes : LINES_AHEAD * LINE;
    for (size_t b = 0; b < bytes; b += LINE) __builtin_prefetch(ahead + b);
  }
  return from->start + (from->index ? from->index[r] : (int64_t)r) * from->stride;
}

/* Rows of any type. cols is a constant for one and two columns, so that the row unrolls without a vector loop. The parameters are
 * copied, so that the compiler knows that writes to y do not change them. */
#define DEFINE_CONVERT(type, value)                                                       \
  INLINE void rows_of_##type(real *y, const picked_rows *from, size_t ldy, size_t cols) { \
    const picked_rows here = *from;                                                       \
    for (size_t r = 0; r < here.rows; r++) {                                              \
      const type *x = row_at(&here, r);                                                   \
      for (size_t j = 0; j < cols; j++) y[r * ldy + j] = (real)value(x[j]);               \
    }                                                                                     \
  }                                                                                       \
  static void convert_##type(real *y, const picked_rows *from, size_t ldy) {              \
    if (from->cols == 1) rows_of_##type(y, from, ldy, 1);                                 \
    else if (from->cols == 2) rows_of_##type(y, from, ldy, 2);                            \
    else rows_of_##type(y, from, ldy, from->cols);                                        \
  }

typedef float f32;
typedef double f64;
typedef uint16_t f16;
DEFINE_CONVERT(f16, nnc_half_to_float)
DEFINE_CONVERT(f32, )
DEFINE_CONVERT(f64, )
DEFINE_CONVERT(uint8_t, )
DEFINE_CONVERT(int8_t, )
DEFINE_CONVERT(uint16_t, )
DEFINE_CONVERT(int16_t, )
DEFINE_CONVERT(uint32_t, )
DEFINE_CONVERT(int32_t, )
DEFINE_CONVERT(uint64_t, )
DEFINE_CONVERT(int64_t, )

/* The source has the network's dtype. Short rows are copied inline: a call per row would cost more than the row. */
static void copy(real *y, const picked_rows *from, size_t ldy) {
  const picked_rows here = *from;
  for (size_t r = 0; r < here.rows; r++) {
    const real *x = row_at(&here, r);
    real *yr = y + r * ldy;
    if (here.cols > 4 * VL) {
      memcpy(yr, x, here.row_bytes);
      continue;
    }
    size_t j = 0;
    for (; j + VL <= here.cols; j += VL) vstore(yr + j, vload(x + j));
    if (j < here.cols) vstore_n(yr + j, vload_n(x + j, here.cols - j), here.cols - j);
  }
}

/* One or two columns: nothing but loads and stores. */
static void copy_narrow(real *y, const picked_rows *from, size_t ldy) {
  const picked_rows here = *from;
  if (here.cols == 1) {
    for (size_t r = 0; r < here.rows; r++) y[r * ldy] = *(const real *)(here.start + here.index[r] * here.stride);
  } else {
    for (size_t r = 0; r < here.rows; r++) memcpy(y + r * ldy, here.start + here.index[r] * here.stride, 2 * sizeof(real));
  }
}

static const struct {
  size_t size;
  void (*convert)(real *y, const picked_rows *from, size_t ldy);
} sources[NNC_SOURCE_COUNT] = {
    [NNC_SOURCE_F32] = {sizeof(f32), convert_f32},           [NNC_SOURCE_F64] = {sizeof(f64), convert_f64},
    [NNC_SOURCE_U8] = {sizeof(uint8_t), convert_uint8_t},    [NNC_SOURCE_I8] = {sizeof(int8_t), convert_int8_t},
    [NNC_SOURCE_U16] = {sizeof(uint16_t), convert_uint16_t}, [NNC_SOURCE_I16] = {sizeof(int16_t), convert_int16_t},
    [NNC_SOURCE_U32] = {sizeof(uint32_t), convert_uint32_t}, [NNC_SOURCE_I32] = {sizeof(int32_t), convert_int32_t},
    [NNC_SOURCE_U64] = {sizeof(uint64_t), convert_uint64_t}, [NNC_SOURCE_I64] = {sizeof(int64_t), convert_int64_t},
    [NNC_SOURCE_F16] = {sizeof(f16), convert_f16},
};

void KERNEL(gather)(real *y, const void *source, nnc_source_type type, const int64_t *index, size_t rows, size_t cols, size_t ldy,
                    ptrdiff_t stride) {
  const size_t size = sources[type].size;
  picked_rows from = {.start = source,
                      .index = index,
                      .stride = stride * (ptrdiff_t)size,
                      .rows = rows,
                      .cols = cols,
                      .row_bytes = cols * size,
                      .rows_ahead = index && cols * size >= LINE ? rows : 0};
  /* rows that already lie side by side are one long row */
  if (!index && rows && (size_t)stride == cols && ldy == cols) {
    from.rows = 1;
    from.cols = rows * cols;
    from.row_bytes = rows * cols * size;
  }
  if (type != (NNC_BUILD_F64 ? NNC_SOURCE_F64 : NNC_SOURCE_F32)) sources[type].convert(y, &from, ldy);
  else if (index && (cols == 1 || cols == 2)) copy_narrow(y, &from, ldy);
  else copy(y, &from, ldy);
}
