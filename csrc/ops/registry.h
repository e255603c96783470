/* registry.h: ops.def as data, for code that names, counts or describes the ops at run time (the Python boundary, the plan).
 *
 * Each array is in the order of its section, so that the index is the op code of kernels.h.
 */
#ifndef NNC_OPS_REGISTRY_H
#define NNC_OPS_REGISTRY_H

#include "ops/kernels.h"

enum {
#define NNC_KERNEL(name) NNC_KERNEL_##name,
#include "ops/ops.def"
  NNC_KERNEL_COUNT,
};
enum {
#define NNC_LOW_KERNEL(name) NNC_LOW_KERNEL_##name,
#include "ops/ops.def"
  NNC_LOW_KERNEL_COUNT,
};

typedef struct {
  const char *name;
  int saves_input; /* else the output is saved */
  int is_row;      /* f of one row, else f of one number */
  const char *attributes;
} nnc_activation_info;

typedef struct {
  const char *name;
  int is_index; /* the target is one class index per row, */
  int is_half;  /* or half as wide as the prediction, else as wide */
  const char *attributes;
} nnc_loss_info;

typedef struct {
  const char *name;
  int moments;
  const char *attributes;
} nnc_optimizer_info;

/* A kind of op record; the list ends where name is NULL. */
typedef struct {
  const char *name;
  const char *sizes;
  const char *attributes;
} nnc_layer_info;

extern const nnc_activation_info nnc_activations[NNC_ACTIVATION_COUNT];
extern const nnc_loss_info nnc_losses[NNC_LOSS_COUNT];
extern const nnc_optimizer_info nnc_optimizers[NNC_OPTIMIZER_COUNT];
extern const nnc_layer_info nnc_layers[];
extern const char *const nnc_kernel_names[NNC_KERNEL_COUNT];
extern const char *const nnc_low_kernel_names[NNC_LOW_KERNEL_COUNT];
extern const char *const nnc_isa_names[NNC_ISA_COUNT];

#endif
