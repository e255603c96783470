/* registry.c: ops.def expanded into tables of names. Compiled once, unlike the kernels beside it. */
#include "ops/registry.h"

/* The words that ops.def uses, as the flags of the tables. */
enum { SAVES_OUTPUT = 0, SAVES_INPUT = 1, SCOPE_ELEMENT = 0, SCOPE_ROW = 1, TARGET_DENSE, TARGET_INDEX, TARGET_HALF };

const nnc_activation_info nnc_activations[NNC_ACTIVATION_COUNT] = {
#define ATTRIBUTES(...) #__VA_ARGS__
#define NNC_ACTIVATION(name, saves, scope, attributes) {#name, SAVES_##saves, SCOPE_##scope, attributes},
#include "ops/ops.def"
};

const nnc_loss_info nnc_losses[NNC_LOSS_COUNT] = {
#define ATTRIBUTES(...) #__VA_ARGS__
#define NNC_LOSS(name, target, attributes) {#name, TARGET_##target == TARGET_INDEX, TARGET_##target == TARGET_HALF, attributes},
#include "ops/ops.def"
};

const nnc_optimizer_info nnc_optimizers[NNC_OPTIMIZER_COUNT] = {
#define ATTRIBUTES(...) #__VA_ARGS__
#define NNC_OPTIMIZER(name, moments, attributes) {#name, moments, attributes},
#include "ops/ops.def"
};

const nnc_layer_info nnc_layers[] = {
#define SIZES(...) #__VA_ARGS__
#define ATTRIBUTES(...) #__VA_ARGS__
#define NNC_LAYER(name, sizes, attributes) {#name, sizes, attributes},
#include "ops/ops.def"
    {0},
};

const char *const nnc_kernel_names[NNC_KERNEL_COUNT] = {
#define NNC_KERNEL(name) #name,
#include "ops/ops.def"
};

const char *const nnc_low_kernel_names[NNC_LOW_KERNEL_COUNT] = {
#define NNC_LOW_KERNEL(name) #name,
#include "ops/ops.def"
};

const char *const nnc_isa_names[NNC_ISA_COUNT] = {"baseline", "avx2", "avx512", "amx"};
