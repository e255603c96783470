# layer_kernels.pxi: kernels of single layers, for tests and benchmarks, in the style of matrix_kernels.pxi.

cdef size_t channels_of(str name, const Matrix *m, size_t inner) except? 0:
    if inner == 0 or m.cols % inner:
        raise ValueError(f"inner: {m.cols} columns of {name} are no whole number of channels of {inner}")
    return m.cols // inner


def batch_norm_forward(cnp.ndarray x not None, cnp.ndarray gamma=None, cnp.ndarray beta=None, cnp.ndarray running_mean=None,
                       cnp.ndarray running_var=None, size_t inner=1, double eps=1e-5, double momentum=0.1, bint frozen=False,
                       isa=None):
    """(y, mean, rstd) of x [rows, channels * inner]. The running statistics are updated. If frozen, they are used instead."""
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
    statistics.squares = NULL
    statistics.running_mean = as_vector("running_mean", running_mean, f64, channels, True)
    statistics.running_var = as_vector("running_var", running_var, f64, channels, True)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_batch_norm_forward(which, f64, out, &statistics, m.data, scale, shift, 0, channels, m.rows, inner, m.cols, m.ld, eps,
                                momentum, source, NULL)
    return y, mean, rstd


def batch_norm_backward(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray center not None, cnp.ndarray spread not None,
                        cnp.ndarray gamma=None, size_t inner=1, double eps=1e-5, bint frozen=False, isa=None):
    """(dx, dgamma, dbeta). center and spread are mean and rstd of forward; if frozen, running mean and running variance."""
    cdef nnc_norm_statistics statistics
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    cdef size_t channels = channels_of("x", &m, inner)
    cdef void *scale = as_vector("gamma", gamma, f64, channels)
    cdef nnc_norm_source source = NNC_NORM_RUNNING if frozen else NNC_NORM_BATCH
    statistics.squares = NULL
    statistics.mean = statistics.running_mean = as_vector("center", center, f64, channels)
    statistics.rstd = statistics.running_var = as_vector("spread", spread, f64, channels)
    dx, dgamma, dbeta = empty(m.rows, m.cols, f64), empty_vector(channels, f64), empty_vector(channels, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    cdef void *out_gamma = cnp.PyArray_DATA(dgamma)
    cdef void *out_beta = cnp.PyArray_DATA(dbeta)
    with nogil:
        call_batch_norm_backward(which, f64, out, out_gamma, out_beta, &statistics, g.data, m.data, scale, 0, channels, m.rows,
                                 m.rows, inner, m.cols, g.ld, m.ld, eps, source)
    return dx, dgamma, dbeta


cdef void *behind(void *data, size_t elements, bint f64) noexcept nogil:
    """The address after the first `elements` elements."""
    return <char *>data + elements * (8 if f64 else 4)


def batch_norm_in_parts(cnp.ndarray x not None, cnp.ndarray dy not None, cnp.ndarray gamma not None, cnp.ndarray beta not None,
                        double eps=1e-5, isa=None):
    """(y, mean, rstd, dx, dgamma, dbeta), computed by the kernels that process some rows, or the sums of some channels."""
    cdef nnc_norm_statistics s
    cdef nnc_norm_rows every
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64), g = as_matrix("dy", dy, f64)
    check_shape("dy", &g, m.rows, m.cols)
    cdef void *scale = as_vector("gamma", gamma, f64, m.cols)
    cdef void *shift = as_vector("beta", beta, f64, m.cols)
    cdef size_t chunks = (m.rows + NNC_NORM_CHUNK - 1) // NNC_NORM_CHUNK, cols = m.cols, half = cols // 2, i, first, n
    kept = [empty_vector(cols, f64) for _ in range(4)]
    y, dx = empty(m.rows, cols, f64), empty(m.rows, cols, f64)
    cdef cnp.ndarray partial = empty(2 * chunks, cols, f64)
    cdef void *parts = cnp.PyArray_DATA(partial)
    cdef void *out = cnp.PyArray_DATA(y)
    cdef void *back = cnp.PyArray_DATA(dx)
    cdef void *dgamma = cnp.PyArray_DATA(kept[2])
    cdef void *dbeta = cnp.PyArray_DATA(kept[3])
    s.mean, s.rstd = cnp.PyArray_DATA(kept[0]), cnp.PyArray_DATA(kept[1])
    s.running_mean = s.running_var = s.squares = NULL
    every.samples, every.steps, every.lengths, every.per = 1, m.rows, NULL, 0
    with nogil:
        for i in range(chunks):
            first, n = i * NNC_NORM_CHUNK, min(m.rows - i * NNC_NORM_CHUNK, <size_t>NNC_NORM_CHUNK)
            call_batch_norm_moments(which, f64, behind(parts, 2 * i * cols, f64), behind(parts, (2 * i + 1) * cols, f64),
                                    behind(m.data, first * m.ld, f64), n, cols, m.ld)
        call_batch_norm_merge(which, f64, &s, parts, half, cols, &every, cols, eps, 0)
        call_batch_norm_merge(which, f64, &s, parts, 0, half, &every, cols, eps, 0)
        for i in range(chunks):
            first, n = i * NNC_NORM_CHUNK, min(m.rows - i * NNC_NORM_CHUNK, <size_t>NNC_NORM_CHUNK)
            call_batch_norm_forward(which, f64, behind(out, first * cols, f64), &s, behind(m.data, first * m.ld, f64), scale, shift,
                                    0, cols, n, 1, cols, m.ld, eps, 0, NNC_NORM_SAVED, NULL)
            call_batch_norm_sums(which, f64, behind(parts, 2 * i * cols, f64), behind(parts, (2 * i + 1) * cols, f64),
                                 behind(g.data, first * g.ld, f64), behind(m.data, first * m.ld, f64), s.mean, n, cols, g.ld, m.ld)
        call_batch_norm_total(which, f64, dgamma, dbeta, parts, s.rstd, half, cols, &every, cols)
        call_batch_norm_total(which, f64, dgamma, dbeta, parts, s.rstd, 0, half, &every, cols)
        for i in range(chunks):
            first, n = i * NNC_NORM_CHUNK, min(m.rows - i * NNC_NORM_CHUNK, <size_t>NNC_NORM_CHUNK)
            call_batch_norm_backward(which, f64, behind(back, first * cols, f64), dgamma, dbeta, &s, behind(g.data, first * g.ld, f64),
                                     behind(m.data, first * m.ld, f64), scale, 0, cols, n, m.rows, 1, cols, g.ld, m.ld, eps,
                                     NNC_NORM_TOTALS)
    return y, kept[0], kept[1], dx, kept[2], kept[3]


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
        call_layer_norm_forward(which, f64, out, out_mean, out_rstd, m.data, scale, shift, m.rows, m.cols, m.cols, m.ld, eps)
    return y, mean, rstd


def layer_norm_backward(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray mean not None, cnp.ndarray rstd not None,
                        cnp.ndarray gamma=None, isa=None):
    """dx, computed from the values that forward saved."""
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
        call_layer_norm_backward(which, f64, out, center, spread, g.data, m.data, scale, g.rows, g.cols, g.cols, g.ld, m.ld)
    return dx


def layer_norm_gradient(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray mean not None, cnp.ndarray rstd not None,
                        size_t first=0, last=None, isa=None):
    """(dgamma, dbeta). Columns outside of [first, last) are zeros."""
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
        call_layer_norm_gradient(which, f64, out_gamma, out_beta, center, spread, g.data, m.data, first, end, g.rows, g.ld, m.ld)
    return dgamma, dbeta


def random_words(uint64_t block, uint32_t row, key, stream, dtype, isa=None):
    """The words of Philox4x32-10 with the counters (block, row, *stream), (block + 1, row, *stream), ..., uint32."""
    cdef uint32_t[2] k = [key[0], key[1]]
    cdef uint32_t[2] s = [stream[0], stream[1]]
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = np.dtype(dtype) == np.float64
    words = np.empty(NNC_RANDOM_WORDS, np.uint32)
    cdef uint32_t *out = <uint32_t *>cnp.PyArray_DATA(words)
    with nogil:
        call_random_words(which, f64, out, block, row, k, s)
    return words


def gaussian_noise(cnp.ndarray x not None, double stddev, key, stream, size_t row0=0, isa=None):
    """x + stddev * z. The normal numbers z depend only on key, stream, row0 + row and column."""
    cdef uint32_t[2] k = [key[0], key[1]]
    cdef uint32_t[2] s = [stream[0], stream[1]]
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    y = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_gaussian_noise(which, f64, out, m.data, m.rows, m.cols, m.cols, m.ld, row0, stddev, k, s)
    return y


cdef bint per_column_of(cnp.ndarray slope, const Matrix *m) except -1:
    if slope.size != 1 and <size_t>slope.size != m.cols:
        raise ValueError(f"slope: expected 1 number, or one for each of {m.cols} columns, got {slope.size}")
    return <size_t>slope.size == m.cols and m.cols > 1


def prelu_forward(cnp.ndarray x not None, cnp.ndarray slope not None, isa=None):
    """x if x > 0, else slope * x."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    cdef bint per_column = per_column_of(slope, &m)
    cdef void *a = as_vector("slope", slope, f64, slope.size)
    y = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_prelu_forward(which, f64, out, m.data, a, m.rows, m.cols, m.cols, m.ld, per_column)
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
        call_prelu_backward(which, f64, out, g.data, m.data, a, g.rows, g.cols, g.cols, g.ld, m.ld, per_column)
    return dx


def prelu_gradient(cnp.ndarray dy not None, cnp.ndarray x not None, bint per_column=False, isa=None):
    """dslope: one number per column, or one in total."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64)
    check_shape("x", &m, g.rows, g.cols)
    dslope = np.zeros(g.cols if per_column else 1, dy.dtype)
    cdef void *out = cnp.PyArray_DATA(dslope)
    with nogil:
        call_prelu_gradient(which, f64, out, g.data, m.data, g.rows, g.cols, g.ld, m.ld, per_column)
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
        call_maxout_forward(which, f64, out, m.data, m.rows, cols, pieces, cols, m.ld)
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
        call_maxout_backward(which, f64, out, g.data, m.data, m.rows, cols, pieces, m.cols, g.ld, m.ld)
    return dx


cdef dict POOLS = {"mean": 0, "max": 1, "last": 2}


def pool_forward(cnp.ndarray x not None, size_t length, str pool not None, isa=None):
    """The mean, max or last of the first `length` steps x [steps, cols] -> [1, cols]."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    cdef int code = POOLS[pool]
    if not 1 <= length <= m.rows:
        raise ValueError(f"length: expected 1 to {m.rows}, got {length}")
    y = empty(1, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_pool_forward(which, f64, out, m.data, length, m.cols, m.ld, code)
    return y


def pool_backward(cnp.ndarray dy not None, cnp.ndarray x not None, cnp.ndarray y not None, size_t length, str pool not None, isa=None):
    """dx [steps, cols]: zeros beyond the length. y: the result of forward."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), m = as_matrix("x", x, f64), r = as_matrix("y", y, f64)
    cdef int code = POOLS[pool]
    check_shape("dy", &g, 1, m.cols)
    check_shape("y", &r, 1, m.cols)
    if not 1 <= length <= m.rows:
        raise ValueError(f"length: expected 1 to {m.rows}, got {length}")
    dx = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        call_pool_backward(which, f64, out, g.data, m.data, r.data, m.rows, length, m.cols, m.cols, m.ld, code)
    return dx


def embedding_forward(cnp.ndarray x not None, cnp.ndarray table not None, isa=None):
    """Rows of the table by the indices x [rows, cols] -> [rows * cols, dim]. An invalid index reads row 0."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64), t = as_matrix("table", table, f64)
    y = empty(m.rows * m.cols, t.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    if t.rows == 0:
        raise ValueError("table: has no rows")
    with nogil:
        call_embedding_forward(which, f64, out, m.data, t.data, m.rows, m.cols, t.cols, m.ld, t.rows, t.cols, t.ld)
    return y


def embedding_gradient(cnp.ndarray x not None, cnp.ndarray dy not None, size_t rows, int64_t padding=-1, size_t first=0, last=None,
                       isa=None):
    """The gradient of a table with this number of rows; NaN outside of rows [first, last). dy is [rows of x * cols of x, dim]."""
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
        call_embedding_gradient(which, f64, out, m.data, g.data, m.rows, m.cols, m.ld, g.ld, first, end, g.cols, g.cols, padding)
    return dtable
