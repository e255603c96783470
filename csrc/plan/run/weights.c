/* weights.c: the weights of linear layers in bfloat16 as operands for inference. They are packed at the first prediction and again
 * after a change of the parameters, into the same memory if no prediction reads it; predictions between two changes share them, on
 * several threads too.
 *
 * A change is noticed by counters that stand beside the values, so that a plan notices what another one does that shares a layer.
 * What writes through arrays that users have is counted by the boundary (src/nncore/_core/memory.pxi). */
#include "base/arena.h"
#include "base/fpstate.h"
#include "base/tiles.h"
#include "ops/low_kernels.h"
#include "plan/plan.h"

/* Of a block of packed weights; its blocks of bfloat16 follow. */
typedef struct {
  uint64_t changes;
} nnc_weights_head;

static uint64_t changes_of(const nnc_plan *plan) {
  uint64_t sum = 0;
  for (int i = 0; i < plan->n_params; i++) sum += *(const volatile uint64_t *)plan->version[i];
  return sum;
}

void nnc_count_changes(const nnc_plan *plan) {
  for (int i = 0; i < plan->n_params; i++) ++*plan->version[i];
}

static void lock(nnc_plan *plan) {
  for (unsigned turns = 0; atomic_flag_test_and_set_explicit(&plan->weights_lock, memory_order_acquire); turns++) nnc_relax(turns);
}
static void unlock(nnc_plan *plan) { atomic_flag_clear_explicit(&plan->weights_lock, memory_order_release); }

static void pack_all(const nnc_plan *plan, nnc_bf16 *to) {
  const nnc_low_kernels *low = nnc_low_kernels_for(plan->low_isa);
  const nnc_fpstate saved = nnc_fp_enter();
  nnc_tiles_enter(nnc_plan_has_tiles(plan));
  for (int i = 0; i < plan->n_ops; i++) {
    const nnc_op *op = &plan->op[i];
    if (op->driver != NNC_DRIVER_LINEAR_BF16 || op->spec.shares != NNC_NONE) continue;
    const nnc_parameter *w = &plan->param[op->param[0]];
    const nnc_bf16_forms forms = {.b = to + w->packed * NNC_BF16_BLOCK, .stride = nnc_bf16_blocks(w->layout.rows)};
    low->bf16_pack(&forms, w->layout.data, w->layout.rows, w->layout.cols, w->layout.ld);
  }
  nnc_tiles_leave(nnc_plan_has_tiles(plan));
  nnc_fp_leave(saved);
}

void *nnc_take_weights(nnc_plan *plan) {
  const uint64_t changes = changes_of(plan);
  lock(plan);
  void *block = plan->weights;
  const int is_valid = block && ((nnc_weights_head *)block)->changes == changes;
  if (is_valid) nnc_retain(block);
  else if (block && nnc_has_one_owner(block)) plan->weights = NULL; /* nobody else finds it now */
  else block = NULL;
  unlock(plan);
  if (is_valid) return block;
  if (!block) block = nnc_alloc(NNC_ALIGNMENT + plan->weight_blocks * NNC_BF16_BLOCK * sizeof(nnc_bf16));
  if (!block) return NULL;
  ((nnc_weights_head *)block)->changes = changes;
  pack_all(plan, nnc_packed_weights(block));
  nnc_retain(block);
  lock(plan);
  void *before = plan->weights;
  plan->weights = block;
  unlock(plan);
  nnc_free(before);
  return block;
}

void nnc_drop_weights(nnc_plan *plan) {
  nnc_free(plan->weights);
  plan->weights = NULL;
}
