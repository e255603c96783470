/* kernels.h: the dispatch tables. One struct of function pointers per dtype, one instance per instruction set.
 *
 * The prototypes stand in kernels.inc, which is included here once for float and once for double. Which instruction set is in
 * use, the boundary decides (the best, or what NNCORE_ISA asks for), and hands it to whoever needs a table.
 */
#ifndef NNC_OPS_KERNELS_H
#define NNC_OPS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/types.h"

enum {
#define NNC_ACTIVATION(name, saves, scope, attributes) NNC_ACTIVATION_##name,
#include "ops/ops.def"
  NNC_ACTIVATION_COUNT,
};
enum {
#define NNC_LOSS(name, target, attributes) NNC_LOSS_##name,
#include "ops/ops.def"
  NNC_LOSS_COUNT,
};
enum {
#define NNC_OPTIMIZER(name, moments, attributes) NNC_OPTIMIZER_##name,
#include "ops/ops.def"
  NNC_OPTIMIZER_COUNT,
};

/* Element types that gather converts from. */
typedef enum {
  NNC_SOURCE_F32,
  NNC_SOURCE_F64,
  NNC_SOURCE_U8,
  NNC_SOURCE_I8,
  NNC_SOURCE_U16,
  NNC_SOURCE_I16,
  NNC_SOURCE_U32,
  NNC_SOURCE_I32,
  NNC_SOURCE_U64,
  NNC_SOURCE_I64,
  NNC_SOURCE_COUNT,
} nnc_source_type;

/* The scalars of one optimizer step, the same for every parameter of a span. Derived values (bias corrections and the
 * like) are computed once per step in plan/optimizer.c, never per element. */
typedef struct {
  double lr;
  double weight_decay; /* L2 as PyTorch means it: added to the gradient (adamw: decoupled) */
  double l1, l2;       /* penalties of the layer: l1*sign(w) + 2*l2*w is added to the gradient (Keras) */
  double grad_scale;   /* from clipping by norm; 1 otherwise */
  double clip_value;   /* clip each gradient to +-clip_value after grad_scale; 0 is off */
  double attr[4];      /* in the order of the names in ops.def */
  double derived[4];   /* see the optimizer's file */
  int64_t step;        /* 1 for the first update */
} nnc_update;

/* Statistics of a normalisation, REALs, one per channel: of this batch, saved for backward, and the running ones. */
typedef struct {
  void *mean, *rstd;
  void *running_mean, *running_var;
} nnc_norm_statistics;

#define REAL float
#define NNC_TYPED(name) name##_f32
#include "ops/kernels.inc"

#undef REAL
#undef NNC_TYPED

#define REAL double
#define NNC_TYPED(name) name##_f64
#include "ops/kernels.inc"

#undef REAL
#undef NNC_TYPED

const nnc_kernels_f32 *nnc_kernels_for_f32(nnc_isa isa);
const nnc_kernels_f64 *nnc_kernels_for_f64(nnc_isa isa);

#endif
