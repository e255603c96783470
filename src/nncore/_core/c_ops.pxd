# c_ops.pxd: the declarations of nncore.h for single ops that the boundary uses: op codes, the structs that kernels take, and the interface
# between the two extensions. It declares no functions of the core and no data, because only `plans` is linked with the core.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "nncore.h":
    ctypedef enum nnc_isa:
        NNC_ISA_BASELINE
        NNC_ISA_AMX
        NNC_ISA_COUNT

    ctypedef enum nnc_dtype:
        NNC_F32
        NNC_F64

    ctypedef enum nnc_compute:
        NNC_COMPUTE_FULL
        NNC_COMPUTE_BF16
        NNC_COMPUTE_INT8

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
        NNC_RANDOM_WORDS
        NNC_ACTIVATION_COUNT
        NNC_LOSS_COUNT
        NNC_OPTIMIZER_COUNT
        NNC_MAX_MOMENTS
        NNC_OPTIMIZER_ATTRIBUTES

    ctypedef struct nnc_loss_info:
        const char *name
        int is_index
        int is_half
        const char *attributes

    ctypedef struct nnc_optimizer_info:
        const char *name
        int moments
        const char *attributes

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

    enum:
        NNC_SUM_EACH

    ctypedef enum nnc_count:
        NNC_COUNT_RIGHT
        NNC_COUNT_EACH
        NNC_COUNT_PAIRS
        NNC_COUNT_TOP
        NNC_COUNT_WHOLE

    ctypedef enum nnc_norm_source:
        NNC_NORM_BATCH
        NNC_NORM_SAVED
        NNC_NORM_RUNNING
        NNC_NORM_TOTALS
    enum:
        NNC_NORM_CHUNK

    ctypedef struct nnc_norm_rows:
        size_t samples
        size_t steps
        const int64_t *lengths
        size_t per

    ctypedef struct nnc_norm_statistics:
        void *mean
        void *rstd
        void *running_mean
        void *running_var
        void *squares

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
        size_t gates_row, gates_step, y_row, y_step, h_row, h_step, initial_row, dinitial_row, final_row, mask_row
        void *gates
        void *y
        void *h
        void *c
        void *h_n
        void *c_n
        const void *h0
        const void *c0
        const void *forward
        const void *mask
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

    ctypedef struct nnc_kernels_f32:
        pass

    ctypedef uint16_t nnc_bf16
    enum:
        NNC_BF16_BLOCK

    ctypedef struct nnc_bf16_forms:
        nnc_bf16 *a
        nnc_bf16 *at
        nnc_bf16 *b
        nnc_bf16 *bt
        size_t stride
        int half

    ctypedef struct nnc_bf16_result:
        float *rows
        size_t ld
        bint accumulate
        const float *bias
        bint relu
        const nnc_bf16 *mask
        nnc_bf16_forms forms
        float *column_sums
        size_t ldsums

    size_t nnc_bf16_blocks(size_t n) noexcept nogil

    enum:
        NNC_INT8_ROWS
        NNC_INT8_COLUMNS
        NNC_INT8_LONGEST

    ctypedef struct nnc_int8_weight:
        size_t k
        size_t n

    ctypedef struct nnc_int8_rows:
        uint8_t *at
        float *scale
        size_t ld

    size_t nnc_int8_whole(size_t n, size_t unit) noexcept nogil
    size_t nnc_int8_bytes(size_t k, size_t n) noexcept nogil
    size_t nnc_int8_ld(size_t k) noexcept nogil
    nnc_int8_weight nnc_int8_weight_at(void *data, size_t k, size_t n) noexcept nogil

    ctypedef struct nnc_bf16_training:
        float *param
        float *moment[3]
        size_t ld
        const nnc_update *update
        nnc_bf16_forms forms
        size_t across

    ctypedef struct nnc_low_kernels:
        size_t (*int8_quantize_weight)(int8_t *q, float *scale, const float *w, size_t rows, size_t k) noexcept nogil
        void (*int8_pack)(const nnc_int8_weight *to, const int8_t *q, const float *scale) noexcept nogil
        void (*int8_unpack)(int8_t *q, float *scale, const nnc_int8_weight *of) noexcept nogil

    ctypedef struct nnc_kernel_interface:
        size_t size
        size_t table_size
        size_t update_size
        size_t recurrence_size
        size_t low_table_size
        bint (*tiles_permit)() noexcept nogil
        const char **isa_names
        const nnc_loss_info *losses
        const nnc_optimizer_info *optimizers
        void (*optimizer_prepare)(int optimizer, nnc_update *update) noexcept nogil
        int (*optimizer_uses)(int optimizer, const double *attr, int moment) noexcept nogil

cdef extern from *:
    """
    #define NNCORE_KERNEL_INTERFACE "nncore._core kernel interface " NNCORE_VERSION
    """
    const char *NNCORE_KERNEL_INTERFACE  # name of the capsule
    const char *NNCORE_VERSION
