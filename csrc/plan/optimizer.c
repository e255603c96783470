/* optimizer.c: the scalars that depend on the step but not on the element, so that no kernel calls pow. Which slot means what is
 * said in csrc/ops/optimizers_<family>.c; attributes are in the order of ops.def, and have been checked by the caller.
 */
#include <math.h>

#include "plan/optimizer.h"

static void prepare_adam(nnc_update *update) {
  const double beta1 = update->attr[0], beta2 = update->attr[1], step = (double)update->step;
  update->derived[0] = update->lr / (1 - pow(beta1, step));
  update->derived[1] = 1 / sqrt(1 - pow(beta2, step));
  update->derived[2] = 1 - update->lr * update->weight_decay;
}

void nnc_optimizer_prepare(int optimizer, nnc_update *update) {
  for (int i = 0; i < 4; i++) update->derived[i] = 0;
  switch (optimizer) {
    case NNC_OPTIMIZER_adagrad: update->derived[0] = update->lr / (1 + (double)(update->step - 1) * update->attr[0]); break;
    case NNC_OPTIMIZER_adam:
    case NNC_OPTIMIZER_adamw: prepare_adam(update); break;
    default: break; /* sgd, rmsprop: nothing depends on the step */
  }
}

int nnc_optimizer_uses(int optimizer, const double *attr, int moment) {
  switch (optimizer) {
    case NNC_OPTIMIZER_sgd: return moment == 0 && attr[0] != 0;
    case NNC_OPTIMIZER_adagrad: return moment == 0;
    case NNC_OPTIMIZER_rmsprop: return moment == 0 || (moment == 1 && attr[2] != 0) || (moment == 2 && attr[3] != 0);
    case NNC_OPTIMIZER_adam:
    case NNC_OPTIMIZER_adamw: return moment == 0 || moment == 1 || (moment == 2 && attr[3] != 0);
    default: return 0;
  }
}

double nnc_optimizer_initial(int optimizer, const double *attr, int moment) {
  return optimizer == NNC_OPTIMIZER_adagrad && moment == 0 ? attr[2] : 0;
}
