/* table.c: fills the dispatch table of one instruction set and dtype. A missing kernel is a link error, so no slot can be null. */
#include "ops/op.h"

const NNC_TYPED(nnc_kernels) KERNEL(kernels) = {
    .activation_forward =
        {
#define NNC_ACTIVATION(name, saves, scope, attributes) KERNEL(name##_forward),
#include "ops/ops.def"
        },
    .activation_backward =
        {
#define NNC_ACTIVATION(name, saves, scope, attributes) KERNEL(name##_backward),
#include "ops/ops.def"
        },
    .loss =
        {
#define NNC_LOSS(name, target, attributes) KERNEL(name),
#include "ops/ops.def"
        },
    .optimizer =
        {
#define NNC_OPTIMIZER(name, moments, attributes) KERNEL(name),
#include "ops/ops.def"
        },
#define NNC_KERNEL(name) .name = KERNEL(name),
#include "ops/ops.def"
};
