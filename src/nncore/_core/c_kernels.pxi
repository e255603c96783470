# c_kernels.pxi: the kernels of the registry, each as a function of the instruction set, the dtype and the kernel's own arguments. Their
# REAL pointers are declared as `void`, so that one declaration serves both dtypes. The boundary checks the dtype of each array before it
# takes the pointer. `code` is an op code. All calls use the pointer `core`, which the module sets once, like ISA_NAMES, ISAS and ISA_IN_USE.

cdef extern from *:
    """
    static const nnc_kernel_interface *nncore_core;
    #define NNCORE_CALL(kernel, isa, f64, ...) \\
      ((f64) ? nncore_core->kernels_for_f64(isa)->kernel(__VA_ARGS__) : nncore_core->kernels_for_f32(isa)->kernel(__VA_ARGS__))
    #define call_activation_forward(isa, f64, code, ...) NNCORE_CALL(activation_forward[code], isa, f64, __VA_ARGS__)
    #define call_activation_backward(isa, f64, code, ...) NNCORE_CALL(activation_backward[code], isa, f64, __VA_ARGS__)
    #define call_loss(isa, f64, code, ...) NNCORE_CALL(loss[code], isa, f64, __VA_ARGS__)
    #define call_optimizer(isa, f64, code, ...) NNCORE_CALL(optimizer[code], isa, f64, __VA_ARGS__)
    #define call_gemm(isa, f64, ...) NNCORE_CALL(gemm, isa, f64, __VA_ARGS__)
    #define call_gemm_nt(isa, f64, ...) NNCORE_CALL(gemm_nt, isa, f64, __VA_ARGS__)
    #define call_linear_gradient(isa, f64, ...) NNCORE_CALL(linear_gradient, isa, f64, __VA_ARGS__)
    #define call_transpose(isa, f64, ...) NNCORE_CALL(transpose, isa, f64, __VA_ARGS__)
    #define call_column_sum(isa, f64, ...) NNCORE_CALL(column_sum, isa, f64, __VA_ARGS__)
    #define call_accumulate(isa, f64, ...) NNCORE_CALL(accumulate, isa, f64, __VA_ARGS__)
    #define call_combine(isa, f64, ...) NNCORE_CALL(combine, isa, f64, __VA_ARGS__)
    #define call_multiply(isa, f64, ...) NNCORE_CALL(multiply, isa, f64, __VA_ARGS__)
    #define call_maximum(isa, f64, ...) NNCORE_CALL(maximum, isa, f64, __VA_ARGS__)
    #define call_maximum_backward(isa, f64, ...) NNCORE_CALL(maximum_backward, isa, f64, __VA_ARGS__)
    #define call_dropout(isa, f64, ...) NNCORE_CALL(dropout, isa, f64, __VA_ARGS__)
    #define call_dropout_backward(isa, f64, ...) NNCORE_CALL(dropout_backward, isa, f64, __VA_ARGS__)
    #define call_gather(isa, f64, ...) NNCORE_CALL(gather, isa, f64, __VA_ARGS__)
    #define call_sum_squares(isa, f64, ...) NNCORE_CALL(sum_squares, isa, f64, __VA_ARGS__)
    #define call_sum_changes(isa, f64, ...) NNCORE_CALL(sum_changes, isa, f64, __VA_ARGS__)
    #define call_unit_sums(isa, f64, ...) NNCORE_CALL(unit_sums, isa, f64, __VA_ARGS__)
    #define call_multiply_adds(isa, f64, ...) NNCORE_CALL(multiply_adds, isa, f64, __VA_ARGS__)
    #define call_count_classes(isa, f64, ...) NNCORE_CALL(count_classes, isa, f64, __VA_ARGS__)
    #define call_count_decisions(isa, f64, ...) NNCORE_CALL(count_decisions, isa, f64, __VA_ARGS__)
    #define call_sum_residuals(isa, f64, ...) NNCORE_CALL(sum_residuals, isa, f64, __VA_ARGS__)
    #define call_exp(isa, f64, ...) NNCORE_CALL(exp, isa, f64, __VA_ARGS__)
    #define call_log(isa, f64, ...) NNCORE_CALL(log, isa, f64, __VA_ARGS__)
    #define call_sum_penalties(isa, f64, ...) NNCORE_CALL(sum_penalties, isa, f64, __VA_ARGS__)
    #define call_max_norm(isa, f64, ...) NNCORE_CALL(max_norm, isa, f64, __VA_ARGS__)
    #define call_average(isa, f64, ...) NNCORE_CALL(average, isa, f64, __VA_ARGS__)
    #define call_batch_norm_forward(isa, f64, ...) NNCORE_CALL(batch_norm_forward, isa, f64, __VA_ARGS__)
    #define call_batch_norm_backward(isa, f64, ...) NNCORE_CALL(batch_norm_backward, isa, f64, __VA_ARGS__)
    #define call_batch_norm_moments(isa, f64, ...) NNCORE_CALL(batch_norm_moments, isa, f64, __VA_ARGS__)
    #define call_batch_norm_merge(isa, f64, ...) NNCORE_CALL(batch_norm_merge, isa, f64, __VA_ARGS__)
    #define call_batch_norm_sums(isa, f64, ...) NNCORE_CALL(batch_norm_sums, isa, f64, __VA_ARGS__)
    #define call_batch_norm_total(isa, f64, ...) NNCORE_CALL(batch_norm_total, isa, f64, __VA_ARGS__)
    #define call_layer_norm_forward(isa, f64, ...) NNCORE_CALL(layer_norm_forward, isa, f64, __VA_ARGS__)
    #define call_layer_norm_backward(isa, f64, ...) NNCORE_CALL(layer_norm_backward, isa, f64, __VA_ARGS__)
    #define call_layer_norm_gradient(isa, f64, ...) NNCORE_CALL(layer_norm_gradient, isa, f64, __VA_ARGS__)
    #define call_random_words(isa, f64, ...) NNCORE_CALL(random_words, isa, f64, __VA_ARGS__)
    #define call_gaussian_noise(isa, f64, ...) NNCORE_CALL(gaussian_noise, isa, f64, __VA_ARGS__)
    #define call_prelu_forward(isa, f64, ...) NNCORE_CALL(prelu_forward, isa, f64, __VA_ARGS__)
    #define call_prelu_backward(isa, f64, ...) NNCORE_CALL(prelu_backward, isa, f64, __VA_ARGS__)
    #define call_prelu_gradient(isa, f64, ...) NNCORE_CALL(prelu_gradient, isa, f64, __VA_ARGS__)
    #define call_maxout_forward(isa, f64, ...) NNCORE_CALL(maxout_forward, isa, f64, __VA_ARGS__)
    #define call_maxout_backward(isa, f64, ...) NNCORE_CALL(maxout_backward, isa, f64, __VA_ARGS__)
    #define call_pool_forward(isa, f64, ...) NNCORE_CALL(pool_forward, isa, f64, __VA_ARGS__)
    #define call_pool_backward(isa, f64, ...) NNCORE_CALL(pool_backward, isa, f64, __VA_ARGS__)
    #define call_embedding_forward(isa, f64, ...) NNCORE_CALL(embedding_forward, isa, f64, __VA_ARGS__)
    #define call_embedding_gradient(isa, f64, ...) NNCORE_CALL(embedding_gradient, isa, f64, __VA_ARGS__)
    #define call_recurrent_pack(isa, f64, ...) NNCORE_CALL(recurrent_pack, isa, f64, __VA_ARGS__)
    #define call_recurrent_pack_bias(isa, f64, ...) NNCORE_CALL(recurrent_pack_bias, isa, f64, __VA_ARGS__)
    #define call_recurrent_forward(isa, f64, ...) NNCORE_CALL(recurrent_forward, isa, f64, __VA_ARGS__)
    #define call_recurrent_backward(isa, f64, ...) NNCORE_CALL(recurrent_backward, isa, f64, __VA_ARGS__)
    """
    const nnc_kernel_interface *core "nncore_core"

cdef extern from * nogil:
    void call_activation_forward(
        nnc_isa isa, bint f64, int code, void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx,
        const double *attr)
    void call_activation_backward(
        nnc_isa isa, bint f64, int code, void *dx, const void *dy, const void *saved, size_t rows, size_t cols, size_t lddx,
        size_t lddy, size_t ldsaved, const double *attr)
    void call_loss(
        nnc_isa isa, bint f64, int code, void *grad, void *pred, void *row_loss, const void *z, const void *target,
        const void *weight, size_t rows, size_t cols, size_t ld, size_t ldt, double scale, const double *attr)
    void call_optimizer(
        nnc_isa isa, bint f64, int code, void *param, void *moment, const void *grad, size_t n, const nnc_update *update)
    void call_gemm(
        nnc_isa isa, bint f64, void *c, const void *a, const void *b, const void *bias, size_t m, size_t n, size_t k, size_t ldc,
        size_t a_row, size_t a_col, size_t ldb, int accumulate)
    void call_gemm_nt(
        nnc_isa isa, bint f64, void *c, const void *a, const void *b, const void *bias, size_t m, size_t n, size_t k, size_t ldc,
        size_t a_row, size_t a_col, size_t ldb, int accumulate)
    void call_linear_gradient(
        nnc_isa isa, bint f64, void *dw, void *db, const void *x, const void *dz, size_t m, size_t n, size_t rows, size_t lddw,
        size_t ldx, size_t lddz)
    void call_transpose(nnc_isa isa, bint f64, void *t, const void *a, size_t rows, size_t cols, size_t ldt, size_t lda)
    void call_column_sum(nnc_isa isa, bint f64, void *sum, const void *a, size_t rows, size_t cols, size_t lda, int accumulate)
    void call_accumulate(nnc_isa isa, bint f64, void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx)
    void call_combine(
        nnc_isa isa, bint f64, void *y, const void *a, const void *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb,
        double alpha, double beta, double gamma)
    void call_multiply(
        nnc_isa isa, bint f64, void *y, const void *a, const void *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb,
        int flag)
    void call_maximum(
        nnc_isa isa, bint f64, void *y, const void *a, const void *b, size_t rows, size_t cols, size_t ldy, size_t lda, size_t ldb,
        int flag)
    void call_maximum_backward(
        nnc_isa isa, bint f64, void *da, const void *dy, const void *a, const void *b, size_t rows, size_t cols, size_t ldda,
        size_t lddy, size_t lda, size_t ldb, int is_minimum)
    void call_dropout(
        nnc_isa isa, bint f64, void *y, signed char *mask, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx,
        size_t row0, double p, const uint32_t *key, const uint32_t *stream)
    void call_dropout_backward(
        nnc_isa isa, bint f64, void *dx, const signed char *mask, const void *dy, size_t rows, size_t cols, size_t lddx,
        size_t lddy, double p)
    void call_gather(
        nnc_isa isa, bint f64, void *y, const void *source, nnc_source_type type, const int64_t *index, size_t rows, size_t cols,
        size_t ldy, ptrdiff_t stride)
    double call_sum_squares(nnc_isa isa, bint f64, const void *x, size_t n)
    void call_sum_changes(nnc_isa isa, bint f64, double *sums, const void *before, const void *now, size_t n)
    void call_unit_sums(
        nnc_isa isa, bint f64, double *sums, const void *y, size_t rows, size_t cols, size_t ld, double low, double high)
    double call_multiply_adds(nnc_isa isa, bint f64, void *sum, size_t rounds)
    void call_count_classes(
        nnc_isa isa, bint f64, double *sums, const void *z, const void *target, const void *weight, size_t rows, size_t cols,
        size_t ld, size_t ldt, int index, nnc_count count, size_t k)
    void call_count_decisions(
        nnc_isa isa, bint f64, double *sums, const void *z, const void *target, const void *weight, size_t rows, size_t cols,
        size_t ld, size_t ldt, nnc_count count, double threshold, double target_threshold)
    void call_sum_residuals(
        nnc_isa isa, bint f64, double *sums, const void *z, const void *target, const void *weight, size_t rows, size_t cols,
        size_t ld, size_t ldt)
    void call_exp(nnc_isa isa, bint f64, void *y, const void *x, size_t n)
    void call_log(nnc_isa isa, bint f64, void *y, const void *x, size_t n)
    void call_sum_penalties(nnc_isa isa, bint f64, double *sums, const void *w, size_t rows, size_t cols, size_t ld)
    void call_max_norm(nnc_isa isa, bint f64, void *w, size_t rows, size_t cols, size_t ld, double limit)
    void call_average(nnc_isa isa, bint f64, void *average, const void *w, size_t rows, size_t cols, size_t ld, double momentum)
    void call_batch_norm_forward(
        nnc_isa isa, bint f64, void *y, const nnc_norm_statistics *statistics, const void *x, const void *gamma, const void *beta,
        size_t first, size_t last, size_t rows, size_t inner, size_t ldy, size_t ldx, double eps, double momentum,
        nnc_norm_source source, const nnc_norm_rows *valid)
    void call_batch_norm_backward(
        nnc_isa isa, bint f64, void *dx, void *dgamma, void *dbeta, const nnc_norm_statistics *statistics, const void *dy,
        const void *x, const void *gamma, size_t first, size_t last, size_t rows, size_t count, size_t inner, size_t lddx,
        size_t lddy, size_t ldx, double eps, nnc_norm_source source)
    void call_batch_norm_moments(
        nnc_isa isa, bint f64, void *mean, void *squares, const void *x, size_t rows, size_t channels, size_t ldx)
    void call_batch_norm_merge(
        nnc_isa isa, bint f64, const nnc_norm_statistics *statistics, const void *partial, size_t first, size_t last,
        const nnc_norm_rows *rows, size_t ld, double eps, double momentum)
    void call_batch_norm_sums(
        nnc_isa isa, bint f64, void *sum, void *product, const void *dy, const void *x, const void *mean, size_t rows,
        size_t channels, size_t lddy, size_t ldx)
    void call_batch_norm_total(
        nnc_isa isa, bint f64, void *dgamma, void *dbeta, const void *partial, const void *rstd, size_t first, size_t last,
        const nnc_norm_rows *rows, size_t ld)
    void call_layer_norm_forward(
        nnc_isa isa, bint f64, void *y, void *mean, void *rstd, const void *x, const void *gamma, const void *beta, size_t groups,
        size_t size, size_t ldy, size_t ldx, double eps)
    void call_layer_norm_backward(
        nnc_isa isa, bint f64, void *dx, const void *mean, const void *rstd, const void *dy, const void *x, const void *gamma,
        size_t groups, size_t size, size_t lddx, size_t lddy, size_t ldx)
    void call_layer_norm_gradient(
        nnc_isa isa, bint f64, void *dgamma, void *dbeta, const void *mean, const void *rstd, const void *dy, const void *x,
        size_t first, size_t last, size_t groups, size_t lddy, size_t ldx)
    void call_random_words(
        nnc_isa isa, bint f64, uint32_t *word, uint64_t block, uint32_t row, const uint32_t *key, const uint32_t *stream)
    void call_gaussian_noise(
        nnc_isa isa, bint f64, void *y, const void *x, size_t rows, size_t cols, size_t ldy, size_t ldx, size_t row0, double stddev,
        const uint32_t *key, const uint32_t *stream)
    void call_prelu_forward(
        nnc_isa isa, bint f64, void *y, const void *x, const void *slope, size_t rows, size_t cols, size_t ldy, size_t ldx,
        int per_column)
    void call_prelu_backward(
        nnc_isa isa, bint f64, void *dx, const void *dy, const void *x, const void *slope, size_t rows, size_t cols, size_t lddx,
        size_t lddy, size_t ldx, int per_column)
    void call_prelu_gradient(
        nnc_isa isa, bint f64, void *dslope, const void *dy, const void *x, size_t rows, size_t cols, size_t lddy, size_t ldx,
        int per_column)
    void call_maxout_forward(
        nnc_isa isa, bint f64, void *y, const void *x, size_t rows, size_t cols, size_t pieces, size_t ldy, size_t ldx)
    void call_maxout_backward(
        nnc_isa isa, bint f64, void *dx, const void *dy, const void *x, size_t rows, size_t cols, size_t pieces, size_t lddx,
        size_t lddy, size_t ldx)
    void call_pool_forward(
        nnc_isa isa, bint f64, void *y, const void *x, size_t length, size_t cols, size_t ldx, int pool) noexcept nogil
    void call_pool_backward(
        nnc_isa isa, bint f64, void *dx, const void *dy, const void *x, const void *y, size_t steps, size_t length, size_t cols, size_t lddx,
        size_t ldx, int pool) noexcept nogil
    void call_embedding_forward(
        nnc_isa isa, bint f64, void *y, const void *x, const void *table, size_t rows, size_t cols, size_t ldy, size_t ldx,
        size_t table_rows, size_t dim, size_t ldtable)
    void call_embedding_gradient(
        nnc_isa isa, bint f64, void *dtable, const void *x, const void *dy, size_t rows, size_t cols, size_t ldx, size_t lddy,
        size_t first, size_t last, size_t dim, size_t ldtable, int64_t padding)
    void call_recurrent_pack(
        nnc_isa isa, bint f64, void *forward, void *backward, const void *w, nnc_cell cell, size_t first, size_t last,
        size_t hidden, size_t ldw)
    void call_recurrent_pack_bias(nnc_isa isa, bint f64, void *forward, const void *bias, nnc_cell cell, size_t hidden)
    void call_recurrent_forward(nnc_isa isa, bint f64, const nnc_recurrence *r)
    void call_recurrent_backward(nnc_isa isa, bint f64, const nnc_recurrence *r)


cdef nnc_isa isa_code(object isa) except *:
    if isa is None:
        return ISA_IN_USE
    if isa == "exact":  # the baseline of models that compute in lower precision: csrc/ops/kernels.h
        return NNC_ISA_COUNT
    if isa not in ISAS:
        raise ValueError(f"isa: expected one of {', '.join(ISAS)}, got {isa!r}")
    return <nnc_isa><int>ISA_NAMES.index(isa)
