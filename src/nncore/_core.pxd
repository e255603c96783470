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
        NNC_SOURCE_F16

    enum:
        NNC_ACTIVATION_COUNT
        NNC_LOSS_COUNT
        NNC_OPTIMIZER_COUNT
        NNC_KERNEL_COUNT
        NNC_MAX_MOMENTS
        NNC_OPTIMIZER_ATTRIBUTES

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
        double attr[5]
        double derived[4]
        int64_t step

    ctypedef enum nnc_norm_source:
        NNC_NORM_BATCH
        NNC_NORM_SAVED
        NNC_NORM_RUNNING
        NNC_NORM_TOTALS
    enum:
        NNC_NORM_CHUNK

    ctypedef struct nnc_norm_statistics:
        void *mean
        void *rstd
        void *running_mean
        void *running_var

    ctypedef enum nnc_cell:
        NNC_CELL_TANH
        NNC_CELL_RELU
        NNC_CELL_GRU
        NNC_CELL_LSTM

    ctypedef struct nnc_recurrence:
        nnc_cell cell
        int reverse
        size_t rows, steps, hidden, first_step
        const int64_t *lengths
        size_t gates_row, gates_step, y_row, y_step, h_row, h_step, initial_row, dinitial_row, final_row
        void *gates
        void *y
        void *h
        void *c
        void *h_n
        void *c_n
        const void *h0
        const void *c0
        const void *forward
        void *dgates
        void *dh
        void *dh0
        void *dc0
        const void *dy
        const void *dh_n
        const void *dc_n
        const void *backward
        void *scratch

    size_t nnc_cell_gates(nnc_cell cell) noexcept nogil
    size_t nnc_cell_products(nnc_cell cell) noexcept nogil
    size_t nnc_recurrent_packed(nnc_cell cell, size_t hidden) noexcept nogil
    size_t nnc_recurrent_scratch(nnc_cell cell, size_t rows, size_t hidden) noexcept nogil

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
ctypedef void (*linear_gradient_kernel)(
    void *dw, void *db, const void *x, const void *dz, size_t m, size_t n, size_t rows, size_t lddw, size_t ldx, size_t lddz) noexcept nogil
ctypedef void (*column_sum_kernel)(void *sum, const void *a, size_t rows, size_t cols, size_t lda, int accumulate) noexcept nogil
ctypedef void (*accumulate_kernel)(void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx) noexcept nogil
ctypedef void (*combine_kernel)(
    void *y, const void *a, const void *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb, double alpha, double beta,
    double gamma) noexcept nogil
ctypedef void (*multiply_kernel)(
    void *y, const void *a, const void *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb, int flag) noexcept nogil
ctypedef void (*maximum_backward_kernel)(
    void *da, const void *dy, const void *a, const void *b, size_t rows, size_t cols, size_t ldda, size_t lddy, size_t lda,
    size_t ldb, int is_minimum) noexcept nogil
ctypedef void (*dropout_kernel)(
    void *y, signed char *mask, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double p,
    const uint32_t *key, const uint32_t *stream) noexcept nogil
ctypedef void (*dropout_backward_kernel)(
    void *dx, const signed char *mask, const void *dy, size_t rows, size_t cols, size_t lddx, size_t lddy, double p) noexcept nogil
ctypedef void (*gather_kernel)(
    void *y, const void *source, nnc_source_type type, const int64_t *index, size_t rows, size_t cols, size_t ldy,
    ptrdiff_t stride) noexcept nogil
ctypedef double (*sum_squares_kernel)(const void *x, size_t n) noexcept nogil
ctypedef double (*multiply_adds_kernel)(void *sum, size_t rounds) noexcept nogil
ctypedef void (*sum_penalties_kernel)(double *sums, const void *w, size_t rows, size_t cols, size_t ld) noexcept nogil
ctypedef void (*max_norm_kernel)(void *w, size_t rows, size_t cols, size_t ld, double limit) noexcept nogil
ctypedef void (*average_kernel)(
    void *average, const void *w, size_t rows, size_t cols, size_t ld, double momentum) noexcept nogil
ctypedef void (*count_confusion_kernel)(
    double *counts, const void *z, const void *target, const void *weight, size_t rows, size_t cols, size_t ld, size_t ldt,
    size_t classes, int index, double threshold, double target_threshold) noexcept nogil
ctypedef void (*sum_residuals_kernel)(
    double *sums, const void *z, const void *target, const void *weight, size_t rows, size_t cols, size_t ld,
    size_t ldt) noexcept nogil
ctypedef void (*batch_norm_forward_kernel)(
    void *y, const nnc_norm_statistics *statistics, const void *x, const void *gamma, const void *beta, size_t first, size_t last,
    size_t rows, size_t inner, size_t ldy, size_t ldx, double eps, double momentum, nnc_norm_source source) noexcept nogil
ctypedef void (*batch_norm_backward_kernel)(
    void *dx, void *dgamma, void *dbeta, const nnc_norm_statistics *statistics, const void *dy, const void *x, const void *gamma,
    size_t first, size_t last, size_t rows, size_t count, size_t inner, size_t lddx, size_t lddy, size_t ldx, double eps,
    nnc_norm_source source) noexcept nogil
ctypedef void (*batch_norm_moments_kernel)(
    void *mean, void *squares, const void *x, size_t rows, size_t channels, size_t ldx) noexcept nogil
ctypedef void (*batch_norm_merge_kernel)(
    const nnc_norm_statistics *statistics, const void *partial, size_t first, size_t last, size_t rows, size_t ld, double eps,
    double momentum) noexcept nogil
ctypedef void (*batch_norm_sums_kernel)(
    void *sum, void *product, const void *dy, const void *x, const void *mean, size_t rows, size_t channels, size_t lddy,
    size_t ldx) noexcept nogil
ctypedef void (*batch_norm_total_kernel)(
    void *dgamma, void *dbeta, const void *partial, const void *rstd, size_t first, size_t last, size_t rows,
    size_t ld) noexcept nogil
ctypedef void (*layer_norm_forward_kernel)(
    void *y, void *mean, void *rstd, const void *x, const void *gamma, const void *beta, size_t groups, size_t size, size_t ldy,
    size_t ldx, double eps) noexcept nogil
ctypedef void (*layer_norm_backward_kernel)(
    void *dx, const void *mean, const void *rstd, const void *dy, const void *x, const void *gamma, size_t groups, size_t size,
    size_t lddx, size_t lddy, size_t ldx) noexcept nogil
ctypedef void (*layer_norm_gradient_kernel)(
    void *dgamma, void *dbeta, const void *mean, const void *rstd, const void *dy, const void *x, size_t first, size_t last,
    size_t groups, size_t lddy, size_t ldx) noexcept nogil
ctypedef void (*gaussian_noise_kernel)(
    void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double stddev, const uint32_t *key,
    const uint32_t *stream) noexcept nogil
ctypedef void (*prelu_forward_kernel)(
    void *y, const void *x, const void *slope, size_t rows, size_t cols, size_t ldy, size_t ldx, int per_column) noexcept nogil
ctypedef void (*prelu_backward_kernel)(
    void *dx, const void *dy, const void *x, const void *slope, size_t rows, size_t cols, size_t lddx, size_t lddy, size_t ldx,
    int per_column) noexcept nogil
ctypedef void (*prelu_gradient_kernel)(
    void *dslope, const void *dy, const void *x, size_t rows, size_t cols, size_t lddy, size_t ldx, int per_column) noexcept nogil
ctypedef void (*maxout_forward_kernel)(
    void *y, const void *x, size_t rows, size_t cols, size_t pieces, size_t ldy, size_t ldx) noexcept nogil
ctypedef void (*maxout_backward_kernel)(
    void *dx, const void *dy, const void *x, size_t rows, size_t cols, size_t pieces, size_t lddx, size_t lddy,
    size_t ldx) noexcept nogil
ctypedef void (*embedding_forward_kernel)(
    void *y, const void *x, const void *table, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t table_rows, size_t dim,
    size_t ldtable) noexcept nogil
ctypedef void (*embedding_gradient_kernel)(
    void *dtable, const void *x, const void *dy, size_t rows, size_t cols, size_t ldx, size_t lddy, size_t first, size_t last,
    size_t dim, size_t ldtable, int64_t padding) noexcept nogil
ctypedef void (*unary_kernel)(void *y, const void *x, size_t n) noexcept nogil
ctypedef void (*recurrent_pack_kernel)(
    void *forward, void *backward, const void *w, nnc_cell cell, size_t first, size_t last, size_t hidden,
    size_t ldw) noexcept nogil
ctypedef void (*recurrent_pack_bias_kernel)(void *forward, const void *bias, nnc_cell cell, size_t hidden) noexcept nogil
ctypedef void (*recurrent_kernel)(const nnc_recurrence *r) noexcept nogil
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
        linear_gradient_kernel linear_gradient
        accumulate_kernel accumulate
        combine_kernel combine
        multiply_kernel multiply
        multiply_kernel maximum
        maximum_backward_kernel maximum_backward
        dropout_kernel dropout
        gather_kernel gather
        sum_squares_kernel sum_squares
        count_confusion_kernel count_confusion
        sum_residuals_kernel sum_residuals
        batch_norm_forward_kernel batch_norm_forward
        batch_norm_backward_kernel batch_norm_backward
        unary_kernel exp
        unary_kernel log
        recurrent_pack_kernel recurrent_pack
        recurrent_pack_bias_kernel recurrent_pack_bias
        recurrent_kernel recurrent_forward
        recurrent_kernel recurrent_backward
        sum_penalties_kernel sum_penalties
        max_norm_kernel max_norm
        average_kernel average
        layer_norm_forward_kernel layer_norm_forward
        layer_norm_backward_kernel layer_norm_backward
        layer_norm_gradient_kernel layer_norm_gradient
        gaussian_noise_kernel gaussian_noise
        prelu_forward_kernel prelu_forward
        prelu_backward_kernel prelu_backward
        prelu_gradient_kernel prelu_gradient
        maxout_forward_kernel maxout_forward
        maxout_backward_kernel maxout_backward
        embedding_forward_kernel embedding_forward
        embedding_gradient_kernel embedding_gradient
        multiply_adds_kernel multiply_adds
        batch_norm_moments_kernel batch_norm_moments
        batch_norm_merge_kernel batch_norm_merge
        batch_norm_sums_kernel batch_norm_sums
        batch_norm_total_kernel batch_norm_total
        dropout_backward_kernel dropout_backward

    ctypedef struct nnc_kernels_f64:
        activation_forward_kernel *activation_forward
        activation_backward_kernel *activation_backward
        loss_kernel *loss
        optimizer_kernel_f64 *optimizer
        gemm_kernel gemm
        transpose_kernel transpose
        column_sum_kernel column_sum
        linear_gradient_kernel linear_gradient
        accumulate_kernel accumulate
        combine_kernel combine
        multiply_kernel multiply
        multiply_kernel maximum
        maximum_backward_kernel maximum_backward
        dropout_kernel dropout
        gather_kernel gather
        sum_squares_kernel sum_squares
        count_confusion_kernel count_confusion
        sum_residuals_kernel sum_residuals
        batch_norm_forward_kernel batch_norm_forward
        batch_norm_backward_kernel batch_norm_backward
        unary_kernel exp
        unary_kernel log
        recurrent_pack_kernel recurrent_pack
        recurrent_pack_bias_kernel recurrent_pack_bias
        recurrent_kernel recurrent_forward
        recurrent_kernel recurrent_backward
        sum_penalties_kernel sum_penalties
        max_norm_kernel max_norm
        average_kernel average
        layer_norm_forward_kernel layer_norm_forward
        layer_norm_backward_kernel layer_norm_backward
        layer_norm_gradient_kernel layer_norm_gradient
        gaussian_noise_kernel gaussian_noise
        prelu_forward_kernel prelu_forward
        prelu_backward_kernel prelu_backward
        prelu_gradient_kernel prelu_gradient
        maxout_forward_kernel maxout_forward
        maxout_backward_kernel maxout_backward
        embedding_forward_kernel embedding_forward
        embedding_gradient_kernel embedding_gradient
        multiply_adds_kernel multiply_adds
        batch_norm_moments_kernel batch_norm_moments
        batch_norm_merge_kernel batch_norm_merge
        batch_norm_sums_kernel batch_norm_sums
        batch_norm_total_kernel batch_norm_total
        dropout_backward_kernel dropout_backward

    const nnc_kernels_f32 *nnc_kernels_for_f32(nnc_isa isa) noexcept nogil
    const nnc_kernels_f64 *nnc_kernels_for_f64(nnc_isa isa) noexcept nogil

# The plan ---------------------------------------------------------------------------------------------------------------------
from libc.stdint cimport uint64_t

cdef extern from "nncore.h":
    enum:
        NNC_MAX_RANK
        NNC_MAX_INPUTS
        NNC_MAX_SIZES
        NNC_OK
        NNC_ERROR_MEMORY
        NNC_ERROR_SIZE
        NNC_ERROR_SHAPE
        NNC_ERROR_VALUE

    ctypedef struct nnc_plan:
        pass

    ctypedef struct nnc_error:
        int status
        char *message

    ctypedef struct nnc_shape:
        int rank
        size_t *dim

    ctypedef struct nnc_op_spec:
        int kind
        int code
        const char *name
        int n_inputs
        int *input
        int64_t *size
        double *attr
        int shares

    ctypedef struct nnc_param:
        int op
        char *role
        size_t offset
        size_t rows
        size_t cols
        size_t ld
        int transposed
        int vector
        nnc_shape shape

    void nnc_hold(void *block) noexcept nogil
    void nnc_free(void *block) noexcept nogil

    ctypedef struct nnc_lent:
        void *data
        size_t ld

    ctypedef enum nnc_call_kind:
        NNC_CALL_FORWARD
        NNC_CALL_BACKWARD
        NNC_CALL_LOSS
        NNC_CALL_METRIC

    ctypedef struct nnc_call:
        nnc_call_kind kind
        int index
        int training
        size_t rows
        void *block
        nnc_lent y
        nnc_lent dy
        nnc_lent *x
        nnc_lent *dx
        int *adds
        int adds_params
        void *target
        void *row_loss
        const void *weight
        const int64_t *lengths

    ctypedef struct nnc_caller:
        void *context
        int (*shape)(void *context, int op, const nnc_shape *inputs, int n_inputs, nnc_shape *out) noexcept with gil
        int (*param)(void *context, int op, int slot, nnc_param *param) noexcept with gil
        int (*call)(void *context, const nnc_call *call) noexcept with gil

    enum:
        NNC_LOSS_CALLED

    ctypedef struct nnc_loss_spec:
        int loss
        int index_target
        int from_logits
        int reduction
        double weight
        double *attr

    ctypedef struct nnc_optimizer_spec:
        int optimizer
        double *attr
        double weight_decay
        double clip_norm
        double clip_norm_each
        double clip_value
        double ema_momentum

    ctypedef struct nnc_param_options:
        int trainable
        double lr_scale
        double weight_decay
        double l1
        double l2
        double max_norm

    ctypedef struct nnc_statistic_spec:
        int kind
        size_t classes
        double threshold
        double target_threshold
        int called

    ctypedef struct nnc_source:
        const void *data
        nnc_source_type type
        ptrdiff_t stride

    ctypedef struct nnc_probe:
        int64_t first
        int64_t every
        int64_t steps
        double *params
        double *units
        const size_t *unit_offset
        void *before

    ctypedef struct nnc_data:
        const nnc_source *x
        const nnc_source *y
        nnc_source weight
        size_t weights
        const int64_t *order
        const int64_t *lengths
        size_t rows
        double **statistics
        double *parts
        nnc_probe *probe

    ctypedef struct nnc_sequences:
        const int64_t *lengths
        const void *initial
        void *final

    ctypedef struct nnc_progress:
        uint64_t seed
        int64_t step

    int nnc_plan_create(
        nnc_plan **plan, nnc_dtype dtype, nnc_isa isa, const nnc_shape *inputs, int n_inputs, const nnc_op_spec *ops, int n_ops,
        const int *outputs, int n_outputs, const nnc_caller *caller, nnc_error *error) noexcept
    void nnc_plan_free(nnc_plan *plan) noexcept nogil
    void nnc_plan_shape(const nnc_plan *plan, int value, nnc_shape *shape) noexcept nogil
    int nnc_plan_param_count(const nnc_plan *plan) noexcept nogil
    void nnc_plan_param(const nnc_plan *plan, int i, nnc_param *param) noexcept nogil
    double nnc_plan_flops(const nnc_plan *plan) noexcept nogil
    size_t nnc_plan_elements(const nnc_plan *plan) noexcept nogil
    int nnc_plan_state_count(const nnc_plan *plan) noexcept nogil
    void nnc_plan_state(const nnc_plan *plan, int i, nnc_param *state) noexcept nogil
    size_t nnc_plan_state_elements(const nnc_plan *plan) noexcept nogil
    void nnc_plan_place(nnc_plan *plan, const size_t *params, size_t elements, const size_t *states, size_t state_elements) noexcept nogil
    size_t nnc_plan_steps(const nnc_plan *plan, int *op) noexcept nogil
    int nnc_plan_freeze(nnc_plan *plan, nnc_error *error) noexcept nogil
    size_t nnc_plan_carry(const nnc_plan *plan) noexcept nogil
    int nnc_plan_is_stateful(const nnc_plan *plan) noexcept nogil
    const void *nnc_plan_carried(const nnc_plan *plan, size_t *rows) noexcept nogil
    void nnc_plan_carry_on(nnc_plan *plan, const void *states, size_t rows) noexcept nogil
    void nnc_plan_reset_states(nnc_plan *plan) noexcept nogil
    int nnc_plan_inherit(nnc_plan *plan, const nnc_plan *before, nnc_error *error) noexcept nogil
    void nnc_plan_step_norms(const nnc_plan *plan, int op, size_t rows, double *norms) noexcept nogil
    size_t nnc_plan_least_rows(const nnc_plan *plan, int training, int *op) noexcept nogil
    size_t nnc_plan_index_bound(const nnc_plan *plan, int input) noexcept nogil
    size_t nnc_find_bad_index(const nnc_source *x, size_t rows, size_t width, size_t bound) noexcept nogil
    void nnc_plan_bind(nnc_plan *plan, void *params, void *grads, void *states, void *average, void **moments) noexcept nogil
    double nnc_plan_penalty(const nnc_plan *plan) noexcept nogil
    int nnc_plan_compile(
        nnc_plan *plan, const nnc_loss_spec *losses, const nnc_optimizer_spec *optimizer, const nnc_param_options *options,
        const nnc_statistic_spec *statistics, nnc_error *error) noexcept nogil
    int nnc_plan_reserve(nnc_plan *plan, size_t rows, nnc_error *error) noexcept nogil
    size_t nnc_plan_arena_bytes(const nnc_plan *plan, size_t rows) noexcept nogil
    size_t nnc_plan_train(
        nnc_plan *plan, const nnc_data *data, size_t batch, size_t first, size_t max_steps, const double *lr, double *loss,
        nnc_progress *progress, double budget) noexcept nogil
    int nnc_plan_evaluate(
        nnc_plan *plan, const nnc_data *data, size_t first, double *sums, size_t *next, double budget,
        nnc_error *error) noexcept nogil
    int nnc_plan_predict(
        nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, size_t first, void **out, size_t *next,
        double budget, nnc_error *error) noexcept nogil
    void nnc_plan_forward(
        nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, int training, void **out,
        const nnc_progress *progress) noexcept nogil
    void nnc_plan_backward(
        nnc_plan *plan, const nnc_sequences *sequences, size_t rows, const void **grad_outputs, void **grad_inputs, int training,
        const nnc_progress *progress) noexcept nogil
    void nnc_plan_apply(nnc_plan *plan, double lr, nnc_progress *progress) noexcept nogil
    void nnc_shuffle(int64_t *order, size_t n, uint64_t seed, uint64_t epoch) noexcept nogil
    size_t nnc_alloc_count() noexcept nogil
    void nnc_alloc_fail_at(size_t k) noexcept nogil
    double nnc_optimizer_initial(int optimizer, const double *attr, int moment) noexcept nogil
