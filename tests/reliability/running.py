"""What the attack programs share: their options, a supervisor, a watchdog, and an account of what went wrong.

A program runs in a forked child. The parent waits, ends it when it is far over its time, and says which calls were in flight where
it crashed or hung. A watchdog in the child reports calls that take longer than ``--longest``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import mmap
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings

import numpy as np

SLOTS, WIDTH = 64, 240  # threads, and bytes for what each is doing
GRACE = 40.0  # seconds beyond --seconds before the parent ends the child


class Storm:
    """One run of a program: its options, the calls in flight, and what failed."""

    def __init__(self, name, options, board):
        self.name, self.options, self.seed = name, options, options.seed
        self.counts = collections.Counter()  # of calls by operation
        self.failures = {}  # from what failed to [how often, the first case in full]
        self.longest = (0.0, "")
        self._board, self._slots, self._calls = board, {}, {}
        self._lock = threading.Lock()
        self._end = time.monotonic() + options.seconds
        threading.Thread(target=self._watch, daemon=True).start()

    # Time and chance ------------------------------------------------------------------------------------------------------

    def left(self):
        """Seconds until the end."""
        return self._end - time.monotonic()

    def rng(self, *key):
        """Random numbers that depend on the seed and on the key alone."""
        return np.random.default_rng([self.seed, *key])

    def wanted(self, name):
        """Whether --only asks for what is called so."""
        return re.search(self.options.only, name) is not None

    # Calls ----------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def call(self, what):
        """Note that this thread is in a call now; calls may be nested."""
        me = threading.get_ident()
        begun = time.monotonic()
        outer = self._calls.get(me)
        self._note(me, what)
        self._calls[me] = mine = [what, begun, False]
        try:
            yield
        finally:
            reported = mine[2]
            if outer is None:
                del self._calls[me]
            else:
                self._calls[me] = outer
            self._note(me, outer[0] if outer else "")
            took = time.monotonic() - begun
            self.counts[what.split(" ")[0]] += 1
            if took > self.longest[0]:
                self.longest = (took, what)
            if took > self.options.longest and not reported:
                self.fail(f"{what.split(' ')[0]}: too slow", f"{what} took {took:.2f} s")

    def _note(self, thread, what):
        slot = self._slots.get(thread)
        if slot is None:
            with self._lock:
                slot = self._slots[thread] = len(self._slots) % SLOTS
        self._board[slot * WIDTH : (slot + 1) * WIDTH] = what.encode("utf-8", "replace")[:WIDTH].ljust(WIDTH, b"\0")

    def _watch(self):
        while True:
            time.sleep(0.02)
            now = time.monotonic()
            for thread, call in list(self._calls.items()):
                what, begun, reported = call
                if not reported and now - begun > self.options.longest:
                    call[2] = True
                    frame = sys._current_frames().get(thread)
                    stack = "".join(traceback.format_stack(frame)[-5:]) if frame else ""
                    self.fail(f"{what.split(' ')[0]}: too slow", f"{what} has taken {now - begun:.2f} s; it stands at\n{stack}")
                if now - begun > 10 + 10 * self.options.longest:
                    self.fail("hung", f"{what} does not come back")
                    self.finish()
                    os._exit(1)

    # The account ----------------------------------------------------------------------------------------------------------

    def fail(self, what, detail):
        """Take note of a failure; the first of a kind is kept in full."""
        with self._lock:
            entry = self.failures.setdefault(what, [0, detail])
            entry[0] += 1

    def fail_by(self, where, error, detail=""):
        """Take note of an exception that should not have come."""
        message = re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", f"{type(error).__name__}: {error}")[:160]
        self.fail(f"{where}: {message}", detail + "".join(traceback.format_exception(error)))

    def finish(self, **figures):
        """Print the line of figures, and what failed; return the exit code."""
        o = self.options
        took, what = self.longest
        parts = {"seed": o.seed, "seconds": o.seconds, **figures, "longest": f"{took:.3f} s ({what})"}
        parts["failures"] = sum(count for count, _ in self.failures.values())
        print(self.name, " ".join(f"{key}={value}" for key, value in parts.items()), flush=True)
        for what, (count, detail) in sorted(self.failures.items(), key=lambda item: -item[1][0])[:20]:
            first = detail.rstrip().replace("\n", "\n    ")
            print(f"  {count} x {what}\n    {first}", file=sys.stderr, flush=True)
        return int(bool(self.failures))


def folder():
    """Return a new empty folder, in memory where there is such a place: the storms save often, and saving forces data to disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="storm-", dir=place)


def open_files():
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def run(main, name, extra=None):
    """Run ``main(storm)`` in a child, and end with its exit code.

    Parameters
    ----------
    main : callable
        Takes a Storm and returns the exit code.
    name : str
        Of the program.
    extra : callable, optional
        Takes the argparse.ArgumentParser, to add options.
    """
    parser = argparse.ArgumentParser(prog=name, description=sys.modules["__main__"].__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0, help="what everything random follows from")
    parser.add_argument("--longest", type=float, default=1.0, help="seconds that a call may take")
    parser.add_argument("--only", default="", help="regular expression: leave out what has another name")
    if extra:
        extra(parser)
    options = parser.parse_args()
    board = mmap.mmap(-1, SLOTS * WIDTH)  # shared with the child: read by the parent when the child has crashed
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 70
        try:
            faulthandler.enable()
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # of forks in a process of several threads
            code = main(Storm(name, options, board))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    sys.exit(_supervise(child, name, options, board))


def _supervise(child, name, options, board):
    status = _wait(child, options.seconds + GRACE)
    what = ""
    if status is None:
        what = "hung"
        os.kill(child, signal.SIGABRT)  # faulthandler prints where each thread stands
        status = _wait(child, 10.0)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    elif os.WIFSIGNALED(status):
        what = f"crashed by {signal.Signals(os.WTERMSIG(status)).name}"
    elif os.WEXITSTATUS(status) in (70, 1) or not os.WEXITSTATUS(status):
        return os.WEXITSTATUS(status)
    else:
        what = f"ended with code {os.WEXITSTATUS(status)} (a sanitizer, perhaps)"
    print(name, f"seed={options.seed}", what, flush=True)
    for slot in range(SLOTS):
        doing = board[slot * WIDTH : (slot + 1) * WIDTH].rstrip(b"\0").decode("utf-8", "replace")
        if doing:
            print("  in flight:", doing, file=sys.stderr)
    return 2


def _wait(child, seconds):
    """Return the status of a child that has ended by then, or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.02)
    return None
