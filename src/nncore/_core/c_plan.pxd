# c_plan.pxd: the other declarations of nncore.h: the registry, threads, and plans.
from libc.stdint cimport int64_t, uint64_t

from .c_ops cimport (
    nnc_compute, nnc_count, nnc_dtype, nnc_isa, nnc_kernel_interface, nnc_loss_info, nnc_low_kernels, nnc_optimizer_info, nnc_source_type)

cdef extern from "nncore.h":
    enum:
        NNC_KERNEL_COUNT
        NNC_LOW_KERNEL_COUNT

    ctypedef struct nnc_activation_info:
        const char *name
        int saves_input
        int is_row
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
    const char *nnc_low_kernel_names[]
    const char *nnc_isa_names[]
    const nnc_kernel_interface *nnc_get_kernel_interface() noexcept nogil
    const nnc_low_kernels *nnc_low_kernels_for(nnc_isa isa) noexcept nogil

    int nnc_cpu_has(nnc_isa isa)
    nnc_isa nnc_cpu_best()
    int nnc_tiles_answer()

    int nnc_get_num_threads()
    int nnc_set_num_threads(int n)
    int nnc_limit_own_threads(int n)

    int nnc_optimizer_uses(int optimizer, const double *attr, int moment) noexcept nogil

    enum:
        NNC_MAX_RANK
        NNC_MAX_INPUTS
        NNC_MAX_SIZES
        NNC_MAX_ATTRIBUTES
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

    ctypedef union nnc_sizes:
        int64_t *at

    ctypedef union nnc_attributes:
        double *at

    ctypedef struct nnc_op_spec:
        int kind
        int code
        const char *name
        int n_inputs
        int *input
        nnc_sizes size
        nnc_attributes attr
        const int64_t *indices
        size_t n_indices
        int shares

    ctypedef struct nnc_param:
        int op
        char *role
        void *data
        size_t offset
        size_t rows
        size_t cols
        size_t ld
        int transposed
        int vector
        nnc_shape shape
        size_t packed_rows
        size_t packed_cols

    void nnc_retain(void *block) noexcept nogil
    void nnc_free(void *block) noexcept nogil

    ctypedef struct nnc_array:
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
        nnc_array y
        nnc_array dy
        nnc_array *x
        nnc_array *dx
        int *adds
        int adds_params
        void *target
        void *row_loss
        const void *weight
        size_t weight_width
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
        int n_attr
        const double *attr
        int ignores
        double ignored

    ctypedef struct nnc_optimizer_spec:
        int optimizer
        double *attr
        double weight_decay
        double clip_norm
        double clip_norm_each
        double clip_value
        double ema_momentum
        int divides_penalties

    ctypedef struct nnc_param_options:
        int trainable
        double lr_scale
        double weight_decay
        double l1
        double l2
        double max_norm

    ctypedef struct nnc_statistic_spec:
        int kind
        nnc_count count
        size_t k
        int weighted
        double threshold
        int loss
        double *attr

    enum:
        NNC_MAX_STATISTICS
        NNC_STATISTIC_ATTRIBUTES

    ctypedef struct nnc_statistics:
        int n
        nnc_statistic_spec *of
        int called

    size_t nnc_statistic_size(const nnc_statistic_spec *spec, size_t cols) noexcept nogil

    enum:
        NNC_SOURCE_STRIDED

    ctypedef struct nnc_strided:
        const char *data
        nnc_source_type type
        size_t bytes
        int is_swapped
        int is_extended
        ptrdiff_t row
        int rank
        size_t *dim
        ptrdiff_t *step

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

    ctypedef struct nnc_weights:
        nnc_source source
        size_t width

    ctypedef struct nnc_part:
        size_t number
        int is_last
        const double *totals

    ctypedef struct nnc_share:
        const int64_t *rows
        const int64_t *batch
        size_t first
        const double *totals

    ctypedef struct nnc_ranks:
        int (*sum)(void *context, void *numbers, size_t n, nnc_dtype dtype) noexcept
        int (*gather)(void *context, void *records, size_t bytes) noexcept
        int rank
        int ranks
        int apart
        int joins_norms

    ctypedef struct nnc_data:
        const nnc_source *x
        const nnc_source *y
        const nnc_weights *weights
        const int64_t *order
        const int64_t *lengths
        size_t rows
        double **statistics
        double *parts
        nnc_probe *probe
        size_t accumulate
        const nnc_part *part
        const nnc_share *share

    ctypedef struct nnc_sequences:
        const int64_t *lengths
        const void *initial
        void *final

    ctypedef struct nnc_progress:
        uint64_t seed
        int64_t step
        uint64_t pass_ "pass"

    int nnc_plan_create(
        nnc_plan **plan, nnc_dtype dtype, nnc_compute compute, nnc_isa isa, const nnc_shape *inputs, int n_inputs, const nnc_op_spec *ops, int n_ops,
        const int *outputs, int n_outputs, const nnc_caller *caller, nnc_error *error) noexcept nogil
    void nnc_plan_free(nnc_plan *plan) noexcept nogil
    size_t nnc_plan_bytes(const nnc_plan *plan) noexcept nogil
    double nnc_measure_bf16(nnc_isa isa) noexcept nogil
    void nnc_force_operand_mode(int mode) noexcept nogil
    void nnc_plan_set_context(nnc_plan *plan, void *context) noexcept nogil
    void nnc_plan_shape(const nnc_plan *plan, int value, nnc_shape *shape) noexcept nogil
    int nnc_plan_param_count(const nnc_plan *plan) noexcept nogil
    void nnc_plan_param(const nnc_plan *plan, int i, nnc_param *param) noexcept nogil
    double nnc_plan_flops(const nnc_plan *plan) noexcept nogil
    size_t nnc_plan_elements(const nnc_plan *plan) noexcept nogil
    int nnc_plan_state_count(const nnc_plan *plan) noexcept nogil
    void nnc_plan_state(const nnc_plan *plan, int i, nnc_param *state) noexcept nogil
    size_t nnc_plan_state_elements(const nnc_plan *plan) noexcept nogil
    size_t nnc_plan_steps(const nnc_plan *plan, int *op) noexcept nogil
    const char *nnc_plan_mixing(const nnc_plan *plan, int op) noexcept nogil
    bint nnc_plan_is_timed(const nnc_plan *plan, int value, size_t *times, size_t *plus) noexcept nogil
    int nnc_plan_freeze(nnc_plan *plan, nnc_error *error) noexcept nogil
    size_t nnc_plan_carry(const nnc_plan *plan) noexcept nogil
    int nnc_plan_is_stateful(const nnc_plan *plan) noexcept nogil
    const void *nnc_plan_carried(const nnc_plan *plan, size_t *rows) noexcept nogil
    void nnc_plan_carry_on(nnc_plan *plan, const void *states, size_t rows) noexcept nogil
    void nnc_plan_reset_states(nnc_plan *plan) noexcept nogil
    int nnc_plan_inherit(nnc_plan *plan, const nnc_plan *before, nnc_error *error) noexcept nogil
    void nnc_plan_step_norms(const nnc_plan *plan, int op, size_t rows, double *norms) noexcept nogil
    size_t nnc_plan_least_rows(const nnc_plan *plan, int training, int *op) noexcept nogil
    bint nnc_plan_needs_two_steps(const nnc_plan *plan, int training, int *op) noexcept nogil
    size_t nnc_plan_index_bound(const nnc_plan *plan, int input) noexcept nogil
    size_t nnc_find_bad_index(const nnc_source *x, size_t rows, size_t width, size_t bound) noexcept nogil
    void nnc_plan_bind(
        nnc_plan *plan, void **params, uint64_t **versions, void *grads, void **states, void *average, void **moments) noexcept nogil
    double nnc_plan_penalty(const nnc_plan *plan) noexcept nogil
    int nnc_plan_compile(
        nnc_plan *plan, const nnc_loss_spec *losses, const nnc_optimizer_spec *optimizer, const nnc_param_options *options,
        const nnc_statistics *statistics, nnc_error *error) noexcept nogil
    int nnc_plan_reserve(nnc_plan *plan, size_t rows, nnc_error *error) noexcept nogil
    void nnc_plan_after_fork(nnc_plan *plan) noexcept nogil
    size_t nnc_plan_arena_bytes(const nnc_plan *plan, size_t rows) noexcept nogil
    void nnc_plan_set_ranks(nnc_plan *plan, const nnc_ranks *ranks) noexcept nogil
    void nnc_plan_total_weights(const nnc_plan *plan, const nnc_data *data, size_t rows, double *totals) noexcept nogil
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
        int accumulate, const nnc_progress *progress) noexcept nogil
    void nnc_plan_set_inference(nnc_plan *plan, const unsigned char *flags) noexcept nogil
    int nnc_plan_reserve_sum(nnc_plan *plan, nnc_error *error) noexcept nogil
    void nnc_plan_apply(nnc_plan *plan, double lr, nnc_progress *progress) noexcept nogil
    void nnc_shuffle(int64_t *order, size_t n, uint64_t seed, uint64_t epoch, nnc_isa isa) noexcept nogil
    int nnc_guard_against_fork() noexcept nogil
    int nnc_fork_count() noexcept nogil
    unsigned long nnc_fork_survivor(int since) noexcept nogil
    void nnc_force_threads(int n, int lose) noexcept nogil
    int nnc_find_bad_partition(const double *work, const size_t *rows, int n, int most) noexcept nogil
    size_t nnc_memory_limit() noexcept nogil
    bint nnc_exceeds_memory(size_t bytes) noexcept nogil
    size_t nnc_alloc_count() noexcept nogil
    void nnc_alloc_fail_at(size_t k) noexcept nogil
    bint nnc_are_probabilities(const void *y, nnc_dtype dtype, size_t n) noexcept nogil
    bint nnc_are_classes(const int64_t *y, size_t n, size_t classes) noexcept nogil
    double nnc_optimizer_initial(int optimizer, const double *attr, int moment) noexcept nogil
    bint nnc_are_decisions(const void *y, nnc_dtype dtype, size_t n) noexcept nogil
