# What nncore.h declares, as far as the boundary uses it. The kernels' REAL pointers are written `void` here, so that one
# declaration serves both dtypes; the boundary checks the dtype of each array before it takes its pointer.
from libc.stdint cimport int64_t, uint32_t

cdef extern from "nncore.h":
    ctypedef enum nnc_isa:
        NNC_ISA_BASELINE
        NNC_ISA_COUNT

    ctypedef enum nnc_dtype:
        NNC_F32
        NNC_F64

    ctypedef enum nnc_source_type:
        NNC_SOURCE_F32
        NNC_SOURCE_F64
        NNC_SOURCE_U8
        NNC_SOURCE_I8
        NNC_SOURCE_U16
        NNC_SOURCE_I16
        NNC_SOURCE_U32
        NNC_SOURCE_I32
        NNC_SOURCE_U64
        NNC_SOURCE_I64

    enum:
        NNC_ACTIVATION_COUNT
        NNC_LOSS_COUNT
        NNC_OPTIMIZER_COUNT
        NNC_KERNEL_COUNT
        NNC_MAX_MOMENTS

    ctypedef struct nnc_activation_info:
        const char *name
        int saves_input
        int is_row
        const char *attributes

    ctypedef struct nnc_loss_info:
        const char *name
        int is_index
        const char *attributes

    ctypedef struct nnc_optimizer_info:
        const char *name
        int moments
        const char *attributes

    ctypedef struct nnc_layer_info:
        const char *name
        const char *sizes
        const char *attributes

    const nnc_activation_info nnc_activations[]
    const nnc_loss_info nnc_losses[]
    const nnc_optimizer_info nnc_optimizers[]
    const nnc_layer_info nnc_layers[]
    const char *nnc_kernel_names[]
    const char *nnc_isa_names[]

    int nnc_cpu_has(nnc_isa isa)
    nnc_isa nnc_cpu_best()

    int nnc_get_num_threads()
    void nnc_set_num_threads(int n)

    ctypedef struct nnc_update:
        double lr
        double weight_decay
        double l1
        double l2
        double grad_scale
        double clip_value
        double attr[4]
        double derived[4]
        int64_t step

    void nnc_optimizer_prepare(int optimizer, nnc_update *update) noexcept nogil
    int nnc_optimizer_uses(int optimizer, const double *attr, int moment) noexcept nogil

ctypedef void (*activation_forward_kernel)(
    void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx, const double *attr) noexcept nogil
ctypedef void (*activation_backward_kernel)(
    void *dx, const void *dy, const void *saved, size_t rows, size_t cols, size_t lddx, size_t lddy, size_t ldsaved,
    const double *attr) noexcept nogil
ctypedef void (*loss_kernel)(
    void *grad, void *pred, void *row_loss, const void *z, const void *target, const void *weight, size_t rows, size_t cols,
    size_t ld, size_t ldt, double scale, const double *attr) noexcept nogil
ctypedef void (*gemm_kernel)(
    void *c, const void *a, const void *b, const void *bias, size_t m, size_t n, size_t k, size_t ldc, size_t a_row,
    size_t a_col, size_t ldb, int accumulate) noexcept nogil
ctypedef void (*transpose_kernel)(void *t, const void *a, size_t rows, size_t cols, size_t ldt, size_t lda) noexcept nogil
ctypedef void (*column_sum_kernel)(void *sum, const void *a, size_t rows, size_t cols, size_t lda, int accumulate) noexcept nogil
ctypedef void (*accumulate_kernel)(void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx) noexcept nogil
ctypedef void (*dropout_kernel)(
    void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double p, const uint32_t *key,
    const uint32_t *stream) noexcept nogil
ctypedef void (*gather_kernel)(
    void *y, const void *source, nnc_source_type type, const int64_t *index, size_t rows, size_t cols, size_t ldy,
    ptrdiff_t stride) noexcept nogil
ctypedef double (*sum_squares_kernel)(const void *x, size_t n) noexcept nogil
ctypedef void (*count_confusion_kernel)(
    double *counts, const void *z, const void *target, const void *weight, size_t rows, size_t cols, size_t ld, size_t ldt,
    size_t classes, int index, double threshold, double target_threshold) noexcept nogil
ctypedef void (*sum_residuals_kernel)(
    double *sums, const void *z, const void *target, const void *weight, size_t rows, size_t cols, size_t ld,
    size_t ldt) noexcept nogil
ctypedef void (*unary_kernel)(void *y, const void *x, size_t n) noexcept nogil
# Not void: a pointer to pointers converts to no other.
ctypedef void (*optimizer_kernel_f32)(
    float *param, float **moment, const float *grad, size_t n, const nnc_update *update) noexcept nogil
ctypedef void (*optimizer_kernel_f64)(
    double *param, double **moment, const double *grad, size_t n, const nnc_update *update) noexcept nogil

cdef extern from "nncore.h":
    ctypedef struct nnc_kernels_f32:
        activation_forward_kernel *activation_forward
        activation_backward_kernel *activation_backward
        loss_kernel *loss
        optimizer_kernel_f32 *optimizer
        gemm_kernel gemm
        transpose_kernel transpose
        column_sum_kernel column_sum
        accumulate_kernel accumulate
        dropout_kernel dropout
        gather_kernel gather
        sum_squares_kernel sum_squares
        count_confusion_kernel count_confusion
        sum_residuals_kernel sum_residuals
        unary_kernel exp
        unary_kernel log

    ctypedef struct nnc_kernels_f64:
        activation_forward_kernel *activation_forward
        activation_backward_kernel *activation_backward
        loss_kernel *loss
        optimizer_kernel_f64 *optimizer
        gemm_kernel gemm
        transpose_kernel transpose
        column_sum_kernel column_sum
        accumulate_kernel accumulate
        dropout_kernel dropout
        gather_kernel gather
        sum_squares_kernel sum_squares
        count_confusion_kernel count_confusion
        sum_residuals_kernel sum_residuals
        unary_kernel exp
        unary_kernel log

    const nnc_kernels_f32 *nnc_kernels_for_f32(nnc_isa isa) noexcept nogil
    const nnc_kernels_f64 *nnc_kernels_for_f64(nnc_isa isa) noexcept nogil
