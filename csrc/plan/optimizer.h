/* optimizer.h: the properties of an optimizer outside its kernel: the scalars of a step, and the moments that it keeps. */
#ifndef NNC_PLAN_OPTIMIZER_H
#define NNC_PLAN_OPTIMIZER_H

#include "ops/kernels.h"

/* Fills update->derived from lr, weight_decay, attr and step; once per step, before the kernel. */
void nnc_optimizer_prepare(int optimizer, nnc_update *update);

/* 1 if this configuration reads and writes the buffer moment[moment], else 0 (the kernel may then get NULL). */
int nnc_optimizer_uses(int optimizer, const double *attr, int moment);

/* The initial value of that buffer. */
double nnc_optimizer_initial(int optimizer, const double *attr, int moment);

#endif
