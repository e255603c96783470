# model.pxi: the base of every model: its network, the plan of the network, and the trainer. Calls of a model and single training steps take
# only a few microseconds. They go directly from here to the plan, without Python code. Other arrays go to the network.


cdef class ModelCore:
    """Has a network (nncore.network.Network) and the network's plan, which knows the trainer."""

    cdef readonly Plan _plan
    cdef object the_network

    def __cinit__(self, *args, **kwargs):
        self._plan = Plan()  # always set, because a subclass may be called before its constructor has run

    def _have(self, network):
        """Set the network and its plan."""
        cdef Plan plan = network.plan
        if plan is None:
            raise TypeError("a network without a plan")
        self._plan, self.the_network = plan, network

    cdef inline object network(self):
        if self.the_network is None:
            raise NotBuiltError(f"{type(self).__name__}: the constructor of its base class has not run; call super().__init__(...) first")
        return self.the_network

    @property
    def _network(self):
        return self.network()

    @property
    def _trainer(self):
        return self._plan.trainer

    cdef inline object infer(self, object x, object out):
        y = None if self._plan.checks_finite else self._plan._infer(x, out, False)
        return self.network().infer(x, out) if y is None else y

    def __call__(self, x, training=None, *, out=None):
        """One batch: [N, *input shape] -> [N, *output shape]."""
        return self.infer(x, out) if training is None else self._call_in_mode(x, training, out)

    def predict_on_batch(self, x, *, out=None):
        """Compute the outputs of a batch, as ``model(x, out=out)`` does: `predict` without hooks and progress.

        Parameters
        ----------
        x : array_like
            [N, *input shape]; a list or dict of them for several inputs.
        out : numpy.ndarray, optional
            Memory for the result: C-contiguous, of the model's dtype and the result's shape. It may share memory with x.

        Returns
        -------
        numpy.ndarray
            [N, *output shape]; a list or dict of them for several outputs. It is ``out`` if that is given.

        Raises
        ------
        ShapeError
            The shape of x or out is wrong.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1, weight_init="ones")).predict_on_batch([[1.0, 2.0]])
        array([[3.]], dtype=float32)
        """
        return self.infer(x, out)  # not self(x): a subclass may override that with a call of this method

    def _step(self, x, y, return_dict):
        """Return the result of train_on_batch, or None if the batch needs conversion, or return_dict is no bool."""
        if return_dict is not False and return_dict is not True:
            return None
        return step_batch(self._plan, x, y, return_dict is True)
