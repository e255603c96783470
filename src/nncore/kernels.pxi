# kernels.pxi: the other kernels of the registry one at a time, for tests and benchmarks. Each function checks its arrays and
# indices and makes one call, in the caller's floating-point state.

def gemm(cnp.ndarray a not None, cnp.ndarray b not None, cnp.ndarray bias=None, cnp.ndarray out=None, bint accumulate=False,
         bint transpose_a=False, isa=None):
    """out = A b, plus bias or plus out itself, with A = a or its transpose."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64), c
    cdef size_t m = am.cols if transpose_a else am.rows, k = am.rows if transpose_a else am.cols, n = bm.cols
    cdef size_t a_row = 1 if transpose_a else am.ld, a_col = am.ld if transpose_a else 1
    if bm.rows != k:
        raise ValueError(f"b: expected {k} rows for a of shape {shape_of(a)}, got shape {shape_of(b)}")
    if accumulate and (out is None or bias is not None):
        raise ValueError("accumulate: adds to out; give out, and no bias")
    cdef void *start = as_vector("bias", bias, f64, n)
    if out is None:
        out = empty(m, n, f64)
    elif any(x is not None and np.shares_memory(out, x) for x in (a, b, bias)):
        raise ValueError("out: overlaps an input")
    c = as_matrix("out", out, f64, True)
    check_shape("out", &c, m, n)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).gemm(c.data, am.data, bm.data, start, m, n, k, c.ld, a_row, a_col, bm.ld, accumulate)
        else:
            nnc_kernels_for_f32(which).gemm(c.data, am.data, bm.data, start, m, n, k, c.ld, a_row, a_col, bm.ld, accumulate)
    return out


def linear_gradient(cnp.ndarray x not None, cnp.ndarray dz not None, cnp.ndarray dw=None, bint bias=True, isa=None):
    """(dw, db): x^T dz, in dw where that is given, and the sum of each column of dz; without bias, db is None."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix xm = as_matrix("x", x, f64), zm = as_matrix("dz", dz, f64), w
    if zm.rows != xm.rows:
        raise ValueError(f"dz: expected {xm.rows} rows for x of shape {shape_of(x)}, got shape {shape_of(dz)}")
    if dw is None:
        dw = empty(xm.cols, zm.cols, f64)
    elif np.shares_memory(dw, x) or np.shares_memory(dw, dz):
        raise ValueError("dw: overlaps an input")
    w = as_matrix("dw", dw, f64, True)
    check_shape("dw", &w, xm.cols, zm.cols)
    db = empty_vector(zm.cols, f64) if bias else None
    cdef void *total = cnp.PyArray_DATA(<cnp.ndarray>db) if bias else NULL
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).linear_gradient(w.data, total, xm.data, zm.data, xm.cols, zm.cols, xm.rows, w.ld, xm.ld, zm.ld)
        else:
            nnc_kernels_for_f32(which).linear_gradient(w.data, total, xm.data, zm.data, xm.cols, zm.cols, xm.rows, w.ld, xm.ld, zm.ld)
    return dw, db


def transpose(cnp.ndarray a not None, cnp.ndarray out=None, isa=None):
    """A copy of the transpose: in out, or C-contiguous."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix m = as_matrix("a", a, f64), t
    if out is None:
        out = empty(m.cols, m.rows, f64)
    elif np.shares_memory(out, a):
        raise ValueError("out: overlaps a")
    t = as_matrix("out", out, f64, True)
    check_shape("out", &t, m.cols, m.rows)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).transpose(t.data, m.data, m.rows, m.cols, t.ld, m.ld)
        else:
            nnc_kernels_for_f32(which).transpose(t.data, m.data, m.rows, m.cols, t.ld, m.ld)
    return out


def column_sum(cnp.ndarray a not None, cnp.ndarray out=None, bint accumulate=False, isa=None):
    """The sum of each column, in increasing row order, added to out where accumulate is set."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix m = as_matrix("a", a, f64)
    if out is None:
        if accumulate:
            raise ValueError("accumulate: adds to out; give out")
        out = empty_vector(m.cols, f64)
    elif np.shares_memory(out, a):
        raise ValueError("out: overlaps a")
    cdef void *total = as_vector("out", out, f64, m.cols, True)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).column_sum(total, m.data, m.rows, m.cols, m.ld, accumulate)
        else:
            nnc_kernels_for_f32(which).column_sum(total, m.data, m.rows, m.cols, m.ld, accumulate)
    return out


def accumulate(cnp.ndarray y not None, cnp.ndarray x not None, isa=None):
    """y += x."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("y", y)
    cdef Matrix ym = as_matrix("y", y, f64, True), xm = as_matrix("x", x, f64)
    check_shape("x", &xm, ym.rows, ym.cols)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).accumulate(ym.data, xm.data, ym.rows, ym.cols, ym.ld, xm.ld)
        else:
            nnc_kernels_for_f32(which).accumulate(ym.data, xm.data, ym.rows, ym.cols, ym.ld, xm.ld)


def combine(cnp.ndarray a not None, cnp.ndarray b, double alpha, double beta, double gamma, isa=None):
    """alpha a + beta b + gamma; without b, alpha a + gamma."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix am = as_matrix("a", a, f64), bm = am
    if b is not None:
        bm = as_matrix("b", b, f64)
        check_shape("b", &bm, am.rows, am.cols)
    else:
        bm.data = NULL
    y = empty(am.rows, am.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).combine(out, am.data, bm.data, am.rows, am.cols, am.cols, am.ld, bm.ld, alpha, beta, gamma)
        else:
            nnc_kernels_for_f32(which).combine(out, am.data, bm.data, am.rows, am.cols, am.cols, am.ld, bm.ld, alpha, beta, gamma)
    return y


def multiply(cnp.ndarray a not None, cnp.ndarray b not None, cnp.ndarray out=None, isa=None):
    """a b, added to out where it is given."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a), accumulate = out is not None
    cdef Matrix am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64), ym
    check_shape("b", &bm, am.rows, am.cols)
    if out is None:
        out = empty(am.rows, am.cols, f64)
    elif np.shares_memory(out, a) or np.shares_memory(out, b):
        raise ValueError("out: overlaps an input")
    ym = as_matrix("out", out, f64, True)
    check_shape("out", &ym, am.rows, am.cols)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).multiply(ym.data, am.data, bm.data, am.rows, am.cols, ym.ld, am.ld, bm.ld, accumulate)
        else:
            nnc_kernels_for_f32(which).multiply(ym.data, am.data, bm.data, am.rows, am.cols, ym.ld, am.ld, bm.ld, accumulate)
    return out


def maximum(cnp.ndarray a not None, cnp.ndarray b not None, bint is_minimum=False, isa=None):
    """The larger of a and b, or the smaller one."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64)
    check_shape("b", &bm, am.rows, am.cols)
    y = empty(am.rows, am.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).maximum(out, am.data, bm.data, am.rows, am.cols, am.cols, am.ld, bm.ld, is_minimum)
        else:
            nnc_kernels_for_f32(which).maximum(out, am.data, bm.data, am.rows, am.cols, am.cols, am.ld, bm.ld, is_minimum)
    return y


def maximum_backward(cnp.ndarray dy not None, cnp.ndarray a not None, cnp.ndarray b not None, bint is_minimum=False, isa=None):
    """The gradient that reaches a."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix dm = as_matrix("dy", dy, f64), am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64)
    check_shape("a", &am, dm.rows, dm.cols)
    check_shape("b", &bm, dm.rows, dm.cols)
    da = empty(dm.rows, dm.cols, f64)
    cdef void *out = cnp.PyArray_DATA(da)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).maximum_backward(
                out, dm.data, am.data, bm.data, dm.rows, dm.cols, dm.cols, dm.ld, am.ld, bm.ld, is_minimum)
        else:
            nnc_kernels_for_f32(which).maximum_backward(
                out, dm.data, am.data, bm.data, dm.rows, dm.cols, dm.cols, dm.ld, am.ld, bm.ld, is_minimum)
    return da


cdef signed char *as_mask(cnp.ndarray mask, const Matrix *m) except? NULL:
    """The data of a mask that is as large as a matrix."""
    if mask is None:
        return NULL
    if mask.dtype != np.int8 or mask.ndim != 2 or not mask.flags.c_contiguous:
        raise TypeError("mask: expected a contiguous int8 matrix")
    if <size_t>mask.shape[0] != m.rows or <size_t>mask.shape[1] != m.cols:
        raise ValueError(f"mask: expected shape ({m.rows}, {m.cols}), got ({mask.shape[0]}, {mask.shape[1]})")
    return <signed char *>cnp.PyArray_DATA(mask)


def dropout(cnp.ndarray x not None, double p, key, stream, size_t row0=0, cnp.ndarray mask=None, isa=None):
    """x * keep / (1 - p); the bits of keep depend on key, stream, row0 + row and column alone. mask, int8, gets them for backward."""
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
        if f64:
            nnc_kernels_for_f64(which).dropout(out, kept, m.data, m.rows, m.cols, m.cols, m.ld, row0, p, k, s)
        else:
            nnc_kernels_for_f32(which).dropout(out, kept, m.data, m.rows, m.cols, m.cols, m.ld, row0, p, k, s)
    return y


def dropout_backward(cnp.ndarray dy not None, cnp.ndarray mask not None, double p, isa=None):
    """dy * keep / (1 - p), from what forward has left in mask."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix m = as_matrix("dy", dy, f64)
    cdef signed char *kept = as_mask(mask, &m)
    dx = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).dropout_backward(out, kept, m.data, m.rows, m.cols, m.cols, m.ld, p)
        else:
            nnc_kernels_for_f32(which).dropout_backward(out, kept, m.data, m.rows, m.cols, m.cols, m.ld, p)
    return dx


cdef dict SOURCE_TYPES = {
    ("f", 2): NNC_SOURCE_F16, ("f", 4): NNC_SOURCE_F32, ("f", 8): NNC_SOURCE_F64, ("b", 1): NNC_SOURCE_U8,
    ("u", 1): NNC_SOURCE_U8, ("u", 2): NNC_SOURCE_U16, ("u", 4): NNC_SOURCE_U32, ("u", 8): NNC_SOURCE_U64,
    ("i", 1): NNC_SOURCE_I8, ("i", 2): NNC_SOURCE_I16, ("i", 4): NNC_SOURCE_I32, ("i", 8): NNC_SOURCE_I64,
}


cdef int source_type(str name, cnp.ndarray array) except -1:
    """The nnc_source_type of an array that gather may read: any of the real number types, or bool."""
    dtype = array.dtype
    code = SOURCE_TYPES.get((dtype.kind, dtype.itemsize))
    if code is None:
        raise TypeError(f"{name}: expected float16, float32, float64, (u)int8 to (u)int64 or bool, got {dtype}")
    return code


def gather(cnp.ndarray source not None, cnp.ndarray index, str dtype not None, isa=None):
    """source[index] (None: every row in order) converted to float32 or float64. Rows may lie at any distance, also backwards."""
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
        if f64:
            nnc_kernels_for_f64(which).gather(out, data, kind, order, rows, cols, cols, stride // item)
        else:
            nnc_kernels_for_f32(which).gather(out, data, kind, order, rows, cols, cols, stride // item)
    return y


def sum_squares(cnp.ndarray x not None, isa=None):
    """The sum of the squares of all elements of a contiguous array."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef const void *data = as_flat("x", x, f64)
    cdef size_t n = x.size
    cdef double total
    with nogil:
        total = nnc_kernels_for_f64(which).sum_squares(data, n) if f64 else nnc_kernels_for_f32(which).sum_squares(data, n)
    return total


def count_confusion(cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight, size_t classes, bint index,
                    double threshold, double target_threshold, isa=None):
    """counts[t, p]: the weight of the rows of class t that were taken for class p."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    if target.ndim == 1:
        target = target[:, None]
    t = as_matrix("target", target, f64)
    check_shape("target", &t, zm.rows, 1 if index else zm.cols)
    if not (zm.cols > 1 and classes == zm.cols) and (index or classes != (3 if zm.cols == 2 else 2)):
        raise ValueError(
            f"classes: expected the number of columns ({zm.cols}), or 2 (of 2 columns: 3) where each is a yes or no, got {classes}")
    if index:
        check_class_indices("target", target, classes)
    counts = np.zeros((classes, classes))
    cdef double *out = <double *>cnp.PyArray_DATA(counts)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).count_confusion(
                out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, classes, index, threshold, target_threshold)
        else:
            nnc_kernels_for_f32(which).count_confusion(
                out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, classes, index, threshold, target_threshold)
    return counts


def sum_residuals(cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight, isa=None):
    """The seven sums of each column from which the regression metrics follow; kernels.inc lists them."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t = as_matrix("target", target, f64)
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    check_shape("target", &t, zm.rows, zm.cols)
    sums = np.zeros((zm.cols, 7))
    cdef double *out = <double *>cnp.PyArray_DATA(sums)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).sum_residuals(out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld)
        else:
            nnc_kernels_for_f32(which).sum_residuals(out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld)
    return sums


cdef size_t channels_of(str name, const Matrix *m, size_t inner) except? 0:
    if inner == 0 or m.cols % inner:
        raise ValueError(f"inner: {m.cols} columns of {name} are no whole number of channels of {inner}")
    return m.cols // inner


def batch_norm_forward(cnp.ndarray x not None, cnp.ndarray gamma=None, cnp.ndarray beta=None, cnp.ndarray running_mean=None,
                       cnp.ndarray running_var=None, size_t inner=1, double eps=1e-5, double momentum=0.1, bint frozen=False,
                       isa=None):
    """(y, mean, rstd) of x [rows, channels * inner]. The running statistics are updated, or used instead where frozen."""
    cdef nnc_norm_statistics statistics
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    cdef size_t channels = channels_of("x", &m, inner)
    cdef void *scale = as_vector("gamma", gamma, f64, channels)
    cdef void *shift = as_vector("beta", beta, f64, channels)
    cdef nnc_norm_source source = NNC_NORM_RUNNING if frozen else NNC_NORM_BATCH
    if (running_mean is None) != (running_var is None) or (frozen and running_mean is None):
        raise ValueError("running_mean, running_var: give both, or, unless frozen, neither")
    y, mean, rstd = empty(m.rows, m.cols, f64), np.zeros(channels, x.dtype), np.zeros(channels, x.dtype)
    statistics.mean = cnp.PyArray_DATA(mean)
    statistics.rstd = cnp.PyArray_DATA(rstd)
    statistics.running_mean = as_vector("running_mean", running_mean, f64, channels, True)
    statistics.running_var = as_vector("running_var", running_var, f64, channels, True)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).batch_norm_forward(
                out, &statistics, m.data, scale, shift, 0, channels, m.rows, inner, m.cols, m.ld, eps, momentum, source)
        else:
            nnc_kernels_for_f32(which).batch_norm_forward(
                out, &statistics, m.data, scale, shift, 0, channels, m.rows, inner, m.cols, m.ld, eps, momentum, source)
    return y, mean, rstd


def batch_norm_backward(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray center not None, cnp.ndarray spread not None,
                        cnp.ndarray gamma=None, size_t inner=1, double eps=1e-5, bint frozen=False, isa=None):
    """(dx, dgamma, dbeta). center and spread are mean and rstd of forward or, where frozen, running mean and variance."""
    cdef nnc_norm_statistics statistics
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    cdef size_t channels = channels_of("x", &m, inner)
    cdef void *scale = as_vector("gamma", gamma, f64, channels)
    cdef nnc_norm_source source = NNC_NORM_RUNNING if frozen else NNC_NORM_BATCH
    statistics.mean = statistics.running_mean = as_vector("center", center, f64, channels)
    statistics.rstd = statistics.running_var = as_vector("spread", spread, f64, channels)
    dx, dgamma, dbeta = empty(m.rows, m.cols, f64), empty_vector(channels, f64), empty_vector(channels, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    cdef void *out_gamma = cnp.PyArray_DATA(dgamma)
    cdef void *out_beta = cnp.PyArray_DATA(dbeta)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).batch_norm_backward(
                out, out_gamma, out_beta, &statistics, g.data, m.data, scale, 0, channels, m.rows, m.rows, inner, m.cols, g.ld, m.ld,
                eps, source)
        else:
            nnc_kernels_for_f32(which).batch_norm_backward(
                out, out_gamma, out_beta, &statistics, g.data, m.data, scale, 0, channels, m.rows, m.rows, inner, m.cols, g.ld, m.ld,
                eps, source)
    return dx, dgamma, dbeta


def batch_norm_in_parts(cnp.ndarray x not None, cnp.ndarray dy not None, cnp.ndarray gamma not None, cnp.ndarray beta not None,
                        double eps=1e-5, isa=None):
    """(y, mean, rstd, dx, dgamma, dbeta) by the kernels that take a chunk of rows, or some channels of their sums, at a time."""
    cdef nnc_norm_statistics s
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64), g = as_matrix("dy", dy, f64)
    check_shape("dy", &g, m.rows, m.cols)
    cdef void *scale = as_vector("gamma", gamma, f64, m.cols)
    cdef void *shift = as_vector("beta", beta, f64, m.cols)
    cdef size_t chunks = (m.rows + NNC_NORM_CHUNK - 1) // NNC_NORM_CHUNK, size = 8 if f64 else 4, half = m.cols // 2, i, at, n
    kept = [empty_vector(m.cols, f64) for _ in range(4)]
    y, dx = empty(m.rows, m.cols, f64), empty(m.rows, m.cols, f64)
    cdef cnp.ndarray partial = empty(2 * chunks, m.cols, f64)
    cdef char *parts = <char *> cnp.PyArray_DATA(partial)
    cdef char *out = <char *> cnp.PyArray_DATA(y)
    cdef char *back = <char *> cnp.PyArray_DATA(dx)
    cdef void *dgamma = cnp.PyArray_DATA(kept[2])
    cdef void *dbeta = cnp.PyArray_DATA(kept[3])
    cdef size_t wide = m.cols * size
    s.mean, s.rstd = cnp.PyArray_DATA(kept[0]), cnp.PyArray_DATA(kept[1])
    s.running_mean = s.running_var = NULL
    cdef batch_norm_moments_kernel moments
    cdef batch_norm_merge_kernel merge
    cdef batch_norm_forward_kernel forward
    cdef batch_norm_sums_kernel sums
    cdef batch_norm_total_kernel total
    cdef batch_norm_backward_kernel backward
    if f64:
        moments = <batch_norm_moments_kernel><void *>nnc_kernels_for_f64(which).batch_norm_moments
        merge = <batch_norm_merge_kernel><void *>nnc_kernels_for_f64(which).batch_norm_merge
        forward = <batch_norm_forward_kernel><void *>nnc_kernels_for_f64(which).batch_norm_forward
        sums = <batch_norm_sums_kernel><void *>nnc_kernels_for_f64(which).batch_norm_sums
        total = <batch_norm_total_kernel><void *>nnc_kernels_for_f64(which).batch_norm_total
        backward = <batch_norm_backward_kernel><void *>nnc_kernels_for_f64(which).batch_norm_backward
    else:
        moments = <batch_norm_moments_kernel><void *>nnc_kernels_for_f32(which).batch_norm_moments
        merge = <batch_norm_merge_kernel><void *>nnc_kernels_for_f32(which).batch_norm_merge
        forward = <batch_norm_forward_kernel><void *>nnc_kernels_for_f32(which).batch_norm_forward
        sums = <batch_norm_sums_kernel><void *>nnc_kernels_for_f32(which).batch_norm_sums
        total = <batch_norm_total_kernel><void *>nnc_kernels_for_f32(which).batch_norm_total
        backward = <batch_norm_backward_kernel><void *>nnc_kernels_for_f32(which).batch_norm_backward
    with nogil:
        for i in range(chunks):
            at = i * NNC_NORM_CHUNK
            n = min(m.rows - at, <size_t>NNC_NORM_CHUNK)
            moments(parts + 2 * i * wide, parts + (2 * i + 1) * wide, <char *>m.data + at * m.ld * size, n, m.cols, m.ld)
        merge(&s, parts, half, m.cols, m.rows, m.cols, eps, 0)
        merge(&s, parts, 0, half, m.rows, m.cols, eps, 0)
        for i in range(chunks):
            at = i * NNC_NORM_CHUNK
            n = min(m.rows - at, <size_t>NNC_NORM_CHUNK)
            forward(out + at * wide, &s, <char *>m.data + at * m.ld * size, scale, shift, 0, m.cols, n, 1, m.cols, m.ld, eps, 0,
                    NNC_NORM_SAVED)
            sums(parts + 2 * i * wide, parts + (2 * i + 1) * wide, <char *>g.data + at * g.ld * size,
                 <char *>m.data + at * m.ld * size, s.mean, n, m.cols, g.ld, m.ld)
        total(dgamma, dbeta, parts, s.rstd, half, m.cols, m.rows, m.cols)
        total(dgamma, dbeta, parts, s.rstd, 0, half, m.rows, m.cols)
        for i in range(chunks):
            at = i * NNC_NORM_CHUNK
            n = min(m.rows - at, <size_t>NNC_NORM_CHUNK)
            backward(back + at * wide, dgamma, dbeta, &s, <char *>g.data + at * g.ld * size, <char *>m.data + at * m.ld * size, scale,
                     0, m.cols, n, m.rows, 1, m.cols, g.ld, m.ld, eps, NNC_NORM_TOTALS)
    return y, kept[0], kept[1], dx, kept[2], kept[3]


def exp(cnp.ndarray x not None, isa=None):
    """exp of each element of a contiguous array."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef const void *data = as_flat("x", x, f64)
    cdef size_t n = x.size
    y = np.empty_like(x)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).exp(out, data, n)
        else:
            nnc_kernels_for_f32(which).exp(out, data, n)
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
        if f64:
            nnc_kernels_for_f64(which).log(out, data, n)
        else:
            nnc_kernels_for_f32(which).log(out, data, n)
    return y


def multiply_adds(size_t rounds, bint f64=False, isa=None):
    """Keeps the multipliers busy without touching memory, and gives how many floating-point operations that was."""
    cdef nnc_isa which = isa_code(isa)
    cdef double room, count
    cdef void *sum = &room
    with nogil:
        if f64:
            count = nnc_kernels_for_f64(which).multiply_adds(sum, rounds)
        else:
            count = nnc_kernels_for_f32(which).multiply_adds(sum, rounds)
    return count


def sum_penalties(cnp.ndarray w not None, isa=None):
    """(sum of absolute values, sum of squares)."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("w", w)
    cdef Matrix m = as_matrix("w", w, f64)
    cdef double[2] sums
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).sum_penalties(sums, m.data, m.rows, m.cols, m.ld)
        else:
            nnc_kernels_for_f32(which).sum_penalties(sums, m.data, m.rows, m.cols, m.ld)
    return sums[0], sums[1]


def max_norm(cnp.ndarray w not None, double limit, isa=None):
    """Scale the columns of w, in place, that are longer than the limit."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("w", w)
    cdef Matrix m = as_matrix("w", w, f64, True)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).max_norm(m.data, m.rows, m.cols, m.ld, limit)
        else:
            nnc_kernels_for_f32(which).max_norm(m.data, m.rows, m.cols, m.ld, limit)


def average(cnp.ndarray mean not None, cnp.ndarray w not None, double momentum, isa=None):
    """mean += (1 - momentum) * (w - mean), in place."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("mean", mean)
    cdef Matrix a = as_matrix("mean", mean, f64, True), m = as_matrix("w", w, f64)
    check_shape("w", &m, a.rows, a.cols)
    if a.ld != m.ld:
        raise ValueError("w: its rows must lie as far apart as those of mean")
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).average(a.data, m.data, m.rows, m.cols, m.ld, momentum)
        else:
            nnc_kernels_for_f32(which).average(a.data, m.data, m.rows, m.cols, m.ld, momentum)
