# guards.pxi: operations that an interrupt must not split: entering and leaving networks as `with` blocks, copying weights, and replacing
# the weights by their average. They are in C because an interrupt may occur between any two instructions of Python. In a context manager
# written in Python it could occur between entering and the block, or while leaving.

@cython.final
cdef class Use:
    """One mode of using a network, for the duration of a ``with`` block."""

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

    def __dealloc__(self):  # Python 3.14 checks for interrupts between entering and the block
        while self.depth and self.access is not None:
            self.depth -= 1
            self.access.leave(self.mode, self.inside, self.thread)


cdef Use _use(Access access, Mode mode, bint patient, bint inside):
    cdef Use use = Use.__new__(Use)
    use.access, use.mode, use.patient, use.inside = access, mode, patient, inside
    return use


@cython.final
cdef class ChangingAll:
    """Enters several networks for a common change, for example networks that share layers. Either all are entered or none."""

    cdef list uses

    def __init__(self, networks):
        self.uses = [access.changing() for access in {id(network.access): network.access for network in networks}.values()]

    def __enter__(self):
        """Wait for all of them without having entered any, because a thread in one network may wait for another network."""
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
                use.access._make_room(2 * use.access.room)  # now, so that entering cannot fail
        for use in self.uses:
            use.__enter__()
        return True

    def __exit__(self, kind, error, trace):
        cdef Use use
        for use in self.uses:
            use.__exit__(None, None, None)


def copy_all(list views, list values):
    """Copy arrays into views of the same shapes. An interrupt cannot split this."""
    cdef int i
    for i in range(len(views)):
        cnp.PyArray_CopyInto(<cnp.ndarray?>views[i], <cnp.ndarray?>values[i])


@cython.final
cdef class AveragedWeights:
    """Replaces a model's parameters by their average, for the duration of a ``with`` block."""

    cdef Plan net
    cdef object model, make_ready
    cdef object kept
    cdef unsigned long thread  # the thread in the block; 0: none

    def __init__(self, Plan net not None, model, make_ready):
        """model: the value of the block. make_ready: called first, to compile a plan that was built again."""
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
            if net.progress.step:  # before the first step there is no average
                kept = net.values()
                net._put_values(net.arrays["average"])
                self.kept = kept
            net.averaged = True
        except BaseException:
            net.access.leave(TRAINING, False, this_thread())
            raise
        self.thread = this_thread()
        return self.model

    def __exit__(self, kind, error, trace):
        self._put_back()

    def __del__(self):  # for an interrupt between entering and the block
        self._put_back()

    cdef int _put_back(self) except -1:
        if not self.thread:
            return 0
        kept, self.kept = self.kept, None
        self.net.averaged = False
        if kept is not None:
            self.net._put_values(kept)
        self.net.access.leave(TRAINING, False, self.thread)
        self.thread = 0
        return 0


def uninterrupted(function):
    """Call a function again until no interrupt stops it, then raise the first interrupt. A second call must do no harm.

    A signal handler may raise any exception, so every exception counts as an interrupt. If the same one is raised three times in a row, it
    is an error of the function.
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
