# stream.pxi: running one time step after the other with a stored state: a plan for sequences of one step, with the parameters of a
# model.


cdef class StreamCore:
    """The base of `nncore.network.stream.Stream`: the network of one time step, its state, and the array of results."""

    cdef Plan net
    cdef cnp.ndarray state, out
    cdef nnc_sequences sequences
    cdef cnp.npy_intp batch, width
    cdef bint is_bare  # a step is one index per sequence, without a dimension of features
    cdef readonly object result  # a view of out, [batch, features]

    def _open(self, Plan net not None, cnp.npy_intp batch):
        self.net = net
        self.batch = batch
        self.width = net.in_width
        self.is_bare = net.in_rank == 2
        shape = net.output_shapes[0]
        carry = nnc_plan_carry(net.plan)
        # On cache lines of their own, so that the time of a step does not depend on where they lie by chance.
        self.state = aligned_zeros(batch * carry, net.dtype).reshape(batch, carry)
        self.out = aligned_zeros(batch * size_of(shape), net.dtype).reshape(batch, *shape)
        self.result = self.out.reshape(batch, *shape[1:] if len(shape) > 1 and shape[0] == 1 else shape)
        self.sequences.lengths = NULL
        self.sequences.initial = cnp.PyArray_DATA(self.state)
        self.sequences.final = cnp.PyArray_DATA(self.state)

    def _freeze(self):
        """Compute the values that a step derives from the weights."""
        cdef nnc_error error
        self.net._count_changes()
        if nnc_plan_freeze(self.net.plan, &error):
            raise_error(&error)

    def _state(self):
        """The state, [batch, Plan.carry()]."""
        return self.state

    def step(self, x):
        """Process one time step.

        Parameters
        ----------
        x : array_like
            [batch, features], or [features] if the batch is 1. For indices into an `Embedding`, of which a step has one: [batch].
            C-contiguous arrays of the model's dtype are read without a copy.

        Returns
        -------
        numpy.ndarray
            [batch, outputs]. It is always the same array; the next step overwrites it.

        Raises
        ------
        ShapeError
            x is not one time step of the batch.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> stream = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1)).build((10, 2)).stream()
        >>> stream.step(np.ones(2)).shape
        (1, 1)
        """
        if self.net is None:
            raise NotBuiltError("make a stream with model.stream()")
        if type(x) is not cnp.ndarray or cnp.PyArray_TYPE(<cnp.ndarray>x) != self.net.typenum or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x):
            from ..data.arrays import as_array
            x = np.ascontiguousarray(as_array(x, "x", self.net.dtype), self.net.dtype)
        self.net._enter(TRAINING)  # because it writes the state
        try:
            self._step(<cnp.ndarray>x)
        finally:
            self.net._leave(TRAINING)
        return self.result

    cdef int _step(self, cnp.ndarray a) except -1:
        cdef nnc_source source
        cdef nnc_error error
        cdef size_t next_row = 0
        cdef void *to = cnp.PyArray_DATA(self.out)
        cdef int status
        if not (
            (cnp.PyArray_NDIM(a) == 2 and cnp.PyArray_DIM(a, 0) == self.batch and cnp.PyArray_DIM(a, 1) == self.width)
            or (cnp.PyArray_NDIM(a) == 1 and self.batch == 1 and cnp.PyArray_DIM(a, 0) == self.width)
            or (cnp.PyArray_NDIM(a) == 1 and self.is_bare and cnp.PyArray_DIM(a, 0) == self.batch)
        ):
            wanted = f"({self.batch},)" if self.is_bare else f"({self.batch}, {self.width})"
            raise ShapeError(f"step: x has shape {shape_of(a)}, but one time step of this stream is {wanted}")
        if self.net.has_indices:
            self.net._look_for_indices((a.reshape(self.batch, 1, self.width) if not self.is_bare else a.reshape(self.batch, 1),))
        source.data = cnp.PyArray_DATA(a)
        source.type = NNC_SOURCE_F64 if self.net.typenum == cnp.NPY_DOUBLE else NNC_SOURCE_F32
        source.stride = self.width
        if self.net.flops * <double>self.batch < HOLD_GIL_BELOW:
            status = nnc_plan_predict(self.net.plan, &source, &self.sequences, self.batch, 0, &to, &next_row, 1e9, &error)
        else:
            with nogil:
                status = nnc_plan_predict(self.net.plan, &source, &self.sequences, self.batch, 0, &to, &next_row, 1e9, &error)
        self.net._rethrow()
        if status != NNC_OK:
            raise_error(&error)
        return 0
