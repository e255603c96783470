/* after_fork.c: a plan in a forked child.
 *
 * The thread that used the plan in the parent may have been at any point: allocating memory for a larger batch, or with a caller's
 * array in the place of a value. So no table and no offset is reliable, and a block may have been partly freed: the old memory is
 * neither read nor freed. Two kinds of data are valid: those that change only while no other thread runs (the description, the
 * losses, spans and tasks), and those that are exchanged atomically (the spare workspaces).
 */
#include "plan/plan.h"

void nnc_plan_after_fork(nnc_plan *plan) {
  plan->arena = NULL;
  plan->act = plan->grad = NULL;
  plan->summand = NULL;
  plan->weights = NULL;
  atomic_flag_clear(&plan->weights_lock);
  plan->rows_reserved = plan->carried_rows = 0;
  plan->carry_turn = 0;
  plan->autotune = (nnc_autotune){0};
  plan->intra_op = (nnc_intra_op_slice){0};
}
