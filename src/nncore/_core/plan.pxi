# plan.pxi: the plan of a network as a Python object: its construction, and its buffers, which it keeps alive. The file is long because all
# methods change the same fields. Each change is complete or does not happen, also after an interrupt.

cdef dict called_in(ops):
    """The ops that are layers written in Python, by their index."""
    return {i: op for i, op in enumerate(ops) if op.kind == "python"}


cdef class BasePlan:
    """A plan with its buffers: construction and content. `Plan` adds running."""

    cdef readonly Access access  # which threads may use it
    cdef nnc_plan *plan
    cdef nnc_progress progress, forward_progress  # the latter is that of the last forward
    cdef readonly object dtype
    cdef bint keeps_weights  # for predictions: memory.pxi
    cdef bint was_open
    cdef readonly str compute  # "bfloat16" or "int8" if products are computed from such operands, else the name of the dtype
    cdef dict arrays  # the buffers by name
    cdef list parameter_views, state_views, moments
    # For each parameter and state the view of a network whose layer this one shares, or its position in the own memory. None: all are
    # in the own memory, in their order.
    cdef list borrowed, borrowed_states
    cdef list op_names, input_shapes, output_shapes, _all_shapes, output_lines, statistic_sizes, target_widths
    cdef dict called_bound  # by layer in Python: its views of its parameters in this network
    cdef dict called_ops, failures, watchers  # calls.pxi
    cdef nnc_ranks ranks  # sum is NULL: alone
    cdef object group  # what calls the other ranks, with `sum` and `gather`; or None
    cdef list called_losses
    cdef list index_targets  # per output, whether its targets are class indices
    cdef bint calls_out, is_watched
    cdef nnc_probe probe  # the statistics of `Diagnostics`; off if every is 0
    cdef object probed
    cdef readonly bint is_compiled  # it has the losses and the update rule of its trainer
    cdef bint last_training, has_forward
    cdef bytes inference  # a flag per op: it computes as at inference in training, too; None: no op does
    cdef size_t forward_rows
    cdef object forward_for  # the `built_for` of the plan of the last forward; another one may be in use since
    cdef object forward_sequences  # the lengths and states of the last forward
    cdef readonly object forward_steps  # its valid steps if a mask tells them, so that backward can rearrange gradients; or None
    cdef Results results
    cdef cnp.ndarray last_result, older_result  # results of small predictions
    cdef object to_carry  # states for the next stateful batch, until it comes; or None
    cdef double flops
    cdef int typenum
    # One input, one output: the values that __call__ needs, so that it need not use Python objects.
    cdef readonly bint is_simple
    cdef bint has_indices
    cdef int in_rank, out_rank
    cdef cnp.npy_intp[9] in_dims, out_dims
    cdef size_t in_width
    # Attributes that the network and its trainer need. They are here so that they change together with the plan, also after an
    # interrupt.
    cdef readonly object built_for  # the input shapes of the plan, or None
    cdef readonly object ops, owners, outputs  # op records, the layer of each, and the output values, from which the plan was made
    cdef public object trainer  # the trainer, or None; if is_compiled, the plan has its losses and its update rule
    cdef bint is_provisional  # it has parameters, but its number of time steps is not known; built_for is None
    cdef readonly bint averaged  # the parameters are replaced by their average
    cdef dict kept_plans  # for other numbers of time steps, by the shapes of the inputs: lengths.pxi
    cdef size_t kept_bytes
    cdef uint64_t kept_uses
    cdef bint checks_finite  # compile(check_finite=True): calls must not take the short way, where nobody looks at the data
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self.plan = NULL
        self.access = Access()
        self.arrays, self.kept_plans = {}, {}
        self.results = Results()
        self.called_bound = {}
        self.called_ops, self.failures, self.watchers, self.called_losses, self.index_targets = {}, {}, {}, [], []

    def __dealloc__(self):
        nnc_plan_free(self.plan)

    @property
    def step(self):
        """Number of updates done so far."""
        return self.progress.step

    @step.setter
    def step(self, value):
        cdef int64_t step = whole_number("step", value, 0, 2**63 - 1)
        self._enter_with(TRAINING, False, True)
        self.progress.step = step
        self.progress.pass_ = 0
        self.access.leave(TRAINING, False, this_thread())

    @property
    def seed(self):
        """The seed of dropout masks and shuffling."""
        return self.progress.seed

    @seed.setter
    def seed(self, value):
        cdef uint64_t seed = whole_number("seed", value, 0, 2**64 - 1)
        self._enter_with(TRAINING, False, True)
        self.progress.seed = seed
        self.progress.pass_ = 0
        self.access.leave(TRAINING, False, this_thread())

    @property
    def passes(self):
        """Number of forward passes in training mode since the last update. Each draws its own random numbers."""
        return self.progress.pass_

    @passes.setter
    def passes(self, value):
        cdef uint64_t passes = whole_number("passes", value, 0, 2**64 - 1)
        self._enter_with(TRAINING, False, True)
        self.progress.pass_ = passes
        self.access.leave(TRAINING, False, this_thread())

    # Building -----------------------------------------------------------------------------------------------------------------

    def assemble(self, inputs, ops, outputs, str dtype, str compute="float32"):
        self._enter_with(CHANGING, False, True)
        try:
            self._assemble_alone(inputs, ops, outputs, dtype, compute)
        finally:
            self.access.leave(CHANGING, False, this_thread())

    cdef int _assemble_alone(self, inputs, ops, outputs, str dtype, str compute) except -1:
        called_before, self.called_ops = self.called_ops, called_in(ops)
        cdef nnc_plan *plan = NULL
        cdef nnc_dtype code = NNC_F64 if np.dtype(dtype) == np.float64 else NNC_F32
        try:
            plan = create_plan(self, inputs, ops, outputs, code, compute)
            elements = nnc_plan_elements(plan)
            # Weights of 8-bit integers are for inference alone.
            gradients = 0 if compute == "int8" else elements
            buffers = {"parameters": parameter_memory(elements, dtype)}
            buffers["gradients"] = aligned_zeros(gradients + 1, dtype)[:gradients]  # one more for ranks
            buffers["states"] = aligned_zeros(nnc_plan_state_elements(plan), dtype)
        except BaseException:
            self.called_ops = called_before
            nnc_plan_free(plan)
            raise
        nnc_plan_free(self.plan)
        forget_kept(self)
        self.to_carry = None
        self.called_losses, self.index_targets, self.is_watched = [], [], False
        self.probe.every = 0
        self.probed = None
        self.calls_out = bool(self.called_ops)
        self.plan = plan
        self.dtype = np.dtype(dtype)
        self.compute = compute if compute in COMPUTES else dtype
        self.keeps_weights = self.compute == "bfloat16"
        self.typenum = cnp.NPY_DOUBLE if self.dtype == np.float64 else cnp.NPY_FLOAT
        self.arrays = buffers
        self.borrowed = self.borrowed_states = None
        self.op_names = [op.name for op in ops]
        self.moments = []
        self.is_compiled = self.has_forward = False
        self._bind()
        self._make_views()
        for state in self.state_views:
            if state.role == "running_var":
                state.value[...] = 1
        self._describe(len(inputs), len(ops), outputs)
        return 0

    def adopt(self, Plan new not None, input_shapes, ops, owners, outputs, layers, bound, bint provisional=False):
        """Take over the plan and the buffers of a network that has just been built, and set the layers' views of their parameters.

        This happens completely or not at all. No Python code runs in between; the old objects are released at the end.
        bound: for each layer its parameters by role. provisional: the number of time steps is not known yet. The plan then has the
        parameters, but runs nothing until `replan` states the shapes.
        """
        cdef nnc_plan *plan
        self._enter_with(CHANGING, False, True)
        try:
            shapes = None if provisional else [tuple([int(d) for d in shape]) for shape in input_shapes]
            checks_finite = self.trainer is not None and bool(self.trainer.config.check_finite)
            places = [layer.__dict__ for layer in layers]
            kept = (self.ops, self.owners, self.outputs, self.built_for, self.kept_plans)
            before = [(place.get("_bound"), place.get("_pending")) for place in places]
            plan, self.plan, new.plan = self.plan, new.plan, NULL
            new.plan = plan
            nnc_plan_set_context(self.plan, <void *>self)
            self.dtype, new.dtype = new.dtype, self.dtype
            self.compute, new.compute = new.compute, self.compute
            self.keeps_weights = new.keeps_weights
            self.typenum = new.typenum
            self.arrays, new.arrays = new.arrays, self.arrays
            self.parameter_views, new.parameter_views = new.parameter_views, self.parameter_views
            self.state_views, new.state_views = new.state_views, self.state_views
            self.called_bound = {}
            self.moments, new.moments = new.moments, self.moments
            self.borrowed, new.borrowed = new.borrowed, self.borrowed
            self.borrowed_states, new.borrowed_states = new.borrowed_states, self.borrowed_states
            self.op_names, new.op_names = new.op_names, self.op_names
            self.input_shapes, new.input_shapes = new.input_shapes, self.input_shapes
            self.output_shapes, new.output_shapes = new.output_shapes, self.output_shapes
            self._all_shapes, new._all_shapes = new._all_shapes, self._all_shapes
            self.output_lines, new.output_lines = new.output_lines, self.output_lines
            self.called_ops, new.called_ops = new.called_ops, self.called_ops
            self.called_losses, new.called_losses = new.called_losses, self.called_losses
            self.index_targets, new.index_targets = new.index_targets, self.index_targets
            self.probed, new.probed = new.probed, self.probed
            self.to_carry, new.to_carry = new.to_carry, self.to_carry
            self.probe.every = 0
            self.calls_out, self.is_watched = new.calls_out, False
            self.is_compiled = self.has_forward = False
            self.checks_finite = checks_finite
            self.is_provisional = provisional
            self.inference, new.inference = new.inference, self.inference
            self.flops, self.is_simple, self.has_indices = new.flops, new.is_simple and not provisional, new.has_indices
            self.in_rank, self.out_rank, self.in_width = new.in_rank, new.out_rank, new.in_width
            memcpy(self.in_dims, new.in_dims, sizeof(self.in_dims))
            memcpy(self.out_dims, new.out_dims, sizeof(self.out_dims))
            self.ops, self.owners, self.outputs, self.built_for = ops, owners, outputs, shapes
            forget_kept(self)
            for place, parameters in zip(places, bound):
                if parameters:
                    place["_bound"], place["_pending"] = parameters, {}
            del kept, before
        finally:
            self.access.leave(CHANGING, False, this_thread())

    def replan(self, inputs, ops, outputs, compiled=None):
        """Plan the same ops for inputs of other shapes. Parameters, states, moments, average, carried states and counters stay.
        compiled: the records that `compile` takes, or None if it was not called.

        Raise ShapeError if the shapes of parameters would change. After an error nothing has changed.
        """
        self._enter_with(CHANGING, True, True)
        try:
            self._replan_alone(inputs, ops, outputs, compiled)
        finally:
            self.access.leave(CHANGING, True, this_thread())

    cdef int _replan_alone(self, inputs, ops, outputs, compiled) except -1:
        self._need_plan()
        cdef nnc_error error
        cdef nnc_optimizer_spec rule
        cdef nnc_dtype code = NNC_F64 if self.dtype == np.float64 else NNC_F32
        cdef nnc_plan *plan = NULL
        cdef KeptPlan kept = None
        called_before, self.called_ops = self.called_ops, called_in(ops)
        try:
            plan = create_plan(self, inputs, ops, outputs, code, self.compute)
            if not has_same_parameters(plan, self.plan):
                raise ShapeError("the parameters have other shapes")
            self._bind_plan(plan)
            if compiled is not None:
                losses, optimizer, options, statistics = compiled
                fill_rule(&rule, optimizer)
                compile_plan(plan, losses, &rule, options, statistics)
            if nnc_plan_inherit(plan, self.plan, &error):
                raise_error(&error)
            kept = put_away(self, compiled is not None)
        except BaseException:
            self.called_ops = called_before
            nnc_plan_free(plan)
            raise
        if self.inference is not None:
            nnc_plan_set_inference(plan, <const unsigned char *><const char *>self.inference)
        if kept is None:
            nnc_plan_free(self.plan)
        else:
            kept.plan = self.plan
        self.plan = plan
        self.is_provisional = False
        self.built_for = [tuple(shape) for shape in inputs]  # together with the plan, as threads may alternate between lengths
        self.is_compiled = compiled is not None
        if kept is None:
            self.has_forward = False
            self.forward_sequences = None
        self._describe(len(inputs), len(ops), outputs)
        if compiled is not None:
            self._count(losses, statistics)
        drop_kept(self, tuple(self.built_for))  # the trainer could not use it
        if kept is None:
            forget_kept(self)
        else:
            count_kept(self, kept)
        return 0

    def switch(self, shapes):
        """Use the plan that was kept for inputs of these shapes, as `replan` would make it again. Return whether there was one."""
        if not self.kept_plans:
            return False
        self._enter_with(CHANGING, True, True)
        try:
            return use_kept(self, tuple(shapes))
        finally:
            self.access.leave(CHANGING, True, this_thread())

    def forget_forward(self):
        """Let there be nothing to go back from."""
        self._enter_with(TRAINING, False, True)
        self.has_forward = False
        self.access.leave(TRAINING, False, this_thread())

    def return_to_forward(self):
        """Use the plan of the last forward again, if another one has been used since, for inputs of other shapes. If it was dropped, there
        is nothing to go back from."""
        if self.has_forward and self.forward_for is not self.built_for:
            self.has_forward = self.switch(self.forward_for) and self.forward_for is self.built_for

    cdef int _describe(self, int n_inputs, int n_ops, outputs) except -1:
        """Store the shapes, the cost, and, for one input and one output, the values that `__call__` needs."""
        cdef int d
        every = self._shapes_of(n_inputs + n_ops)
        cdef list inputs = every[:n_inputs], results = [every[value] for value in outputs]
        self.flops = nnc_plan_flops(self.plan) + 2.0 * sum([size_of(s) for s in every])  # activations matter if products are few
        self.input_shapes = inputs
        self.output_shapes = results
        self._all_shapes = every
        self.output_lines = [size_of(s[: max(len(s) - 1, 0)]) for s in results]
        self.is_simple = n_inputs == 1 and len(results) == 1
        self.in_rank, self.out_rank = len(inputs[0]) + 1, len(results[0]) + 1
        self.has_indices = False
        for d in range(n_inputs):
            self.has_indices |= nnc_plan_index_bound(self.plan, d) > 0
        self.in_width = 1
        for d, size in enumerate(inputs[0]):
            self.in_dims[d + 1] = size
            self.in_width *= <size_t>size
        for d, size in enumerate(results[0]):
            self.out_dims[d + 1] = size
        return 0

    cdef list _shapes_of(self, int n):
        cdef nnc_shape shape
        found = []
        for i in range(n):
            nnc_plan_shape(self.plan, i, &shape)
            found.append(tuple([shape.dim[d] for d in range(shape.rank)]))
            breathe(i)
        return found

    cdef int _bind(self) except -1:
        return self._bind_plan(self.plan)

    cdef int _bind_plan(self, nnc_plan *plan) except -1:
        """Tell a plan where its numbers are. It has the parameters of this one, but may be for other shapes."""
        cdef void *moments[3]
        cdef void *average = NULL
        cdef int n = nnc_plan_param_count(plan), n_states = nnc_plan_state_count(plan), i
        cdef void **values = <void **>PyMem_Calloc(2 * n + n_states + 1, sizeof(void *))
        cdef uint64_t **versions = <uint64_t **>(values + n + n_states)
        if values == NULL:
            raise MemoryError("no memory to bind parameters")
        if "average" in self.arrays:
            average = cnp.PyArray_DATA(<cnp.ndarray>self.arrays["average"])
        for i in range(3):
            m = self.moments[i] if i < len(self.moments) else None
            moments[i] = NULL if m is None else cnp.PyArray_DATA(<cnp.ndarray>m)
        for i in range(n + n_states):
            values[i] = self._memory_of(plan, i if i < n else i - n, i >= n)
        for i in range(n):
            versions[i] = self._changes_of(i)
        nnc_plan_bind(plan, values, versions, cnp.PyArray_DATA(<cnp.ndarray>self.arrays["gradients"]), values + n, average, moments)
        PyMem_Free(values)
        return 0

    cdef uint64_t *_changes_of(self, int i):
        """The counter of the changes of a parameter."""
        borrowed = None if self.borrowed is None else self.borrowed[i]
        return &memory_of(borrowed if isinstance(borrowed, cnp.ndarray) else self.arrays["parameters"]).changes

    cdef int _count_changes(self) except -1:
        """Note that parameters may change: Python has got views of them, or has written to them."""
        for parameter in self.parameter_views:
            count_change(parameter.value)
        return 0

    cdef int _notice_arrays(self) except -1:
        """Called before each prediction. While users have arrays of weights, these may change at any time; and they may have changed if
        users had such arrays at the last prediction. Vectors are no operands: predictions read them where they lie."""
        cdef PyObject *parameters = <PyObject *>self.parameter_views
        cdef bint is_open = refcount(dict_item(<PyObject *>self.arrays, "parameters")) > 1
        cdef PyObject *view
        cdef Py_ssize_t i
        if not self.keeps_weights:
            return 0
        for i in range(len(self.parameter_views)):
            view = tuple_item(list_item(parameters, i), 2)
            is_open |= is_held(view) and cnp.PyArray_NDIM(<cnp.ndarray>view) > 1
        if is_open or self.was_open:
            self._count_changes()
        self.was_open = is_open
        return 0

    cdef void *_memory_of(self, const nnc_plan *plan, int i, bint is_state) noexcept:
        """Where the values of a parameter or state are: in the memory of another network, or in the own one."""
        cdef nnc_param p
        cdef cnp.ndarray own = <cnp.ndarray>(<dict>self.arrays)["states" if is_state else "parameters"]
        cdef list borrowed = self.borrowed_states if is_state else self.borrowed
        if is_state:
            nnc_plan_state(plan, i, &p)
        else:
            nnc_plan_param(plan, i, &p)
        if borrowed is None:
            return <char *>cnp.PyArray_DATA(own) + p.offset * cnp.PyArray_ITEMSIZE(own)
        if isinstance(borrowed[i], cnp.ndarray):
            return cnp.PyArray_DATA(<cnp.ndarray>borrowed[i])
        return <char *>cnp.PyArray_DATA(own) + <size_t>borrowed[i] * cnp.PyArray_ITEMSIZE(own)

    def borrow(self, values, states):
        """Let parameters and states be those of other networks, before the plan is adopted and compiled. values, states: for each one
        the view that the other network has of it, or None. The own memory then holds the rest alone."""
        self._enter_with(CHANGING, False, True)
        try:
            self._need_plan()
            if self.is_compiled or len(values) != len(self.parameter_views) or len(states) != len(self.state_views):
                raise ValueError("one entry per parameter, and before compiling")
            for own, view in zip(self.parameter_views + self.state_views, [*values, *states]):
                if view is not None and (view.shape != own.value.shape or view.strides != own.value.strides or view.dtype != own.value.dtype):
                    raise ValueError(f"{own.role} has another layout there")
            values = [None if view is None else shared_view(view) for view in values]
            borrowed, size = self._places(values, False)
            borrowed_states, state_size = self._places(states, True)
            self.arrays["parameters"], self.arrays["states"] = parameter_memory(size, self.dtype), aligned_zeros(state_size, self.dtype)
            self.borrowed, self.borrowed_states = borrowed, borrowed_states
            self._bind()
            self._make_views()
        finally:
            self.access.leave(CHANGING, False, this_thread())

    cdef tuple _places(self, views, bint are_states):
        """For each parameter the view of another network, or else its position in the own memory; and the size of that."""
        cdef nnc_param p
        cdef int n = len(views), i
        cdef size_t end = nnc_plan_state_elements(self.plan) if are_states else nnc_plan_elements(self.plan), at = 0
        offsets = []
        for i in range(n):
            if are_states:
                nnc_plan_state(self.plan, i, &p)
            else:
                nnc_plan_param(self.plan, i, &p)
            offsets.append(p.offset)
        places = []
        for view, first, last in zip(views, offsets, [*offsets[1:], end]):
            places.append(at if view is None else view)
            at += last - first if view is None else 0
        return places, at

    def values(self):
        """A copy of all parameters, laid out as the gradients are."""
        cdef nnc_param p
        cdef int i
        self._need_plan()
        cdef cnp.ndarray found = aligned_zeros(nnc_plan_elements(self.plan), self.dtype)
        cdef size_t item = cnp.PyArray_ITEMSIZE(found)
        for i in range(nnc_plan_param_count(self.plan)):
            nnc_plan_param(self.plan, i, &p)
            memcpy(<char *>cnp.PyArray_DATA(found) + p.offset * item, p.data, p.rows * p.ld * item)
        return found

    def set_values(self, values):
        """Copy in what `values` returned."""
        self._enter_with(TRAINING, False, True)
        try:
            self._need_plan()
            if values.dtype != self.dtype or values.shape != (nnc_plan_elements(self.plan),) or not values.flags.c_contiguous:
                raise ValueError("values of another network")
            self._put_values(values)
        finally:
            self.access.leave(TRAINING, False, this_thread())

    cdef void _put_values(self, cnp.ndarray values) noexcept:
        cdef nnc_param p
        cdef int i
        cdef size_t item = cnp.PyArray_ITEMSIZE(values)
        for i in range(nnc_plan_param_count(self.plan)):
            nnc_plan_param(self.plan, i, &p)
            memcpy(p.data, <char *>cnp.PyArray_DATA(values) + p.offset * item, p.rows * p.ld * item)
            self._changes_of(i)[0] += 1

    cdef dict _bound_in(self, int op, dict bound):
        """The views that this network has of the parameters of a layer in Python. The layer has those of the network that was made last,
        and each network has its own gradients."""
        if self.owners is None or not bound:
            return bound
        owner = self.owners[op]
        found = self.called_bound.get(owner)
        if found is None:
            found = {p.role: p for p in self.parameter_views if self.owners[p.op] == owner}
            self.called_bound[owner] = found
        return found

    cdef int _make_views(self) except -1:
        """Make new views of the parameters and running statistics."""
        cdef list parameters = [], states = []
        cdef int i
        for i in range(nnc_plan_param_count(self.plan)):
            parameters.append(self._view(i))
            breathe(i)
        for i in range(nnc_plan_state_count(self.plan)):
            states.append(self._state_view(i))
            breathe(i)
        self.parameter_views, self.state_views = parameters, states
        self.called_bound = {}
        return 0

    cdef object _view(self, int i):
        from .results import Parameter
        cdef nnc_param p
        nnc_plan_param(self.plan, i, &p)

        def oriented(buffer, size_t at):
            block = buffer[at : at + p.rows * p.ld].reshape(p.rows, p.ld)[:, : p.cols]
            if p.packed_rows:
                return block[0].view(np.uint8)[: nnc_int8_bytes(p.packed_rows, p.packed_cols)]
            if p.op in self.called_ops:
                return block[0].reshape(self.called_ops[p.op].part.parameter_shapes()[p.role.decode()])
            if p.shape.rank:
                return block[0].reshape([p.shape.dim[d] for d in range(p.shape.rank)])
            return block[0] if p.vector else block.T if p.transposed else block

        place = p.offset if self.borrowed is None else self.borrowed[i]
        own = self.arrays["parameters"]
        value = place if isinstance(place, np.ndarray) else over_memory(oriented(own, place), memory_of(own))
        grad = oriented(self.arrays["gradients"], p.offset) if len(self.arrays["gradients"]) else value.reshape(-1)[:0]
        return Parameter(p.op, p.role.decode(), value, grad, (p.packed_cols, p.packed_rows) if p.packed_rows else None)

    cdef object _state_view(self, int i):
        from .results import Parameter
        cdef nnc_param p
        nnc_plan_state(self.plan, i, &p)
        place = p.offset if self.borrowed_states is None else self.borrowed_states[i]
        if isinstance(place, np.ndarray):
            return Parameter(p.op, p.role.decode(), place, place.reshape(-1)[:0])
        view = self.arrays["states"][place : place + p.cols]
        return Parameter(p.op, p.role.decode(), view.reshape(()) if p.role == b"num_batches_tracked" else view, view[:0])

    # Diagnosis -----------------------------------------------------------------------------------------------------------------

    cdef nnc_probe *_probing(self) noexcept:
        return &self.probe if self.probe.every else NULL

    def start_probe(self, int64_t every, activations):
        """Collect statistics of the next training step and of every so many later ones, for these ops (activations). 0 stops this.

        Return for each op the position of its sums in the result of `read_probe`, and the number of columns: 4 rows of this length,
        followed by the number of values per column.
        """
        self._enter_with(TRAINING, False, True)
        try:
            return self._probe_alone(every, activations)
        finally:
            self.access.leave(TRAINING, False, this_thread())

    cdef dict _probe_alone(self, int64_t every, activations):
        self._need_plan()
        self.probe.every = 0
        self.probed = None
        if every < 1:
            return {}
        n_inputs = len(self.input_shapes)
        cdef dict places = {}
        offsets, total = np.zeros(len(self.op_names) + 1, np.uintp), 0
        for op in activations:
            columns = last_of(self._all_shapes[n_inputs + op])
            offsets[op], places[op] = total, (total, columns)
            total += 4 * columns + 1
        elements = nnc_plan_elements(self.plan)
        kept = (np.zeros((len(self.parameter_views), 4)), np.zeros(total), offsets, aligned_zeros(elements, self.dtype))
        self.probe.params = <double *>cnp.PyArray_DATA(<cnp.ndarray>kept[0])
        self.probe.units = <double *>cnp.PyArray_DATA(<cnp.ndarray>kept[1])
        self.probe.unit_offset = <const size_t *>cnp.PyArray_DATA(<cnp.ndarray>kept[2])
        self.probe.before = cnp.PyArray_DATA(<cnp.ndarray>kept[3])
        self.probe.steps = 0
        self.probe.first = self.progress.step
        self.probed = kept
        self.probe.every = every
        return places

    def read_probe(self):
        """Return the sums since the last call: the number of steps, [parameters, 4], and the sums of the units. Reset them. Return None if
        no statistics are collected."""
        cdef cnp.ndarray params, units
        self._enter_with(TRAINING, False, True)
        try:
            if self.probed is None:
                return None
            params, units = self.probed[0], self.probed[1]
            found = self.probe.steps, params.copy(), units.copy()
            cnp.PyArray_FILLWBYTE(params, 0)
            cnp.PyArray_FILLWBYTE(units, 0)
            self.probe.steps = 0
            self.probe.first = self.progress.step
            return found
        finally:
            self.access.leave(TRAINING, False, this_thread())

    # Calls from the core -------------------------------------------------------------------------------------------------------

    cdef inline int _rethrow(self) except -1:
        """Raise the exception of a call that the core made on this thread."""
        return self._raise_failure() if self.failures else 0

    cdef int _raise_failure(self) except -1:
        error = self.failures.pop(get_ident(), None)
        if error is not None:
            raise error
        return 0

    cdef object _watch(self, object statistics):
        """Let the metrics in Python of ``statistics`` see the outputs of this thread's next call. Return the previous ones, because calls
        may be nested."""
        if not self.is_watched:
            return None
        before = self.watchers.get(get_ident())
        self.watchers[get_ident()] = statistics.watchers
        return before

    cdef int _unwatch(self, object before) except -1:
        if before is not None:
            self.watchers[get_ident()] = before
        elif self.is_watched:
            self.watchers.pop(get_ident(), None)
        return 0

    @property
    def is_claimed(self):
        """Whether a fit is running, in any thread."""
        return self.access.is_fitting

    # Entering ------------------------------------------------------------------------------------------------------------------

    cdef inline int _enter(self, Mode mode) except -1:
        """Enter for one call into the core. Everything that is checked from here on stays valid until the call leaves."""
        if self.access.enter_empty(mode):
            return 0
        return self._enter_with(mode, True, True)

    cdef int _enter_with(self, Mode mode, bint inside, bint patient) except -1:
        self.access.enter(mode, inside, patient)
        if self.access.needs_recovery and self.access.must_recover():
            self._recover()
        return 0

    cdef inline void _leave(self, Mode mode) noexcept:
        if not self.access.leave_empty(mode):
            self.access.leave(mode, True, this_thread())

    cdef int _recover(self) except -1:
        """In a forked child: reset the state of a thread of the parent that was in the core, as it may be incomplete."""
        self.access.needs_recovery = False
        self.has_forward = False
        self.failures, self.watchers = {}, {}  # by thread; a new thread may get the number of a removed one
        if self.plan != NULL:
            nnc_plan_after_fork(self.plan)
        return 0

    def shapes(self):
        self._need_plan()
        return list(self._all_shapes)

    def parameters(self):
        self._need_plan()
        self._count_changes()
        return list(self.parameter_views)

    def states(self):
        self._need_plan()
        return list(self.state_views)

    def buffers(self):
        self._need_plan()
        self._count_changes()
        return dict(self.arrays)

    def check_indices(self, x):
        """Raise IndexRangeError if an input of an embedding contains a value that is not an index into its table."""
        self._enter_with(READING, True, True)
        try:
            self._look_for_indices(x)
        finally:
            self.access.leave(READING, True, this_thread())

    cdef int _look_for_indices(self, x) except -1:
        cdef nnc_source source
        cdef nnc_strided strided
        cdef size_t rows, width, bound, bad
        cdef int i
        for i in range(len(x) if self.has_indices else 0):
            bound = nnc_plan_index_bound(self.plan, i)
            if bound == 0:
                continue
            rows, width = rows_of(x[i]), size_of(self.input_shapes[i])
            name = "x" if len(x) == 1 else f"x[{i}]"
            bind_source(&source, x[i], rows, width, name, &strided)
            with nogil:
                bad = nnc_find_bad_index(&source, rows, width, bound)
            if bad < rows * width:
                at = np.unravel_index(bad, x[i].shape)
                raise IndexRangeError(
                    f"{name} holds {x[i][at]} at {tuple([int(d) for d in at])}, which is no index into an Embedding of {bound} rows: whole "
                    f"numbers from 0 to {bound - 1} are")
        return 0

    def arena_bytes(self, size_t rows):
        """Bytes of activations and gradients for training with batches of `rows` rows."""
        self._need_plan()
        return nnc_plan_arena_bytes(self.plan, rows)

    cdef int _need_plan(self) except -1:
        if self.plan == NULL:
            raise NotBuiltError("the shape of the input is not known yet; call build(input_shape), or use the model once")
        return 0

    # Compiling ----------------------------------------------------------------------------------------------------------------

    def set_inference(self, flags):
        """Let ops compute as at inference in training, too: one flag per op."""
        self._enter_with(TRAINING, False, True)
        try:
            self._set_inference_alone(flags)
        finally:
            self.access.leave(TRAINING, False, this_thread())

    cdef int _set_inference_alone(self, flags) except -1:
        cdef bytes found = bytes(map(bool, flags))
        self._need_plan()
        if len(found) != len(self.op_names):
            raise ValueError(f"{len(found)} flags for {len(self.op_names)} ops")
        if found != self.inference and (self.inference is not None or any(found)):
            nnc_plan_set_inference(self.plan, <const unsigned char *><const char *>found)
            infer_in_kept(self, found)
            self.inference = found
            self.has_forward = False
        return 0

    def compile(self, losses, optimizer, options, statistics, trainer=None, inference=None):
        """trainer: the owner of these records. It replaces the previous trainer. inference: as for `set_inference`; None: as it was."""
        self._enter_with(CHANGING, False, False)
        try:
            self._compile_alone(losses, optimizer, options, statistics, trainer, inference)
        finally:
            self.access.leave(CHANGING, False, this_thread())

    cdef int _compile_alone(self, losses, optimizer, options, statistics, trainer, inference) except -1:
        self._need_plan()
        cdef nnc_optimizer_spec rule
        cdef int n = len(self.output_shapes), n_params = len(self.parameter_views)
        if len(losses) != n or len(statistics) != n or len(options) != n_params:
            raise ValueError(f"{len(losses)} losses, {len(statistics)} statistics and {len(options)} options for {n} outputs and {n_params} parameters")
        fill_rule(&rule, optimizer)
        elements = nnc_plan_elements(self.plan)
        moments = new_moments(&rule, elements, self.dtype)
        average = aligned_zeros(elements, self.dtype) if rule.ema_momentum > 0 else None
        buffers = {kind: self.arrays[kind] for kind in ("parameters", "gradients", "states")}
        buffers.update({f"moment{i}": m for i, m in enumerate(moments) if m is not None})
        if average is not None:
            buffers["average"] = average
        checks_finite = trainer is not None and bool(trainer.config.check_finite)
        kept = self.moments, self.arrays, self.trainer
        compile_plan(self.plan, losses, &rule, options, statistics)  # after an error the old configuration is still valid
        forget_kept(self)
        if inference is not None:
            self._set_inference_alone(inference)
        self.moments = moments
        self.arrays = buffers
        self._bind()
        self._join(None if trainer is None else trainer.config.distributed)
        self._count(losses, statistics)
        self.progress.step = 0
        self.progress.pass_ = 0
        self.to_carry = None
        self.is_compiled = True
        self.has_forward = False
        self.trainer = trainer
        self.checks_finite = checks_finite
        del kept  # only now, because releasing objects may run other code
        return 0

    cdef int _count(self, losses, statistics) except -1:
        """Store the losses in Python, and the sizes of targets and statistics."""
        cdef int i
        self.called_losses = [each.part for each in losses]
        self.is_watched = any(each.called for each in statistics)
        self.calls_out = bool(self.called_ops) or self.is_watched or any(each is not None for each in self.called_losses)
        self.target_widths = [
            self.output_lines[i] * target_columns(losses[i], last_of(self.output_shapes[i])) for i in range(len(self.output_shapes))
        ]
        self.index_targets = [loss_specs_index(each) for each in losses]
        cdef nnc_statistic_spec spec
        self.statistic_sizes = []
        for i in range(len(self.output_shapes)):
            size, columns = 0, last_of(self.output_shapes[i])
            for statistic in statistics[i].of:
                fill_statistic(&spec, statistic, target_form(losses[i]))
                size += nnc_statistic_size(&spec, columns if self.index_targets[i] else target_columns(losses[i], columns))
            self.statistic_sizes.append(size)
        return 0

    def join(self, group):
        """Train with other ranks from now on, or alone. group: a `nncore.training.ranks.Ranks`, or None."""
        self._enter_with(CHANGING, False, False)
        try:
            self._need_compiled()
            self._join(group)
            forget_kept(self)
        finally:
            self.access.leave(CHANGING, False, this_thread())

    cdef int _join(self, group) except -1:
        cdef bint is_shared = group is not None and group.size > 1
        if not is_shared and self.group is None:
            return 0
        self.ranks.sum = NULL
        if is_shared:
            self.ranks.sum, self.ranks.gather = sum_ranks, gather_ranks
            self.ranks.rank, self.ranks.ranks = group.rank, group.size
            self.ranks.apart, self.ranks.joins_norms = group.sync_every > 1, group.joins_norms
        self.group = group if is_shared else None
        if is_shared:
            nnc_plan_set_ranks(self.plan, &self.ranks)
        else:
            nnc_plan_set_ranks(self.plan, NULL)
        return 0

    cdef int _need_compiled(self) except -1:
        self._need_plan()
        if self.is_provisional:
            raise NotBuiltError("the number of time steps is not known yet; call build(input_shape), or use the model once")
        if not self.is_compiled:
            raise NotCompiledError("the model is not compiled; call compile(loss=..., optimizer=...) first")
        return 0

    cdef int _need_rows(self, size_t smallest, bint training=True) except -1:
        """Raise ShapeError if the smallest batch is too small for batch statistics."""
        cdef int op
        if 0 < smallest < nnc_plan_least_rows(self.plan, training, &op):
            raise ShapeError(
                f"{self.op_names[op]}: a training batch of {smallest} row has no variance to normalise by; use batches of at least 2 rows, "
                "the last one of an epoch included: change batch_size, or leave a row out")
        return 0

    cdef int _need_steps(self, lengths, size_t batch_size, bint training=True) except -1:
        """Raise ShapeError if a batch consists of one row of one valid step, which has no variance. lengths: in the order of the rows."""
        cdef int op
        alone = lengths if batch_size == 1 else lengths[len(lengths) - 1 :]
        if nnc_plan_needs_two_steps(self.plan, training, &op) and (alone == 1).any():
            raise ShapeError(
                f"{self.op_names[op]}: a training batch of one row of length 1 has no variance to normalise by; use batches of more rows, or "
                "leave the row out")
        return 0
