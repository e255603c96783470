# access.pxi: who may use a network now, in one place. Every call enters, checks what it was given against the plan, runs, and leaves,
# in this order; leaving is never left out. Between entering and leaving nobody else replaces what the call has checked.
#
# There are five ways to enter, and calls of one thread nest:
#   READING   predictions and evaluations. Side by side, also beside training; nobody changes the network meanwhile.
#   TRAINING  a step or a piece of one, weights written. One thread; another one that wants to is refused at once.
#   FITTING   a fit from beginning to end, also between its steps. As for TRAINING.
#   SNAPSHOT  copies and files. Nobody trains meanwhile; who trains lets snapshots in between two steps.
#   CHANGING  build, compile, another number of time steps. Nobody else is there.
# Everything here happens under the GIL and calls no Python but in the loop that waits, so that looking and entering are one.

cimport cython

cdef double PATIENCE = 60  # seconds to wait for others; training itself waits for snapshots without a limit

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
    WAIT_FOR_READERS  # nobody else is in the way
    REFUSED  # another thread trains
    INSIDE  # this thread is in the midst of a call that excludes it

cdef struct Hold:  # what one thread has entered; of those that nobody has, all but the thread is 0
    unsigned long thread
    int[5] entered
    int depth  # the sum of these
    int inside  # calls into the core under way on this thread; they may call Python, and that the network
    int stepping  # of those, the ones that train
    int waiting  # calls that want to enter
    bint yields  # it waits outside the core: a change may pass its reading, as it looks again at whatever it has looked at
    uint64_t ticket  # its place in the queue for a gap between two steps; 0: none


@cython.final
cdef class Access:
    """Which threads use a network, and how."""

    cdef Hold *holds
    cdef int count, room
    cdef uint64_t tickets  # given out
    cdef uint64_t admitted  # tickets up to this one may go in before training goes on
    cdef int trainers_waiting  # threads that wait for those before they train
    cdef int writers_waiting  # threads that only readers keep from changing the network: new readers wait
    cdef int forks  # of this process, when the holds were made
    cdef bint needs_recovery  # a fork has taken away a thread that was in the core

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
        """The same as `enter` for one call into the core, where nobody is there: what a loop over small calls does each time."""
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
        """Where it was the only call, and nobody has come meanwhile."""
        cdef Hold *own = self.holds
        if self.count != 1 or own.depth != 1 or own.waiting:
            return False
        own.entered[<int>mode] = own.depth = own.inside = own.stepping = 0
        own.ticket = 0
        self.count = 0
        return True

    cdef int enter(self, Mode mode, bint inside, bint patient=True) except -1:
        """inside: for one call into the core. Not patient: whoever would have to wait for another thread's training is refused."""
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
        if own is NULL or not own.entered[<int>mode]:  # of a thread that a fork has taken away
            return
        own.entered[<int>mode] -= 1
        own.depth -= 1
        if inside:
            own.inside -= 1
            own.stepping -= mode == TRAINING
        self._tidy(own)

    def pass_gate(self):
        """In a long call of the thread that trains, at a place like the one between two steps: let those in who wait for that."""
        cdef unsigned long me = this_thread()
        cdef Hold *own = self._find(me)
        if self.count > 1 and own is not NULL and own.entered[<int>FITTING] and not own.entered[<int>TRAINING]:
            if self._may(TRAINING, me, True, self.tickets) == WAIT:
                self._wait(TRAINING, me, True, True)

    cdef bint must_recover(self) noexcept:
        """Whether the caller, which has entered, has to see to what a vanished thread has left: its own outer calls work with none of that,
        and go on with what they have."""
        cdef Hold *own = self._find(this_thread())
        return self.needs_recovery and (own is NULL or own.inside <= 1)

    cdef void _tidy(self, Hold *own) noexcept:
        if own.waiting:
            return
        if not own.entered[<int>SNAPSHOT] and not own.entered[<int>CHANGING]:
            own.ticket = 0
        if not own.depth:
            self._drop(own)

    cdef void _drop(self, Hold *own) noexcept:
        self.count -= 1
        own[0] = self.holds[self.count]
        memset(&self.holds[self.count], 0, sizeof(Hold))

    cdef Hold *_find(self, unsigned long thread) noexcept:
        cdef int i
        for i in range(self.count):
            if self.holds[i].thread == thread:
                return &self.holds[i]
        return NULL

    cdef Hold *_hold(self, unsigned long thread) except NULL:
        """The thread's hold, made where it has none."""
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
        """In a forked child: the other threads are not there, whatever they were doing. A new one may have the number of one of them."""
        cdef unsigned long survivor = nnc_fork_survivor(self.forks)
        cdef int i
        self.forks = nnc_fork_count()
        for i in range(self.count - 1, -1, -1):
            if survivor and self.holds[i].thread == survivor:
                continue
            self.needs_recovery |= self.holds[i].inside > 0
            self._drop(&self.holds[i])
        self.trainers_waiting = self.writers_waiting = 0

    # Who comes when -----------------------------------------------------------------------------------------------------------

    cdef Verdict _may(self, Mode mode, unsigned long me, bint patient, uint64_t mark) noexcept:
        """mark: training lets in those who have tickets up to this one."""
        cdef Hold mine
        cdef Hold *other
        cdef bint reading = False, training = False, fitting = False, paused = False, changing = False, queued = False
        cdef bint stepping = False  # and does not wait for anybody
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
            if mine.inside:  # whoever waits for this call to end must not be waited for
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
        """Come back when the thread may enter, or, where it only passes, could have entered; else raise ConcurrentUseError."""
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
                if self.forks != nnc_fork_count():  # a signal handler has forked, and this is the child
                    self._forget_others()
                    counts_as_trainer = counts_as_writer = False
        finally:
            if counts_as_trainer and self.trainers_waiting:  # a fork sets them to 0
                self.trainers_waiting -= 1
            if counts_as_writer and self.writers_waiting:
                self.writers_waiting -= 1
            own = self._find(me)
            own.waiting -= 1
            own.yields = yielded
            if verdict != GO:
                self._tidy(own)

    # For Python ---------------------------------------------------------------------------------------------------------------

    def reading(self):
        """For predictions and the like, side by side with others."""
        return _use(self, READING, True, False)

    def training(self):
        """For a step, and for whatever writes weights; ConcurrentUseError where another thread trains."""
        return _use(self, TRAINING, False, False)

    def fitting(self):
        """For a whole fit; ConcurrentUseError where another thread trains."""
        return _use(self, FITTING, False, False)

    def between_steps(self):
        """For what must not see half of a step; waits for the end of another thread's."""
        return _use(self, SNAPSHOT, True, False)

    def changing(self, bint patient=False):
        """For another plan. Where another thread trains, ConcurrentUseError; patient: wait for the end of a step instead."""
        return _use(self, CHANGING, patient, False)

    def preparing(self):
        """For what a change asks of layers before it happens: from inside them the network can be read, and nothing else."""
        return _use(self, CHANGING, False, True)

    @property
    def is_fitting(self):
        """Whether a fit is under way, in any thread."""
        cdef int i
        if self.forks != nnc_fork_count():
            self._forget_others()
        for i in range(self.count):
            if self.holds[i].entered[<int>FITTING]:
                return True
        return False

    @property
    def is_inside_step(self):
        """Whether this thread is in the midst of a step: a loss, a metric or a layer in Python asks."""
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
    "the model is in the midst of a call, which has called this loss, metric or layer: it cannot be trained from there",
    "the model is in the midst of a call, which has called this loss, metric or layer: it cannot be trained from there",
    "the model is in the midst of a step, which has called this loss, metric or layer: it cannot be copied or saved from there; do "
    "it in a callback",
    "the model is in the midst of a call, which has called this loss, metric or layer: it cannot be built, compiled or given "
    "another number of time steps from there",
)
cdef tuple _IN_VAIN = (
    "another thread builds or compiles the model, and has not finished for {:g} s",
    "",
    "another thread builds or compiles the model, and has not finished for {:g} s",
    "another thread trains the model and has not come to the end of a step for {:g} s; a callback that waits for this thread would do that",
    "another thread uses the model and has not finished for {:g} s, so that it cannot be built or compiled, or take another number of "
    "time steps; a callback that waits for this thread would do that",
)
