# turns.pxi: who may use a network now. Threads may predict with one network at once; one trains at a time; and who wants to read the
# parameters as they are between two steps waits until training comes to such a place.

cdef double PATIENCE = 60  # seconds that a reader waits for training to come to a step boundary


cdef class Turns:
    """Which threads use a network."""

    cdef bint is_busy  # a call that writes is under way
    cdef int readers  # calls that run without the GIL and only read the plan
    cdef unsigned long trainer  # the thread that runs fit, or 0
    cdef int claims  # how deep its calls of fit are nested
    cdef int waiting  # threads that want to read, or are reading, parameters and moments as they are between two steps
    cdef bint is_paused  # training waits for them

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

    def _need_idle(self):
        """Raise where another thread uses the network."""
        self._need_alone()
