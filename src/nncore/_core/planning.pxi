# planning.pxi: conversion of Python's records into the core's structs, and of those into a plan. Buffers and threads are not
# handled here.

from libc.stdint cimport INT64_MAX

DEF MAX_ARRAYS = 64  # inputs, outputs
cdef int HOLD_GIL_OPS = 500  # a smaller plan is finished before another thread would wake up

cdef dict REDUCTIONS = {"mean": 0, "sum": 1, "mean_with_sample_weight": 2}
cdef dict STATISTICS = {"classes": 0, "decisions": 1, "residuals": 2, "loss": 3}
cdef dict COMPUTES = {"bfloat16": NNC_COMPUTE_BF16, "int8": NNC_COMPUTE_INT8}  # others: all products in the dtype of the plan
cdef dict LAYER_CODES = OP_CODES["layer"]


cdef bytes in_messages(name):
    """A layer's name, shortened to fit into the core's messages of 400 bytes."""
    return (name if len(name) <= 60 else f"{name[:40]}...{name[-17:]}").encode()


cdef nnc_plan *create_plan(BasePlan net, inputs, ops, outputs, nnc_dtype dtype, str compute) except NULL:
    """A plan whose calls into Python go to `net`. The `called_ops` of `net` are already those of `ops`."""
    cdef nnc_plan *plan = NULL
    cdef nnc_error error
    cdef nnc_caller caller
    cdef int n_inputs = len(inputs), n_ops = len(ops), n_outputs = len(outputs), i, d, status
    cdef nnc_compute code = COMPUTES.get(compute, NNC_COMPUTE_FULL)
    caller.context = <void *>net
    caller.shape = ask_shape
    caller.param = ask_param
    caller.call = call_python
    cdef nnc_shape *shapes = <nnc_shape *>PyMem_Calloc(n_inputs + 1, sizeof(nnc_shape))
    cdef nnc_op_spec *specs = <nnc_op_spec *>PyMem_Calloc(n_ops + 1, sizeof(nnc_op_spec))
    cdef int *values = <int *>PyMem_Calloc(n_outputs + 1, sizeof(int))
    try:
        if shapes == NULL or specs == NULL or values == NULL:
            raise MemoryError(f"no memory to describe {n_ops} layers")
        if n_inputs > MAX_ARRAYS or n_outputs > MAX_ARRAYS:
            raise SizeError(f"{n_inputs} inputs and {n_outputs} outputs; at most {MAX_ARRAYS} of each are possible")
        for i, dims in enumerate(inputs):
            if len(dims) > NNC_MAX_RANK:
                raise ShapeError(f"input {i} has {len(dims)} dimensions besides the batch; at most {NNC_MAX_RANK} are possible")
            shapes[i].rank = len(dims)
            for d, size in enumerate(dims):
                shapes[i].dim[d] = dimension(size, i, d)
        names = [in_messages(op.name) for op in ops]  # references that keep the bytes alive
        indices = []
        for i, op in enumerate(ops):
            fill_op(&specs[i], op, names[i])
            if op.kind == "take":
                indices.append(np.array(op.sizes[1:], np.int64))
                specs[i].n_indices = len(op.sizes) - 1
                specs[i].indices = <const int64_t *>cnp.PyArray_DATA(indices[len(indices) - 1])
            breathe(i)
        for i, value in enumerate(outputs):
            values[i] = value
        if n_ops < HOLD_GIL_OPS:
            status = nnc_plan_create(&plan, dtype, code, ISA_IN_USE, shapes, n_inputs, specs, n_ops, values, n_outputs, &caller, &error)
        else:
            with nogil:
                status = nnc_plan_create(&plan, dtype, code, ISA_IN_USE, shapes, n_inputs, specs, n_ops, values, n_outputs, &caller, &error)
        try:
            net._rethrow()  # also if there is a plan: a layer in Python whose parameters raised an error has none in it
        except BaseException:
            nnc_plan_free(NULL if status else plan)
            raise
        if status:
            raise_error(&error)
    finally:
        PyMem_Free(shapes)
        PyMem_Free(specs)
        PyMem_Free(values)
    return plan


cdef int need_a_step(const nnc_progress *progress) except -1:
    """Raise an error if one more update would overflow the step counter."""
    if progress.step == INT64_MAX:
        raise SizeError(f"the model has step={progress.step}, and no more updates can be counted; set model.step to what it should be")
    return 0


cdef size_t dimension(object size, int i, int d) except? 0:
    """A dimension of an input as a size of the core."""
    if size < 0:
        raise ShapeError(f"input {i} has dimension {d} of size {size}")
    if size >= 2**63:
        raise SizeError(f"input {i}: dimension {d} of size {size} does not fit into 64 bits")
    return size


cdef int compile_plan(nnc_plan *plan, losses, const nnc_optimizer_spec *rule, options, statistics) except -1:
    """Set the losses, the update rule, the options and the statistics of a plan. After an error the old ones are still valid."""
    cdef nnc_error error
    cdef int n = len(losses), n_params = len(options), i
    cdef nnc_loss_spec *loss_specs = <nnc_loss_spec *>PyMem_Calloc(n, sizeof(nnc_loss_spec))
    cdef nnc_statistics *statistic_specs = <nnc_statistics *>PyMem_Calloc(n, sizeof(nnc_statistics))
    cdef nnc_param_options *settings = <nnc_param_options *>PyMem_Calloc(n_params + 1, sizeof(nnc_param_options))
    try:
        if loss_specs == NULL or statistic_specs == NULL or settings == NULL:
            raise MemoryError("no memory to compile")
        for i in range(n):
            fill_loss(&loss_specs[i], losses[i])
            fill_statistics(&statistic_specs[i], statistics[i], target_form(losses[i]))
        for i in range(n_params):
            own = options[i]
            settings[i].trainable = own.trainable
            settings[i].lr_scale = own.lr_scale
            settings[i].weight_decay = rule.weight_decay if own.weight_decay is None else own.weight_decay
            settings[i].l1 = own.l1 or 0.0
            settings[i].l2 = own.l2 or 0.0
            settings[i].max_norm = own.max_norm
        if nnc_plan_compile(plan, loss_specs, rule, settings, statistic_specs, &error):
            raise_error(&error)
    finally:
        for i in range(n if loss_specs != NULL else 0):
            PyMem_Free(<void *>loss_specs[i].attr)
        PyMem_Free(loss_specs)
        PyMem_Free(statistic_specs)
        PyMem_Free(settings)
    return 0


cdef bint has_same_parameters(const nnc_plan *plan, const nnc_plan *other) noexcept:
    """Whether two plans have the same parameters and states in the same order, wherever their memory is."""
    cdef int n = nnc_plan_param_count(plan), n_states = nnc_plan_state_count(plan), i
    cdef nnc_param a, b
    if n != nnc_plan_param_count(other) or n_states != nnc_plan_state_count(other):
        return False
    for i in range(n + n_states):
        if i < n:
            nnc_plan_param(plan, i, &a)
            nnc_plan_param(other, i, &b)
        else:
            nnc_plan_state(plan, i - n, &a)
            nnc_plan_state(other, i - n, &b)
        if a.rows != b.rows or a.cols != b.cols or a.ld != b.ld or a.op != b.op or strcmp(a.role, b.role):
            return False
    return True


cdef int fill_op(nnc_op_spec *spec, object op, bytes name) except -1:
    if op.kind not in LAYER_CODES:
        raise ValueError(f"{op.name}: unknown kind of op {op.kind!r}; known are {', '.join(LAYER_CODES)}")
    if len(op.inputs) > NNC_MAX_INPUTS or (len(op.sizes) > NNC_MAX_SIZES and op.kind != "take") or len(op.attributes) > NNC_MAX_ATTRIBUTES:
        raise ValueError(f"{op.name}: too many inputs, sizes or attributes")
    spec.kind = LAYER_CODES[op.kind]
    spec.code = op_code("activation", op.code) if op.code else 0
    spec.name = name
    spec.shares = op.shares
    spec.n_inputs = len(op.inputs)
    for i, value in enumerate(op.inputs):
        spec.input[i] = value
    for i, value in enumerate(op.sizes):
        if not -(2**63) <= value < 2**63:
            raise SizeError(f"{op.name}: size {value} does not fit into 64 bits")
        if i < NNC_MAX_SIZES:
            spec.size.at[i] = value
    if op.kind == "activation":
        fill_attributes(spec.attr.at, "activation", spec.code, op.attributes)
    else:
        for i, value in enumerate(op.attributes):
            spec.attr.at[i] = value
    return 0


cdef bint loss_specs_index(object loss) except -1:
    if loss.part is not None:
        return loss.part.targets == "classes"
    return OPS["loss"][op_code("loss", loss.name)]["target"] == "index"


cdef str target_form(object loss):
    """What the registry says of the targets of a loss: index, dense or half."""
    if loss.part is not None:
        return "index" if loss.part.targets == "classes" else "dense"
    return OPS["loss"][op_code("loss", loss.name)]["target"]


cdef size_t target_columns(object loss, size_t columns) except? 0:
    """The number of target columns for this many output columns."""
    form = target_form(loss)
    return 1 if form == "index" else columns // 2 if form == "half" else columns


cdef int fill_loss(nnc_loss_spec *spec, object loss) except -1:
    spec.index_target = loss_specs_index(loss)
    spec.reduction = REDUCTIONS[loss.reduction]
    spec.weight = loss.weight
    if loss.part is not None:
        spec.loss = NNC_LOSS_CALLED
        return 0
    spec.loss = op_code("loss", loss.name)
    spec.attr = loss_attributes(spec.loss, loss.attributes, &spec.n_attr)
    spec.from_logits = loss.from_logits
    spec.ignores = loss.ignored is not None
    spec.ignored = loss.ignored or 0.0
    return 0


cdef int fill_statistics(nnc_statistics *specs, object statistics, str form) except -1:
    """form: that of the targets of the output, as `target_form` names it."""
    cdef int i
    specs.called = statistics.called
    specs.n = len(statistics.of)
    if specs.n > NNC_MAX_STATISTICS:
        raise ValueError(f"{specs.n} kinds of sums for one output; at most {NNC_MAX_STATISTICS} are possible")
    for i in range(specs.n):
        fill_statistic(&specs.of[i], statistics.of[i], form)
    return 0


cdef int fill_statistic(nnc_statistic_spec *spec, object statistic, str form) except -1:
    cdef int count, i
    cdef double *values
    spec.kind = STATISTICS[statistic.kind]
    spec.count = <nnc_count><int>COUNTS[statistic.counted]
    spec.k = statistic.k
    spec.weighted = statistic.weighted
    spec.threshold = statistic.threshold
    loss = statistic.loss
    if statistic.kind == "loss":
        spec.loss = op_code("loss", f"{loss.name}_logits" if loss.from_logits else loss.name)
        values = loss_attributes(spec.loss, loss.attributes, &count)
        for i in range(min(count, NNC_STATISTIC_ATTRIBUTES)):
            spec.attr[i] = values[i]
        PyMem_Free(values)
        if count > NNC_STATISTIC_ATTRIBUTES:
            raise ValueError(f"the loss {loss.name} has {count} attributes; as a metric it may have {NNC_STATISTIC_ATTRIBUTES}")
        taken = OPS["loss"][spec.loss]["target"]
        if taken != form and (taken, form) != ("dense", "half"):
            raise ValueError(f"the loss {loss.name} takes other targets than those of the output")
    elif form == "index" and statistic.kind != "classes":
        raise ValueError(f"the targets of the output are class indices, which {statistic.kind} cannot be counted of")
    return 0


cdef int fill_rule(nnc_optimizer_spec *rule, object optimizer) except -1:
    cdef int i
    rule.optimizer = op_code("optimizer", optimizer.name)
    for i in range(NNC_OPTIMIZER_ATTRIBUTES):
        rule.attr[i] = 0
    fill_attributes(rule.attr, "optimizer", rule.optimizer, optimizer.attributes)
    rule.weight_decay = optimizer.weight_decay
    rule.clip_norm = optimizer.clip_norm
    rule.clip_norm_each = optimizer.clip_norm_each
    rule.clip_value = optimizer.clip_value
    rule.ema_momentum = optimizer.ema_momentum
    rule.divides_penalties = optimizer.divides_penalties
    return 0


cdef list new_moments(const nnc_optimizer_spec *rule, size_t elements, object dtype):
    moments = []
    cdef size_t kept = 2 + sum([nnc_optimizer_uses(rule.optimizer, rule.attr, i) for i in range(3)]) + (rule.ema_momentum > 0)
    if nnc_exceeds_memory(kept * elements * dtype.itemsize):
        raise SizeError(
            f"the parameters, their gradients and what the optimizer keeps take {1e-9 * kept * elements * dtype.itemsize:.3g} GB, but this "
            f"process may have {1e-9 * nnc_memory_limit():.3g} GB of memory; use an optimizer that keeps less, or a smaller model")
    for i in range(3):
        moment = None
        if nnc_optimizer_uses(rule.optimizer, rule.attr, i):
            moment = aligned_zeros(elements, dtype)
            initial = nnc_optimizer_initial(rule.optimizer, rule.attr, i)
            if initial != 0:
                moment[...] = initial
        moments.append(moment)
    return moments


cdef double *loss_attributes(int code, object attr, int *count) except? NULL:
    """The attributes of a loss in new memory (PyMem_Free). A last name with [] stands for a count and so many values."""
    names = OPS["loss"][code]["attributes"]
    cdef int several = bool(names) and names[len(names) - 1].endswith("[]")
    count[0] = len(attr)
    if len(attr) != (len(names) + int(attr[len(names) - 1]) if several and len(attr) >= len(names) else len(names)):
        raise ValueError(f"attr: loss {OPS['loss'][code]['name']!r} takes ({', '.join(names)}), got {len(attr)} values")
    cdef double *values = <double *>PyMem_Calloc(len(attr) + 1, sizeof(double))
    if values == NULL:
        raise MemoryError("no memory for the attributes of a loss")
    for i, value in enumerate(attr):
        values[i] = value
    return values
