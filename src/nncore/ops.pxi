# ops.pxi: one op at a time, for tests, benchmarks, and losses called alone. Each function checks what the kernel takes for
# granted (dtypes, shapes, strides, indices) and then makes one call, in the caller's floating-point state.

cdef struct Matrix:
    void *data
    size_t rows, cols, ld


cdef dict describe_ops():
    cdef int i
    layers, i = [], 0
    while nnc_layers[i].name != NULL:
        layers.append({
            "name": nnc_layers[i].name.decode(),
            "sizes": nnc_layers[i].sizes.decode().split(),
            "attributes": nnc_layers[i].attributes.decode().split(),
        })
        i += 1
    return {
        "activation": [
            {
                "name": nnc_activations[i].name.decode(),
                "saves": "input" if nnc_activations[i].saves_input else "output",
                "scope": "row" if nnc_activations[i].is_row else "element",
                "attributes": nnc_activations[i].attributes.decode().split(),
            }
            for i in range(NNC_ACTIVATION_COUNT)
        ],
        "loss": [
            {
                "name": nnc_losses[i].name.decode(),
                "target": "index" if nnc_losses[i].is_index else "dense",
                "attributes": nnc_losses[i].attributes.decode().split(),
            }
            for i in range(NNC_LOSS_COUNT)
        ],
        "optimizer": [
            {
                "name": nnc_optimizers[i].name.decode(),
                "moments": nnc_optimizers[i].moments,
                "attributes": nnc_optimizers[i].attributes.decode().split(),
            }
            for i in range(NNC_OPTIMIZER_COUNT)
        ],
        "layer": layers,
        "kernel": [{"name": nnc_kernel_names[i].decode()} for i in range(NNC_KERNEL_COUNT)],
    }


OPS = describe_ops()
cdef dict OP_CODES = {kind: {op["name"]: code for code, op in enumerate(ops)} for kind, ops in OPS.items()}


cdef int op_code(str kind, str name) except -1:
    code = OP_CODES[kind].get(name)
    if code is None:
        raise ValueError(f"name: no {kind} {name!r}; known are {', '.join(OP_CODES[kind])}")
    return code


cdef int fill_attributes(double *values, str kind, int code, object attr) except -1:
    names = OPS[kind][code]["attributes"]
    if len(attr) != len(names):
        raise ValueError(f"attr: {kind} {OPS[kind][code]['name']!r} takes ({', '.join(names)}), got {len(attr)} values")
    for i, value in enumerate(attr):
        values[i] = value
    return 0


cdef nnc_isa isa_code(object isa) except *:
    if isa is None:
        return ISA_IN_USE
    if isa not in ISAS:
        raise ValueError(f"isa: expected one of {', '.join(ISAS)}, got {isa!r}")
    return <nnc_isa><int>ISA_NAMES.index(isa)


cdef tuple shape_of(object array):
    return array.shape


cdef tuple strides_of(object array):
    return array.strides


cdef int check_layout(str name, cnp.ndarray array, bint writable) except -1:
    if not cnp.PyArray_ISBEHAVED_RO(array):
        raise ValueError(f"{name}: the elements must be aligned and in native byte order")
    if writable and not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name}: the array is written to, but is read-only")
    return 0


cdef bint is_float64(str name, cnp.ndarray array) except -1:
    cdef int number = cnp.PyArray_TYPE(array)
    if number != cnp.NPY_FLOAT and number != cnp.NPY_DOUBLE:
        raise TypeError(f"{name}: expected dtype float32 or float64, got {array.dtype}")
    return number == cnp.NPY_DOUBLE


cdef int check_dtype(str name, cnp.ndarray array, bint f64) except -1:
    if is_float64(name, array) != f64:
        raise TypeError(f"{name}: expected dtype {'float64' if f64 else 'float32'}, got {array.dtype}")
    return 0


cdef size_t row_distance(str name, cnp.ndarray array) except? 0:
    """The distance between rows in elements. A size of 0 or 1 leaves NumPy's strides without meaning."""
    cdef cnp.npy_intp rows = cnp.PyArray_DIM(array, 0), cols = cnp.PyArray_DIM(array, 1)
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(array), stride = cnp.PyArray_STRIDE(array, 0)
    if rows == 0 or cols == 0:
        return cols
    if cols > 1 and cnp.PyArray_STRIDE(array, 1) != item:
        raise ValueError(f"{name}: the elements of a row must be adjacent (strides {strides_of(array)}); pass a C-contiguous copy")
    if rows == 1:
        return cols
    if stride < cols * item or stride % item:
        raise ValueError(f"{name}: rows must not overlap or run backwards (strides {strides_of(array)}); pass a C-contiguous copy")
    return stride // item


cdef Matrix as_matrix(str name, cnp.ndarray array, bint f64, bint writable=False) except *:
    cdef Matrix m
    check_dtype(name, array, f64)
    check_layout(name, array, writable)
    if cnp.PyArray_NDIM(array) != 2:
        raise ValueError(f"{name}: expected 2 dimensions, got shape {shape_of(array)}")
    m.data = cnp.PyArray_DATA(array)
    m.rows = cnp.PyArray_DIM(array, 0)
    m.cols = cnp.PyArray_DIM(array, 1)
    m.ld = row_distance(name, array)
    return m


cdef void *as_vector(str name, cnp.ndarray array, bint f64, size_t n, bint writable=False) except? NULL:
    """The data of a contiguous 1-D array of n elements; NULL for None."""
    if array is None:
        return NULL
    check_dtype(name, array, f64)
    if cnp.PyArray_NDIM(array) != 1 or <size_t>cnp.PyArray_DIM(array, 0) != n:
        raise ValueError(f"{name}: expected shape ({n},), got {shape_of(array)}")
    return as_flat(name, array, f64, writable)


cdef void *as_flat(str name, cnp.ndarray array, bint f64, bint writable=False) except? NULL:
    """The data of a contiguous array of any shape."""
    check_dtype(name, array, f64)
    check_layout(name, array, writable)
    if not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError(f"{name}: expected a C-contiguous array, got strides {strides_of(array)}")
    return cnp.PyArray_DATA(array)


cdef int check_shape(str name, const Matrix *m, size_t rows, size_t cols) except -1:
    if m.rows != rows or m.cols != cols:
        raise ValueError(f"{name}: expected shape ({rows}, {cols}), got ({m.rows}, {m.cols})")
    return 0


cdef cnp.ndarray empty(size_t rows, size_t cols, bint f64):
    cdef cnp.npy_intp[2] shape = [rows, cols]
    return cnp.PyArray_EMPTY(2, shape, cnp.NPY_DOUBLE if f64 else cnp.NPY_FLOAT, 0)


cdef cnp.ndarray empty_vector(size_t n, bint f64):
    cdef cnp.npy_intp size = n
    return cnp.PyArray_EMPTY(1, &size, cnp.NPY_DOUBLE if f64 else cnp.NPY_FLOAT, 0)


cdef int check_class_indices(str name, cnp.ndarray array, size_t classes) except -1:
    """Indices become addresses in C. NaN fails the comparison."""
    if not np.all((array >= 0) & (array < classes)) or np.any(array % 1):
        raise ValueError(f"{name}: class indices must be whole numbers in [0, {classes})")
    return 0


def activation_forward(str name not None, cnp.ndarray x not None, attr=(), isa=None):
    """y = f(x), row by row."""
    cdef double[4] values
    cdef int code = op_code("activation", name)
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix xm = as_matrix("x", x, f64)
    fill_attributes(values, "activation", code, attr)
    y = empty(xm.rows, xm.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).activation_forward[code](out, xm.data, xm.rows, xm.cols, xm.cols, xm.ld, values)
        else:
            nnc_kernels_for_f32(which).activation_forward[code](out, xm.data, xm.rows, xm.cols, xm.cols, xm.ld, values)
    return y


def activation_backward(str name not None, cnp.ndarray dy not None, cnp.ndarray saved not None, attr=(), isa=None):
    """dx = dy * f'(saved); what is saved, OPS says."""
    cdef double[4] values
    cdef int code = op_code("activation", name)
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("dy", dy)
    cdef Matrix g = as_matrix("dy", dy, f64), s = as_matrix("saved", saved, f64)
    check_shape("saved", &s, g.rows, g.cols)
    fill_attributes(values, "activation", code, attr)
    dx = empty(g.rows, g.cols, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).activation_backward[code](
                out, g.data, s.data, g.rows, g.cols, g.cols, g.ld, s.ld, values)
        else:
            nnc_kernels_for_f32(which).activation_backward[code](
                out, g.data, s.data, g.rows, g.cols, g.cols, g.ld, s.ld, values)
    return dx


def loss(str name not None, cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight=None, double scale=1.0,
         attr=(), isa=None):
    """(row_loss, grad, pred): weight * loss of each row, scale * weight * d loss / d z, and, of logits, the probabilities."""
    cdef double[4] values
    cdef int code = op_code("loss", name)
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    cdef void *p = NULL
    fill_attributes(values, "loss", code, attr)
    if nnc_losses[code].is_index:
        if target.ndim == 1:
            target = target[:, None]
        t = as_matrix("target", target, f64)
        check_shape("target", &t, zm.rows, 1)
        check_class_indices("target", target, zm.cols)
    else:
        t = as_matrix("target", target, f64)
        check_shape("target", &t, zm.rows, zm.cols)
    # grad and pred share their leading dimension with z
    row_loss = empty_vector(zm.rows, f64)
    grad = empty(zm.rows, zm.ld, f64)
    pred = None
    if name.endswith("_logits"):
        pred = empty(zm.rows, zm.ld, f64)
        p = cnp.PyArray_DATA(pred)
    cdef void *g = cnp.PyArray_DATA(grad)
    cdef void *r = cnp.PyArray_DATA(row_loss)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).loss[code](g, p, r, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, scale, values)
        else:
            nnc_kernels_for_f32(which).loss[code](g, p, r, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, scale, values)
    if zm.ld != zm.cols:
        grad = grad[:, : zm.cols]
        pred = None if pred is None else pred[:, : zm.cols]
    return row_loss, grad, pred


def optimizer_step(str name not None, cnp.ndarray param not None, cnp.ndarray grad not None, moments, *, double lr, int64_t step,
                   attr=(), double weight_decay=0.0, double l1=0.0, double l2=0.0, double grad_scale=1.0, double clip_value=0.0,
                   isa=None):
    """One update of contiguous arrays of one size, in place. moments: one array per buffer in OPS, None where it is not used."""
    cdef nnc_update update
    cdef void *moment[NNC_MAX_MOMENTS]
    cdef int i, code = op_code("optimizer", name)
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("param", param)
    cdef void *w = as_flat("param", param, f64, True)
    cdef void *g = as_flat("grad", grad, f64)
    cdef size_t n = param.size
    if shape_of(grad) != shape_of(param):
        raise ValueError(f"grad: expected shape {shape_of(param)}, got {shape_of(grad)}")
    if step < 1:
        raise ValueError(f"step: the first update is step 1, got {step}")
    if len(moments) > nnc_optimizers[code].moments:
        raise ValueError(f"moments: optimizer {name!r} keeps at most {nnc_optimizers[code].moments}, got {len(moments)}")
    update.lr, update.step, update.grad_scale, update.clip_value = lr, step, grad_scale, clip_value
    update.weight_decay, update.l1, update.l2 = weight_decay, l1, l2
    fill_attributes(update.attr, "optimizer", code, attr)
    for i in range(NNC_MAX_MOMENTS):
        buffer = moments[i] if i < len(moments) else None
        moment[i] = NULL
        if i < nnc_optimizers[code].moments and nnc_optimizer_uses(code, update.attr, i):
            if buffer is None or shape_of(buffer) != shape_of(param):
                raise ValueError(f"moments[{i}]: optimizer {name!r} with attr {tuple(attr)} needs an array of shape {shape_of(param)}")
            moment[i] = as_flat(f"moments[{i}]", buffer, f64, True)
    nnc_optimizer_prepare(code, &update)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).optimizer[code](<double *>w, <double **>moment, <const double *>g, n, &update)
        else:
            nnc_kernels_for_f32(which).optimizer[code](<float *>w, <float **>moment, <const float *>g, n, &update)


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


def transpose(cnp.ndarray a not None, isa=None):
    """A C-contiguous copy of the transpose."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("a", a)
    cdef Matrix m = as_matrix("a", a, f64)
    t = empty(m.cols, m.rows, f64)
    cdef void *out = cnp.PyArray_DATA(t)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).transpose(out, m.data, m.rows, m.cols, m.rows, m.ld)
        else:
            nnc_kernels_for_f32(which).transpose(out, m.data, m.rows, m.cols, m.rows, m.ld)
    return t


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


def dropout(cnp.ndarray x not None, double p, key, stream, size_t row0=0, isa=None):
    """x * keep / (1 - p); the bits of keep depend on key, stream, row0 + row and column alone."""
    cdef uint32_t[2] k = [key[0], key[1]]
    cdef uint32_t[2] s = [stream[0], stream[1]]
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("x", x)
    cdef Matrix m = as_matrix("x", x, f64)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p: expected a probability in [0, 1], got {p}")
    y = empty(m.rows, m.cols, f64)
    cdef void *out = cnp.PyArray_DATA(y)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).dropout(out, m.data, m.rows, m.cols, m.cols, m.ld, row0, p, k, s)
        else:
            nnc_kernels_for_f32(which).dropout(out, m.data, m.rows, m.cols, m.cols, m.ld, row0, p, k, s)
    return y


cdef dict SOURCE_TYPES = {
    ("f", 4): NNC_SOURCE_F32, ("f", 8): NNC_SOURCE_F64, ("b", 1): NNC_SOURCE_U8,
    ("u", 1): NNC_SOURCE_U8, ("u", 2): NNC_SOURCE_U16, ("u", 4): NNC_SOURCE_U32, ("u", 8): NNC_SOURCE_U64,
    ("i", 1): NNC_SOURCE_I8, ("i", 2): NNC_SOURCE_I16, ("i", 4): NNC_SOURCE_I32, ("i", 8): NNC_SOURCE_I64,
}


cdef int source_type(str name, cnp.ndarray array) except -1:
    """The nnc_source_type of an array that gather may read: any of the real number types, or bool."""
    dtype = array.dtype
    code = SOURCE_TYPES.get((dtype.kind, dtype.itemsize))
    if code is None:
        raise TypeError(f"{name}: expected float32, float64, (u)int8 to (u)int64 or bool, got {dtype}")
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
                out, &statistics, m.data, scale, shift, 0, channels, m.rows, inner, m.cols, m.ld, eps, momentum, frozen)
        else:
            nnc_kernels_for_f32(which).batch_norm_forward(
                out, &statistics, m.data, scale, shift, 0, channels, m.rows, inner, m.cols, m.ld, eps, momentum, frozen)
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
    statistics.mean = statistics.running_mean = as_vector("center", center, f64, channels)
    statistics.rstd = statistics.running_var = as_vector("spread", spread, f64, channels)
    dx, dgamma, dbeta = empty(m.rows, m.cols, f64), empty_vector(channels, f64), empty_vector(channels, f64)
    cdef void *out = cnp.PyArray_DATA(dx)
    cdef void *out_gamma = cnp.PyArray_DATA(dgamma)
    cdef void *out_beta = cnp.PyArray_DATA(dbeta)
    with nogil:
        if f64:
            nnc_kernels_for_f64(which).batch_norm_backward(
                out, out_gamma, out_beta, &statistics, g.data, m.data, scale, 0, channels, m.rows, inner, m.cols, g.ld, m.ld, eps,
                frozen)
        else:
            nnc_kernels_for_f32(which).batch_norm_backward(
                out, out_gamma, out_beta, &statistics, g.data, m.data, scale, 0, channels, m.rows, inner, m.cols, g.ld, m.ld, eps,
                frozen)
    return dx, dgamma, dbeta


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
