# guards.pxi: what has to be done as a whole, whatever interrupts: entering and leaving networks as `with` blocks, copying weights in, the
# average of the weights in their place. It is in C because an interrupt may come between any two instructions of Python: in a context
# manager written there, also between entering and the block, or in the midst of leaving.

@cython.final
cdef class Use:
    """One way to use a network, for as long as a ``with`` block lasts."""

    cdef Access access
    cdef Mode mode
    cdef bint patient, inside
    cdef int depth
    cdef unsigned long thread

    def __enter__(self):
        self.access.enter(self.mode, self.inside, self.patient)
        self.thread = this_thread()
        self.depth += 1
        return self

    def __exit__(self, kind, error, trace):
        if self.depth:
            self.depth -= 1
            self.access.leave(self.mode, self.inside, self.thread)

    def __dealloc__(self):  # Python 3.14 looks for interrupts between entering and the block
        while self.depth and self.access is not None:
            self.depth -= 1
            self.access.leave(self.mode, self.inside, self.thread)


cdef Use _use(Access access, Mode mode, bint patient, bint inside):
    cdef Use use = Use.__new__(Use)
    use.access, use.mode, use.patient, use.inside = access, mode, patient, inside
    return use


@cython.final
cdef class ChangingAll:
    """Several networks that change together, such as those that share layers: all entered, or none."""

    cdef list uses

    def __init__(self, networks):
        self.uses = [access.changing() for access in {id(network.access): network.access for network in networks}.values()]

    def __enter__(self):
        """Wait for all of them without having entered any: who is waited for may be waiting for another one."""
        give_up = monotonic() + PATIENCE
        while not self._enter_all():
            if monotonic() > give_up:
                raise ConcurrentUseError(_IN_VAIN[<int>CHANGING].format(PATIENCE))
            sleep(1e-4)
            PyErr_CheckSignals()
        return self

    cdef bint _enter_all(self) except -1:
        cdef Use use
        cdef Verdict verdict
        cdef unsigned long me = this_thread()
        for use in self.uses:
            if use.access.forks != nnc_fork_count():
                use.access._forget_others()
            verdict = use.access._may(CHANGING, me, False, use.access.tickets)
            if verdict == REFUSED:
                raise ConcurrentUseError(_REFUSED[<int>CHANGING])
            if verdict == INSIDE:
                raise ConcurrentUseError(_INSIDE[<int>CHANGING])
            if verdict != GO:
                return False
            if use.access.count == use.access.room:
                use.access._make_room(2 * use.access.room)  # so that nothing can fail from here on
        for use in self.uses:
            use.__enter__()
        return True

    def __exit__(self, kind, error, trace):
        cdef Use use
        for use in self.uses:
            use.__exit__(None, None, None)


def copy_all(list views, list values):
    """Copy arrays into views of the same shapes, all of them: no interrupt comes in between."""
    cdef int i
    for i in range(len(views)):
        cnp.PyArray_CopyInto(<cnp.ndarray?>views[i], <cnp.ndarray?>values[i])


@cython.final
cdef class AveragedWeights:
    """The average of a model's parameters in their place, for as long as a ``with`` block lasts."""

    cdef Plan net
    cdef object model, make_ready
    cdef object kept
    cdef unsigned long thread  # that is in the block; 0: none

    def __init__(self, Plan net not None, model, make_ready):
        """model: what the block is given; make_ready: called first, to compile a plan that has been built anew since."""
        self.net, self.model, self.make_ready = net, model, make_ready

    def __enter__(self):
        net = self.net
        net._enter_with(TRAINING, False, True)
        try:
            if self.thread:
                raise ArgumentError("averaged_weights: this block is entered already")
            self.make_ready()
            if net.averaged or "average" not in net.arrays:
                why = "they are in place already" if net.averaged else "compile with an optimizer that has ema_momentum, such as 0.99"
                raise ArgumentError(f"averaged_weights: {why}")
            if net.progress.step:  # else there is nothing to average yet
                kept = net.arrays["parameters"].copy()
                self._put(net.arrays["average"])
                self.kept = kept
            net.averaged = True
        except BaseException:
            net.access.leave(TRAINING, False, this_thread())
            raise
        self.thread = this_thread()
        return self.model

    cdef void _put(self, cnp.ndarray numbers) noexcept:
        """Copy the numbers of this model's parameters into their places; between them may lie those of others that share layers."""
        cdef Plan net = self.net
        cdef char *to = <char *>cnp.PyArray_DATA(<cnp.ndarray>net.arrays["parameters"])
        cdef char *come = <char *>cnp.PyArray_DATA(numbers)
        cdef size_t item = cnp.PyArray_ITEMSIZE(numbers)
        cdef nnc_param p
        cdef int i
        for i in range(nnc_plan_param_count(net.plan)):
            nnc_plan_param(net.plan, i, &p)
            memcpy(to + p.offset * item, come + p.offset * item, p.rows * p.ld * item)

    def __exit__(self, kind, error, trace):
        self._put_back()

    def __del__(self):  # where an interrupt comes between entering and the block
        self._put_back()

    cdef int _put_back(self) except -1:
        if not self.thread:
            return 0
        kept, self.kept = self.kept, None
        self.net.averaged = False
        if kept is not None:
            self._put(kept)
        self.net.access.leave(TRAINING, False, self.thread)
        self.thread = 0
        return 0


def uninterrupted(function):
    """Call a function until no interrupt has cut it short; then raise the first one that did. Calling it twice must do no harm.

    A signal handler may raise anything, so that any exception counts as an interrupt; where it comes a third time in a row, it is the
    function's own.
    """
    first, last, repeated = None, None, 0
    for _ in range(1000):
        try:
            result = function()
        except BaseException as error:
            first = error if first is None else first
            repeated = repeated + 1 if type(error) is last else 1
            last = type(error)
            if repeated == 3 and last is not KeyboardInterrupt:
                break
            continue
        if first is None:
            return result
        break
    raise first
