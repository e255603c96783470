# network.pxi: the compiled network as a Python object. It turns records into the core's structs, arrays into sources, and status
# codes into exceptions; it keeps the buffers alive; and it lets go of the GIL while the core runs.

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pythread cimport PyThread_get_thread_ident
from time import monotonic, sleep
from _thread import get_ident  # threading itself is slow to import
from .errors import (
    ArgumentError, ConcurrentUseError, DTypeError, IndexRangeError, NotBuiltError, NotCompiledError, ShapeError, SizeError)

DEF MAX_ENDS = 64  # inputs, outputs
cdef double BUDGET = 0.04  # seconds in the core before Python gets a turn
cdef double PATIENCE = 60  # seconds that a reader waits for training to come to a step boundary
cdef double HOLD_GIL_BELOW = 50e3  # floating-point operations: a call this short is over before another thread would wake up

cdef dict REDUCTIONS = {"mean": 0, "sum": 1, "mean_with_sample_weight": 2}
cdef dict STATISTICS = {"none": 0, "confusion": 1, "residuals": 2}
cdef dict LAYER_CODES = OP_CODES["layer"]
cdef dict STATUS = {NNC_ERROR_MEMORY: MemoryError, NNC_ERROR_SIZE: SizeError, NNC_ERROR_SHAPE: ShapeError, NNC_ERROR_VALUE: ArgumentError}

cdef int[24] GATHERED  # nnc_source_type by NumPy's type number, or -1
for _number in range(24):
    GATHERED[_number] = -1
for _type in map(np.dtype, "fd?bBhHiIlLqQ"):
    GATHERED[<int>_type.num] = SOURCE_TYPES[_type.kind, _type.itemsize]


def shuffle(cnp.ndarray order, object seed, object epoch):
    """Fill ``order`` (int64, contiguous) with the permutation that belongs to ``seed`` and ``epoch``."""
    if cnp.PyArray_TYPE(order) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY(order):
        raise DTypeError("shuffle: order must be a writable, contiguous int64 array")
    cdef size_t n = cnp.PyArray_SIZE(order)
    cdef uint64_t s = <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF), e = <uint64_t>epoch
    cdef int64_t *at = <int64_t *>cnp.PyArray_DATA(order)
    with nogil:
        nnc_shuffle(at, n, s, e)


def alloc_count():
    """How many blocks the core has allocated so far: tests assert that a step adds none."""
    return nnc_alloc_count()


def alloc_fail_at(size_t k):
    """Let the k-th allocation of the core from now on fail; 0 switches it off. For tests."""
    nnc_alloc_fail_at(k)


cdef inline unsigned long this_thread():
    return <unsigned long>PyThread_get_thread_ident()


cdef int raise_error(const nnc_error *error) except -1:
    raise STATUS[error.status](error.message.decode(errors="replace"))  # a long message may end inside a character


def aligned_zeros(size_t elements, object dtype):
    """A zeroed 1-D array whose data begin on a cache line."""
    item = np.dtype(dtype).itemsize
    block = np.zeros(elements * item + 64, np.uint8)
    skip = -block.ctypes.data % 64
    return block[skip : skip + elements * item].view(dtype)


cdef int bind_source(nnc_source *source, object array, size_t rows, size_t width, str what) except -1:
    """Check that `array` holds `rows` rows of `width` numbers that the core can gather, and say where."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"{what}: expected an array, got {type(array).__name__}")
    cdef cnp.ndarray a = array
    cdef int number = cnp.PyArray_TYPE(a), ndim = cnp.PyArray_NDIM(a), d
    cdef size_t got = 1
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(a), expected = item
    if number >= 24 or GATHERED[number] < 0 or not cnp.PyArray_ISNOTSWAPPED(a) or not cnp.PyArray_ISALIGNED(a):
        raise DTypeError(f"{what}: dtype {array.dtype} cannot be read; convert it to float32")
    if ndim == 0 or <size_t>cnp.PyArray_DIM(a, 0) != rows:
        raise ShapeError(f"{what}: expected {rows} rows, got shape {array.shape}")
    for d in range(ndim - 1, 0, -1):
        if cnp.PyArray_DIM(a, d) > 1 and cnp.PyArray_STRIDE(a, d) != expected and rows:  # no rows: no strides
            raise ShapeError(f"{what}: the numbers of a row must lie side by side (strides {array.strides}); pass a C-contiguous copy")
        expected *= cnp.PyArray_DIM(a, d)
        got *= cnp.PyArray_DIM(a, d)
    if got != width:
        raise ShapeError(f"{what}: expected {width} numbers per row, got {got} (shape {array.shape})")
    if cnp.PyArray_STRIDE(a, 0) % item and rows > 1:
        raise ShapeError(f"{what}: rows must lie a whole number of elements apart (strides {array.strides})")
    source.data = cnp.PyArray_DATA(a)
    source.type = <nnc_source_type>GATHERED[number]
    source.stride = cnp.PyArray_STRIDE(a, 0) // item if rows > 1 else <ptrdiff_t>width
    return 0


cdef double *float64_out(object array, size_t n, str what) except? NULL:
    if array is None:
        return NULL
    cdef cnp.ndarray a = array
    if cnp.PyArray_TYPE(a) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY(a) or <size_t>cnp.PyArray_SIZE(a) < n:
        raise ShapeError(f"{what}: expected a writable, contiguous float64 array of at least {n} elements")
    return <double *>cnp.PyArray_DATA(a)


cdef class Network:
    """A network compiled to a plan, with its parameters. `Model` derives from it; it is not public by itself."""

    cdef nnc_plan *plan
    cdef nnc_progress progress
    cdef readonly object dtype
    cdef dict buffers
    cdef list parameters, states, moments
    cdef list op_names, input_shapes, output_shapes, output_lines, statistic_sizes, target_widths
    cdef dict called_ops, failures, watchers  # calls.pxi
    cdef list called_losses
    cdef bint calls_out, is_watched
    cdef nnc_probe probe  # what is looked at while training; off where every is 0
    cdef object probed
    cdef bint is_compiled, is_busy, last_training, has_forward
    cdef int readers  # calls that run without the GIL and only read the plan
    cdef unsigned long trainer  # the thread that runs fit, or 0
    cdef int claims  # how deep its calls of fit are nested
    cdef int waiting  # threads that want to read, or are reading, parameters and moments as they are between two steps
    cdef bint is_paused  # training waits for them
    cdef size_t forward_rows
    cdef object forward_sequences  # what they were given
    cdef double flops
    cdef int typenum
    # one input, one output: what __call__ needs without asking anything of Python
    cdef bint is_simple, has_indices
    cdef int in_rank, out_rank
    cdef cnp.npy_intp[9] in_dims, out_dims
    cdef size_t in_width
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self.plan = NULL
        self.buffers = {}
        self.called_ops, self.failures, self.watchers, self.called_losses = {}, {}, {}, []

    def __dealloc__(self):
        nnc_plan_free(self.plan)

    @property
    def step(self):
        """Updates done so far."""
        return self.progress.step

    @step.setter
    def step(self, int64_t value):
        self.progress.step = value

    @property
    def seed(self):
        """What dropout masks and shuffling derive from."""
        return self.progress.seed

    @seed.setter
    def seed(self, value):
        self.progress.seed = <uint64_t>(value & 0xFFFFFFFFFFFFFFFF)

    # Building -----------------------------------------------------------------------------------------------------------------

    def _assemble(self, inputs, ops, outputs, str dtype):
        self._need_alone()
        cdef nnc_plan *plan = NULL
        cdef nnc_error error
        cdef nnc_shape shape
        cdef nnc_caller caller
        cdef int n_inputs = len(inputs), n_ops = len(ops), n_outputs = len(outputs), i, d
        called_before, self.called_ops = self.called_ops, {i: op for i, op in enumerate(ops) if op.kind == "python"}
        caller.context = <void *>self
        caller.shape = ask_shape
        caller.param = ask_param
        caller.call = call_python
        cdef nnc_shape *shapes = <nnc_shape *>PyMem_Calloc(n_inputs + 1, sizeof(nnc_shape))
        cdef nnc_op_spec *specs = <nnc_op_spec *>PyMem_Calloc(n_ops + 1, sizeof(nnc_op_spec))
        cdef int *ends = <int *>PyMem_Calloc(n_outputs + 1, sizeof(int))
        try:
            if shapes == NULL or specs == NULL or ends == NULL:
                raise MemoryError(f"no memory to describe {n_ops} layers")
            if n_inputs > MAX_ENDS or n_outputs > MAX_ENDS:
                raise SizeError(f"{n_inputs} inputs and {n_outputs} outputs; at most {MAX_ENDS} of each are possible")
            for i, dims in enumerate(inputs):
                if len(dims) > NNC_MAX_RANK:
                    raise ShapeError(f"input {i} has {len(dims)} dimensions besides the batch; at most {NNC_MAX_RANK} are possible")
                shapes[i].rank = len(dims)
                for d, size in enumerate(dims):
                    shapes[i].dim[d] = <size_t>size
            names = [op.name.encode() for op in ops]  # keeps the bytes alive
            for i, op in enumerate(ops):
                fill_op(&specs[i], op, names[i])
            for i, value in enumerate(outputs):
                ends[i] = value
            code = NNC_F64 if np.dtype(dtype) == np.float64 else NNC_F32
            if nnc_plan_create(&plan, <nnc_dtype><int>code, ISA_IN_USE, shapes, n_inputs, specs, n_ops, ends, n_outputs, &caller, &error):
                self._rethrow()
                raise_error(&error)
        except BaseException:
            self.called_ops = called_before
            raise
        finally:
            PyMem_Free(shapes)
            PyMem_Free(specs)
            PyMem_Free(ends)
        try:
            elements = nnc_plan_elements(plan)
            buffers = {"parameters": aligned_zeros(elements, dtype), "gradients": aligned_zeros(elements, dtype)}
            buffers["states"] = aligned_zeros(nnc_plan_state_elements(plan), dtype)
        except BaseException:
            self.called_ops = called_before
            nnc_plan_free(plan)
            raise
        nnc_plan_free(self.plan)
        self.called_losses, self.is_watched = [], False
        self.probe.every = 0
        self.probed = None
        self.calls_out = bool(self.called_ops)
        self.plan = plan
        self.dtype = np.dtype(dtype)
        self.typenum = cnp.NPY_DOUBLE if self.dtype == np.float64 else cnp.NPY_FLOAT
        self.buffers = buffers
        self.op_names = [op.name for op in ops]
        self.moments = []
        self.is_compiled = self.has_forward = False
        self.flops = nnc_plan_flops(plan)
        self._bind()
        self.parameters = [self._view(i) for i in range(nnc_plan_param_count(plan))]
        self.states = [self._state_view(i) for i in range(nnc_plan_state_count(plan))]
        for state in self.states:
            if state.role == "running_var":
                state.value[...] = 1
        every = self._shapes_of(n_inputs + n_ops)
        self.flops += 2.0 * sum([size_of(s) for s in every])  # activations count too where there are few products
        self._describe(every[:n_inputs], [every[value] for value in outputs], every)

    cdef int _describe(self, list inputs, list outputs, list every) except -1:
        """Keep the shapes, and of one input and one output what `__call__` needs of them."""
        cdef int d
        self.input_shapes = inputs
        self.output_shapes = outputs
        self._all_shapes = every
        self.output_lines = [size_of(s[: max(len(s) - 1, 0)]) for s in outputs]
        self.is_simple = len(inputs) == 1 and len(outputs) == 1
        self.in_rank, self.out_rank = len(inputs[0]) + 1, len(outputs[0]) + 1
        self.has_indices = False
        for d in range(len(inputs)):
            self.has_indices |= nnc_plan_index_bound(self.plan, d) > 0
        self.in_width = 1
        for d, size in enumerate(inputs[0]):
            self.in_dims[d + 1] = size
            self.in_width *= <size_t>size
        for d, size in enumerate(outputs[0]):
            self.out_dims[d + 1] = size
        return 0

    cdef object _all_shapes

    cdef list _shapes_of(self, int n):
        cdef nnc_shape shape
        found = []
        for i in range(n):
            nnc_plan_shape(self.plan, i, &shape)
            found.append(tuple([shape.dim[d] for d in range(shape.rank)]))
        return found

    cdef int _bind(self) except -1:
        cdef void *moments[3]
        cdef void *average = NULL
        if "average" in self.buffers:
            average = cnp.PyArray_DATA(<cnp.ndarray>self.buffers["average"])
        for i in range(3):
            m = self.moments[i] if i < len(self.moments) else None
            moments[i] = NULL if m is None else cnp.PyArray_DATA(<cnp.ndarray>m)
        nnc_plan_bind(
            self.plan, cnp.PyArray_DATA(<cnp.ndarray>self.buffers["parameters"]), cnp.PyArray_DATA(<cnp.ndarray>self.buffers["gradients"]),
            cnp.PyArray_DATA(<cnp.ndarray>self.buffers["states"]), average, moments)
        return 0

    def _need_idle(self):
        """Raise where another thread uses the network."""
        self._need_alone()

    def _move(self, parameters, states, offsets=None, state_offsets=None):
        """Let the numbers lie in other buffers, where they are already; with offsets, at other places in them (before compiling)."""
        self._need_plan()
        self._need_alone()
        cdef size_t *places = NULL
        cdef int n = len(self.parameters), n_states = len(self.states), i
        for buffer in (parameters, states):
            if buffer.dtype != self.dtype or not buffer.flags.carray or (buffer.size and buffer.ctypes.data % 64):
                raise ValueError(f"buffers must be aligned arrays of {self.dtype}")
        if offsets is None:
            if <size_t>len(parameters) != nnc_plan_elements(self.plan) or <size_t>len(states) != nnc_plan_state_elements(self.plan):
                raise ValueError("buffers of another length")
        else:
            if self.is_compiled or len(offsets) != n or len(state_offsets) != n_states:
                raise ValueError("one place per parameter, and before compiling")
            places = <size_t *>PyMem_Calloc(n + n_states + 1, sizeof(size_t))
            if places == NULL:
                raise MemoryError("no memory to share parameters")
            try:
                for i in range(n):
                    places[i] = offsets[i]
                for i in range(n_states):
                    places[n + i] = state_offsets[i]
                gradients = aligned_zeros(len(parameters), self.dtype)
                nnc_plan_place(self.plan, places, len(parameters), places + n, len(states))
            finally:
                PyMem_Free(places)
            self.buffers["gradients"] = gradients
        self.buffers["parameters"] = parameters
        self.buffers["states"] = states
        self.has_forward = False
        self._bind()
        self.parameters = [self._view(i) for i in range(n)]
        self.states = [self._state_view(i) for i in range(n_states)]

    def _take_plan(self, Network other):
        """Let the plan of a network with the same parameters take the place of this one's; compile again before training.

        Parameters, running statistics, moments and the step stay. Raises ShapeError where the parameters are others.
        """
        self._need_plan()
        self._need_alone()
        cdef int n = nnc_plan_param_count(self.plan), n_states = nnc_plan_state_count(self.plan), i
        cdef nnc_param own, its
        cdef bint same = (
            nnc_plan_elements(self.plan) == nnc_plan_elements(other.plan) and n == nnc_plan_param_count(other.plan)
            and nnc_plan_state_elements(self.plan) == nnc_plan_state_elements(other.plan) and n_states == nnc_plan_state_count(other.plan)
            and self.dtype == other.dtype)
        for i in range(n + n_states):
            if same:
                if i < n:
                    nnc_plan_param(self.plan, i, &own)
                    nnc_plan_param(other.plan, i, &its)
                else:
                    nnc_plan_state(self.plan, i - n, &own)
                    nnc_plan_state(other.plan, i - n, &its)
                same = (own.offset == its.offset and own.rows == its.rows and own.cols == its.cols and own.ld == its.ld
                        and own.op == its.op and <bytes>own.role == <bytes>its.role)
        if not same:
            raise ShapeError("the parameters have other shapes")
        cdef nnc_plan *plan = self.plan
        self.plan = other.plan
        other.plan = plan
        self.is_compiled = self.has_forward = other.is_compiled = other.has_forward = False
        self.forward_sequences = None
        self.op_names = other.op_names
        self.flops = other.flops
        self._describe(other.input_shapes, other.output_shapes, other._all_shapes)
        self._bind()
        other._bind()

    cdef object _view(self, int i):
        from .spec import Parameter
        cdef nnc_param p
        nnc_plan_param(self.plan, i, &p)

        def oriented(buffer):
            block = buffer[p.offset : p.offset + p.rows * p.ld].reshape(p.rows, p.ld)[:, : p.cols]
            if p.op in self.called_ops:
                return block[0].reshape(self.called_ops[p.op].part.parameter_shapes()[p.role.decode()])
            if p.shape.rank:
                return block[0].reshape([p.shape.dim[d] for d in range(p.shape.rank)])
            return block[0] if p.vector else block.T if p.transposed else block

        return Parameter(p.op, p.role.decode(), oriented(self.buffers["parameters"]), oriented(self.buffers["gradients"]))

    cdef object _state_view(self, int i):
        from .spec import Parameter
        cdef nnc_param p
        nnc_plan_state(self.plan, i, &p)
        view = self.buffers["states"][p.offset : p.offset + p.cols]
        return Parameter(p.op, p.role.decode(), view.reshape(()) if p.role == b"num_batches_tracked" else view, view[:0])

    # Diagnosis -----------------------------------------------------------------------------------------------------------------

    cdef nnc_probe *_probing(self) noexcept:
        return &self.probe if self.probe.every else NULL

    def _probe(self, int64_t every, activations):
        """Look at the next training step and every so many later, at these ops (activations); 0: no longer."""
        self._need_plan()
        if self.is_busy:
            raise ConcurrentUseError("the model is being trained by another thread")
        self.probe.every = 0
        self.probed = None
        if every < 1:
            return
        n_inputs = len(self.input_shapes)
        offsets, total = np.zeros(len(self.op_names) + 1, np.uintp), 0
        for op in activations:
            offsets[op] = total
            total += 4 * last_of(self._all_shapes[n_inputs + op])
        elements = nnc_plan_elements(self.plan)
        kept = (np.zeros((len(self.parameters) + 1, 4)), np.zeros(total + 1), offsets, np.zeros(total + 1, self.dtype),
                aligned_zeros(elements, self.dtype), list(activations))
        self.probe.params = <double *>cnp.PyArray_DATA(<cnp.ndarray>kept[0])
        self.probe.units = <double *>cnp.PyArray_DATA(<cnp.ndarray>kept[1])
        self.probe.unit_offset = <const size_t *>cnp.PyArray_DATA(<cnp.ndarray>kept[2])
        self.probe.scratch = cnp.PyArray_DATA(<cnp.ndarray>kept[3])
        self.probe.before = cnp.PyArray_DATA(<cnp.ndarray>kept[4])
        self.probe.steps = 0
        self.probe.rows = 0
        self.probe.first = self.progress.step
        self.probed = kept
        self.probe.every = every

    def _probe_read(self):
        """Return what has been added up since the last call: steps, rows, [parameters, 4], and by op [4, columns]; begin anew."""
        if self.probed is None:
            return 0, 0.0, np.zeros((len(self.parameters), 4)), {}
        if self.is_busy:
            raise ConcurrentUseError("the model is being trained by another thread")
        params, units, offsets, _, _, ops = self.probed
        columns = {op: last_of(self._all_shapes[len(self.input_shapes) + op]) for op in ops}
        found = (
            self.probe.steps, self.probe.rows, params[: len(params) - 1].copy(),
            {op: units[offsets[op] : offsets[op] + 4 * columns[op]].reshape(4, columns[op]).copy() for op in ops})
        params[...] = 0
        units[...] = 0
        self.probe.steps = 0
        self.probe.rows = 0
        self.probe.first = self.progress.step
        return found

    # Calls out of the core ----------------------------------------------------------------------------------------------------

    cdef int _rethrow(self) except -1:
        """Raise what failed in a call that the core made on this thread."""
        if self.failures:
            error = self.failures.pop(get_ident(), None)
            if error is not None:
                raise error
        return 0

    cdef int _watch(self, object statistics) except -1:
        """Let the metrics of the caller, which ride on ``statistics``, see what this thread's next call does; None: no longer."""
        if self.is_watched:
            if statistics is None:
                self.watchers.pop(get_ident(), None)
            else:
                self.watchers[get_ident()] = statistics.watchers
        return 0

    def _shapes(self):
        self._need_plan()
        return list(self._all_shapes)

    def _parameters(self):
        self._need_plan()
        return list(self.parameters)

    def _states(self):
        self._need_plan()
        return list(self.states)

    def _buffers(self):
        self._need_plan()
        return dict(self.buffers)

    def _check_indices(self, x):
        """Raise IndexRangeError where an input that feeds an embedding holds anything but indices into its table."""
        cdef nnc_source source
        cdef size_t rows, width, bound, bad
        cdef int i
        for i in range(len(x) if self.has_indices else 0):
            bound = nnc_plan_index_bound(self.plan, i)
            if bound == 0:
                continue
            rows, width = len(x[i]), size_of(self.input_shapes[i])
            name = "x" if len(x) == 1 else f"x[{i}]"
            bind_source(&source, x[i], rows, width, name)
            with nogil:
                bad = nnc_find_bad_index(&source, rows, width, bound)
            if bad < rows * width:
                at = np.unravel_index(bad, x[i].shape)
                raise IndexRangeError(
                    f"{name} holds {x[i][at]} at {tuple([int(d) for d in at])}, which is no index into an Embedding of {bound} rows: whole "
                    f"numbers from 0 to {bound - 1} are")

    def _arena_bytes(self, size_t rows):
        """Bytes of activations and gradients that training with batches of `rows` keeps."""
        self._need_plan()
        return nnc_plan_arena_bytes(self.plan, rows)

    cdef int _need_plan(self) except -1:
        if self.plan == NULL:
            raise NotBuiltError("the shape of the input is not known yet; call build(input_shape), or use the model once")
        return 0

    # Compiling ----------------------------------------------------------------------------------------------------------------

    def _compile(self, losses, optimizer, options, statistics):
        self._need_plan()
        self._need_alone()
        cdef nnc_error error
        cdef nnc_optimizer_spec rule
        cdef int n = len(self.output_shapes), n_params = len(self.parameters), i
        if len(losses) != n or len(statistics) != n or len(options) != n_params:
            raise ValueError(f"{len(losses)} losses, {len(statistics)} statistics and {len(options)} options for {n} outputs and {n_params} parameters")
        cdef nnc_loss_spec *loss_specs = <nnc_loss_spec *>PyMem_Calloc(n, sizeof(nnc_loss_spec))
        cdef nnc_statistic_spec *statistic_specs = <nnc_statistic_spec *>PyMem_Calloc(n, sizeof(nnc_statistic_spec))
        cdef nnc_param_options *settings = <nnc_param_options *>PyMem_Calloc(n_params + 1, sizeof(nnc_param_options))
        try:
            if loss_specs == NULL or statistic_specs == NULL or settings == NULL:
                raise MemoryError("no memory to compile")
            for i in range(n):
                fill_loss(&loss_specs[i], losses[i])
                statistic_specs[i].kind = STATISTICS[statistics[i].kind]
                statistic_specs[i].classes = statistics[i].classes
                statistic_specs[i].threshold = statistics[i].threshold
                statistic_specs[i].target_threshold = statistics[i].target_threshold
                statistic_specs[i].called = statistics[i].called
            for i in range(n_params):
                own = options[i]
                settings[i].trainable = own.trainable
                settings[i].lr_scale = own.lr_scale
                settings[i].weight_decay = optimizer.weight_decay if own.weight_decay is None else own.weight_decay
                settings[i].l1 = own.l1 or 0.0
                settings[i].l2 = own.l2 or 0.0
                settings[i].max_norm = own.max_norm
            rule.optimizer = op_code("optimizer", optimizer.name)
            for i in range(NNC_OPTIMIZER_ATTRIBUTES):
                rule.attr[i] = 0
            fill_attributes(rule.attr, "optimizer", rule.optimizer, optimizer.attributes)
            rule.weight_decay = optimizer.weight_decay
            rule.clip_norm = optimizer.clip_norm
            rule.clip_norm_each = optimizer.clip_norm_each
            rule.clip_value = optimizer.clip_value
            rule.ema_momentum = optimizer.ema_momentum
            moments = new_moments(&rule, nnc_plan_elements(self.plan), self.dtype)
            average = aligned_zeros(nnc_plan_elements(self.plan), self.dtype) if rule.ema_momentum > 0 else None
            if nnc_plan_compile(self.plan, loss_specs, &rule, settings, statistic_specs, &error):
                raise_error(&error)  # what was compiled before still holds
        finally:
            PyMem_Free(loss_specs)
            PyMem_Free(statistic_specs)
            PyMem_Free(settings)
        self.called_losses = [each.part for each in losses]
        self.is_watched = any(each.called for each in statistics)
        self.calls_out = bool(self.called_ops) or self.is_watched or any(each is not None for each in self.called_losses)
        self.moments = moments
        self.buffers = {kind: self.buffers[kind] for kind in ("parameters", "gradients", "states")}
        self.buffers.update({f"moment{i}": m for i, m in enumerate(moments) if m is not None})
        if average is not None:
            self.buffers["average"] = average
        self._bind()
        self.target_widths = [
            self.output_lines[i] * (1 if loss_specs_index(losses[i]) else last_of(self.output_shapes[i]))
            for i in range(n)
        ]
        self.statistic_sizes = [
            s.classes * s.classes if s.kind == "confusion" else 7 * last_of(shape) if s.kind == "residuals" else 0
            for s, shape in zip(statistics, self.output_shapes)
        ]
        self.progress.step = 0
        self.is_compiled = True
        self.has_forward = False

    cdef int _need_compiled(self) except -1:
        self._need_plan()
        if not self.is_compiled:
            raise NotCompiledError("the model is not compiled; call compile(loss=..., optimizer=...) first")
        return 0

    cdef int _need_rows(self, size_t smallest, bint training=True) except -1:
        """Raise where the smallest batch is too small for a statistic."""
        cdef int op
        if 0 < smallest < nnc_plan_least_rows(self.plan, training, &op):
            raise ShapeError(
                f"{self.op_names[op]}: a training batch of {smallest} row has no variance to normalise by; use batches of at least 2 rows, "
                "the last one of an epoch included: change batch_size, or leave a row out")
        return 0

    cdef int _enter(self) except -1:
        while True:
            if self.is_busy or (self.trainer and self.trainer != this_thread()):
                raise ConcurrentUseError("the model is being trained by another thread; wait for it, or train a copy")
            if not self.waiting:
                break
            self._hand_over()
        self.is_busy = True
        return 0

    def _claim(self):
        """Keep other threads from training until `_release`; where one of them trains already, the caller is the intruder."""
        cdef unsigned long me = this_thread()
        if self.is_busy or (self.trainer and self.trainer != me):
            raise ConcurrentUseError("the model is being trained by another thread; wait for it, or train a copy")
        self.trainer = me
        self.claims += 1

    def _release(self):
        self.claims -= 1
        if not self.claims:
            self.trainer = 0

    @property
    def _is_claimed(self):
        """Whether a fit is under way."""
        return self.claims > 0

    @property
    def _is_elsewhere(self):
        """Whether another thread trains."""
        return self.is_busy or (self.trainer != 0 and self.trainer != this_thread())

    cdef int _hand_over(self) except -1:
        """Between two steps: let those read who wait for it."""
        self.is_paused = True
        try:
            while self.waiting:
                sleep(1e-4)
                PyErr_CheckSignals()
        finally:
            self.is_paused = False
        return 0

    def _pause(self):
        """Wait until training stands between two steps, and keep it there until `_resume`."""
        give_up = monotonic() + PATIENCE
        self.waiting += 1
        try:
            while self.is_busy or (self.trainer and self.trainer != this_thread() and not self.is_paused):
                if monotonic() > give_up:
                    raise ConcurrentUseError(
                        f"another thread trains the model and has not come to the end of a step for {PATIENCE:g} s; a callback that "
                        "waits for this thread would do that")
                sleep(1e-4)
                PyErr_CheckSignals()
        except BaseException:
            self.waiting -= 1
            raise

    def _resume(self):
        self.waiting -= 1

    cdef int _need_alone(self) except -1:
        cdef bint is_theirs = self.trainer != 0 and self.trainer != this_thread()
        if self.is_busy or self.readers or is_theirs or (self.waiting and not self.trainer):
            raise ConcurrentUseError("the model is in use by another thread, so it cannot be built or compiled now")
        return 0

    # Running ------------------------------------------------------------------------------------------------------------------

    cdef int _bind_data(self, nnc_data *data, nnc_source *xs, nnc_source *ys, double **sums, x, y, weight, order, statistics, lengths) except -1:
        cdef size_t rows
        cdef int i
        if len(x) != len(self.input_shapes) or len(y) != len(self.output_shapes):
            raise ShapeError(f"{len(x)} input and {len(y)} target arrays for {len(self.input_shapes)} inputs and {len(self.output_shapes)} outputs")
        rows = len(x[0])
        for i in range(len(x)):
            bind_source(&xs[i], x[i], rows, size_of(self.input_shapes[i]), "x" if len(x) == 1 else f"x[{i}]")
        for i in range(len(y)):
            bind_source(&ys[i], y[i], rows, self.target_widths[i], "y" if len(y) == 1 else f"y[{i}]")
            sums[i] = NULL
            if statistics is not None:
                sums[i] = float64_out(statistics[i], self.statistic_sizes[i], "statistics")
        data.x = xs
        data.y = ys
        data.rows = rows
        data.statistics = sums
        data.parts = NULL
        if statistics is not None and len(statistics) > len(y):  # the losses of the outputs, one by one
            data.parts = float64_out(statistics[len(y)], 2 * len(y), "losses of the outputs")
        data.probe = self._probing()
        data.weight.data = NULL
        if weight is not None:
            if weight.dtype != np.float32 and weight.dtype != np.float64:
                raise DTypeError(f"sample_weight: expected float32 or float64, got {weight.dtype}")
            bind_source(&data.weight, weight, rows, 1, "sample_weight")
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
        """The data of `lengths`, which has been checked (data/sequences.py) but for what C takes for granted."""
        cdef int op = -1
        cdef size_t steps = nnc_plan_steps(self.plan, &op), i
        if steps == 0:
            if op >= 0:
                raise ShapeError(f"{self.op_names[op]} mixes time steps, so that lengths cannot be used with it")
            raise ShapeError("lengths need an input with a time dimension, [N, time, features]")
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
        """sequences: None, or (lengths, initial, final), each None or an array; the states are [rows, carry]."""
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
            to.initial = self._dense(initial, rows, shape, "initial states")
        if final is not None:
            to.final = self._dense(final, rows, shape, "final states")
        return 0

    def _borrow(self, Network other not None):
        """Use the parameters and running statistics of another network, which has the same ones."""
        cdef nnc_param mine, theirs
        cdef int i, n = nnc_plan_param_count(self.plan)
        cdef bint same = nnc_plan_elements(self.plan) == nnc_plan_elements(other.plan) and self.dtype == other.dtype
        same = same and n == nnc_plan_param_count(other.plan)
        for i in range(n if same else 0):
            nnc_plan_param(self.plan, i, &mine)
            nnc_plan_param(other.plan, i, &theirs)
            same = same and mine.offset == theirs.offset and mine.rows == theirs.rows and mine.ld == theirs.ld
        if not same:
            raise ValueError("the networks have different parameters")
        self.buffers = dict(other.buffers)
        self.moments = []
        self.parameters, self.states = other.parameters, other.states
        self._bind()

    def _carry(self):
        """How many numbers the recurrent layers hand from one step to the next, per sample."""
        self._need_plan()
        return nnc_plan_carry(self.plan)

    def _steps(self):
        """The time steps that lengths count, or 0."""
        cdef int op
        self._need_plan()
        return nnc_plan_steps(self.plan, &op)

    def _set_stateful(self, bint stateful):
        """Whether a training batch begins with the states that the one before left."""
        self._need_plan()
        self._need_alone()
        nnc_plan_set_stateful(self.plan, stateful)
        self.has_forward = False

    def _reset_states(self):
        self._need_plan()
        self._need_alone()
        nnc_plan_reset_states(self.plan)

    def _step_norms(self, int op, size_t steps):
        """Norms of the gradients before the gates of a recurrent op, per time step of the last backward pass."""
        if not self.has_forward:
            raise NotBuiltError("gradient norms per time step need a backward pass: call forward and backward on a batch first")
        norms = np.zeros(steps)
        nnc_plan_step_norms(self.plan, op, self.forward_rows, <double *>cnp.PyArray_DATA(<cnp.ndarray>norms))
        return norms

    def _train(
        self, x, y, weight, order, size_t batch_size, size_t first, size_t max_steps, lr, loss, statistics, lengths=None
    ):
        self._need_compiled()
        cdef nnc_data data
        cdef nnc_source xs[MAX_ENDS]
        cdef nnc_source ys[MAX_ENDS]
        cdef double *sums[MAX_ENDS]
        cdef nnc_error error
        cdef size_t done = 0
        cdef int status
        self._bind_data(&data, xs, ys, sums, x, y, weight, order, statistics, lengths)
        if batch_size < 1:
            raise ValueError("batch_size must be at least 1")
        batch_size = min(batch_size, data.rows)
        if batch_size:
            self._need_rows(data.rows % batch_size or batch_size)
        cdef double *rates = float64_out(lr, max_steps, "lr")
        cdef double *losses = float64_out(loss, max_steps, "loss")
        self._enter()
        try:
            self._watch(statistics)
            with nogil:
                status = nnc_plan_reserve(self.plan, batch_size, &error)
                if status == NNC_OK:
                    done = nnc_plan_train(self.plan, &data, batch_size, first, max_steps, rates, losses, &self.progress, BUDGET)
            self.has_forward = False
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
        finally:
            self.is_busy = False
            self._watch(None)
        return done

    def _evaluate(self, x, y, weight, size_t first, loss, statistics, lengths=None):
        self._need_compiled()
        cdef nnc_data data
        cdef nnc_source xs[MAX_ENDS]
        cdef nnc_source ys[MAX_ENDS]
        cdef double *sums[MAX_ENDS]
        cdef nnc_error error
        cdef size_t next_row = 0
        cdef int status
        self._bind_data(&data, xs, ys, sums, x, y, weight, None, statistics, lengths)
        cdef double *losses = float64_out(loss, 2 * len(y), "loss")
        if self.waiting and self.trainer == this_thread():  # validation
            self._hand_over()
        self._watch(statistics)
        self.readers += 1
        with nogil:
            status = nnc_plan_evaluate(self.plan, &data, first, losses, &next_row, BUDGET, &error)
        self.readers -= 1
        self._watch(None)
        self._rethrow()
        if status != NNC_OK:
            raise_error(&error)
        return next_row

    def _penalty(self):
        """What the L1 and L2 penalties add to the loss."""
        self._need_compiled()
        cdef double penalty
        self.readers += 1
        with nogil:
            penalty = nnc_plan_penalty(self.plan)
        self.readers -= 1
        return penalty

    def _predict(self, x, out, size_t first, sequences=None):
        self._need_plan()
        cdef nnc_source xs[MAX_ENDS]
        cdef void *outs[MAX_ENDS]
        cdef nnc_error error
        cdef size_t next_row = 0, rows
        cdef int i, status
        if len(x) != len(self.input_shapes) or len(out) != len(self.output_shapes):
            raise ShapeError(f"{len(x)} input and {len(out)} output arrays for {len(self.input_shapes)} inputs and {len(self.output_shapes)} outputs")
        rows = len(x[0])
        for i in range(len(x)):
            bind_source(&xs[i], x[i], rows, size_of(self.input_shapes[i]), "x" if len(x) == 1 else f"x[{i}]")
        for i in range(len(out)):
            outs[i] = self._dense(out[i], rows, self.output_shapes[i], "out")
        cdef nnc_sequences given
        self._bind_sequences(&given, sequences, rows)
        self.readers += 1
        with nogil:
            status = nnc_plan_predict(self.plan, xs, &given, rows, first, outs, &next_row, BUDGET, &error)
        self.readers -= 1
        self._rethrow()
        if status != NNC_OK:
            raise_error(&error)
        return next_row

    cdef void *_dense(self, object array, size_t rows, tuple shape, str what) except NULL:
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype or array.shape != (rows, *shape) or not array.flags.carray:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ShapeError(f"{what}: expected a writable, C-contiguous {self.dtype} array of shape {(rows, *shape)}, got {found}")
        return cnp.PyArray_DATA(<cnp.ndarray>array)

    cdef void *_result(self, object out, size_t rows) except NULL:
        """The memory of a caller's array for the result; what fits is seen without a look at any Python attribute."""
        cdef int d
        cdef bint fits = type(out) is cnp.ndarray
        if fits:
            fits = (cnp.PyArray_TYPE(<cnp.ndarray>out) == self.typenum and cnp.PyArray_NDIM(<cnp.ndarray>out) == self.out_rank
                    and cnp.PyArray_ISCARRAY(<cnp.ndarray>out) and <size_t>cnp.PyArray_DIM(<cnp.ndarray>out, 0) == rows)
            for d in range(1, self.out_rank):
                fits = fits and cnp.PyArray_DIM(<cnp.ndarray>out, d) == self.out_dims[d]
        return cnp.PyArray_DATA(<cnp.ndarray>out) if fits else self._dense(out, rows, self.output_shapes[0], "out")

    def __call__(self, x, *, out=None):
        """Inference on one batch: [N, *input shape] -> [N, *output shape]."""
        cdef cnp.ndarray a, y
        cdef nnc_source source
        cdef nnc_error error
        cdef size_t rows, next_row = 0
        cdef void *to
        cdef int d, status
        cdef bint fits = self.plan != NULL and self.is_simple and type(x) is cnp.ndarray
        if self.plan != NULL and not self.is_simple:
            if out is not None:
                raise TypeError("out= is for models of one input and one output")
            return self._call(x)
        if fits:
            a = <cnp.ndarray>x
            fits = cnp.PyArray_TYPE(a) == self.typenum and cnp.PyArray_NDIM(a) == self.in_rank and cnp.PyArray_ISCARRAY_RO(a)
            for d in range(1, self.in_rank):
                if fits and cnp.PyArray_DIM(a, d) != self.in_dims[d]:
                    fits = False
        if not fits:
            converted = self._convert(x)  # checks, converts, and builds where the shape was open
            if type(converted) is not cnp.ndarray:
                return converted  # a call on what stands for an array in a network
            a = <cnp.ndarray>converted
        if self.has_indices:
            self._check_indices((a,))
        rows = cnp.PyArray_DIM(a, 0)
        if out is None:
            self.out_dims[0] = rows
            y = cnp.PyArray_EMPTY(self.out_rank, self.out_dims, self.typenum, 0)
            to = cnp.PyArray_DATA(y)
        else:
            to = self._result(out, rows)
            y = <cnp.ndarray>out
        source.data = cnp.PyArray_DATA(a)
        source.type = NNC_SOURCE_F64 if self.typenum == cnp.NPY_DOUBLE else NNC_SOURCE_F32
        source.stride = self.in_width
        if self.flops * <double>rows < HOLD_GIL_BELOW:
            status = nnc_plan_predict(self.plan, &source, NULL, rows, 0, &to, &next_row, 1e9, &error)
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
            return y
        while next_row < rows:
            self.readers += 1
            with nogil:
                status = nnc_plan_predict(self.plan, &source, NULL, rows, next_row, &to, &next_row, BUDGET, &error)
            self.readers -= 1
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
            PyErr_CheckSignals()
        return y

    # The pieces of a step -----------------------------------------------------------------------------------------------------

    def _forward(self, x, bint training, sequences=None):
        self._need_plan()
        cdef nnc_source xs[MAX_ENDS]
        cdef void *outs[MAX_ENDS]
        cdef nnc_error error
        cdef size_t rows = len(x[0])
        cdef int i, status
        for i in range(len(x)):
            bind_source(&xs[i], x[i], rows, size_of(self.input_shapes[i]), "x")
        self._need_rows(rows, training)
        self._check_indices(x)
        cdef nnc_sequences given
        self._bind_sequences(&given, sequences, rows)
        results = [np.empty((rows, *shape), self.dtype) for shape in self.output_shapes]
        for i in range(len(results)):
            outs[i] = cnp.PyArray_DATA(<cnp.ndarray>results[i])
        self._enter()
        try:
            with nogil:
                status = nnc_plan_reserve(self.plan, rows, &error)
                if status == NNC_OK:
                    nnc_plan_forward(self.plan, xs, &given, rows, training, outs, &self.progress)
            self.has_forward = False
            self._rethrow()
            if status != NNC_OK:
                raise_error(&error)
        finally:
            self.is_busy = False
        self.forward_rows = rows
        self.forward_sequences = None if sequences is None else (sequences[0], sequences[1], None)  # keeps the arrays alive
        self.last_training = training
        self.has_forward = True
        return results

    def _backward(self, grad_outputs):
        self._need_plan()
        if not self.has_forward:
            raise NotBuiltError("backward: nothing to go back from; call forward on a batch first")
        cdef const void *grads[MAX_ENDS]
        cdef void *inputs[MAX_ENDS]
        cdef int i
        for i in range(len(self.output_shapes)):
            grads[i] = self._dense(grad_outputs[i], self.forward_rows, self.output_shapes[i], "grad_output")
        results = [np.empty((self.forward_rows, *shape), self.dtype) for shape in self.input_shapes]
        for i in range(len(results)):
            inputs[i] = cnp.PyArray_DATA(<cnp.ndarray>results[i])
        cdef nnc_sequences given
        self._bind_sequences(&given, self.forward_sequences, self.forward_rows)
        self._enter()
        try:
            with nogil:
                nnc_plan_backward(self.plan, &given, self.forward_rows, grads, inputs, self.last_training, &self.progress)
            self._rethrow()
        finally:
            self.is_busy = False
        return results

    def _apply_gradients(self, double lr):
        self._need_compiled()
        self._enter()
        try:
            with nogil:
                nnc_plan_apply(self.plan, lr, &self.progress)
        finally:
            self.is_busy = False


cdef size_t size_of(tuple shape) except? 0:
    cdef size_t size = 1
    for d in shape:
        size *= <size_t>d
    return size


cdef object last_of(tuple shape):
    return shape[len(shape) - 1] if shape else 1


cdef int fill_op(nnc_op_spec *spec, object op, bytes name) except -1:
    if op.kind not in LAYER_CODES:
        raise ValueError(f"{op.name}: unknown kind of op {op.kind!r}; known are {', '.join(LAYER_CODES)}")
    if len(op.inputs) > NNC_MAX_INPUTS or len(op.sizes) > NNC_MAX_SIZES or len(op.attributes) > 4:
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
        spec.size[i] = value
    if op.kind == "activation":
        fill_attributes(spec.attr, "activation", spec.code, op.attributes)
    else:
        for i, value in enumerate(op.attributes):
            spec.attr[i] = value
    return 0


cdef bint loss_specs_index(object loss) except -1:
    if loss.part is not None:
        return loss.part.targets == "classes"
    return OPS["loss"][op_code("loss", loss.name)]["target"] == "index"


cdef int fill_loss(nnc_loss_spec *spec, object loss) except -1:
    spec.index_target = loss_specs_index(loss)
    spec.reduction = REDUCTIONS[loss.reduction]
    spec.weight = loss.weight
    if loss.part is not None:
        spec.loss = NNC_LOSS_CALLED
        return 0
    spec.loss = op_code("loss", loss.name)
    fill_attributes(spec.attr, "loss", spec.loss, loss.attributes)
    spec.from_logits = loss.from_logits
    return 0


cdef list new_moments(const nnc_optimizer_spec *rule, size_t elements, object dtype):
    moments = []
    for i in range(3):
        moment = None
        if nnc_optimizer_uses(rule.optimizer, rule.attr, i):
            moment = aligned_zeros(elements, dtype)
            initial = nnc_optimizer_initial(rule.optimizer, rule.attr, i)
            if initial != 0:
                moment[...] = initial
        moments.append(moment)
    return moments
