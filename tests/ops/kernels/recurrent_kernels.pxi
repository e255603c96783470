# recurrent_kernels.pxi: single recurrent kernels, for tests and benchmarks. Each function checks its arrays and makes one call,
# with the floating-point settings of the caller.

cdef dict CELLS = {"tanh": NNC_CELL_TANH, "relu": NNC_CELL_RELU, "gru": NNC_CELL_GRU, "lstm": NNC_CELL_LSTM}


cdef nnc_cell cell_code(str name) except *:
    if name not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")
    return <nnc_cell><int>CELLS[name]


cdef void *as_steps(str name, cnp.ndarray array, bint f64, size_t rows, size_t steps, size_t cols, size_t *row, size_t *step,
                    bint writable=False) except? NULL:
    """The data of [rows, steps, cols] (steps 0: [rows, cols]) and its strides. If other arrays of the group came before, the
    strides must equal theirs. NULL for None."""
    cdef int axis, last = 2 if steps else 1
    cdef size_t *into
    cdef cnp.npy_intp item, stride
    cdef tuple expected = (rows, cols)
    if array is None:
        return NULL
    check_dtype(name, array, f64)
    check_layout(name, array, writable)
    if steps:
        expected = (rows, steps, cols)
    if shape_of(array) != expected:
        raise ValueError(f"{name}: expected shape {expected}, got {shape_of(array)}")
    item = cnp.PyArray_ITEMSIZE(array)
    if cols > 1 and cnp.PyArray_STRIDE(array, last) != item:
        raise ValueError(f"{name}: the last axis must be contiguous, got strides {strides_of(array)}")
    for axis in range(last):
        stride = cnp.PyArray_STRIDE(array, axis)
        if stride < 0 or stride % item or (writable and cnp.PyArray_DIM(array, axis) > 1 and <size_t>stride < cols * <size_t>item):
            raise ValueError(f"{name}: rows must not overlap or run backwards, got strides {strides_of(array)}")
        if cnp.PyArray_DIM(array, axis) == 1:
            continue
        into = step if axis else row
        if into[0] != UNKNOWN_DISTANCE and into[0] != <size_t>(stride // item):
            raise ValueError(f"{name}: expected the strides of the arrays it goes with, got {strides_of(array)}")
        into[0] = stride // item
    return cnp.PyArray_DATA(array)


cdef size_t UNKNOWN_DISTANCE = <size_t>-1


def recurrent_packed_size(str cell not None, size_t hidden):
    """Number of elements of each packed form."""
    return nnc_recurrent_packed(cell_code(cell), hidden)


def recurrent_pack(str cell not None, cnp.ndarray forward not None, cnp.ndarray backward, cnp.ndarray w not None, size_t first=0,
                   last=None, isa=None):
    """Write rows [first, last) of w [hidden, products * hidden] into the packed forms."""
    cdef nnc_cell code = cell_code(cell)
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("w", w)
    cdef Matrix m = as_matrix("w", w, f64)
    cdef size_t hidden = m.rows, end = hidden if last is None else last, size = nnc_recurrent_packed(code, hidden)
    check_shape("w", &m, hidden, nnc_cell_products(code) * hidden)
    cdef void *f = as_vector("forward", forward, f64, size, True)
    cdef void *b = as_vector("backward", backward, f64, size, True)
    if not first <= end <= hidden:
        raise ValueError(f"first, last: expected a range of the {hidden} rows of w, got {first}, {end}")
    with nogil:
        call_recurrent_pack(which, f64, f, b, m.data, code, first, end, hidden, m.ld)


def recurrent_pack_bias(str cell not None, cnp.ndarray forward not None, cnp.ndarray bias, size_t hidden, isa=None):
    """Write the bias [products * hidden] into the packed form of forward. None means 0."""
    cdef nnc_cell code = cell_code(cell)
    cdef nnc_isa which = isa_code(isa)
    cdef bint f64 = is_float64("forward", forward)
    cdef void *f = as_vector("forward", forward, f64, nnc_recurrent_packed(code, hidden), True)
    cdef void *b = as_vector("bias", bias, f64, nnc_cell_products(code) * hidden)
    with nogil:
        call_recurrent_pack_bias(which, f64, f, b, code, hidden)


cdef class Recurrence:
    """A checked nnc_recurrence, and the memory to which it points."""
    cdef nnc_recurrence r
    cdef bint f64
    cdef nnc_isa which
    cdef list kept

    def __init__(self, str cell not None, cnp.ndarray gates not None, cnp.ndarray forward, cnp.ndarray backward, int reverse,
                 size_t first_step, cnp.ndarray lengths, isa, arrays):
        cdef nnc_recurrence *r = &self.r
        cdef size_t columns, none = 0
        cdef bint lstm = cell == "lstm"
        self.which = isa_code(isa)
        self.f64 = is_float64("gates", gates)
        r.cell = cell_code(cell)
        r.reverse, r.first_step = reverse, first_step
        if gates.ndim != 3 or not gates.size or gates.shape[2] % nnc_cell_gates(r.cell):
            raise ValueError(f"gates: expected [rows, steps, {nnc_cell_gates(r.cell)} * hidden], got shape {shape_of(gates)}")
        r.rows, r.steps, columns = gates.shape[0], gates.shape[1], gates.shape[2]
        r.hidden = columns // nnc_cell_gates(r.cell)
        r.gates_row = r.gates_step = r.y_row = r.y_step = r.h_row = r.h_step = UNKNOWN_DISTANCE
        r.initial_row = r.dinitial_row = r.final_row = r.mask_row = UNKNOWN_DISTANCE
        a = {name: None for name in ("y", "h", "c", "h_n", "c_n", "h0", "c0", "dgates", "dh", "dh0", "dc0", "dy", "dh_n", "dc_n", "mask")}
        unknown = set(arrays) - set(a)
        if unknown:
            raise TypeError(f"unexpected arrays: {', '.join(sorted(unknown))}")
        a.update(arrays)
        r.gates = as_steps("gates", gates, self.f64, r.rows, r.steps, columns, &r.gates_row, &r.gates_step, True)
        r.dgates = as_steps("dgates", a["dgates"], self.f64, r.rows, r.steps, columns, &r.gates_row, &r.gates_step, True)
        r.y = as_steps("y", a["y"], self.f64, r.rows, r.steps, r.hidden, &r.y_row, &r.y_step, True)
        r.dy = as_steps("dy", a["dy"], self.f64, r.rows, r.steps, r.hidden, &r.y_row, &r.y_step)
        r.h = as_steps("h", a["h"], self.f64, r.rows, r.steps + 1, r.hidden, &r.h_row, &r.h_step, True)
        r.c = as_steps("c", a["c"], self.f64, r.rows, r.steps + 1, r.hidden, &r.h_row, &r.h_step, True)
        r.dh = as_steps("dh", a["dh"], self.f64, r.rows, r.steps, r.hidden, &r.h_row, &r.h_step, True)
        r.h0 = as_steps("h0", a["h0"], self.f64, r.rows, 0, r.hidden, &r.initial_row, &none)
        r.c0 = as_steps("c0", a["c0"], self.f64, r.rows, 0, r.hidden, &r.initial_row, &none)
        r.dh0 = as_steps("dh0", a["dh0"], self.f64, r.rows, 0, r.hidden, &r.dinitial_row, &none, True)
        r.dc0 = as_steps("dc0", a["dc0"], self.f64, r.rows, 0, r.hidden, &r.dinitial_row, &none, True)
        r.mask = as_steps("mask", a["mask"], self.f64, r.rows, 0, r.hidden, &r.mask_row, &none)
        r.h_n = as_steps("h_n", a["h_n"], self.f64, r.rows, 0, r.hidden, &r.final_row, &none, True)
        r.c_n = as_steps("c_n", a["c_n"], self.f64, r.rows, 0, r.hidden, &r.final_row, &none, True)
        r.dh_n = as_steps("dh_n", a["dh_n"], self.f64, r.rows, 0, r.hidden, &r.final_row, &none)
        r.dc_n = as_steps("dc_n", a["dc_n"], self.f64, r.rows, 0, r.hidden, &r.final_row, &none)
        if lstm and (a["h"] is None) != (a["c"] is None):
            raise ValueError("h, c: an LSTM saves both or neither")
        cdef size_t size = nnc_recurrent_packed(r.cell, r.hidden)
        r.forward = as_vector("forward", forward, self.f64, size)
        r.backward = as_vector("backward", backward, self.f64, size)
        r.lengths = NULL
        if lengths is not None:
            if cnp.PyArray_TYPE(lengths) != cnp.NPY_INT64 or shape_of(lengths) != (r.rows,):
                raise ValueError(f"lengths: expected int64 of shape ({r.rows},), got {lengths.dtype} of shape {shape_of(lengths)}")
            check_layout("lengths", lengths, False)
            lengths = np.ascontiguousarray(lengths)
            r.lengths = <const int64_t *>cnp.PyArray_DATA(lengths)
        scratch = np.empty(nnc_recurrent_scratch(r.cell, r.rows, r.hidden), gates.dtype)
        r.scratch = cnp.PyArray_DATA(<cnp.ndarray>scratch)
        self.kept = [gates, a, forward, backward, lengths, scratch]

    def forward(self):
        with nogil:
            call_recurrent_forward(self.which, self.f64, &self.r)

    def backward(self):
        with nogil:
            call_recurrent_backward(self.which, self.f64, &self.r)


def recurrent_forward(str cell not None, cnp.ndarray gates not None, cnp.ndarray forward not None, *, bint reverse=False,
                      size_t first_step=0, cnp.ndarray lengths=None, isa=None, **arrays):
    """Run all steps of one direction. The results go into those of y, h, c, h_n, c_n that are given."""
    Recurrence(cell, gates, forward, None, reverse, first_step, lengths, isa, arrays).forward()


def recurrent_backward(str cell not None, cnp.ndarray gates not None, cnp.ndarray backward not None, *, bint reverse=False,
                       size_t first_step=0, cnp.ndarray lengths=None, isa=None, **arrays):
    """Run all steps backwards, from the values that forward saved. The results go into dgates (None: gates), dh, dh0, dc0."""
    if arrays.get("h") is None:
        raise ValueError("h: backward needs what forward saved")
    if arrays.get("dgates") is None:
        arrays["dgates"] = gates
    Recurrence(cell, gates, None, backward, reverse, first_step, lengths, isa, arrays).backward()
