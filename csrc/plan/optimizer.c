/* optimizer.c: the scalars that depend on the step but not on the element, so that no kernel calls pow. The kernels in
 * csrc/ops/optimizers document the meaning of each slot. Attributes are in the order of ops.def, and the caller has checked them.
 */
#include <math.h>

#include "plan/optimizer.h"

static void prepare_adam(nnc_update *update) {
  const double beta1 = update->attr[0], beta2 = update->attr[1], step = (double)update->step;
  update->derived[0] = update->lr / (1 - pow(beta1, step));
  update->derived[1] = 1 / sqrt(1 - pow(beta2, step));
  update->derived[2] = 1 - update->lr * update->weight_decay;
  update->derived[3] = update->attr[2] * (update->attr[4] != 0 ? update->derived[1] : 1);
}

static void prepare_sgd(nnc_update *update) {
  const int inside = update->attr[0] != 0 && update->attr[3] != 0;
  update->derived[0] = inside ? update->lr : 1;
  update->derived[1] = inside ? 1 : update->lr;
}

/* 0.96 is a constant of the paper and of PyTorch. */
static double momentum_at(const nnc_update *update, double step) {
  return update->attr[0] * (1 - 0.5 * pow(0.96, step * update->attr[3]));
}

/* The product of all momenta so far, computed from the step, so that it need not be stored. It is used only as 1 minus the product,
 * which does not change any more when the product is below 1e-20: after about fifty steps with the usual beta1. When the decay is
 * negligible beside 1, the remaining factors are beta1 each. */
static double momentum_product(const nnc_update *update) {
  const double ratio = pow(0.96, update->attr[3]);
  double decay = 1, product = 1;
  for (int64_t t = 0; t < update->step && product > 1e-20; t++) {
    if (decay < 1e-18) return product * pow(update->attr[0], (double)(update->step - t));
    decay *= ratio;
    product *= update->attr[0] * (1 - 0.5 * decay);
  }
  return product;
}

static void prepare_nadam(nnc_update *update) {
  const double step = (double)update->step, now = momentum_at(update, step), next = momentum_at(update, step + 1);
  const double product = momentum_product(update);
  update->derived[0] = update->lr * (1 - now) / (1 - product);
  update->derived[1] = update->lr * next / (1 - product * next);
  update->derived[2] = 1 / sqrt(1 - pow(update->attr[1], step));
  update->derived[3] = 1 - update->lr * update->weight_decay;
}

static void prepare_radam(nnc_update *update) {
  const double beta2 = update->attr[1], step = (double)update->step, correction = 1 - pow(beta2, step);
  const double longest = 2 / (1 - beta2) - 1, length = longest - 2 * step * (1 - correction) / correction;
  update->derived[0] = update->lr / (1 - pow(update->attr[0], step));
  update->derived[1] = length > 5;
  if (length > 5)
    update->derived[0] *= sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) * sqrt(correction);
  update->derived[3] = 1 - update->lr * update->weight_decay;
}

void nnc_optimizer_prepare(int optimizer, nnc_update *update) {
  for (int i = 0; i < 4; i++) update->derived[i] = 0;
  switch (optimizer) {
    case NNC_OPTIMIZER_sgd: prepare_sgd(update); break;
    case NNC_OPTIMIZER_adagrad: update->derived[0] = update->lr / (1 + (double)(update->step - 1) * update->attr[0]); break;
    case NNC_OPTIMIZER_adam:
    case NNC_OPTIMIZER_adamw: prepare_adam(update); break;
    case NNC_OPTIMIZER_adamax: update->derived[0] = update->lr / (1 - pow(update->attr[0], (double)update->step)); break;
    case NNC_OPTIMIZER_nadam: prepare_nadam(update); break;
    case NNC_OPTIMIZER_radam: prepare_radam(update); break;
    case NNC_OPTIMIZER_lion: update->derived[0] = 1 - update->lr * update->weight_decay; break;
    default: break; /* rmsprop, adadelta, rprop, lbfgs: nothing depends on the step */
  }
}

int nnc_optimizer_uses(int optimizer, const double *attr, int moment) {
  switch (optimizer) {
    case NNC_OPTIMIZER_sgd: return moment == 0 && attr[0] != 0;
    case NNC_OPTIMIZER_adagrad: return moment == 0;
    case NNC_OPTIMIZER_rmsprop: return moment == 0 || (moment == 1 && attr[2] != 0) || (moment == 2 && attr[3] != 0);
    case NNC_OPTIMIZER_adam:
    case NNC_OPTIMIZER_adamw: return moment == 0 || moment == 1 || (moment == 2 && attr[3] != 0);
    case NNC_OPTIMIZER_adadelta:
    case NNC_OPTIMIZER_adamax:
    case NNC_OPTIMIZER_nadam:
    case NNC_OPTIMIZER_radam:
    case NNC_OPTIMIZER_rprop: return moment == 0 || moment == 1;
    case NNC_OPTIMIZER_lion:
    case NNC_OPTIMIZER_lbfgs: return moment == 0;
    default: return 0;
  }
}

double nnc_optimizer_initial(int optimizer, const double *attr, int moment) {
  return optimizer == NNC_OPTIMIZER_adagrad && moment == 0 ? attr[2] : 0;
}
