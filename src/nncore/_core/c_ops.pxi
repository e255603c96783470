# c_ops.pxi: what nncore.h declares of single ops, as far as the boundary uses it: types, registry, the structs that kernels take.
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
