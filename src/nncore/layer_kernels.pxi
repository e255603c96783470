# layers.pxi: the kernels of single kinds of layers one at a time, for tests and benchmarks, in the manner of kernels.pxi.

def layer_norm_forward(cnp.ndarray x not None, cnp.ndarray gamma=None, cnp.ndarray beta=None, double eps=1e-5, isa=None):
    """(y, mean, rstd) of x [groups, size]."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    cdef void *scale = as_vector("gamma", gamma, f64, m.cols)
    cdef void *shift = as_vector("beta", beta, f64, m.cols)
    if gamma is None and beta is not None:
        raise ValueError("beta: needs gamma")
    y, mean, rstd = empty(m.rows, m.cols, f64), empty_vector(m.rows, f64), empty_vector(m.rows, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    cdef void *out_mean = cnp.PyArray_DATA(mean)
    cdef void *out_rstd = cnp.PyArray_DATA(rstd)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).layer_norm_forward(out, out_mean, out_rstd, m.data, scale, shift, m.rows, m.cols, m.cols, m.ld, eps)
        else:
            nnc_kernels_for_f32(which).layer_norm_forward(out, out_mean, out_rstd, m.data, scale, shift, m.rows, m.cols, m.cols, m.ld, eps)
    return y, mean, rstd


def layer_norm_backward(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray mean not None, cnp.ndarray rstd not None,
                        cnp.ndarray gamma=None, isa=None):
    """dx, from what forward saved."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    cdef void *center = as_vector("mean", mean, f64, g.rows)
    cdef void *spread = as_vector("rstd", rstd, f64, g.rows)
    cdef void *scale = as_vector("gamma", gamma, f64, g.cols)
    dx = empty(g.rows, g.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).layer_norm_backward(out, center, spread, g.data, m.data, scale, g.rows, g.cols, g.cols, g.ld, m.ld)
        else:
            nnc_kernels_for_f32(which).layer_norm_backward(out, center, spread, g.data, m.data, scale, g.rows, g.cols, g.cols, g.ld, m.ld)
    return dx


def layer_norm_gradient(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray mean not None, cnp.ndarray rstd not None,
                        size_t first=0, last=None, isa=None):
    """(dgamma, dbeta); zeros outside of columns [first, last)."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    cdef size_t end = g.cols if last is None else last
    if not first <= end <= g.cols:
        raise ValueError(f"first, last: expected columns of {g.cols}, got {first} and {end}")
    cdef void *center = as_vector("mean", mean, f64, g.rows)
    cdef void *spread = as_vector("rstd", rstd, f64, g.rows)
    dgamma, dbeta = np.zeros(g.cols, dy.dtype), np.zeros(g.cols, dy.dtype)
    cdef void *out_gamma = cnp.PyArray_DATA(dgamma)
    cdef void *out_beta = cnp.PyArray_DATA(dbeta)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).layer_norm_gradient(out_gamma, out_beta, center, spread, g.data, m.data, first, end, g.rows, g.ld, m.ld)
        else:
            nnc_kernels_for_f32(which).layer_norm_gradient(out_gamma, out_beta, center, spread, g.data, m.data, first, end, g.rows, g.ld, m.ld)
    return dgamma, dbeta


def gaussian_noise(cnp.ndarray x not None, double stddev, key, stream, size_t row0=0, isa=None):
    """x + stddev * z; the normal numbers z depend on key, stream, row0 + row and column alone."""
    cdef uint32_t[2] k = [key[0], key[1]]
    cdef uint32_t[2] s = [stream[0], stream[1]]
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    y = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).gaussian_noise(out, m.data, m.rows, m.cols, m.cols, m.ld, row0, stddev, k, s)
        else:
            nnc_kernels_for_f32(which).gaussian_noise(out, m.data, m.rows, m.cols, m.cols, m.ld, row0, stddev, k, s)
    return y


cdef bint per_column_of(cnp.ndarray slope, const Matrix *m) except -1:
    if slope.size != 1 and <size_t>slope.size != m.cols:
        raise ValueError(f"slope: expected 1 number, or one for each of {m.cols} columns, got {slope.size}")
    return <size_t>slope.size == m.cols and m.cols > 1


def prelu_forward(cnp.ndarray x not None, cnp.ndarray slope not None, isa=None):
    """x where x > 0, else slope * x."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    cdef bint per_column = per_column_of(slope, &m)
    cdef void *a = as_vector("slope", slope, f64, slope.size)
    y = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).prelu_forward(out, m.data, a, m.rows, m.cols, m.cols, m.ld, per_column)
        else:
            nnc_kernels_for_f32(which).prelu_forward(out, m.data, a, m.rows, m.cols, m.cols, m.ld, per_column)
    return y


def prelu_backward(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray slope not None, isa=None):
    """dx."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    cdef bint per_column = per_column_of(slope, &m)
    cdef void *a = as_vector("slope", slope, f64, slope.size)
    dx = empty(g.rows, g.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).prelu_backward(out, g.data, m.data, a, g.rows, g.cols, g.cols, g.ld, m.ld, per_column)
        else:
            nnc_kernels_for_f32(which).prelu_backward(out, g.data, m.data, a, g.rows, g.cols, g.cols, g.ld, m.ld, per_column)
    return dx


def prelu_gradient(cnp.ndarray dy not None, cnp.ndarray x not None, bint per_column=False, isa=None):
    """dslope: one number per column, or one in all."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    dslope = np.zeros(g.cols if per_column else 1, dy.dtype)
    cdef void *out = cnp.PyArray_DATA(dslope)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).prelu_gradient(out, g.data, m.data, g.rows, g.cols, g.ld, m.ld, per_column)
        else:
            nnc_kernels_for_f32(which).prelu_gradient(out, g.data, m.data, g.rows, g.cols, g.ld, m.ld, per_column)
    return dslope


def maxout_forward(cnp.ndarray x not None, size_t pieces, isa=None):
    """The largest of the pieces of x [rows, pieces * cols]."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    cdef size_t cols = channels_of("x", &m, pieces)
    y = empty(m.rows, cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).maxout_forward(out, m.data, m.rows, cols, pieces, cols, m.ld)
        else:
            nnc_kernels_for_f32(which).maxout_forward(out, m.data, m.rows, cols, pieces, cols, m.ld)
    return y


def maxout_backward(cnp.ndarray dy not None, cnp.ndarray x not None, size_t pieces, isa=None):
    """dx: dy for the first piece that has the maximum."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    cdef size_t cols = channels_of("x", &m, pieces)
    check_shape("dy", &g, m.rows, cols)
    dx = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).maxout_backward(out, g.data, m.data, m.rows, cols, pieces, m.cols, g.ld, m.ld)
        else:
            nnc_kernels_for_f32(which).maxout_backward(out, g.data, m.data, m.rows, cols, pieces, m.cols, g.ld, m.ld)
    return dx


def embedding_forward(cnp.ndarray x not None, cnp.ndarray table not None, isa=None):
    """Rows of the table by the indices x [rows, cols] -> [rows * cols, dim]. What is no index reads row 0."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64), t = as_matrix("table", table, f64)
    y = empty(m.rows * m.cols, t.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    if t.rows == 0:
        raise ValueError("table: has no rows")
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).embedding_forward(out, m.data, t.data, m.rows, m.cols, t.cols, m.ld, t.rows, t.cols, t.ld)
        else:
            nnc_kernels_for_f32(which).embedding_forward(out, m.data, t.data, m.rows, m.cols, t.cols, m.ld, t.rows, t.cols, t.ld)
    return y


def embedding_gradient(cnp.ndarray x not None, cnp.ndarray dy not None, size_t rows, int64_t padding=-1, size_t first=0, last=None,
                       isa=None):
    """The gradient of a table of so many rows; NaN outside of rows [first, last). dy is [rows of x * cols of x, dim]."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64), g = as_matrix("dy", dy, f64)
    cdef size_t end = rows if last is None else last
    check_shape("dy", &g, m.rows * m.cols, g.cols)
    if not first <= end <= rows:
        raise ValueError(f"first, last: expected rows of {rows}, got {first} and {end}")
    dtable = np.full((rows, g.cols), np.nan, x.dtype)
    cdef void *out = cnp.PyArray_DATA(dtable)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).embedding_gradient(out, m.data, g.data, m.rows, m.cols, m.ld, g.ld, first, end, g.cols, g.cols, padding)
        else:
            nnc_kernels_for_f32(which).embedding_gradient(out, m.data, g.data, m.rows, m.cols, m.ld, g.ld, first, end, g.cols, g.cols, padding)
    return dtable
