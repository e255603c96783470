# access.pxi: which threads may use a network at a time. Every call enters, checks its arguments against the plan, runs, and leaves,
# in this order.
# A call always leaves, also after an error. Between entering and leaving, no other thread replaces anything that the call has
# checked.
#
# There are five modes. Calls of one thread can be nested:
#   READING   predictions and evaluations. Several threads at once, also during training. No thread changes the network meanwhile.
#   TRAINING  a step or a part of one; weights are written. One thread. A second thread gets an error at once.
#   FITTING   a whole fit, including the time between its steps. The rules are those of TRAINING.
#   SNAPSHOT  copies and files. No thread trains meanwhile. A training thread lets snapshots in between two steps.
#   CHANGING  build, compile, another number of time steps. No other thread uses the network.
# All of this runs under the GIL and calls no Python code, except in the loop that waits. So the check and the entry are one atomic
# action.

cimport cython

cdef double PATIENCE = 60  # seconds to wait for other threads; training waits for snapshots without a limit

cdef enum Mode:
    READING
    TRAINING
    FITTING
    SNAPSHOT
    CHANGING
    MODES

cdef enum Verdict:
    GO
    WAIT
    WAIT_FOR_READERS  # only readers are in the way
    REFUSED  # another thread trains
    INSIDE  # this thread is in a call that excludes the mode

cdef struct Hold:  # the entries of one thread; in an unused Hold all fields except thread are 0
    unsigned long thread
    int[5] entered
    int depth  # the sum of entered
    int inside  # current calls of this thread into the core; they may call Python, which may use the network again
    int stepping  # the number of those that train
    int waiting  # calls that wait to enter
    bint yields  # it waits outside the core, so a change may pass its reading: it checks everything again afterwards
    uint64_t ticket  # its position in the queue for a gap between two steps; 0: none


@cython.final
cdef class Access:
    """The threads that use a network, and their modes."""

    cdef Hold *holds
    cdef int count, room
    cdef uint64_t tickets  # the last ticket that was issued
    cdef uint64_t admitted  # tickets up to this one may enter before training continues
    cdef int trainers_waiting  # threads that wait for those tickets before they train
    cdef int writers_waiting  # threads that wait only for readers before they change the network; new readers wait for them
    cdef int forks  # number of forks of this process when the holds were made
    cdef bint needs_recovery  # in a forked child: a thread of the parent was in the core

    def __cinit__(self):
        self.forks = nnc_fork_count()
        self._make_room(2)

    cdef int _make_room(self, int room) except -1:
        cdef Hold *more = <Hold *>PyMem_Realloc(self.holds, room * sizeof(Hold))
        if more is NULL:
            raise MemoryError("no memory to note which threads use the model")
        memset(more + self.room, 0, (room - self.room) * sizeof(Hold))
        self.holds = more
        self.room = room
        return 0

    def __dealloc__(self):
        PyMem_Free(self.holds)

    # Entering and leaving -----------------------------------------------------------------------------------------------------

    cdef inline bint enter_empty(self, Mode mode) noexcept:
        """A fast path of `enter` for one call into the core when no thread has entered. Loops over small calls use it."""
        cdef Hold *own = self.holds
        if self.count or self.needs_recovery or self.forks != nnc_fork_count():
            return False
        own.thread = this_thread()
        own.entered[<int>mode] = own.depth = own.inside = 1
        if mode == TRAINING:
            own.stepping = 1
        self.count = 1
        return True

    cdef inline bint leave_empty(self, Mode mode) noexcept:
        """A fast path of `leave` if this was the only call and no thread is waiting."""
        cdef Hold *own = self.holds
        if self.count != 1 or own.depth != 1 or own.waiting:
            return False
        own.entered[<int>mode] = own.depth = own.inside = own.stepping = 0
        own.ticket = 0
        self.count = 0
        return True

    cdef int enter(self, Mode mode, bint inside, bint patient=True) except -1:
        """inside: for one call into the core. patient: wait if another thread trains; otherwise raise an error."""
        cdef unsigned long me = this_thread()
        if self.forks != nnc_fork_count():
            self._forget_others()
        if self.count and self._may(mode, me, patient, self.tickets) != GO:
            self._wait(mode, me, patient, False)
        cdef Hold *own = self._hold(me)
        own.entered[<int>mode] += 1
        own.depth += 1
        if inside:
            own.inside += 1
            own.stepping += mode == TRAINING
        return 0

    cdef void leave(self, Mode mode, bint inside, unsigned long thread) noexcept:
        cdef Hold *own = self._find(thread)
        if own is NULL or not own.entered[<int>mode]:  # the entry of a thread that does not exist after a fork
            return
        own.entered[<int>mode] -= 1
        own.depth -= 1
        if inside:
            own.inside -= 1
            own.stepping -= mode == TRAINING
        self._tidy(own)

    def pass_gate(self):
        """Let waiting threads enter during a long call of the training thread, as between two steps."""
        cdef unsigned long me = this_thread()
        cdef Hold *own = self._find(me)
        if self.count > 1 and own is not NULL and own.entered[<int>FITTING] and not own.entered[<int>TRAINING]:
            if self._may(TRAINING, me, True, self.tickets) == WAIT:
                self._wait(TRAINING, me, True, True)

    cdef bint must_recover(self) noexcept:
        """Return whether the caller, which has entered, must repair the state of a thread that a fork has removed. An outer call of the
        same thread does not need the repaired state and continues with its own."""
        cdef Hold *own = self._find(this_thread())
        return self.needs_recovery and (own is NULL or own.inside <= 1)

    cdef inline void _tidy(self, Hold *own) noexcept:
        if own.waiting:
            return
        if not own.entered[<int>SNAPSHOT] and not own.entered[<int>CHANGING]:
            own.ticket = 0
        if not own.depth:
            self._drop(own)

    cdef inline void _drop(self, Hold *own) noexcept:
        self.count -= 1
        own[0] = self.holds[self.count]
        memset(&self.holds[self.count], 0, sizeof(Hold))

    cdef inline Hold *_find(self, unsigned long thread) noexcept:
        cdef int i
        for i in range(self.count):
            if self.holds[i].thread == thread:
                return &self.holds[i]
        return NULL

    cdef Hold *_hold(self, unsigned long thread) except NULL:
        """Return the hold of the thread. It is made if necessary."""
        cdef Hold *own = self._find(thread)
        if own is not NULL:
            return own
        if self.count == self.room:
            self._make_room(2 * self.room)
        own = &self.holds[self.count]
        own.thread = thread
        self.count += 1
        return own

    cdef void _forget_others(self) noexcept:
        """Forget the other threads in a forked child, where they do not exist. A new thread may get the number of one of them."""
        cdef unsigned long survivor = nnc_fork_survivor(self.forks)
        cdef int i
        self.forks = nnc_fork_count()
        for i in range(self.count - 1, -1, -1):
            if survivor and self.holds[i].thread == survivor:
                continue
            self.needs_recovery |= self.holds[i].inside > 0
            self._drop(&self.holds[i])
        self.trainers_waiting = self.writers_waiting = 0

    # Order of the threads -----------------------------------------------------------------------------------------------------

    cdef Verdict _may(self, Mode mode, unsigned long me, bint patient, uint64_t mark) noexcept:
        """Decide whether a thread may enter. mark: training waits for tickets up to this one."""
        cdef Hold mine
        cdef Hold *other
        cdef bint reading = False, training = False, fitting = False, paused = False, changing = False, queued = False
        cdef bint stepping = False  # another thread trains and does not wait
        cdef bint is_admitted
        cdef int i
        memset(&mine, 0, sizeof(Hold))
        for i in range(self.count):
            other = &self.holds[i]
            if other.thread == me:
                mine = other[0]
                continue
            reading |= other.entered[<int>READING] > 0 and not other.yields
            training |= other.entered[<int>TRAINING] > 0
            fitting |= other.entered[<int>FITTING] > 0
            paused |= other.entered[<int>SNAPSHOT] > 0
            changing |= other.entered[<int>CHANGING] > 0
            queued |= 0 < other.ticket <= mark
            stepping |= other.entered[<int>TRAINING] > 0 and (other.inside > 0 or other.waiting == 0)
        is_admitted = 0 < mine.ticket <= self.admitted
        if mode == READING:
            return WAIT if changing or (self.writers_waiting and not mine.depth) else GO
        if mode == TRAINING:
            if mine.inside:
                return INSIDE
            if mine.entered[<int>TRAINING] or mine.entered[<int>CHANGING]:
                return GO
            if training or fitting:
                return REFUSED
            return WAIT if changing or paused or queued else GO
        if mode == FITTING:
            if mine.inside:
                return INSIDE
            if training or fitting:
                return REFUSED
            return WAIT if changing else GO
        if mode == SNAPSHOT:
            if mine.stepping:
                return INSIDE
            if mine.inside:  # do not wait for threads that wait for this call to end
                return WAIT if changing or stepping else GO
            if changing or training:
                return WAIT
            if mine.entered[<int>SNAPSHOT] or mine.entered[<int>TRAINING] or mine.entered[<int>FITTING] or mine.entered[<int>CHANGING]:
                return GO
            return WAIT if (fitting or self.trainers_waiting) and not is_admitted else GO
        if mine.inside:
            return INSIDE
        if mine.entered[<int>CHANGING]:
            return GO
        if training or fitting:
            if not patient:
                return REFUSED
            if training or not is_admitted:
                return WAIT
        if changing:
            return WAIT
        if self.trainers_waiting and not is_admitted and not (mine.entered[<int>TRAINING] or mine.entered[<int>FITTING] or mine.entered[<int>SNAPSHOT]):
            return WAIT
        return WAIT_FOR_READERS if reading or paused else GO

    cdef int _wait(self, Mode mode, unsigned long me, bint patient, bint passes) except -1:
        """Return when the thread may enter (or, if it only passes, could have entered). Otherwise raise ConcurrentUseError."""
        cdef Hold *own = self._hold(me)
        cdef Verdict verdict = WAIT
        cdef bint counts_as_writer = False, is_only_readers, yielded = own.yields, counts_as_trainer = False
        cdef uint64_t mark = self.tickets
        give_up = monotonic() + PATIENCE
        own.waiting += 1
        try:
            while True:
                verdict = self._may(mode, me, patient, mark)
                if verdict == GO:
                    return 0
                if verdict == REFUSED and not (passes and mode == TRAINING):
                    raise ConcurrentUseError(_REFUSED[<int>mode])
                if verdict == INSIDE:
                    raise ConcurrentUseError(_INSIDE[<int>mode])
                own = self._find(me)
                if mode == TRAINING and not counts_as_trainer:
                    counts_as_trainer = True
                    self.trainers_waiting += 1
                    self.admitted = max(self.admitted, mark)
                if (mode == SNAPSHOT or mode == CHANGING) and not own.ticket:
                    self.tickets += 1
                    own.ticket = self.tickets
                own.yields = own.inside == 0
                if mode == CHANGING:
                    is_only_readers = verdict == WAIT_FOR_READERS
                    self.writers_waiting += is_only_readers - counts_as_writer
                    counts_as_writer = is_only_readers
                if mode != TRAINING and monotonic() > give_up:
                    raise ConcurrentUseError(_IN_VAIN[<int>mode].format(PATIENCE))
                sleep(1e-4)
                PyErr_CheckSignals()
                if self.forks != nnc_fork_count():  # a signal handler has forked; this is the child
                    self._forget_others()
                    counts_as_trainer = counts_as_writer = False
        finally:
            if counts_as_trainer and self.trainers_waiting:  # a fork sets it to 0
                self.trainers_waiting -= 1
            if counts_as_writer and self.writers_waiting:
                self.writers_waiting -= 1
            own = self._find(me)
            own.waiting -= 1
            own.yields = yielded
            if verdict != GO:
                self._tidy(own)

    # Python interface ---------------------------------------------------------------------------------------------------------

    def reading(self):
        """For predictions and other reading. Several threads can do this at once."""
        return _use(self, READING, True, False)

    def training(self):
        """For a step, and for writing weights. Raise ConcurrentUseError if another thread trains."""
        return _use(self, TRAINING, False, False)

    def fitting(self):
        """For a whole fit. Raise ConcurrentUseError if another thread trains."""
        return _use(self, FITTING, False, False)

    def between_steps(self):
        """For operations that must not see an incomplete step. Wait for the end of another thread's step."""
        return _use(self, SNAPSHOT, True, False)

    def changing(self, bint patient=False):
        """For a change of the plan. If another thread trains, raise ConcurrentUseError; if patient, wait for the end of its step
        instead."""
        return _use(self, CHANGING, patient, False)

    def preparing(self):
        """For calls of layers before a change. Meanwhile layers can read the network, but not use it otherwise."""
        return _use(self, CHANGING, False, True)

    @property
    def is_fitting(self):
        """Whether a fit is running, in any thread."""
        cdef int i
        if self.forks != nnc_fork_count():
            self._forget_others()
        for i in range(self.count):
            if self.holds[i].entered[<int>FITTING]:
                return True
        return False

    @property
    def is_inside_step(self):
        """Whether this thread is in a step. This is true in a loss, metric or layer in Python that is called during training."""
        cdef Hold *own = self._find(this_thread())
        return own is not NULL and own.stepping > 0


cdef tuple _REFUSED = (
    "",
    "the model is being trained by another thread; wait for it, or train a copy",
    "the model is being trained by another thread; wait for it, or train a copy",
    "",
    "the model is being trained by another thread, so it cannot be built or compiled now",
)
cdef tuple _INSIDE = (
    "",
    "the model is running a call that has called this loss, metric or layer; it cannot be trained from there",
    "the model is running a call that has called this loss, metric or layer; it cannot be trained from there",
    "the model is running a step that has called this loss, metric or layer; it cannot be copied or saved from there; use "
    "a callback",
    "the model is running a call that has called this loss, metric or layer; it cannot be built, compiled or given "
    "another number of time steps from there",
)
cdef tuple _IN_VAIN = (
    "another thread builds or compiles the model, and has not finished for {:g} s",
    "",
    "another thread builds or compiles the model, and has not finished for {:g} s",
    "another thread trains the model and has not finished a step for {:g} s; this happens if a callback waits for this thread",
    "another thread uses the model and has not finished for {:g} s, so that it cannot be built or compiled, or take another number of "
    "time steps; this happens if a callback waits for this thread",
)
