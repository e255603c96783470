/* update.c: the gradient of a weight, the update of the weight and its operands for the next step, in one pass.
 *
 * The weight is walked in pieces of 32 rows and some columns: their gradient, a product whose result stays in the second-level cache, the
 * optimizer on them, row by row, and their rounding. So each parameter and moment is read and written once, and the gradient never
 * leaves the cache. Pieces go down the rows, and a group of columns is as wide as lets its part of B stay in the second-level cache.
 * While a piece is multiplied, its parameters and moments are fetched; while it is updated, the operands that it will be written to.
 * Optimizers work element by element, so the bits are those of the gradient, the update and the rounding as three passes.
 */
#include "base/scratch.h"
#include "ops/bf16/ahead.h"
#include "ops/bf16/forms.h"

/* GROUP blocks wide at most, GROUP_BYTES of B. Rows of the gradient of a wide weight are not a multiple of 4 KB apart. */
enum { GROUP = 16, GROUP_BYTES = 256 * 1024, WIDE = GROUP * SIDE + 16, SPAN = 2048 };
_Static_assert(PRODUCT_SCRATCH + SIDE * WIDE * sizeof(float) <= NNC_SCRATCH_BYTES,
               "the gradient of a piece has to fit beside a product");

/* rows x cols of the weight from `at` on; block (i, j) of operands is its first one. */
typedef struct {
  size_t at, rows, cols, i, j;
} piece;

static void fetch_to_write(const nnc_bf16 *block, size_t line) {
#if defined(__x86_64__)
  __asm__ volatile("prefetchw %0" : : "m"(block[line * 32]));
#else
  __builtin_prefetch(block + line * 32, 1, 2);
#endif
}

/* The lines of the operands that stand where some rows do. */
static void fetch_forms(const nnc_bf16_forms *to, const piece *p, size_t first, size_t last) {
  for (size_t j = 0; j < nnc_bf16_blocks(p->cols); j++)
    for (size_t r = first; r < last; r++) {
      if (to->b) fetch_to_write(to->b + j * to->stride * BLOCK, r);
      if (to->bt) fetch_to_write(to->bt + j * BLOCK, r);
    }
}

static nnc_bf16 *later(nnc_bf16 *blocks, size_t count) { return blocks ? blocks + count * BLOCK : NULL; }

/* ld: the distance of the gradient's rows. */
static void update_piece(const nnc_bf16_training *to, const float *gradient, size_t ld, const piece *p, size_t right) {
  const nnc_bf16_forms forms = {
      .a = later(to->forms.a, p->i * right + p->j),
      .at = later(to->forms.at, p->j * to->forms.stride + p->i),
      .b = later(to->forms.b, p->j * to->forms.stride + p->i),
      .bt = later(to->forms.bt, p->i * right + p->j),
      .stride = to->forms.stride,
  };
  const size_t at_once = ld == to->ld && SPAN > ld ? SPAN / ld : 1; /* rows without a gap between them */
  for (size_t r = 0, count; r < p->rows; r += count) {
    count = p->rows - r < at_once ? p->rows - r : at_once;
    fetch_forms(&forms, p, r, r + count);
    const size_t at = p->at + r * to->ld;
    float *moment[NNC_BF16_MOMENTS];
    for (int i = 0; i < NNC_BF16_MOMENTS; i++) moment[i] = to->moment[i] ? to->moment[i] + at : NULL;
    to->optimizer(to->param + at, moment, gradient + r * ld, (count - 1) * ld + p->cols, to->update);
  }
  KERNEL(bf16_pack)(&forms, to->param + p->at, p->rows, p->cols, to->ld);
}

void KERNEL(bf16_update)(const nnc_bf16_training *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k) {
  const size_t steps = nnc_bf16_blocks(k), right = nnc_bf16_blocks(n);
  float local[BLOCK] __attribute__((aligned(64)));
  char *scratch = nnc_scratch();
  float *gradient = scratch ? (float *)(scratch + PRODUCT_SCRATCH) : local;
  size_t most = scratch ? GROUP_BYTES / ((steps + 1) * BLOCK * sizeof(nnc_bf16)) : 1;
  most = most < 1 ? 1 : most > GROUP ? GROUP : most;
  for (size_t j = 0, count; j < right; j += count) {
    const size_t groups = (right - j + most - 1) / most;
    count = (right - j + groups - 1) / groups;
    for (size_t i = 0; i * SIDE < m; i++) {
      piece p = {i * SIDE * to->ld + j * SIDE, m - i * SIDE, n - j * SIDE, i, j};
      if (p.rows > SIDE) p.rows = SIDE;
      if (p.cols > count * SIDE) p.cols = count * SIDE;
      const size_t ld = p.cols == n && to->ld == n ? n : scratch ? WIDE : SIDE;
      fetch_list list = {.rows = p.rows, .lines = (p.cols + 15) / 16, .ld = to->ld};
      list.matrix[list.count++] = to->param + p.at;
      for (int q = 0; q < NNC_BF16_MOMENTS; q++)
        if (to->moment[q]) list.matrix[list.count++] = to->moment[q] + p.at;
      const nnc_bf16_result result = {.rows = gradient, .ld = ld};
      KERNEL(bf16_product_ahead)(&result, a + i * (to->across ? BLOCK : steps * BLOCK), b + j * steps * BLOCK, p.rows, p.cols, k, 1,
                                 to->across, &list);
      update_piece(to, gradient, ld, &p, right);
    }
  }
}
