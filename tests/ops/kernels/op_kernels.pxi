# op_kernels.pxi: single activations and optimizers. Each function checks its arrays and makes one call, with the floating-point settings of
# the caller. Single losses are in src/nncore/_core/scores.pxi.

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
        call_activation_forward(which, f64, code, out, xm.data, xm.rows, xm.cols, xm.cols, xm.ld, values)
    return y


def activation_backward(str name not None, cnp.ndarray dy not None, cnp.ndarray saved not None, attr=(), isa=None):
    """dx = dy * f'(saved). OPS states whether saved is the input or the output."""
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
        call_activation_backward(which, f64, code, out, g.data, s.data, g.rows, g.cols, g.cols, g.ld, s.ld, values)
    return dx


def optimizer_step(str name not None, cnp.ndarray param not None, cnp.ndarray grad not None, moments, *, double lr, int64_t step,
                   attr=(), double weight_decay=0.0, double l1=0.0, double l2=0.0, double grad_scale=1.0, double clip_value=0.0,
                   isa=None):
    """One update in place, of contiguous arrays of the same size. moments: one array per buffer in OPS, None for unused ones."""
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
    if len(moments) > core.optimizers[code].moments:
        raise ValueError(f"moments: optimizer {name!r} keeps at most {core.optimizers[code].moments}, got {len(moments)}")
    update.lr, update.step, update.grad_scale, update.clip_value = lr, step, grad_scale, clip_value
    update.weight_decay, update.l1, update.l2 = weight_decay, l1, l2
    fill_attributes(update.attr, "optimizer", code, attr)
    for i in range(NNC_MAX_MOMENTS):
        buffer = moments[i] if i < len(moments) else None
        moment[i] = NULL
        if i < core.optimizers[code].moments and core.optimizer_uses(code, update.attr, i):
            if buffer is None or shape_of(buffer) != shape_of(param):
                raise ValueError(f"moments[{i}]: optimizer {name!r} with attr {tuple(attr)} needs an array of shape {shape_of(param)}")
            moment[i] = as_flat(f"moments[{i}]", buffer, f64, True)
    core.optimizer_prepare(code, &update)
    with nogil:
        call_optimizer(which, f64, code, w, <void *>moment, g, n, &update)
