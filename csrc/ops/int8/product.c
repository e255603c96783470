/* product.c: products of 8-bit integers; int8.h says what of.
 *
 * The ways to multiply, each a set of register tiles:
 *   vnni   four products of bytes and their sum in one instruction (AVX512_VNNI, AVX-VNNI), where this CPU has it: it is no level of
 *          its own, because nothing else differs
 *   wide   bytes made 16 bits wide, two products and their sum in one instruction (SSE2, AVX2, AVX-512, NEON): products of bytes
 *          whose sum saturates at 16 bits would give wrong results
 *   plain  C
 * and AMX for several rows (tiles_amx.h).
 * A tile goes from the first number of k to the last, so that weights are read once, as a stream, by one row.
 */
#include "base/cpu.h"
#include "ops/low_op.h"

/* sum[rows][blocks][16] for rows of x that are ldx bytes apart, and blocks of w that are `block` bytes apart. */
typedef void int8_tile(int32_t *sum, const uint8_t *x, size_t ldx, const int8_t *w, size_t block, size_t groups);

typedef struct {
  int8_tile *const *narrow, *const *wide; /* by the number of rows; one block, or `blocks` of them */
  size_t blocks, rows;
} int8_tiles;

enum { MOST_SUMS = 4 * 4 * NNC_INT8_COLUMNS };

#define TILE_(rows, blocks, flavour) tile_##rows##x##blocks##_##flavour
#define TILE(rows, blocks, flavour) TILE_(rows, blocks, flavour)
#define TILES_(blocks, flavour) tiles_##blocks##_##flavour
#define TILES(blocks, flavour) TILES_(blocks, flavour)
#define TABLE_(flavour) table_##flavour
#define TABLE(flavour) TABLE_(flavour)

static inline int32_t four_bytes(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return four;
}

/* Two sums per column, side by side, into one. */
static __attribute__((noinline)) void add_pairs(int32_t *sum, const void *acc, size_t columns) {
  uint32_t pair[2 * 2 * NNC_INT8_COLUMNS];
  memcpy(pair, acc, 2 * columns * sizeof *pair);
  for (size_t j = 0; j < columns; j++) sum[j] = (int32_t)(pair[2 * j] + pair[2 * j + 1]);
}

#if defined(__AVX512F__)
#define FLAVOUR wide
#define PER_BLOCK 2
#define MOST_BLOCKS 2
#define MOST_ROWS 2
#define sums __m512i
#define factors __m512i
#define NONE _mm512_setzero_si512()
#define INPUTS(p) _mm512_cvtepu8_epi16(_mm256_set1_epi32(four_bytes(p)))
#define WEIGHTS(p) _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(p)))
#define DOT(acc, x, w) _mm512_add_epi32(acc, _mm512_madd_epi16(x, w))
#define STORE(to, acc, n) add_pairs(to, acc, (n) * 8)
#include "ops/int8/flavour.inc"

/* Assembly, because GCC copies each sum to another register and back around the intrinsic. */
INLINE __m512i dot_vnni(__m512i acc, __m512i x, __m512i w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  return acc;
}
#define FLAVOUR vnni
#define PER_BLOCK 1
#define MOST_BLOCKS 4
#define MOST_ROWS 4
#define sums __m512i
#define factors __m512i
#define NONE _mm512_setzero_si512()
#define INPUTS(p) _mm512_set1_epi32(four_bytes(p))
#define WEIGHTS(p) _mm512_loadu_si512(p)
#define DOT(acc, x, w) dot_vnni(acc, x, w)
#define STORE(to, acc, n) memcpy(to, acc, (n) * 64)
#include "ops/int8/flavour.inc"

#elif defined(__AVX2__)
#define FLAVOUR wide
#define PER_BLOCK 4
#define MOST_BLOCKS 1
#define MOST_ROWS 3
#define sums __m256i
#define factors __m256i
#define NONE _mm256_setzero_si256()
#define INPUTS(p) _mm256_cvtepu8_epi16(_mm_set1_epi32(four_bytes(p)))
#define WEIGHTS(p) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p)))
#define DOT(acc, x, w) _mm256_add_epi32(acc, _mm256_madd_epi16(x, w))
#define STORE(to, acc, n) add_pairs(to, acc, (n) * 4)
#include "ops/int8/flavour.inc"

INLINE __m256i dot_vnni(__m256i acc, __m256i x, __m256i w) {
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(x), "x"(w));
  return acc;
}
#define FLAVOUR vnni
#define PER_BLOCK 2
#define MOST_BLOCKS 2
#define MOST_ROWS 3
#define sums __m256i
#define factors __m256i
#define NONE _mm256_setzero_si256()
#define INPUTS(p) _mm256_set1_epi32(four_bytes(p))
#define WEIGHTS(p) _mm256_loadu_si256((const __m256i *)(p))
#define DOT(acc, x, w) dot_vnni(acc, x, w)
#define STORE(to, acc, n) memcpy(to, acc, (n) * 32)
#include "ops/int8/flavour.inc"

#elif defined(__SSE2__) || defined(__ARM_NEON)
#define FLAVOUR wide
#define PER_BLOCK 8
#define MOST_BLOCKS 1
#define MOST_ROWS 1
#if defined(__SSE2__)
static inline __m128i two_inputs(const uint8_t *p) {
  const __m128i four = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four_bytes(p)), _mm_setzero_si128());
  return _mm_unpacklo_epi64(four, four);
}
static inline __m128i two_columns(const int8_t *p) {
  const __m128i eight = _mm_loadl_epi64((const __m128i *)p);
  return _mm_srai_epi16(_mm_unpacklo_epi8(eight, eight), 8);
}
#define sums __m128i
#define factors __m128i
#define NONE _mm_setzero_si128()
#define INPUTS(p) two_inputs(p)
#define WEIGHTS(p) two_columns(p)
#define DOT(acc, x, w) _mm_add_epi32(acc, _mm_madd_epi16(x, w))
#else
#define sums int32x4_t
#define factors int16x8_t
#define NONE vdupq_n_s32(0)
#define INPUTS(p) vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_s32(vdup_n_s32(four_bytes(p)))))
#define WEIGHTS(p) vmovl_s8(vld1_s8(p))
#define DOT(acc, x, w) vpadalq_s16(acc, vmulq_s16(x, w)) /* 255 * 127 fits into 16 bits, and sums are 32 bits wide */
#endif
#define STORE(to, acc, n) add_pairs(to, acc, (n) * 2)
#include "ops/int8/flavour.inc"

#else
static void tile_plain(int32_t *sum, const uint8_t *x, size_t ldx, const int8_t *w, size_t block, size_t groups) {
  (void)ldx, (void)block;
  memset(sum, 0, NNC_INT8_COLUMNS * sizeof *sum);
  for (; groups; groups--, x += NNC_INT8_GROUP)
    for (size_t j = 0; j < NNC_INT8_COLUMNS; j++, w += NNC_INT8_GROUP)
      sum[j] = (int32_t)((uint32_t)sum[j] + (uint32_t)(x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3]));
}
static int8_tile *const tiles_plain[] = {NULL, tile_plain};
static const int8_tiles table_wide = {tiles_plain, tiles_plain, 1, 1};
#endif

/* The fastest way that this CPU has. NNC_INT8_WITHOUT_VNNI: for tests of the other. */
static const int8_tiles *choose(void) {
#if defined(__AVX2__) && !defined(NNC_INT8_WITHOUT_VNNI)
  if (nnc_cpu_has_vnni(VL == 16)) return &table_vnni;
#endif
  return &table_wide;
}

/* Columns [first, last) of one row from their sums. */
static void finish(float *y, const int32_t *sum, float scale, const nnc_int8_weight *w, const float *bias, size_t first,
                   size_t last) {
  for (size_t j = first; j < last; j += VL) {
    const size_t n = last - j < VL ? last - j : VL;
    ivec start, total;
    memcpy(&start, w->start + j, sizeof start);
    memcpy(&total, sum + (j - first), sizeof total);
    total = (ivec)((uvec)total + (uvec)start);
    vec result = __builtin_convertvector(total, vec) * (scale * vload(w->scale + j));
    if (bias) result = result + (n == VL ? vload(bias + j) : vload_n(bias + j, n));
    if (n == VL) vstore(y + j, result);
    else vstore_n(y + j, result, n);
  }
}

#if NNC_HAVE_AMX
#include "ops/int8/tiles_amx.h"

/* With fewer rows, reading the weights takes the time, and vectors read them as fast. */
enum { LEAST_ROWS = 4 };

static void multiply_in_tiles(float *y, const nnc_int8_rows *x, const nnc_int8_weight *w, const float *bias, size_t rows,
                              size_t first, size_t last, size_t ldy) {
  const size_t block = nnc_int8_block(w->k), groups = nnc_int8_whole(w->k, NNC_INT8_GROUP) / NNC_INT8_GROUP;
  for (size_t j = first; j < last; j += 2 * NNC_INT8_COLUMNS) {
    const int two_blocks = last - j > NNC_INT8_COLUMNS;
    for (size_t i = 0; i < rows; i += 2 * TILE_ROWS_AMX) {
      int32_t sum[4 * TILE_ROWS_AMX * NNC_INT8_COLUMNS] __attribute__((aligned(64)));
      const size_t n = rows - i < 2 * TILE_ROWS_AMX ? rows - i : 2 * TILE_ROWS_AMX;
      multiply_tiles(sum, x->at + i * x->ld, x->ld, n > TILE_ROWS_AMX, w->blocks + j / NNC_INT8_COLUMNS * block, block, two_blocks,
                     groups);
      for (size_t q = 0; q < n; q++)
        for (int b = 0; b <= two_blocks; b++) {
          const size_t from = j + (size_t)b * NNC_INT8_COLUMNS,
                       to = from + NNC_INT8_COLUMNS < last ? from + NNC_INT8_COLUMNS : last;
          const size_t tile = 2 * (q / TILE_ROWS_AMX) + (size_t)b;
          finish(y + (i + q) * ldy, sum + (tile * TILE_ROWS_AMX + q % TILE_ROWS_AMX) * NNC_INT8_COLUMNS, x->scale[i + q], w, bias,
                 from, to);
        }
    }
  }
}
#endif

void KERNEL(int8_product)(float *y, const nnc_int8_rows *x, const nnc_int8_weight *w, const float *bias, size_t rows, size_t first,
                          size_t last, size_t ldy) {
#if NNC_HAVE_AMX
  if (rows >= LEAST_ROWS) {
    multiply_in_tiles(y, x, w, bias, rows, first, last, ldy);
    return;
  }
#endif
  const int8_tiles *tiles = choose();
  const size_t block = nnc_int8_block(w->k), groups = nnc_int8_whole(w->k, NNC_INT8_GROUP) / NNC_INT8_GROUP;
  for (size_t j = first, columns; j < last; j += columns) {
    const int is_wide = last - j > (tiles->blocks - 1) * NNC_INT8_COLUMNS;
    columns = (is_wide ? tiles->blocks : 1) * NNC_INT8_COLUMNS;
    for (size_t i = 0, n; i < rows; i += n) {
      int32_t sum[MOST_SUMS] __attribute__((aligned(64)));
      n = rows - i < tiles->rows ? rows - i : tiles->rows;
      (is_wide ? tiles->wide : tiles->narrow)[n](sum, x->at + i * x->ld, x->ld, w->blocks + j / NNC_INT8_COLUMNS * block, block,
                                                 groups);
      for (size_t q = 0; q < n; q++)
        finish(y + (i + q) * ldy, sum + q * columns, x->scale[i + q], w, bias, j, j + columns < last ? j + columns : last);
    }
  }
}
