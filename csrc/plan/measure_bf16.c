/* measure_bf16.c: how much faster products are in bfloat16 than in float32, for compute="auto". Measured once per process, on a product
 * of the size of a layer's, whose operands fit into the second-level cache; both kernels then run at their best rate. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/fpstate.h"
#include "base/tiles.h"
#include "plan/plan.h"

enum { ROWS = 128, COLS = 256, DEPTH = 512, TRIALS = 7, ELEMENTS = ROWS * DEPTH + DEPTH * COLS + ROWS * COLS };

typedef struct {
  const nnc_kernels_f32 *full;
  const nnc_low_kernels *low;
  float *a, *b, *c;
} operands;

static void run(const operands *o, int in_bf16) {
  const nnc_bf16_result result = {.rows = o->c, .ld = COLS};
  if (in_bf16) o->low->bf16_product(&result, (nnc_bf16 *)o->a, (nnc_bf16 *)o->b, ROWS, COLS, DEPTH);
  else o->full->gemm(o->c, o->a, o->b, NULL, ROWS, COLS, DEPTH, COLS, DEPTH, 1, COLS, 0);
}

/* The least time of a product; the first one warms up. */
static double time_of(const operands *o, int in_bf16) {
  double least = 1e30;
  for (int i = 0; i <= TRIALS; i++) {
    const double start = nnc_now();
    run(o, in_bf16);
    const double spent = nnc_now() - start;
    if (i && spent < least) least = spent;
  }
  return least;
}

double nnc_measure_bf16(nnc_isa isa) {
  if (isa != NNC_ISA_AMX || !nnc_tiles_permit())
    return 0; /* without tiles, the same units multiply both, and bfloat16 has to be unpacked */
  float *block = nnc_alloc(ELEMENTS * sizeof *block); /* zeros: products of them take as long as others */
  if (!block) return 0;
  const operands o = {nnc_kernels_for_f32(isa), nnc_low_kernels_for(isa), block, block + ROWS * DEPTH,
                      block + ROWS * DEPTH + DEPTH * COLS};
  const nnc_fpstate saved = nnc_fp_enter();
  nnc_tiles_enter(1);
  const double full = time_of(&o, 0), low = time_of(&o, 1);
  nnc_tiles_leave(1);
  nnc_fp_leave(saved);
  nnc_free(block);
  return low > 0 ? full / low : 0;
}
