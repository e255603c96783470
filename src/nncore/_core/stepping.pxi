# stepping.pxi: one training step on one batch that needs no conversion. Loops over train_on_batch spend their time here, so arrays are
# checked through NumPy's C interface, and no other Python objects are used.

cdef object step_batch(Plan net, object x, object y, bint return_dict):
    """Run one training step. Return the result of train_on_batch, or None if something needs conversion or checks."""
    loss = step_once(net, x, y, return_dict)
    return step_batch(net, x, y, return_dict) if loss is None and net._switch_for(x) else loss


cdef object step_once(Plan net, object x, object y, bint return_dict):
    cdef unsigned long me
    cdef double lr
    trainer = net.trainer
    if trainer is None or not net.is_compiled or trainer.optimizer_fields is None:
        return None
    rate = (<dict>trainer.optimizer_fields)["_lr"]  # the property optimizer.lr would cost as much as a layer
    lr = trainer.rate(net.progress.step) if callable(rate) else rate
    if trainer.loss_only:  # only the loss is returned
        net._enter(TRAINING)
        try:
            loss = _step(net, x, y, lr, trainer.target_kind, None) if knows(net, trainer) else None
        finally:
            net._leave(TRAINING)
        return {"loss": loss} if return_dict and loss is not None else loss
    me = this_thread()
    net.access.enter(TRAINING, False)  # the sums belong to one step at a time, from clearing to reading
    try:
        sums = trainer.reset_sums()
        net._enter(TRAINING)
        try:
            loss = _step(net, x, y, lr, trainer.target_kind, sums) if knows(net, trainer) else None
        finally:
            net._leave(TRAINING)
        return None if loss is None else trainer.batch_result(loss, sums, return_dict)
    finally:
        net.access.leave(TRAINING, False, me)


cdef inline bint knows(Plan net, object trainer) noexcept:
    """Whether the plan is compiled for this trainer. Another thread may have compiled it again. The caller has entered the plan."""
    return net.trainer is trainer and net.is_compiled and not net.averaged


cdef object _step(Plan net, object x, object y, double lr, str form, object sums):
    """sums: as for Plan.train, or None."""
    if net.plan == NULL or not net.is_compiled or net.calls_out or net.group is not None or not net.is_simple or type(x) is not cnp.ndarray or type(y) is not cnp.ndarray:
        return None
    cdef cnp.ndarray a = <cnp.ndarray>x, b = <cnp.ndarray>y
    cdef size_t rows, columns = net.out_dims[net.out_rank - 1]
    cdef int d, status
    cdef nnc_dtype dtype = NNC_F64 if net.typenum == cnp.NPY_DOUBLE else NNC_F32
    if cnp.PyArray_TYPE(a) != net.typenum or cnp.PyArray_NDIM(a) != net.in_rank or not cnp.PyArray_ISCARRAY_RO(a) or net.out_rank != 2:
        return None
    for d in range(1, net.in_rank):
        if cnp.PyArray_DIM(a, d) != net.in_dims[d]:
            return None
    rows = cnp.PyArray_DIM(a, 0)
    if rows == 0 or cnp.PyArray_NDIM(b) == 0 or <size_t>cnp.PyArray_DIM(b, 0) != rows or not cnp.PyArray_ISCARRAY_RO(b):
        return None
    cdef nnc_source xs, ys
    cdef nnc_data data
    cdef nnc_error error
    cdef double *statistics = NULL
    cdef double loss = 0
    ys.data = cnp.PyArray_DATA(b)
    if form == "classes":
        if cnp.PyArray_TYPE(b) != cnp.NPY_INT64 or cnp.PyArray_NDIM(b) != 1 or not nnc_are_classes(<const int64_t *>cnp.PyArray_DATA(b), rows, columns):
            return None
        ys.type = NNC_SOURCE_I64
        ys.stride = 1
    else:
        if cnp.PyArray_TYPE(b) != net.typenum or cnp.PyArray_NDIM(b) != 2 or <size_t>cnp.PyArray_DIM(b, 1) != columns:
            return None
        if form != "values":
            if form == "probabilities":
                if not nnc_are_probabilities(cnp.PyArray_DATA(b), dtype, rows * columns):
                    return None
            elif form != "decisions" or columns != 1 or not nnc_are_decisions(cnp.PyArray_DATA(b), dtype, rows):
                return None
        ys.type = NNC_SOURCE_F64 if net.typenum == cnp.NPY_DOUBLE else NNC_SOURCE_F32
        ys.stride = columns
    xs.data = cnp.PyArray_DATA(a)
    xs.type = NNC_SOURCE_F64 if net.typenum == cnp.NPY_DOUBLE else NNC_SOURCE_F32
    xs.stride = net.in_width
    if sums is not None:
        statistics = float64_out(sums[0], net.statistic_sizes[0], "statistics")
    data.x = &xs
    data.y = &ys
    data.rows = rows
    data.weights = NULL
    data.lengths = NULL
    data.order = NULL
    data.statistics = &statistics
    data.parts = NULL
    data.accumulate = 1
    data.part = NULL
    data.share = NULL
    data.probe = net._probing()
    need_a_step(&net.progress)
    net._need_rows(rows)
    net._take_carried(rows)
    if net.has_indices:
        net._look_for_indices((x,))
    if net.flops * <double>rows < HOLD_GIL_BELOW:
        status = nnc_plan_reserve(net.plan, rows, &error)
        if status == NNC_OK:
            nnc_plan_train(net.plan, &data, rows, 0, 1, &lr, &loss, &net.progress, BUDGET)
    else:
        with nogil:
            status = nnc_plan_reserve(net.plan, rows, &error)
            if status == NNC_OK:
                nnc_plan_train(net.plan, &data, rows, 0, 1, &lr, &loss, &net.progress, BUDGET)
    net.has_forward = False
    if status != NNC_OK:
        raise_error(&error)
    return loss
