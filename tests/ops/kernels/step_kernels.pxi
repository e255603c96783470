# step_kernels.pxi: single kernels of a training step other than products and layers: dropout, reading data, sums for diagnostics,
# penalties. In the style of matrix_kernels.pxi. Sums for metrics are in src/nncore/_core/scores.pxi.

cdef signed char *as_mask(cnp.ndarray mask, const Matrix *m) except? NULL:
    """The data of a mask with the size of a matrix."""
    if mask is None:
        return NULL
    if mask.dtype != np.int8 or mask.ndim != 2 or not mask.flags.c_contiguous:
        raise TypeError("mask: expected a contiguous int8 matrix")
    if <size_t>mask.shape[0] != m.rows or <size_t>mask.shape[1] != m.cols:
        raise ValueError(f"mask: expected shape ({m.rows}, {m.cols}), got ({mask.shape[0]}, {mask.shape[1]})")
    return <signed char *>cnp.PyArray_DATA(mask)


def dropout(cnp.ndarray x not None, double p, key, stream, size_t row0=0, cnp.ndarray mask=None, isa=None):
    """x * keep / (1 - p). The bits of keep depend only on key, stream, row0 + row and column. They are written to mask, int8."""
    cdef uint32_t[2] k = [key[0], key[1]]
    cdef uint32_t[2] s = [stream[0], stream[1]]
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p: expected a probability in [0, 1], got {p}")
    cdef signed char *kept = as_mask(mask, &m)
    y = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_dropout(which, f64, out, kept, m.data, m.rows, m.cols, m.cols, m.ld, row0, p, k, s)
    return y


def dropout_backward(cnp.ndarray dy not None, cnp.ndarray mask not None, double p, isa=None):
    """dy * keep / (1 - p), with the mask that forward wrote."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix m = as_matrix("dy", dy, f64)
    cdef signed char *kept = as_mask(mask, &m)
    dx = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        call_dropout_backward(which, f64, out, kept, m.data, m.rows, m.cols, m.cols, m.ld, p)
    return dx


cdef int source_type(str name, cnp.ndarray array) except -1:
    """The nnc_source_type of an array of a real number type or bool, which gather can read."""
    dtype = array.dtype
    code = SOURCE_TYPES.get((dtype.kind, dtype.itemsize))
    if code is None:
        raise TypeError(f"{name}: expected float16, float32, float64, (u)int8 to (u)int64 or bool, got {dtype}")
    return code


def gather(cnp.ndarray source not None, cnp.ndarray index, str dtype not None, isa=None):
    """source[index] (None: every row in order) converted to float32 or float64. The row stride is arbitrary, also negative."""
    cdef nnc_isa which = isa_code(isa)
    cdef nnc_source_type kind = <nnc_source_type>source_type("source", source)
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(source), stride
    cdef size_t rows, cols
    cdef const int64_t *order = NULL
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
    cdef bint f64 = dtype == "float64"
    check_layout("source", source, False)
    if source.ndim != 2:
        raise ValueError(f"source: expected 2 dimensions, got shape {shape_of(source)}")
    rows, cols = source.shape[0], source.shape[1]
    stride = cnp.PyArray_STRIDE(source, 0)
    if (cols > 1 and cnp.PyArray_STRIDE(source, 1) != item) or stride % item:
        raise ValueError(f"source: the elements of a row must be adjacent (strides {strides_of(source)})")
    if index is not None:
        if cnp.PyArray_TYPE(index) != cnp.NPY_INT64:
            raise TypeError(f"index: expected dtype int64, got {index.dtype}")
        check_layout("index", index, False)
        if index.ndim != 1 or not cnp.PyArray_IS_C_CONTIGUOUS(index):
            raise ValueError(f"index: expected a contiguous array of 1 dimension, got shape {shape_of(index)}")
        if index.size and not (0 <= index.min() and index.max() < rows):
            raise ValueError(f"index: row numbers must lie in [0, {rows})")
        rows = index.size
        order = <const int64_t *>cnp.PyArray_DATA(index)
    y = empty(rows, cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    cdef const void *data = cnp.PyArray_DATA(source)
    with nogil:
        call_gather(which, f64, out, data, kind, order, rows, cols, cols, stride // item)
    return y


def sum_squares(cnp.ndarray x not None, isa=None):
    """The sum of the squares of all elements of a contiguous array."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef const void *data = as_flat("x", x, f64)
    cdef size_t n = x.size
    cdef double total
    with nogil:
        total = call_sum_squares(which, f64, data, n)
    return total


def sum_changes(cnp.ndarray before not None, cnp.ndarray now not None, isa=None):
    """(|before|^2, |now - before|^2) of contiguous arrays."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("before", before)
    cdef size_t n = before.size
    cdef const void *old = as_flat("before", before, f64)
    cdef const void *new = as_flat("now", now, f64)
    cdef double[2] sums
    if <size_t>now.size != n:
        raise ValueError(f"now: expected {n} elements, got {now.size}")
    with nogil:
        call_sum_changes(which, f64, sums, old, new, n)
    return sums[0], sums[1]


def unit_sums(cnp.ndarray y not None, double low, double high, isa=None):
    """[4, columns]: the sums of y and of y^2, the number of zeros, and the number of values outside of [low, high]."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("y", y)
    cdef Matrix m = as_matrix("y", y, f64)
    sums = np.zeros((4, m.cols))
    cdef double *out = <double *>cnp.PyArray_DATA(sums)
    with nogil:
        call_unit_sums(which, f64, out, m.data, m.rows, m.cols, m.ld, low, high)
    return sums


def exp(cnp.ndarray x not None, isa=None):
    """exp of each element of a contiguous array."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef const void *data = as_flat("x", x, f64)
    cdef size_t n = x.size
    y = np.empty_like(x)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_exp(which, f64, out, data, n)
    return y


def log(cnp.ndarray x not None, isa=None):
    """The natural logarithm of each element of a contiguous array."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef const void *data = as_flat("x", x, f64)
    cdef size_t n = x.size
    y = np.empty_like(x)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_log(which, f64, out, data, n)
    return y


def multiply_adds(size_t rounds, bint f64=False, isa=None):
    """Run multiply-adds in registers, without memory access. Return the number of floating-point operations."""
    cdef nnc_isa which = isa_code(isa)
    cdef double room, count
    cdef void *sum = &room
    with nogil:
        count = call_multiply_adds(which, f64, sum, rounds)
    return count


def sum_penalties(cnp.ndarray w not None, isa=None):
    """(sum of absolute values, sum of squares)."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("w", w)
    cdef Matrix m = as_matrix("w", w, f64)
    cdef double[2] sums
    with nogil:
        call_sum_penalties(which, f64, sums, m.data, m.rows, m.cols, m.ld)
    return sums[0], sums[1]


def max_norm(cnp.ndarray w not None, double limit, isa=None):
    """Scale down, in place, the columns of w whose norm is above the limit."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("w", w)
    cdef Matrix m = as_matrix("w", w, f64, True)
    with nogil:
        call_max_norm(which, f64, m.data, m.rows, m.cols, m.ld, limit)


def average(cnp.ndarray mean not None, cnp.ndarray w not None, double momentum, isa=None):
    """mean += (1 - momentum) * (w - mean), in place."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("mean", mean)
    cdef Matrix a = as_matrix("mean", mean, f64, True), m = as_matrix("w", w, f64)
    check_shape("w", &m, a.rows, a.cols)
    if a.ld != m.ld:
        raise ValueError("w: its rows must lie as far apart as those of mean")
    with nogil:
        call_average(which, f64, a.data, m.data, m.rows, m.cols, m.ld, momentum)
