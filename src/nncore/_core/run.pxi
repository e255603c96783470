# run.pxi: running a plan: training, evaluation, prediction, and the parts of a step. The GIL is released while the core works. Each call
# enters (access.pxi), checks its arrays against the plan, runs, and leaves. The file is long because it is one class, which Cython cannot
# divide among files.

cdef double BUDGET = 0.04  # seconds in the core before it returns to Python
cdef double HOLD_GIL_BELOW = 50e3  # floating-point operations; a smaller call ends before another thread would wake up


cdef class Plan(BasePlan):
    """A compiled plan with the parameters of a network. `Network` in Python has one; it is not public."""

    # Running ------------------------------------------------------------------------------------------------------------------

    cdef int _bind_data(
        self, nnc_data *data, nnc_source *xs, nnc_source *ys, nnc_strided *strided, nnc_weights *weights, double **sums, x, y, weight, order, statistics, lengths
    ) except -1:
        cdef size_t rows, lines
        cdef int i
        if len(x) != len(self.input_shapes) or len(y) != len(self.output_shapes):
            raise ShapeError(f"{len(x)} input and {len(y)} target arrays for {len(self.input_shapes)} inputs and {len(self.output_shapes)} outputs")
        rows = rows_of(x[0])
        for i in range(len(x)):
            bind_source(&xs[i], x[i], rows, size_of(self.input_shapes[i]), "x" if len(x) == 1 else f"x[{i}]", &strided[i])
        for i in range(len(y)):
            bind_source(&ys[i], y[i], rows, self.target_widths[i], "y" if len(y) == 1 else f"y[{i}]", &strided[len(x) + i])
            sums[i] = NULL
            if statistics is not None:
                sums[i] = float64_out(statistics[i], self.statistic_sizes[i], "statistics")
        data.x = xs
        data.y = ys
        data.accumulate = 1
        data.part = NULL
        data.share = NULL
        data.rows = rows
        data.statistics = sums
        data.parts = NULL
        if statistics is not None and len(statistics) > len(y):  # the last entry gets the loss of each output
            data.parts = float64_out(statistics[len(y)], 2 * len(y) + 2, "losses of the outputs")
        data.probe = self._probing()
        data.weights = NULL
        if weight is not None:
            if len(weight) != len(y):
                raise ShapeError(f"{len(weight)} arrays of weights for {len(y)} outputs")
            data.weights = weights
            for i in range(len(y)):
                weights[i].source.data = NULL
                weights[i].width = 1
                if weight[i] is None:
                    continue
                if weight[i].dtype != np.float32 and weight[i].dtype != np.float64:
                    raise DTypeError(f"sample_weight: expected float32 or float64, got {weight[i].dtype}")
                lines = size_of(self.output_shapes[i]) // last_of(self.output_shapes[i])
                weights[i].width = size_of(weight[i].shape[1:])
                if weights[i].width == 0 or lines % weights[i].width:
                    raise ShapeError(f"sample_weight: {weight[i].shape[1:]} numbers per row for the {lines} lines of output {i}")
                bind_source(&weights[i].source, weight[i], rows, weights[i].width, "sample_weight")
        data.lengths = NULL
        if lengths is not None:
            data.lengths = self._lengths(lengths, rows)
        data.order = NULL
        if order is not None:
            if cnp.PyArray_TYPE(<cnp.ndarray>order) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY(<cnp.ndarray>order):
                raise DTypeError("order: expected a contiguous int64 array")
            data.rows = cnp.PyArray_SIZE(<cnp.ndarray>order)
            data.order = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>order)
        return 0

    cdef const int64_t *_lengths(self, object lengths, size_t rows) except NULL:
        """The data of `lengths`. Their values have been checked (data/sequences.py); here the properties that C assumes are
        checked."""
        cdef int op = -1
        cdef size_t steps = nnc_plan_steps(self.plan, &op), i
        if steps == 0:
            if op >= 0:
                raise ShapeError(f"lengths: {self.mixing()}")
            raise ShapeError("lengths and masks need an input with a time dimension, [N, time, features]")
        if not isinstance(lengths, np.ndarray):
            raise DTypeError(f"lengths: expected an array, got {type(lengths).__name__}")
        cdef cnp.ndarray a = lengths
        if cnp.PyArray_TYPE(a) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY_RO(a) or <size_t>cnp.PyArray_SIZE(a) != rows:
            raise ShapeError(f"lengths: expected a contiguous int64 array of {rows} elements, got {a.dtype} {shape_of(a)}")
        cdef const int64_t *at = <const int64_t *>cnp.PyArray_DATA(a)
        for i in range(rows):
            if at[i] < 1 or at[i] > <int64_t>steps:
                raise ShapeError(f"lengths: {at[i]} at row {i}; the lengths of sequences of {steps} steps run from 1 to {steps}")
        return at

    cdef int _bind_sequences(self, nnc_sequences *to, object sequences, size_t rows) except -1:
        """sequences: None, or (lengths, initial, final), each None or an array. The states are [rows, carry]."""
        to.lengths = NULL
        to.initial = NULL
        to.final = NULL
        if sequences is None:
            return 0
        lengths, initial, final = sequences
        if lengths is not None:
            to.lengths = self._lengths(lengths, rows)
        shape = (nnc_plan_carry(self.plan),)
        if initial is not None:
            to.initial = self._dense(initial, rows, shape, "initial states", False)
        if final is not None:
            to.final = self._dense(final, rows, shape, "final states")
        return 0

    def carry(self):
        """Number of values per sample that recurrent layers pass from one step to the next."""
        self._need_plan()
        return nnc_plan_carry(self.plan)

    def holds_indices(self, input=None):
        """Whether this input, or any input, contains indices into an embedding."""
        self._need_plan()
        return self.has_indices if input is None else nnc_plan_index_bound(self.plan, input) > 0

    def time_steps(self):
        """The number of time steps to which lengths refer, or 0."""
        cdef int op
        self._need_plan()
        return nnc_plan_steps(self.plan, &op)

    def mixing(self):
        """A sentence that tells which op combines time steps, how, and what to do instead; or None."""
        cdef int op
        self._need_plan()
        nnc_plan_steps(self.plan, &op)
        return None if op < 0 else f"{self.op_names[op]} mixes the time steps: {nnc_plan_mixing(self.plan, op).decode()}"

    def timed(self, values):
        """For each of the values, whether its first dimension is time."""
        return [each is not None for each in self.timelines(values)]

    def timelines(self, values):
        """For each of the values: None, or, if its first dimension is time, (times, plus): of a sequence of length n, times * n + plus
        steps are valid."""
        self._need_plan()
        cdef size_t times, plus
        cdef int count = len(self._all_shapes)
        found = []
        for value in values:
            has = 0 <= value < count and nnc_plan_is_timed(self.plan, value, &times, &plus)
            found.append((times, plus) if has else None)
        return found

    def carried(self):
        """The states that the last training batch of stateful layers left, [rows, carry()], or None."""
        cdef size_t rows
        cdef const void *at
        self._enter(READING)
        try:
            self._need_plan()
            if self.to_carry is not None:
                return self.to_carry.copy()
            at = nnc_plan_carried(self.plan, &rows)
            if at == NULL:
                return None
            states = np.empty((rows, nnc_plan_carry(self.plan)), self.dtype)
            at = nnc_plan_carried(self.plan, &rows)  # read again, because making the array may have run other code
            if at == NULL or rows != <size_t>cnp.PyArray_DIM(<cnp.ndarray>states, 0):
                return None
            memcpy(cnp.PyArray_DATA(<cnp.ndarray>states), at, cnp.PyArray_NBYTES(<cnp.ndarray>states))
            return states
        finally:
            self._leave(READING)

    def carry_on(self, states):
        """Set the states with which the next training batch starts."""
        self._enter(TRAINING)
        try:
            self._need_plan()
            self._dense(states, rows_of(states), (nnc_plan_carry(self.plan),), "states")
            self.to_carry = states.copy()  # kept until the number of rows of the batch is known
        finally:
            self._leave(TRAINING)

    cdef inline int _take_carried(self, size_t rows) except -1:
        """Prepare the states with which a training batch of stateful layers starts. Raise ShapeError if it has too many rows."""
        return self._take_carried_states(rows) if nnc_plan_is_stateful(self.plan) else 0

    cdef int _take_carried_states(self, size_t rows) except -1:
        cdef size_t carried
        cdef nnc_error error
        nnc_plan_carried(self.plan, &carried)
        if self.to_carry is not None:
            carried = len(self.to_carry)
        if carried and rows > carried:
            raise ShapeError(
                f"the batch has {rows} rows, but the one before, whose states stateful layers begin with, had {carried}; keep the "
                "number of rows, or call model.reset_states() first")
        if self.to_carry is not None:
            if nnc_plan_reserve(self.plan, rows, &error):
                raise_error(&error)
            nnc_plan_carry_on(self.plan, cnp.PyArray_DATA(<cnp.ndarray>self.to_carry), rows)
            self.to_carry = None
        return 0

    def reset_states(self):
        self._enter(TRAINING)
        try:
            self._need_plan()
            self.to_carry = None
            nnc_plan_reset_states(self.plan)
        finally:
            self._leave(TRAINING)

    def step_norms(self, int op, size_t steps):
        """Norms of the gradients of the inputs of a recurrent op's gates, for each time step of the last backward pass."""
        self._enter(TRAINING)
        try:
            if not self.has_forward or self.forward_for is not self.built_for:
                raise NotBuiltError("gradient norms per time step need a backward pass: call forward and backward on a batch first")
            norms = np.zeros(steps)
            nnc_plan_step_norms(self.plan, op, self.forward_rows, <double *>cnp.PyArray_DATA(<cnp.ndarray>norms))
            return norms
        finally:
            self._leave(TRAINING)

    def train(
        self, x, y, weight, order, size_t batch_size, size_t first, size_t max_steps, lr, loss, statistics, lengths=None,
        size_t accumulate=1, part=None, share=None
    ):
        cdef nnc_share of_ranks
        cdef nnc_part one
        cdef nnc_data data
        cdef nnc_source xs[MAX_ARRAYS]
        cdef nnc_source ys[MAX_ARRAYS]
        cdef nnc_strided strided[2 * MAX_ARRAYS]
        cdef nnc_weights weights[MAX_ARRAYS]
        cdef double *sums[MAX_ARRAYS]
        cdef double *rates
        cdef double *losses
        cdef list kept = None
        cdef nnc_error error
        cdef size_t done = 0
        cdef int status
        self._enter(TRAINING)
        try:
            self._need_compiled()
            self._bind_data(&data, xs, ys, strided, weights, sums, x, y, weight, order, statistics, lengths)
            if batch_size < 1:
                raise ValueError("batch_size must be at least 1")
            if share is not None:
                self._share(&of_ranks, share, max_steps, len(y), data.rows)
                data.share = &of_ranks
            else:
                batch_size = min(batch_size, data.rows)
            if batch_size and share is None:
                self._need_rows(data.rows % batch_size or batch_size)
                if data.lengths != NULL and (batch_size == 1 or data.rows % batch_size == 1):
                    self._need_steps(lengths if order is None else lengths[order], batch_size)
            if batch_size:
                self._take_carried(min(batch_size, data.rows - min(first, data.rows)))
            need_a_step(&self.progress)
            data.accumulate = accumulate
            if part is not None:
                number, is_last, totals = part
                one.number, one.is_last, one.totals = number, is_last, float64_out(totals, len(y), "totals")
                data.part = &one
            if (accumulate > 1 or part is not None) and nnc_plan_is_stateful(self.plan):
                raise ValueError("steps of several batches have no stateful layers")
            if self.calls_out and (accumulate > 1 or part is not None):
                # A call into Python may fail after some batches of a step. The sums must then be those of whole steps.
                max_steps = min(max_steps, 1)
                kept = [None if each is None else each.copy() for each in statistics]
            rates = float64_out(lr, max_steps, "lr")
            losses = float64_out(loss, max_steps, "loss")
            watchers = self._watch(statistics)
            try:
                with nogil:
                    status = nnc_plan_reserve(self.plan, batch_size, &error)
                    if status == NNC_OK and (accumulate > 1 or data.part != NULL):
                        status = nnc_plan_reserve_sum(self.plan, &error)
                    if status == NNC_OK:
                        done = nnc_plan_train(self.plan, &data, batch_size, first, max_steps, rates, losses, &self.progress, BUDGET)
            finally:
                self._unwatch(watchers)
            self.has_forward = False
            if kept is not None and not done:
                for each, before in zip(statistics, kept):
                    if each is not None:
                        each[...] = before
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
        finally:
            self._leave(TRAINING)
        return done

    cdef int _share(self, nnc_share *to, share, size_t max_steps, size_t outputs, size_t own) except -1:
        """share: (rows of each rank, their rows per batch, number of the first batch, totals or None), as nnc_share, and the least number of
        rows of which there are statistics."""
        rows, batch, first, totals, least = share
        self._need_rows(least)
        for each in (rows, batch):
            if each.dtype != np.int64 or each.shape != (self.ranks.ranks,) or not each.flags.c_contiguous or (each < 0).any():
                raise ValueError("share: one number per rank is needed")
        if self.ranks.sum == NULL or rows[self.ranks.rank] > own:
            raise ValueError(f"share: {rows} rows, but this rank has {own}")
        to.rows = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>rows)
        to.batch = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>batch)
        to.first = first
        to.totals = NULL
        if totals is not None:
            to.totals = float64_out(totals, max_steps * outputs, "totals")
        return 0

    def total_weights(self, x, y, weight, lengths=None, order=None, size_t rows=0):
        """Per output: the divisor of the sum of the row losses of these rows. That of several batches is the sum of theirs, but 1 for the
        reduction "sum". rows: [batches, outputs], for batches of so many rows."""
        cdef nnc_data data
        cdef nnc_source xs[MAX_ARRAYS]
        cdef nnc_source ys[MAX_ARRAYS]
        cdef nnc_strided strided[2 * MAX_ARRAYS]
        cdef nnc_weights weights[MAX_ARRAYS]
        cdef double *sums[MAX_ARRAYS]
        self._enter(READING)
        try:
            self._need_compiled()
            self._bind_data(&data, xs, ys, strided, weights, sums, x, y, weight, order, None, lengths)
            totals = np.zeros(len(y))
            if rows:
                totals = np.zeros(((data.rows + rows - 1) // rows, len(y)))
            nnc_plan_total_weights(self.plan, &data, rows or data.rows or 1, <double *>cnp.PyArray_DATA(<cnp.ndarray>totals))
            return totals
        finally:
            self._leave(READING)

    def evaluate(self, x, y, weight, size_t first, loss, statistics, lengths=None):
        cdef nnc_data data
        cdef nnc_source xs[MAX_ARRAYS]
        cdef nnc_source ys[MAX_ARRAYS]
        cdef nnc_strided strided[2 * MAX_ARRAYS]
        cdef nnc_weights weights[MAX_ARRAYS]
        cdef double *sums[MAX_ARRAYS]
        cdef double *losses
        cdef nnc_error error
        cdef size_t next_row = 0
        cdef int status
        self._enter(READING)
        try:
            self._need_compiled()
            self._bind_data(&data, xs, ys, strided, weights, sums, x, y, weight, None, statistics, lengths)
            losses = float64_out(loss, 2 * len(y), "loss")
            watchers = self._watch(statistics)
            self._notice_arrays()
            try:
                with nogil:
                    status = nnc_plan_evaluate(self.plan, &data, first, losses, &next_row, BUDGET, &error)
            finally:
                self._unwatch(watchers)
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
        finally:
            self._leave(READING)
        return next_row

    def penalty(self):
        """The contribution of the L1 and L2 penalties to the loss."""
        cdef double penalty
        self._enter(READING)
        try:
            self._need_compiled()
            with nogil:
                penalty = nnc_plan_penalty(self.plan)
        finally:
            self._leave(READING)
        return penalty

    def predict(self, x, out, size_t first, sequences=None):
        cdef nnc_source xs[MAX_ARRAYS]
        cdef nnc_strided strided[MAX_ARRAYS]
        cdef void *outs[MAX_ARRAYS]
        cdef nnc_error error
        cdef size_t next_row = 0, rows
        cdef int i, status
        cdef nnc_sequences given
        self._enter(READING)
        try:
            self._need_plan()
            if len(x) != len(self.input_shapes) or len(out) != len(self.output_shapes):
                raise ShapeError(f"{len(x)} input and {len(out)} output arrays for {len(self.input_shapes)} inputs and {len(self.output_shapes)} outputs")
            rows = rows_of(x[0])
            for i in range(len(x)):
                bind_source(&xs[i], x[i], rows, size_of(self.input_shapes[i]), "x" if len(x) == 1 else f"x[{i}]", &strided[i])
            for i in range(len(out)):
                outs[i] = self._dense(out[i], rows, self.output_shapes[i], "out")
            self._bind_sequences(&given, sequences, rows)
            self._notice_arrays()
            with nogil:
                status = nnc_plan_predict(self.plan, xs, &given, rows, first, outs, &next_row, BUDGET, &error)
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
        finally:
            self._leave(READING)
        return next_row

    cdef void *_dense(self, object array, size_t rows, tuple shape, str what, bint written=True) except NULL:
        """The data of a dense array of the network's dtype. It may be read-only if it is not written. Only NumPy's C interface is used,
        because a subclass may report other values in Python."""
        cdef bint fits = isinstance(array, np.ndarray) and cnp.PyArray_TYPE(<cnp.ndarray>array) == self.typenum
        cdef int d
        if fits:
            fits = cnp.PyArray_ISCARRAY(<cnp.ndarray>array) if written else cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>array)
        if fits:
            fits = cnp.PyArray_NDIM(<cnp.ndarray>array) == 1 + len(shape) and <size_t>cnp.PyArray_DIM(<cnp.ndarray>array, 0) == rows
        if fits:
            for d in range(len(shape)):
                fits = fits and cnp.PyArray_DIM(<cnp.ndarray>array, d + 1) == <cnp.npy_intp>shape[d]
        if not fits:
            found = type(array).__name__
            if isinstance(array, np.ndarray):
                found = f"{array.dtype} {tuple([cnp.PyArray_DIM(<cnp.ndarray>array, d) for d in range(cnp.PyArray_NDIM(<cnp.ndarray>array))])}"
            raise ShapeError(
                f"{what}: expected a {'writable, ' if written else ''}C-contiguous {self.dtype} array of shape {(rows, *shape)}, got {found}")
        return cnp.PyArray_DATA(<cnp.ndarray>array)

    cdef void *_result(self, object out, size_t rows) except NULL:
        """The data of a caller's array for the result. A suitable array is recognized without access to Python attributes."""
        cdef int d
        cdef bint fits = type(out) is cnp.ndarray
        if fits:
            fits = (cnp.PyArray_TYPE(<cnp.ndarray>out) == self.typenum and cnp.PyArray_NDIM(<cnp.ndarray>out) == self.out_rank
                    and cnp.PyArray_ISCARRAY(<cnp.ndarray>out) and <size_t>cnp.PyArray_DIM(<cnp.ndarray>out, 0) == rows)
            for d in range(1, self.out_rank):
                fits = fits and cnp.PyArray_DIM(<cnp.ndarray>out, d) == self.out_dims[d]
        return cnp.PyArray_DATA(<cnp.ndarray>out) if fits else self._dense(out, rows, self.output_shapes[0], "out")

    cdef bint _is_free(self, cnp.ndarray result, size_t rows) noexcept:
        """Whether there is no other reference to a result, no view of it and no weak reference, and its shape and type are
        unchanged.

        This also works if the interpreter borrows references (Python 3.14): docs/design.md, "Results used again".
        """
        cdef int d
        if result is None or Py_REFCNT(result) != 2 or PyObject_GET_WEAKREFS_LISTPTR(<PyObject *>result)[0] != NULL:  # the attribute and the argument
            return False
        if cnp.PyArray_TYPE(result) != self.typenum or cnp.PyArray_NDIM(result) != self.out_rank or not cnp.PyArray_ISCARRAY(result):
            return False
        for d in range(1, self.out_rank):
            if cnp.PyArray_DIM(result, d) != self.out_dims[d]:
                return False
        return <size_t>cnp.PyArray_DIM(result, 0) == rows

    cdef cnp.ndarray _new_result(self, size_t rows):
        """An array for a prediction. Making a small array takes as long as running a small network. So the last two are used again
        as soon as there are no other references to them. Two are needed: in a loop, the variable still refers to the previous
        result."""
        cdef cnp.npy_intp[9] dims  # a copy, because all threads share the attribute
        cdef cnp.ndarray result
        if self._is_free(self.last_result, rows):
            return self.last_result
        if self._is_free(self.older_result, rows):
            result = self.older_result
        else:
            memcpy(dims, self.out_dims, sizeof(dims))
            dims[0] = rows
            result = self.results.take(self.out_rank, dims, self.typenum)
            if cnp.PyArray_NBYTES(result) >= LEAST_KEPT:
                return result
        self.older_result = self.last_result
        self.last_result = result
        return result

    cdef inline bint _has_shape(self, cnp.ndarray a) noexcept:
        """Whether an array is a batch for the only input in its current shape."""
        cdef int d
        if cnp.PyArray_NDIM(a) != self.in_rank:
            return False
        for d in range(1, self.in_rank):
            if cnp.PyArray_DIM(a, d) != self.in_dims[d]:
                return False
        return True

    cdef object _infer(self, object x, object out, bint few):
        """The outputs of a batch that the core can read as it is. None if x needs checks or conversion; few: or takes longer than waking
        another thread."""
        cdef cnp.ndarray a
        cdef int typenum
        y = None
        self._enter(READING)
        try:
            if self.plan != NULL and self.is_simple and type(x) is cnp.ndarray:
                a = <cnp.ndarray>x
                typenum = cnp.PyArray_TYPE(a)
                if ((typenum == self.typenum or (typenum < 24 and GATHERED[typenum] >= 0)) and cnp.PyArray_ISCARRAY_RO(a) and self._has_shape(a)
                        and not (few and self.flops * <double>cnp.PyArray_DIM(a, 0) >= HOLD_GIL_BELOW)):
                    y = self._infer_array(a, out)
        finally:
            self._leave(READING)
        return self._infer(x, out, few) if y is None and self.kept_plans and self._switch_for(x) else y

    cdef bint _switch_for(self, object x) except -1:
        """Use the plan that was kept for the number of time steps of x, and return whether there was one. For one input."""
        cdef int d
        if not self.is_simple or type(x) is not cnp.ndarray or cnp.PyArray_NDIM(<cnp.ndarray>x) != self.in_rank:
            return False
        if self.in_rank < 2 or cnp.PyArray_DIM(<cnp.ndarray>x, 1) == self.in_dims[1]:
            return False
        shapes = (tuple([cnp.PyArray_DIM(<cnp.ndarray>x, d) for d in range(1, self.in_rank)]),)
        return shapes in self.kept_plans and self.switch(shapes)

    def infer_plain(self, x, out=None):
        """The outputs of a batch, for one input and one output. None if x needs checks or conversion."""
        return self._infer(x, out, False)

    def predict_few(self, x):
        """The outputs of an array of few rows, for one input and one output. None if x needs checks or conversion, or has many rows."""
        return None if self.checks_finite else self._infer(x, None, True)

    def __call__(self, x, *, out=None):
        """The outputs of a C-contiguous batch of the network's dtype, for one input and one output. out: memory for them, or
        None."""
        y = self._infer(x, out, False)
        if y is None:
            self._need_plan()
            if not self.is_simple:
                raise ShapeError(f"one array for {len(self.input_shapes)} inputs and {len(self.output_shapes)} outputs")
            self._dense(x, rows_of(x), self.input_shapes[0], "x", False)  # raises the error
            raise ShapeError(f"x has shape {shape_of(x)}, but the model takes batches of {self.input_shapes[0]}")
        return y

    cdef object _infer_array(self, cnp.ndarray a, object out):
        cdef cnp.ndarray y
        cdef nnc_source source
        cdef nnc_error error
        cdef size_t rows, next_row = 0
        cdef void *to
        cdef int status
        if self.has_indices:
            self._look_for_indices((a,))
        rows = cnp.PyArray_DIM(a, 0)
        if out is None:
            y = self._new_result(rows)
            to = cnp.PyArray_DATA(y)
        else:
            to = self._result(out, rows)
            y = <cnp.ndarray>out
            if <char *>to < <char *>cnp.PyArray_DATA(a) + cnp.PyArray_NBYTES(a) and <char *>cnp.PyArray_DATA(a) < <char *>to + cnp.PyArray_NBYTES(y):
                a = <cnp.ndarray>cnp.PyArray_NewCopy(a, cnp.NPY_CORDER)  # rows are read repeatedly, not in the order of the result
        source.data = cnp.PyArray_DATA(a)
        source.type = <nnc_source_type>GATHERED[cnp.PyArray_TYPE(a)]
        source.stride = self.in_width
        if self.keeps_weights:
            self._notice_arrays()
        if self.flops * <double>rows < HOLD_GIL_BELOW:
            status = nnc_plan_predict(self.plan, &source, NULL, rows, 0, &to, &next_row, 1e9, &error)
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
            return y
        while next_row < rows:
            with nogil:
                status = nnc_plan_predict(self.plan, &source, NULL, rows, next_row, &to, &next_row, BUDGET, &error)
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
            PyErr_CheckSignals()
        return y

    # Parts of a step ----------------------------------------------------------------------------------------------------------

    cdef bint _is_plain(self, object x, int rank, const cnp.npy_intp *dims) noexcept:
        """Whether x is an array that the core can read as it is, [N, *dims[1:rank]], with at least one row."""
        cdef int d
        if type(x) is not cnp.ndarray or cnp.PyArray_TYPE(<cnp.ndarray>x) != self.typenum or cnp.PyArray_NDIM(<cnp.ndarray>x) != rank:
            return False
        for d in range(1, rank):
            if cnp.PyArray_DIM(<cnp.ndarray>x, d) != dims[d]:
                return False
        return cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x) and cnp.PyArray_DIM(<cnp.ndarray>x, 0) > 0

    cdef int _run_forward(self, nnc_source *xs, const nnc_sequences *given, size_t rows, bint training, void **outs) except -1:
        cdef nnc_error error
        cdef int status
        if self.flops * <double>rows < HOLD_GIL_BELOW:
            status = nnc_plan_reserve(self.plan, rows, &error)
            if status == NNC_OK:
                nnc_plan_forward(self.plan, xs, given, rows, training, outs, &self.progress)
        else:
            with nogil:
                status = nnc_plan_reserve(self.plan, rows, &error)
                if status == NNC_OK:
                    nnc_plan_forward(self.plan, xs, given, rows, training, outs, &self.progress)
        self.has_forward = False
        self._rethrow()
        if status != NNC_OK:
            raise_error(&error)
        self.forward_rows = rows
        if self.forward_for is not self.built_for:
            self.forward_for = self.built_for
        self.last_training = training
        self.forward_progress = self.progress
        self.progress.pass_ += training
        self.has_forward = True
        return 0

    cdef int _run_backward(self, const nnc_sequences *given, const void **grads, void **inputs, bint accumulate) except -1:
        cdef nnc_error error
        if accumulate and nnc_plan_reserve_sum(self.plan, &error):
            raise_error(&error)
        if 2 * self.flops * <double>self.forward_rows < HOLD_GIL_BELOW:
            nnc_plan_backward(
                self.plan, given, self.forward_rows, grads, inputs, self.last_training, accumulate, &self.forward_progress)
        else:
            with nogil:
                nnc_plan_backward(
                    self.plan, given, self.forward_rows, grads, inputs, self.last_training, accumulate, &self.forward_progress)
        self._rethrow()
        return 0

    def forward(self, x, bint training, sequences=None, steps=None):
        cdef nnc_source xs[MAX_ARRAYS]
        cdef void *outs[MAX_ARRAYS]
        cdef nnc_sequences given
        cdef size_t rows
        cdef int i
        self._enter(TRAINING)
        try:
            self._need_plan()
            if len(x) != len(self.input_shapes):
                raise ShapeError(f"{len(x)} arrays for {len(self.input_shapes)} inputs")
            rows = rows_of(x[0])
            self._need_rows(rows, training)
            if sequences is not None and sequences[0] is not None and rows == 1:
                self._need_steps(sequences[0], 1, training)
            self._look_for_indices(x)
            for i in range(len(x)):
                bind_source(&xs[i], x[i], rows, size_of(self.input_shapes[i]), "x")
            self._bind_sequences(&given, sequences, rows)
            results = [np.empty((rows, *shape), self.dtype) for shape in self.output_shapes]
            for i in range(len(results)):
                outs[i] = cnp.PyArray_DATA(<cnp.ndarray>results[i])
            if training:
                self._take_carried(rows)
            self._run_forward(xs, &given, rows, training, outs)
            self.forward_sequences = None if sequences is None else (sequences[0], sequences[1], None)  # keeps the arrays alive
            self.forward_steps = steps
            return results
        finally:
            self._leave(TRAINING)

    def forward_plain(self, x, mode):
        """`forward` for one input and one output, or None if x, or the mode, needs conversion or checks."""
        if mode is not False and mode is not True:
            return None
        cdef bint training = mode is True
        cdef cnp.npy_intp[9] dims
        cdef cnp.ndarray y
        cdef void *to
        cdef size_t rows
        cdef nnc_source source
        cdef nnc_sequences given
        self._enter(TRAINING)
        try:
            if self.plan == NULL or not self.is_simple or self.has_indices or self.checks_finite or not self._is_plain(x, self.in_rank, self.in_dims):
                return None
            rows = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
            self._need_rows(rows, training)
            memset(&given, 0, sizeof(given))
            source.data = cnp.PyArray_DATA(<cnp.ndarray>x)
            source.type = NNC_SOURCE_F64 if self.typenum == cnp.NPY_DOUBLE else NNC_SOURCE_F32
            source.stride = self.in_width
            memcpy(dims, self.out_dims, sizeof(dims))
            dims[0] = rows
            y = self.results.take(self.out_rank, dims, self.typenum)
            to = cnp.PyArray_DATA(y)
            if training:
                self._take_carried(rows)
            self._run_forward(&source, &given, rows, training, &to)
            if self.forward_sequences is not None or self.forward_steps is not None:  # each change of None's count waits for the one before
                self.forward_sequences = self.forward_steps = None
            return y
        finally:
            self._leave(TRAINING)

    def backward(self, grad_outputs, bint accumulate=False):
        cdef const void *grads[MAX_ARRAYS]
        cdef void *inputs[MAX_ARRAYS]
        cdef nnc_sequences given
        cdef int i
        self._enter(TRAINING)
        try:
            self._need_forward()
            if len(grad_outputs) != len(self.output_shapes):
                raise ShapeError(f"{len(grad_outputs)} arrays of gradients for {len(self.output_shapes)} outputs")
            for i in range(len(self.output_shapes)):
                grads[i] = self._dense(grad_outputs[i], self.forward_rows, self.output_shapes[i], "grad_output", False)
            results = [np.empty((self.forward_rows, *shape), self.dtype) for shape in self.input_shapes]
            for i in range(len(results)):
                inputs[i] = cnp.PyArray_DATA(<cnp.ndarray>results[i])
            self._bind_sequences(&given, self.forward_sequences, self.forward_rows)
            self._run_backward(&given, grads, inputs, accumulate)
            return results
        finally:
            self._leave(TRAINING)

    cdef int _need_forward(self) except -1:
        self._need_plan()
        if not self.has_forward or self.forward_for is not self.built_for:
            raise NotBuiltError("backward: nothing to go back from; call forward on a batch first")
        return 0

    def backward_plain(self, grad_output, adds=False):
        """The gradient of a plain batch of a network with one input and one output, or None if the gradient needs conversion or
        checks, or if ``adds`` is no bool."""
        if adds is not False and adds is not True:
            return None
        cdef bint accumulate = adds is True
        cdef cnp.npy_intp[9] dims
        cdef cnp.ndarray dx
        cdef const void *grad
        cdef void *to
        cdef nnc_sequences given
        self._enter(TRAINING)
        try:
            if self.plan == NULL or not self.is_simple or not self.has_forward or not self._is_plain(grad_output, self.out_rank, self.out_dims):
                return None
            if self.forward_steps is not None or self.forward_for is not self.built_for:
                return None
            if <size_t>cnp.PyArray_DIM(<cnp.ndarray>grad_output, 0) != self.forward_rows:
                return None
            memset(&given, 0, sizeof(given))
            if self.forward_sequences is not None:
                self._bind_sequences(&given, self.forward_sequences, self.forward_rows)
            memcpy(dims, self.in_dims, sizeof(dims))
            dims[0] = self.forward_rows
            dx = self.results.take(self.in_rank, dims, self.typenum)
            grad = cnp.PyArray_DATA(<cnp.ndarray>grad_output)
            to = cnp.PyArray_DATA(dx)
            self._run_backward(&given, &grad, &to, accumulate)
            return dx
        finally:
            self._leave(TRAINING)

    def zero_gradients(self):
        """Set all gradients to 0."""
        self._enter(TRAINING)
        try:
            self._need_plan()
            cnp.PyArray_FILLWBYTE(<cnp.ndarray>self.arrays["gradients"], 0)
        finally:
            self._leave(TRAINING)

    def apply_gradients(self, double lr):
        self._enter(TRAINING)
        try:
            self._need_compiled()
            need_a_step(&self.progress)
            with nogil:
                nnc_plan_apply(self.plan, lr, &self.progress)
        finally:
            self._leave(TRAINING)
