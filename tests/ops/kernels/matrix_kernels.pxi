# matrix_kernels.pxi: single matrix products, sums and elementwise operations, for tests and benchmarks. Each function checks its
# arrays and makes one call, with the floating-point settings of the caller.

def gemm(cnp.ndarray a not None, cnp.ndarray b not None, cnp.ndarray bias=None, cnp.ndarray out=None, bint accumulate=False,
         bint transpose_a=False, bint transpose_b=False, size_t repeat=1, isa=None):
    """out = A B, plus bias or plus out itself. A is a or its transpose, B is b or its transpose. The call is repeated."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64), c
    cdef size_t m = am.cols if transpose_a else am.rows, k = am.rows if transpose_a else am.cols, n = bm.rows if transpose_b else bm.cols
    cdef size_t a_row = 1 if transpose_a else am.ld, a_col = am.ld if transpose_a else 1
    if (bm.cols if transpose_b else bm.rows) != k:
        raise ValueError(f"b: expected {k} {'columns' if transpose_b else 'rows'} for a of shape {shape_of(a)}, got shape {shape_of(b)}")
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
        while repeat:
            if transpose_b:
                call_gemm_nt(which, f64, c.data, am.data, bm.data, start, m, n, k, c.ld, a_row, a_col, bm.ld, accumulate)
            else:
                call_gemm(which, f64, c.data, am.data, bm.data, start, m, n, k, c.ld, a_row, a_col, bm.ld, accumulate)
            repeat -= 1
    return out


def linear_gradient(cnp.ndarray x not None, cnp.ndarray dz not None, cnp.ndarray dw=None, bint bias=True, isa=None):
    """(dw, db): x^T dz, written to dw if it is given, and the sum of each column of dz. Without bias, db is None."""
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
        call_linear_gradient(which, f64, w.data, total, xm.data, zm.data, xm.cols, zm.cols, xm.rows, w.ld, xm.ld, zm.ld)
    return dw, db


def transpose(cnp.ndarray a not None, cnp.ndarray out=None, isa=None):
    """A copy of the transpose, in out, or C-contiguous."""
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
        call_transpose(which, f64, t.data, m.data, m.rows, m.cols, t.ld, m.ld)
    return out


def column_sum(cnp.ndarray a not None, cnp.ndarray out=None, bint accumulate=False, isa=None):
    """The sum of each column, in the order of the rows. If accumulate is set, it is added to out."""
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
        call_column_sum(which, f64, total, m.data, m.rows, m.cols, m.ld, accumulate)
    return out


def accumulate(cnp.ndarray y not None, cnp.ndarray x not None, isa=None):
    """y += x."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("y", y)
    cdef Matrix ym = as_matrix("y", y, f64, True), xm = as_matrix("x", x, f64)
    check_shape("x", &xm, ym.rows, ym.cols)
    with nogil:
        call_accumulate(which, f64, ym.data, xm.data, ym.rows, ym.cols, ym.ld, xm.ld)


def combine(cnp.ndarray a not None, cnp.ndarray b, double alpha, double beta, double gamma, isa=None):
    """alpha a + beta b + gamma, or alpha a + gamma if b is None."""
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
        call_combine(which, f64, out, am.data, bm.data, am.rows, am.cols, am.cols, am.ld, bm.ld, alpha, beta, gamma)
    return y


def multiply(cnp.ndarray a not None, cnp.ndarray b not None, cnp.ndarray out=None, isa=None):
    """a b. It is added to out if that is given."""
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
        call_multiply(which, f64, ym.data, am.data, bm.data, am.rows, am.cols, ym.ld, am.ld, bm.ld, accumulate)
    return out


def maximum(cnp.ndarray a not None, cnp.ndarray b not None, bint is_minimum=False, isa=None):
    """The maximum of a and b, or the minimum."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64)
    check_shape("b", &bm, am.rows, am.cols)
    y = empty(am.rows, am.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        call_maximum(which, f64, out, am.data, bm.data, am.rows, am.cols, am.cols, am.ld, bm.ld, is_minimum)
    return y


def maximum_backward(cnp.ndarray dy not None, cnp.ndarray a not None, cnp.ndarray b not None, bint is_minimum=False, isa=None):
    """The gradient of a."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix dm = as_matrix("dy", dy, f64), am = as_matrix("a", a, f64), bm = as_matrix("b", b, f64)
    check_shape("a", &am, dm.rows, dm.cols)
    check_shape("b", &bm, dm.rows, dm.cols)
    da = empty(dm.rows, dm.cols, f64)
    cdef void *out = cnp.PyArray_DATA(da)
    with nogil:
        call_maximum_backward(which, f64, out, dm.data, am.data, bm.data, dm.rows, dm.cols, dm.cols, dm.ld, am.ld, bm.ld,
                              is_minimum)
    return da
