# low_kernels.pxi: single kernels of low precision, for tests and benchmarks. Unlike the others, they run with flush-to-zero, which is part
# of their contract. Operands are arrays of uint16 of shape [blocks, blocks, 1024]; csrc/ops/low_kernels.h describes them. Without permission to use tiles (base/tiles.h),
# those of amx would end the process.

cdef extern from *:
    """
    #include "base/fpstate.h"
    #define NNCORE_CALL_LOW(kernel, isa, ...) \\
      do { \\
        const nnc_fpstate state = nnc_fp_enter(); \\
        if (isa == NNC_ISA_AMX) nncore_core->tiles_configure(); \\
        nncore_core->low_kernels_for(isa)->kernel(__VA_ARGS__); \\
        if (isa == NNC_ISA_AMX) nncore_core->tiles_release(); \\
        nnc_fp_leave(state); \\
      } while (0)
    #define call_bf16_pack(isa, ...) NNCORE_CALL_LOW(bf16_pack, isa, __VA_ARGS__)
    #define call_bf16_product(isa, ...) NNCORE_CALL_LOW(bf16_product, isa, __VA_ARGS__)
    #define call_bf16_product_at(isa, ...) NNCORE_CALL_LOW(bf16_product_at, isa, __VA_ARGS__)
    #define call_bf16_column_sum(isa, ...) NNCORE_CALL_LOW(bf16_column_sum, isa, __VA_ARGS__)
    #define call_int8_quantize(isa, ...) NNCORE_CALL_LOW(int8_quantize, isa, __VA_ARGS__)
    #define call_int8_product(isa, ...) NNCORE_CALL_LOW(int8_product, isa, __VA_ARGS__)
    #define low_kernels_of(isa) nncore_core->low_kernels_for(isa)
    #define call_bf16_update(isa, code, to, ...) \\
      do { \\
        (to)->optimizer = nncore_core->kernels_for_f32(isa)->optimizer[code]; \\
        NNCORE_CALL_LOW(bf16_update, isa, to, __VA_ARGS__); \\
      } while (0)
    """

cdef extern from * nogil:
    void call_bf16_update(
        nnc_isa isa, int code, nnc_bf16_training *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k)
    void call_bf16_pack(nnc_isa isa, const nnc_bf16_forms *to, const float *x, size_t rows, size_t cols, size_t ldx)
    void call_bf16_product(
        nnc_isa isa, const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k)
    void call_bf16_product_at(
        nnc_isa isa, const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k, size_t across)
    void call_bf16_column_sum(nnc_isa isa, float *y, const float *x, size_t rows, size_t cols, size_t ldx)
    void call_int8_quantize(nnc_isa isa, const nnc_int8_rows *to, const float *x, size_t rows, size_t k, size_t ldx)
    void call_int8_product(
        nnc_isa isa, float *y, const nnc_int8_rows *x, const nnc_int8_weight *w, const float *bias, size_t rows, size_t first, size_t last,
        size_t ldy)
    const nnc_low_kernels *low_kernels_of(nnc_isa isa)


cdef nnc_isa low_isa_code(object isa) except *:
    cdef nnc_isa which = isa_code(isa)
    if which == NNC_ISA_AMX and not core.tiles_permit():
        raise RuntimeError("the system does not let this process use the tiles of AMX")
    return which


cdef cnp.ndarray empty_blocks(size_t rows, size_t cols):
    """[rows, cols, 1024] of uint16, each block aligned to a cache line."""
    memory = np.empty(rows * cols * NNC_BF16_BLOCK + 32, np.uint16)
    start = -memory.ctypes.data % 64 // 2
    return memory[start:start + rows * cols * NNC_BF16_BLOCK].reshape(rows, cols, NNC_BF16_BLOCK)


cdef const nnc_bf16 *as_blocks(str name, cnp.ndarray array, size_t rows, size_t cols) except? NULL:
    if array is None:
        return NULL
    check_layout(name, array, False)
    if array.dtype != np.uint16 or array.ndim != 3 or not cnp.PyArray_IS_C_CONTIGUOUS(array) or shape_of(array) != (rows, cols, NNC_BF16_BLOCK):
        raise ValueError(f"{name}: expected contiguous uint16 of shape ({rows}, {cols}, {NNC_BF16_BLOCK}), got {array.dtype} {shape_of(array)}")
    return <const nnc_bf16 *>cnp.PyArray_DATA(array)


cdef list empty_forms(nnc_bf16_forms *to, tuple names, size_t rows, size_t cols):
    """The forms of a [rows, cols] matrix, by their names; other names are left to the caller, as None."""
    cdef cnp.ndarray blocks
    cdef size_t down = nnc_bf16_blocks(rows), right = nnc_bf16_blocks(cols)
    to.a = to.at = to.b = to.bt = NULL
    to.stride = down
    to.half = 0
    made = []
    for name in names:
        blocks = None
        if name in ("a", "bt"):
            blocks = empty_blocks(down, right)
        elif name in ("at", "b"):
            blocks = empty_blocks(right, down)
        if name == "a":
            to.a = <nnc_bf16 *>cnp.PyArray_DATA(blocks)
        elif name == "at":
            to.at = <nnc_bf16 *>cnp.PyArray_DATA(blocks)
        elif name == "b":
            to.b = <nnc_bf16 *>cnp.PyArray_DATA(blocks)
        elif name == "bt":
            to.bt = <nnc_bf16 *>cnp.PyArray_DATA(blocks)
        made.append(blocks)
    return made


def bf16_pack(cnp.ndarray x not None, forms, isa=None):
    """x as operands, one array for each of the forms a, at, b, bt, or for the one."""
    cdef nnc_isa which = low_isa_code(isa)
    cdef Matrix m = as_matrix("x", x, False)
    cdef nnc_bf16_forms to
    forms = (forms,) if isinstance(forms, str) else tuple(forms)
    for form in forms:
        if form not in ("a", "at", "b", "bt"):
            raise ValueError(f"forms: expected a, at, b or bt, got {form!r}")
    made = empty_forms(&to, forms, m.rows, m.cols)
    with nogil:
        call_bf16_pack(which, &to, <const float *>m.data, m.rows, m.cols, m.ld)
    return made[0] if len(made) == 1 else tuple(made)


def bf16_product(cnp.ndarray a not None, cnp.ndarray b not None, size_t m, size_t n, wanted=("rows",), cnp.ndarray bias=None,
                 bint relu=False, cnp.ndarray mask=None, cnp.ndarray out=None, bint accumulate=False, size_t repeat=1, isa=None, bint transposed=False):
    """What is wanted of a product [m, n], one array for each of rows, sums (of columns, per 32 rows) and the forms a, at, b, bt; of the
    form at of a, if transposed."""
    cdef nnc_isa which = low_isa_code(isa)
    cdef nnc_bf16_result to
    cdef Matrix rows
    cdef size_t down = nnc_bf16_blocks(m), right = nnc_bf16_blocks(n), steps = a.shape[1] if a.ndim == 3 else 0
    cdef const nnc_bf16 *left = as_blocks("a", a, down, steps)
    cdef const nnc_bf16 *other = as_blocks("b", b, right, steps)
    for name in wanted:
        if name not in ("rows", "sums", "a", "at", "b", "bt"):
            raise ValueError(f"wanted: expected rows, sums, a, at, b or bt, got {name!r}")
    if accumulate and out is None:
        raise ValueError("accumulate: adds to out; give out")
    made = empty_forms(&to.forms, tuple(wanted), m, n)
    to.bias = <const float *>as_vector("bias", bias, False, n)
    to.relu = relu
    to.mask = as_blocks("mask", mask, down, right)
    to.accumulate = accumulate
    to.rows = to.column_sums = NULL
    to.ld = to.ldsums = n
    for i, name in enumerate(wanted):
        if name == "sums":
            made[i] = empty(down, n, False)
            to.column_sums = <float *>cnp.PyArray_DATA(<cnp.ndarray>made[i])
        elif name == "rows":
            made[i] = empty(m, n, False) if out is None else out
            rows = as_matrix("out", made[i], False, True)
            check_shape("out", &rows, m, n)
            to.rows, to.ld = <float *>rows.data, rows.ld
    with nogil:
        while repeat:
            if transposed:
                call_bf16_product_at(which, &to, left, other, m, n, steps * 32, 0)
            else:
                call_bf16_product(which, &to, left, other, m, n, steps * 32)
            repeat -= 1
    return made[0] if len(made) == 1 else tuple(made)


def bf16_column_sum(cnp.ndarray x not None, isa=None):
    """The sum of each column, in blocks of 32 rows."""
    cdef nnc_isa which = low_isa_code(isa)
    cdef Matrix m = as_matrix("x", x, False)
    y = empty_vector(m.cols, False)
    cdef float *sums = <float *>cnp.PyArray_DATA(<cnp.ndarray>y)
    with nogil:
        call_bf16_column_sum(which, sums, <const float *>m.data, m.rows, m.cols, m.ld)
    return y


# 8-bit integers: csrc/ops/int8.h.

cdef cnp.ndarray as_bytes(str name, cnp.ndarray array, type_, tuple shape):
    """The array, if it has this type of bytes and this shape, and is contiguous."""
    if array.dtype != type_ or shape_of(array) != shape or not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError(f"{name}: expected contiguous {type_.__name__} of shape {shape}, got {array.dtype} {shape_of(array)}")
    return array


def int8_quantize_weight(cnp.ndarray w not None, isa=None):
    """q [n, k] and scale [n] of w [n, k]. Raise ValueError at the first row with NaN or an infinity."""
    cdef nnc_isa which = isa_code(isa)
    cdef Matrix m = as_matrix("w", w, False)
    cdef size_t good
    if m.ld != m.cols:
        raise ValueError("w: expected a C-contiguous array")
    cdef cnp.ndarray q = np.empty((m.rows, m.cols), np.int8), scale = empty_vector(m.rows, False)
    cdef int8_t *to = <int8_t *>cnp.PyArray_DATA(q)
    cdef float *scales = <float *>cnp.PyArray_DATA(scale)
    with nogil:
        good = low_kernels_of(which).int8_quantize_weight(to, scales, <const float *>m.data, m.rows, m.cols)
    if good < m.rows:
        raise ValueError(f"w: row {good} holds NaN or an infinity")
    return q, scale


def int8_pack(cnp.ndarray q not None, cnp.ndarray scale not None, isa=None):
    """The packed weight of q [n, k] and scale [n], as bytes."""
    cdef nnc_isa which = isa_code(isa)
    cdef size_t n = q.shape[0], k = q.shape[1]
    as_bytes("q", q, np.int8, (n, k))
    cdef const float *scales = <const float *>as_vector("scale", scale, False, n)
    memory = np.empty(nnc_int8_bytes(k, n) + 64, np.uint8)
    cdef cnp.ndarray packed = memory[-memory.ctypes.data % 64:][:nnc_int8_bytes(k, n)]
    cdef nnc_int8_weight to = nnc_int8_weight_at(cnp.PyArray_DATA(packed), k, n)
    low_kernels_of(which).int8_pack(&to, <const int8_t *>cnp.PyArray_DATA(q), scales)
    return packed


def int8_unpack(cnp.ndarray packed not None, size_t n, size_t k, isa=None):
    """q [n, k] and scale [n] of a packed weight."""
    cdef nnc_isa which = isa_code(isa)
    as_bytes("packed", packed, np.uint8, (nnc_int8_bytes(k, n),))
    cdef cnp.ndarray q = np.empty((n, k), np.int8), scale = empty_vector(n, False)
    cdef nnc_int8_weight of = nnc_int8_weight_at(cnp.PyArray_DATA(packed), k, n)
    low_kernels_of(which).int8_unpack(<int8_t *>cnp.PyArray_DATA(q), <float *>cnp.PyArray_DATA(scale), &of)
    return q, scale


def int8_quantize(cnp.ndarray x not None, isa=None):
    """Rows of q + 128 [rows in whole tiles, bytes in whole lines] and scale [rows] of inputs [rows, k]."""
    cdef nnc_isa which = low_isa_code(isa)
    cdef Matrix m = as_matrix("x", x, False)
    cdef nnc_int8_rows to
    cdef cnp.ndarray q = np.zeros((nnc_int8_whole(m.rows, NNC_INT8_ROWS), nnc_int8_ld(m.cols)), np.uint8), scale = empty_vector(m.rows, False)
    to.at, to.scale, to.ld = <uint8_t *>cnp.PyArray_DATA(q), <float *>cnp.PyArray_DATA(scale), nnc_int8_ld(m.cols)
    with nogil:
        call_int8_quantize(which, &to, <const float *>m.data, m.rows, m.cols, m.ld)
    return q, scale


def int8_product(cnp.ndarray q not None, cnp.ndarray scale not None, cnp.ndarray packed not None, size_t n, size_t k,
                 cnp.ndarray bias=None, size_t repeat=1, isa=None):
    """y [rows, n] of inputs that int8_quantize has made, a packed weight [k, n] and a bias."""
    cdef nnc_isa which = low_isa_code(isa)
    cdef size_t rows = scale.shape[0]
    as_bytes("q", q, np.uint8, (nnc_int8_whole(rows, NNC_INT8_ROWS), nnc_int8_ld(k)))
    as_bytes("packed", packed, np.uint8, (nnc_int8_bytes(k, n),))
    cdef nnc_int8_rows x
    x.at, x.scale, x.ld = <uint8_t *>cnp.PyArray_DATA(q), <float *>as_vector("scale", scale, False, rows), nnc_int8_ld(k)
    cdef nnc_int8_weight w = nnc_int8_weight_at(cnp.PyArray_DATA(packed), k, n)
    cdef const float *start = <const float *>as_vector("bias", bias, False, n)
    y = empty(rows, n, False)
    cdef float *to = <float *>cnp.PyArray_DATA(<cnp.ndarray>y)
    with nogil:
        while repeat:
            call_int8_product(which, to, &x, &w, start, rows, 0, n, n)
            repeat -= 1
    return y


def bf16_update(str name not None, cnp.ndarray param not None, cnp.ndarray a not None, cnp.ndarray b not None, moments=(), forms=("b", "bt"),
                *, double lr, int64_t step, attr=(), double weight_decay=0.0, isa=None):
    """One step of an optimizer in place, with the gradient a b, and the forms of the new parameters. Moments lie as param does."""
    cdef nnc_isa which = low_isa_code(isa)
    cdef nnc_update update
    cdef nnc_bf16_training to
    cdef int i, code = op_code("optimizer", name)
    cdef Matrix w = as_matrix("param", param, False, True), other
    cdef size_t steps = a.shape[1] if a.ndim == 3 else 0
    cdef const nnc_bf16 *left = as_blocks("a", a, nnc_bf16_blocks(w.rows), steps)
    cdef const nnc_bf16 *right = as_blocks("b", b, nnc_bf16_blocks(w.cols), steps)
    update.lr, update.step, update.grad_scale, update.clip_value = lr, step, 1, 0
    update.weight_decay, update.l1, update.l2 = weight_decay, 0, 0
    fill_attributes(update.attr, "optimizer", code, attr)
    for i in range(NNC_MAX_MOMENTS):
        to.moment[i] = NULL
        if i < core.optimizers[code].moments and core.optimizer_uses(code, update.attr, i):
            other = as_matrix(f"moments[{i}]", moments[i], False, True)
            check_shape(f"moments[{i}]", &other, w.rows, w.cols)
            if other.ld != w.ld:
                raise ValueError(f"moments[{i}]: expected rows as far apart as those of param")
            to.moment[i] = <float *>other.data
    core.optimizer_prepare(code, &update)
    made = empty_forms(&to.forms, tuple(forms), w.rows, w.cols)
    to.param, to.ld, to.update, to.across = <float *>w.data, w.ld, &update, 0
    with nogil:
        call_bf16_update(which, code, &to, left, right, w.rows, w.cols, steps * 32)
    return tuple(made)
