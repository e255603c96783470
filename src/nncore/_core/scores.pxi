# scores.pxi: the values and sums of losses and metrics that are called by themselves. Each function checks its arrays and makes one call of
# a kernel, with the floating-point settings of the caller.

def row_losses(str name not None, cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight=None, double scale=1.0,
               attr=(), isa=None):
    """(row_loss, grad, pred): weight * loss of each row, scale * weight * d loss / d z, and for logits the probabilities."""
    cdef int code = op_code("loss", name), count
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    cdef void *p = NULL
    if core.losses[code].is_index:
        if target.ndim == 1:
            target = target[:, None]
        t = as_matrix("target", target, f64)
        check_shape("target", &t, zm.rows, 1)
        check_class_indices("target", target, zm.cols)
    else:
        t = as_matrix("target", target, f64)
        check_shape("target", &t, zm.rows, zm.cols // 2 if core.losses[code].is_half else zm.cols)
    # grad and pred have the leading dimension of z
    row_loss = empty_vector(zm.rows, f64)
    grad = empty(zm.rows, zm.ld, f64)
    pred = None
    if name.endswith("_logits"):
        pred = empty(zm.rows, zm.ld, f64)
        p = cnp.PyArray_DATA(pred)
    cdef void *g = cnp.PyArray_DATA(grad)
    cdef void *r = cnp.PyArray_DATA(row_loss)
    cdef double *values = loss_attributes(code, attr, &count)
    if len(OPS["loss"][code]["attributes"]) < count and count - len(OPS["loss"][code]["attributes"]) not in (1, <Py_ssize_t>zm.cols):
        PyMem_Free(values)
        raise ValueError(f"attr: one value, or one for each of {zm.cols} columns, is needed")
    with nogil:
        call_loss(which, f64, code, g, p, r, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, scale, values)
    PyMem_Free(values)
    if zm.ld != zm.cols:
        grad = grad[:, : zm.cols]
        pred = None if pred is None else pred[:, : zm.cols]
    return row_loss, grad, pred


def count_classes(cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight, bint index, str count, size_t k=1, isa=None):
    """The sums of kernels.h for rows of scores: five, then those of the classes."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    cdef nnc_count counted = <nnc_count><int>COUNTS[count]
    if target.ndim == 1:
        target = target[:, None]
    t = as_matrix("target", target, f64)
    check_shape("target", &t, zm.rows, 1 if index else zm.cols)
    if count == "whole":
        raise ValueError("count: 'whole' is for decisions")
    if index:
        check_class_indices("target", target, zm.cols)
    sums = np.zeros(NNC_SUM_EACH + {"each": 3 * zm.cols, "pairs": zm.cols * zm.cols}.get(count, 0))
    cdef double *out = <double *>cnp.PyArray_DATA(sums)
    with nogil:
        call_count_classes(which, f64, out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, index, counted, k)
    return sums


def count_decisions(cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight, str count, double threshold,
                    double target_threshold, isa=None):
    """The sums of kernels.h for labels that are predicted one by one: five, then those of the labels."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    cdef nnc_count counted = <nnc_count><int>COUNTS[count]
    t = as_matrix("target", target, f64)
    check_shape("target", &t, zm.rows, zm.cols)
    if count not in ("right", "each", "whole"):
        raise ValueError("count: expected 'right', 'each' or 'whole' of decisions")
    sums = np.zeros(NNC_SUM_EACH + (3 * zm.cols if count == "each" else 0))
    cdef double *out = <double *>cnp.PyArray_DATA(sums)
    with nogil:
        call_count_decisions(which, f64, out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld, counted, threshold, target_threshold)
    return sums


def sum_residuals(cnp.ndarray z not None, cnp.ndarray target not None, cnp.ndarray weight, isa=None):
    """The seven sums per column for the regression metrics. kernels.inc lists them."""
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("z", z)
    cdef Matrix zm = as_matrix("z", z, f64), t = as_matrix("target", target, f64)
    cdef void *w = as_vector("weight", weight, f64, zm.rows)
    check_shape("target", &t, zm.rows, zm.cols)
    sums = np.zeros((zm.cols, 7))
    cdef double *out = <double *>cnp.PyArray_DATA(sums)
    with nogil:
        call_sum_residuals(which, f64, out, zm.data, t.data, w, zm.rows, zm.cols, zm.ld, t.ld)
    return sums


cdef int check_class_indices(str name, cnp.ndarray array, size_t classes) except -1:
    """Check class indices; -1 is ignored. NaN fails the comparison."""
    if not np.all((array >= -1) & (array < classes)) or np.any(array % 1):
        raise ValueError(f"{name}: class indices must be whole numbers in [0, {classes}), or -1")
    return 0
