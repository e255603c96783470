# calls.pxi: calls from the core into Python: layers, losses and metrics written in Python. They run on the thread that called the
# core.
# They acquire the GIL and pass the arrays as NumPy views. An exception is stored until the core has returned.

cdef class Block:
    """Keeps memory of the core alive as long as arrays refer to it."""

    cdef void *at

    def __cinit__(self):
        self.at = NULL

    def __dealloc__(self):
        nnc_free(self.at)


cdef Block hold(void *block):
    cdef Block owner = Block.__new__(Block)
    nnc_retain(block)
    owner.at = block
    return owner


cdef cnp.ndarray lend(const void *data, size_t ld, size_t rows, tuple shape, int typenum, bint writable, Block owner):
    """A view of `rows` samples of this shape. Their lines are `ld` elements apart."""
    cdef cnp.npy_intp[9] dims, strides
    cdef cnp.npy_intp item = 8 if typenum == cnp.NPY_DOUBLE else 4, line = ld * item
    cdef int rank = len(shape), d
    dims[0] = rows
    for d in range(rank):
        dims[d + 1] = shape[d]
    strides[rank] = item
    for d in range(rank - 1, 0, -1):
        strides[d] = line
        line *= dims[d]
    strides[0] = line
    cdef cnp.ndarray view = <cnp.ndarray>cnp.PyArray_New(
        cnp.ndarray, rank + 1, dims, typenum, strides, <void *>data, item, cnp.NPY_ARRAY_WRITEABLE if writable else 0, None)
    cnp.set_array_base(view, owner)
    return view


cdef object copy_of_lengths(const nnc_call *call):
    """None where all steps count. No typed memoryview: that alone would add a twentieth to the module."""
    if call.lengths == NULL:
        return None
    cdef cnp.npy_intp rows = call.rows
    return cnp.PyArray_SimpleNewFromData(1, &rows, cnp.NPY_INT64, <void *>call.lengths).copy()


cdef object lend_or_none(const nnc_array *lent, size_t rows, tuple shape, int typenum, Block owner):
    return None if lent.data == NULL else lend(lent.data, lent.ld, rows, shape, typenum, True, owner)


cdef int answer_op(Plan net, const nnc_call *call) except -1:
    op = net.called_ops[call.index]
    cdef Block owner = hold(call.block)
    cdef int typenum = net.typenum, j
    cdef tuple shape = net._all_shapes[len(net.input_shapes) + call.index]
    cdef list xs = []
    shapes = [net._all_shapes[value] for value in op.inputs]
    for j in range(len(shapes)):
        xs.append(lend(call.x[j].data, call.x[j].ld, call.rows, shapes[j], typenum, False, owner))
    forward = call.kind == NNC_CALL_FORWARD
    lengths = copy_of_lengths(call)
    y = lend(call.y.data, call.y.ld, call.rows, shape, typenum, forward, owner)
    if forward:
        op.part._answer_forward(y, xs, bool(call.training), lengths)
        return 0
    dy = lend(call.dy.data, call.dy.ld, call.rows, shape, typenum, False, owner)
    dxs = [lend_or_none(&call.dx[j], call.rows, shapes[j], typenum, owner) for j in range(len(shapes))]
    place = op.part.__dict__
    bound = place["_bound"]
    place["_bound"] = net._bound_in(call.index, bound)
    try:
        op.part._answer_backward(dxs, [bool(call.adds[j]) for j in range(len(shapes))], bool(call.adds_params), dy, xs, y, lengths)
    finally:
        place["_bound"] = bound
    return 0


cdef int answer_head(Plan net, const nnc_call *call) except -1:
    cdef Block owner = hold(call.block)
    cdef int typenum = net.typenum
    cdef tuple shape = net.output_shapes[call.index]
    cdef size_t width = net.target_widths[call.index]
    is_index = net.index_targets[call.index]
    cdef tuple lines = shape[: len(shape) - 1] if shape else ()
    cdef size_t columns = 1 if is_index else width // size_of(lines)
    y_pred = lend(call.y.data, call.y.ld, call.rows, shape, typenum, False, owner)
    y_true = lend(call.target, columns, call.rows, (*lines, columns) if shape else (), typenum, False, owner)
    if is_index:
        y_true = y_true[..., 0].astype(np.int64)
    if call.kind == NNC_CALL_LOSS:
        rows = lend(call.row_loss, 1, call.rows, (*lines, 1), typenum, True, owner)[..., 0]
        grad = lend_or_none(&call.dy, call.rows, shape, typenum, owner)
        net.called_losses[call.index]._answer(rows, grad, y_true, y_pred)
        return 0
    weight = None
    if call.weight != NULL:
        weight = lend(call.weight, call.weight_width, call.rows, (call.weight_width,), typenum, False, owner)
    lengths = copy_of_lengths(call)
    if is_index and np.any(y_true < 0):  # ignored targets
        y_true, y_pred, weight, lengths = counted_lines(y_true, y_pred, weight, lengths)
    for watcher in net.watchers[get_ident()][call.index]:
        watcher.update(y_true, y_pred, weight, lengths)
    return 0


cdef tuple counted_lines(y_true, y_pred, weight, lengths):
    """The lines whose class index counts, one after the other, without padding."""
    keep = y_true >= 0
    if lengths is not None:
        keep &= (np.arange(keep.shape[1]) < lengths[:, None]).reshape(keep.shape[0], keep.shape[1], *[1] * (keep.ndim - 2))
    if weight is not None:
        weight = np.repeat(weight, y_true.size // weight.size, axis=1)[keep.reshape(len(keep), -1)][:, None]
    return y_true[keep], y_pred[keep], weight, None


cdef object CALLS = {NNC_CALL_FORWARD: "forward", NNC_CALL_BACKWARD: "backward", NNC_CALL_LOSS: "the loss", NNC_CALL_METRIC: "a metric"}


cdef int call_python(void *context, const nnc_call *call) noexcept with gil:
    cdef Plan net = <Plan>context
    is_op = call.kind == NNC_CALL_FORWARD or call.kind == NNC_CALL_BACKWARD
    try:
        if is_op:
            answer_op(net, call)
        else:
            answer_head(net, call)
    except BaseException as error:  # including an interrupt
        where = net.called_ops[call.index].name if is_op else "the model" if len(net.output_shapes) == 1 else f"output {call.index}"
        error.add_note(f"raised by {CALLS[<int>call.kind]} of {where}")
        net.failures[get_ident()] = error
        return 1
    return 0


cdef int sum_ranks(void *context, void *numbers, size_t n, nnc_dtype dtype) noexcept with gil:
    cdef Plan net = <Plan>context
    cdef cnp.npy_intp size = n
    try:
        net.group.sum(cnp.PyArray_SimpleNewFromData(1, &size, cnp.NPY_DOUBLE if dtype == NNC_F64 else cnp.NPY_FLOAT, numbers))
    except BaseException as error:
        net.failures[get_ident()] = error
        return 1
    return 0


cdef int gather_ranks(void *context, void *records, size_t size) noexcept with gil:
    cdef Plan net = <Plan>context
    cdef cnp.npy_intp[2] dims
    dims[0], dims[1] = net.ranks.ranks, size
    try:
        net.group.gather(cnp.PyArray_SimpleNewFromData(2, dims, cnp.NPY_UINT8, records))
    except BaseException as error:
        net.failures[get_ident()] = error
        return 1
    return 0


cdef int ask_shape(void *context, int op, const nnc_shape *inputs, int n_inputs, nnc_shape *out) noexcept with gil:
    cdef Plan net = <Plan>context
    cdef int i, d
    try:
        record = net.called_ops[op]
        given = [tuple([inputs[i].dim[d] for d in range(inputs[i].rank)]) for i in range(n_inputs)]
        shape = record.part._answer_shape(record.name, given, record.shares >= 0)
        if len(shape) > NNC_MAX_RANK:
            raise ShapeError(f"{record.name}: its result has {len(shape)} dimensions besides the batch; at most {NNC_MAX_RANK} are possible")
        out.rank = len(shape)
        for d in range(out.rank):
            out.dim[d] = shape[d]
    except BaseException as error:
        net.failures[get_ident()] = error
        return 1
    return 0


cdef int ask_param(void *context, int op, int slot, nnc_param *param) noexcept with gil:
    cdef Plan net = <Plan>context
    cdef bytes role
    cdef int i
    try:
        shapes = list(net.called_ops[op].part.parameter_shapes().items())
        param.cols = 0
        if slot < len(shapes):
            role = shapes[slot][0].encode()
            for i in range(len(role) + 1):
                param.role[i] = (<const char *>role)[i]
            param.cols = size_of(shapes[slot][1])
    except BaseException as error:
        net.failures[get_ident()] = error
        return 1
    return 0
