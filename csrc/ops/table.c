/* table.c: fills the dispatch table of one instruction set and dtype. A missing kernel is a link error, so no slot can be null.
 *
 * AVX-512 takes batch norm, gru_before and most losses of AVX2, which give the same bits: a smaller wheel. The macros here turn the names of
 * those kernels into AVX2's; CMakeLists.txt leaves out their files. The losses of binary and multiclass classification in float32 are its
 * own: with them, a step of a small net takes up to a fifth less time. */
#ifdef __AVX512F__
#define nnc_batch_norm_forward_avx512_f32 nnc_batch_norm_forward_avx2_f32
#define nnc_batch_norm_backward_avx512_f32 nnc_batch_norm_backward_avx2_f32
#define nnc_batch_norm_moments_avx512_f32 nnc_batch_norm_moments_avx2_f32
#define nnc_batch_norm_merge_avx512_f32 nnc_batch_norm_merge_avx2_f32
#define nnc_batch_norm_sums_avx512_f32 nnc_batch_norm_sums_avx2_f32
#define nnc_batch_norm_total_avx512_f32 nnc_batch_norm_total_avx2_f32
#define nnc_gru_before_forward_avx512_f32 nnc_gru_before_forward_avx2_f32
#define nnc_gru_before_backward_avx512_f32 nnc_gru_before_backward_avx2_f32
#define nnc_gru_before_forward_avx512_f64 nnc_gru_before_forward_avx2_f64
#define nnc_gru_before_backward_avx512_f64 nnc_gru_before_backward_avx2_f64
#define nnc_batch_norm_forward_avx512_f64 nnc_batch_norm_forward_avx2_f64
#define nnc_batch_norm_backward_avx512_f64 nnc_batch_norm_backward_avx2_f64
#define nnc_batch_norm_moments_avx512_f64 nnc_batch_norm_moments_avx2_f64
#define nnc_batch_norm_merge_avx512_f64 nnc_batch_norm_merge_avx2_f64
#define nnc_batch_norm_sums_avx512_f64 nnc_batch_norm_sums_avx2_f64
#define nnc_batch_norm_total_avx512_f64 nnc_batch_norm_total_avx2_f64
#endif

#include "ops/op.h"

#ifndef __AVX512F__
#define LOSS(name) KERNEL(name)
#elif NNC_BUILD_F64
#define LOSS(name) NNC_JOIN(name, avx2, f64) /* but for its own: */
#define nnc_sparse_categorical_crossentropy_logits_avx2_f64 nnc_sparse_categorical_crossentropy_logits_avx512_f64
#else
#define LOSS(name) NNC_JOIN(name, avx2, f32) /* but for its own: */
#define nnc_binary_crossentropy_avx2_f32 nnc_binary_crossentropy_avx512_f32
#define nnc_binary_crossentropy_logits_avx2_f32 nnc_binary_crossentropy_logits_avx512_f32
#define nnc_categorical_crossentropy_avx2_f32 nnc_categorical_crossentropy_avx512_f32
#define nnc_categorical_crossentropy_logits_avx2_f32 nnc_categorical_crossentropy_logits_avx512_f32
#define nnc_sparse_categorical_crossentropy_avx2_f32 nnc_sparse_categorical_crossentropy_avx512_f32
#define nnc_sparse_categorical_crossentropy_logits_avx2_f32 nnc_sparse_categorical_crossentropy_logits_avx512_f32
#endif
#define NNC_LOSS(name, target, attributes) extern NNC_TYPED(nnc_loss) LOSS(name);
#include "ops/ops.def"

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
#define NNC_LOSS(name, target, attributes) LOSS(name),
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
