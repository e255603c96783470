/* tiles_amx.h: products of bfloat16 blocks in the tiles of AMX. The thread has configured all of them to 16 rows of 64 bytes
 * (base/tiles.h).
 *
 * A block of c is tiles 0 to 3; 4 and 5 are the halves of a block of a left operand, 6 and 7 those of a right one. For each column of
 * blocks, for each DEPTH steps of k, which are 32 KB of B in the first cache, all rows of blocks, which are read past the first cache: then
 * a product takes hardly longer than its multiplications, where A streaming through the first cache would take twice as long. Between
 * those steps, c waits in the scratch of the thread. At most ROWS blocks at a time, so that A stays in the second cache. The next
 * piece of B is fetched meanwhile, and what becomes of the block before is done between the multiplications, a pair of rows at
 * a time.
 */
#ifndef NNC_OPS_BF16_TILES_AMX_H
#define NNC_OPS_BF16_TILES_AMX_H

#include "base/scratch.h"
#include "ops/amx.h"
#include "ops/bf16/ahead.h"
#include "ops/bf16/finish.h"

enum { DEPTH = 16, ROWS = 8, LINES = BLOCK * sizeof(nnc_bf16) / 64 };
_Static_assert(ROWS * BLOCK * sizeof(float) <= PRODUCT_SCRATCH, "the blocks of c have to fit into the scratch");

/* What has to be done between the steps: lines of B and of what the caller needs to fetch with each, and the pairs of rows of a whole
 * block to finish. */
typedef struct {
  const char *ahead;
  size_t lines, share;
  fetch_list *list;
  finishing *before; /* or NULL */
} meanwhile;

INLINE void work_meanwhile(meanwhile *m, size_t *row, size_t rows) {
  const char *ahead = m->ahead;
  for (size_t l = m->lines; l; l--, ahead += 64) __builtin_prefetch(ahead, 0, 2);
  m->ahead = ahead;
  fetch_more(m->list, m->share);
  if (!m->before) return;
  for (const size_t end = *row + rows < SIDE ? *row + rows : SIDE; *row < end; *row += 2)
    finish_pair(&m->before->part, *row, m->before->sums, 1);
}

/* c [32, 32] = or += A B, for some steps; first: =. The lower half only with two_rows, the right one only with two_columns; with one
 * half of rows, A is what stays in the first cache. */
INLINE void multiply_steps(float *c, const nnc_bf16 *a, const nnc_bf16 *b, size_t steps, int first, int two_rows, int two_columns,
                           meanwhile *m) {
  enum { ROW = SIDE * sizeof(float), LINE = 64 };
  if (first) {
    TILE_ZERO(0);
    if (two_columns) TILE_ZERO(1);
    if (two_rows) TILE_ZERO(2);
    if (two_rows && two_columns) TILE_ZERO(3);
  } else {
    TILE_LOAD(0, c, ROW);
    if (two_columns) TILE_LOAD(1, c + HALF, ROW);
    if (two_rows) TILE_LOAD(2, c + HALF * SIDE, ROW);
    if (two_rows && two_columns) TILE_LOAD(3, c + HALF * SIDE + HALF, ROW);
  }
  size_t row = 0;
  const size_t rows = (HALF + steps - 1) / steps * 2;
  for (size_t s = 0; s < steps; s++, a += BLOCK, b += BLOCK) {
    if (two_rows) {
      TILE_LOAD_ONCE(4, a, LINE);
      TILE_LOAD(6, b, LINE);
    } else {
      TILE_LOAD(4, a, LINE);
      TILE_LOAD_ONCE(6, b, LINE);
    }
    TILE_BF16(0, 4, 6);
    if (two_columns) {
      if (two_rows) TILE_LOAD(7, b + TILE_WORDS, LINE);
      else TILE_LOAD_ONCE(7, b + TILE_WORDS, LINE);
      TILE_BF16(1, 4, 7);
    }
    if (two_rows) {
      TILE_LOAD_ONCE(5, a + TILE_WORDS, LINE);
      TILE_BF16(2, 5, 6);
      if (two_columns) TILE_BF16(3, 5, 7);
    }
    work_meanwhile(m, &row, rows);
  }
  TILE_STORE(0, c, ROW);
  if (two_columns) TILE_STORE(1, c + HALF, ROW);
  if (two_rows) TILE_STORE(2, c + HALF * SIDE, ROW);
  if (two_rows && two_columns) TILE_STORE(3, c + HALF * SIDE + HALF, ROW);
}

static NOINLINE void multiply_whole(float *c, const nnc_bf16 *a, const nnc_bf16 *b, size_t steps, int first, meanwhile *m) {
  multiply_steps(c, a, b, steps, first, 1, 1, m);
}

/* A block whose height or width is at most 16; nothing is finished meanwhile. */
static NOINLINE void multiply_part(float *c, const nnc_bf16 *a, const nnc_bf16 *b, size_t steps, int first, size_t height,
                                   size_t width, const meanwhile *given) {
  meanwhile m = *given;
  m.before = NULL;
  if (height > HALF) multiply_steps(c, a, b, steps, first, 1, 0, &m);
  else if (width > HALF) multiply_steps(c, a, b, steps, first, 0, 1, &m);
  else multiply_steps(c, a, b, steps, first, 0, 0, &m);
}

/* The block that is finished while the next one is multiplied. */
typedef struct {
  finishing at;
  int waits;
} backlog;

static void finish_backlog(backlog *b) {
  if (b->waits) finish_whole(&b->at.part);
  b->waits = 0;
}

/* Rows of blocks [first, last), of all columns of blocks; c: room for so many blocks. */
static void multiply_rows(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t first, size_t last, size_t m,
                          size_t n, size_t steps, float *c, fetch_list *list) {
  backlog before = {.waits = 0};
  for (size_t j = 0; j < nnc_bf16_blocks(n); j++, b += steps * BLOCK) {
    size_t s = 0, length;
    do {
      const size_t left = steps - s, pieces = (left + DEPTH - 1) / DEPTH;
      length = pieces ? (left + pieces - 1) / pieces : 0;
      const nnc_bf16 *right = b + s * BLOCK;
      meanwhile work = {(const char *)(right + length * BLOCK), (LINES + last - first - 1) / (last - first),
                        fetch_share(list, nnc_bf16_blocks(m) * nnc_bf16_blocks(n) * steps), list, NULL};
      for (size_t i = first; i < last; i++) {
        const size_t height = m - i * SIDE, width = n - j * SIDE;
        const nnc_bf16 *from = a + (i * steps + s) * BLOCK;
        float *sums = c + (i - first) * BLOCK;
        if (height > HALF && width > HALF && length) {
          work.before = before.waits ? &before.at : NULL;
          multiply_whole(sums, from, right, length, !s, &work);
          if (before.waits) end_finish(&before.at.part, before.at.sums, 1);
          before.waits = 0;
        } else {
          finish_backlog(&before);
          if (length) multiply_part(sums, from, right, length, !s, height, width, &work);
          else memset(sums, 0, BLOCK * sizeof(float));
        }
        if (s + length < steps) continue;
        begin_finish(&before.at, to, sums, i, j, m, n);
        memset(before.at.sums, 0, sizeof before.at.sums);
        before.waits = is_whole(&before.at.part);
        if (!before.waits) finish_edge(&before.at.part);
      }
      s += length;
    } while (s < steps);
  }
  finish_backlog(&before);
}

INLINE void multiply(const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k, int transposed,
                     size_t across, fetch_list *list) {
  (void)transposed, (void)across; /* then the operand is transposed as well */
  float local[BLOCK] __attribute__((aligned(64))), *scratch = nnc_scratch();
  const size_t down = nnc_bf16_blocks(m), most = scratch ? ROWS : 1;
  for (size_t i = 0; i < down; i += most)
    multiply_rows(to, a, b, i, down - i < most ? down : i + most, m, n, nnc_bf16_blocks(k), scratch ? scratch : local, list);
}

#endif
