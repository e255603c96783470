/* after_fork.c: a plan in a forked child.
 *
 * The thread that used the plan in the parent may have been anywhere: in the middle of making room for a larger batch, or with a
 * caller's array in the place of a value. None of the tables and offsets can be trusted, and a block may be in the midst of being freed:
 * what there was is not read and not freed again. What is changed only while nobody else can run (the description, the losses, spans and
 * tasks) and what is exchanged in one go (the spare workspaces) is as it should be.
 */
#include "plan/plan.h"

void nnc_plan_after_fork(nnc_plan *plan) {
  plan->arena = NULL;
  plan->act = plan->grad = NULL;
  plan->rows_reserved = plan->carried_rows = 0;
  plan->carry_turn = 0;
  plan->autotune = (nnc_autotune){0};
  plan->intra_op = (nnc_intra_op_slice){0};
}
